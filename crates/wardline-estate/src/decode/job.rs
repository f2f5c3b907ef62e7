//! `jobs/*.yaml`.

use super::flow::served_by;
use super::{Decoder, View};
use crate::model::{
    Estate, Job, JobFile, JobPage, JobPaging, JobRead, JobWindow, JobWrite, MapRef,
};
use crate::shape::job::{JOB, PAGE, READ, WINDOW, WRITE, WRITE_FILE};
use crate::source::{Span, Spanned};
use crate::value;
use crate::yaml::Node;
use wardline_tabular::{Column, Format};

impl Decoder<'_> {
    pub(super) fn job(&mut self, node: &Node, estate: &Estate) -> Job {
        let view = View::new(Some(node), &JOB);
        let name = view.text_or_stand_in("job", node.at);
        let every = view.text("every");
        let time_zone = view
            .text("zone")
            .unwrap_or_else(|| Spanned::new(estate.time_zone.clone(), name.at));
        let map: Vec<MapRef> = self.maps(view.texts("map"));
        Job {
            at: name.at,
            title: view.string("title"),
            owner: view.string("owner"),
            every,
            time_zone,
            read: read(view.below("read", &READ), node.at, estate),
            when: view.text("when"),
            map,
            write: write(view.get("write"), node.at),
            rate: view.parsed("rate", value::rate),
            window: view.get("window").and_then(window),
            errors: view.integer("errors"),
            open: view.integer("open"),
            name: name.value,
        }
    }
}

fn read(view: View<'_>, at: Span, estate: &Estate) -> JobRead {
    let with = match view.get("with").map(Node::to_json) {
        Some(serde_json::Value::Object(with)) => with,
        _ => serde_json::Map::new(),
    };
    let page = view.below("page", &PAGE);
    let text = |key: &str| page.text(key).map(|text| text.value);
    let by = match (text("after"), text("next"), page.is_true("offset")) {
        (Some(column), _, _) => JobPaging::After(column),
        (None, Some(path), _) => JobPaging::Next(path),
        (None, None, true) => JobPaging::Offset,
        (None, None, false) => JobPaging::Once,
    };
    let place_as = text("place_as").unwrap_or_else(|| {
        match by {
            JobPaging::Offset => "offset",
            JobPaging::Next(_) => "next",
            JobPaging::After(_) | JobPaging::Once => "after",
        }
        .to_owned()
    });
    JobRead {
        call: served_by(estate, view.text_or_stand_in("call", at)),
        with,
        page: JobPage {
            records: text("records"),
            size: page.integer("size"),
            size_as: page.string("size_as").unwrap_or_default(),
            by,
            place_as,
            begin: text("begin"),
            onward: page.is_true("onward"),
            total: text("total"),
        },
    }
}

fn write(node: Option<&Node>, at: Span) -> JobWrite {
    let Some(file) = node.filter(|node| node.text().is_none()) else {
        return JobWrite::Messages;
    };
    let view = View::new(Some(file), &WRITE).below("file", &WRITE_FILE);
    let columns = view.get("columns").map_or(&[][..], Node::entries);
    let columns = columns.iter().filter_map(|entry| {
        let kind = entry.value.text()?;
        Column::new(entry.key.clone(), &kind.value).ok()
    });
    let split = view.get("split").map(|_| view.integer("split"));
    JobWrite::File(JobFile {
        connection: view.text_or_stand_in("connection", at),
        name: view.text_or_stand_in("name", at),
        format: view
            .string("format")
            .and_then(|word| word.parse().ok())
            .unwrap_or(Format::Ndjson),
        columns: columns.collect(),
        split: split.filter(|split| *split > 0),
    })
}

fn window(node: &Node) -> Option<JobWindow> {
    let view = View::new(Some(node), &WINDOW);
    Some(JobWindow {
        from: view.parsed("from", value::hour)?,
        to: view.parsed("to", value::hour)?,
    })
}
