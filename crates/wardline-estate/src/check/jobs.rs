//! Bulk jobs: what they read and write is there, and pages can come to an end.

use super::Whole;
use super::references::References;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{ConnectionKind, Direction, Job, JobFile, JobPaging, JobWrite, Source};
use crate::source::Span;
use crate::suggest::{clip, did_you_mean};
use wardline_tabular::Format;

/// What may stand in the name of a file.
const PLACES: [&str; 4] = ["{date}", "{time}", "{run}", "{part}"];

impl References<'_> {
    /// Operations and connections that jobs name, and jobs that flows name.
    pub(super) fn jobs(&mut self) {
        let estate = self.whole.estate;
        for job in estate.jobs.values() {
            self.operation(&job.read.call.value, job.read.call.at);
            if let JobWrite::File(file) = &job.write {
                self.connection(&file.connection, Direction::Out);
            }
        }
        for flow in estate.flows.values() {
            let Source::Job(name) = &flow.source else {
                continue;
            };
            match estate.jobs.get(&name.value) {
                None if self.whole.complete("job") => self.missing(
                    codes::UNKNOWN_JOB,
                    format!("there is no job `{}`", clip(&name.value)),
                    name.at,
                    did_you_mean(&name.value, estate.jobs.keys().map(String::as_str)),
                ),
                Some(job) if matches!(job.write, JobWrite::File(_)) => self.missing(
                    codes::UNKNOWN_JOB,
                    format!("the job `{}` writes files, and tells no flow", job.name),
                    name.at,
                    Some("give it `write: messages`".to_owned()),
                ),
                _ => {}
            }
        }
    }
}

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    for job in whole.estate.jobs.values() {
        let mut refuse = |at: Span, what: &str, help: &str| {
            problems.push(
                Diagnostic::error(codes::BAD_JOB, what.to_owned())
                    .at(at)
                    .help(help.to_owned()),
            );
        };
        paging(job, &mut refuse);
        match &job.write {
            JobWrite::File(file) => files(whole, file, &mut refuse),
            JobWrite::Messages => messages(whole, job, &mut refuse),
        }
    }
}

fn paging(job: &Job, refuse: &mut impl FnMut(Span, &str, &str)) {
    let page = &job.read.page;
    let at = job.read.call.at;
    if page.onward && !matches!(page.by, JobPaging::After(_) | JobPaging::Next(_)) {
        refuse(
            at,
            "`onward` needs a place that means the same in the next run",
            "find pages by `after` or `next`",
        );
    }
    if page.size_as == page.place_as {
        refuse(
            at,
            "size and place are asked for under the same name",
            "give `size_as` and `place_as` different names",
        );
    }
    if page.by == JobPaging::Offset
        && page
            .begin
            .as_ref()
            .is_some_and(|begin| begin.parse::<u64>().is_err())
    {
        refuse(at, "an offset is a whole number", "write `begin: \"0\"`");
    }
}

fn files(whole: &Whole<'_>, file: &JobFile, refuse: &mut impl FnMut(Span, &str, &str)) {
    let target = whole.estate.connection(&file.connection.value);
    if let Some((_, connection)) = target
        && !whole.learned.unclear.contains(&connection.reference)
        && connection.kind.direction() == Direction::Out
        && !matches!(connection.kind, ConnectionKind::FilesOut(_))
    {
        refuse(
            file.connection.at,
            "this connection writes no files",
            "name one of kind `files`, `sftp`, `ftps` or `s3`",
        );
    }
    if file.columns.is_empty() && file.format != Format::Ndjson {
        refuse(
            file.name.at,
            "this format has columns, and none are declared",
            "add `columns`, such as `{ item_id: text, price: \"decimal(12,2)\" }`",
        );
    }
    let mut plain = file.name.value.clone();
    for place in PLACES {
        plain = plain.replace(place, "0");
    }
    let fits = !plain.is_empty()
        && plain.len() <= 128
        && !plain.starts_with('.')
        && plain
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !fits {
        refuse(
            file.name.at,
            "this is no name of a file",
            "use letters, digits, `.`, `_`, `-` and `{date}`, `{time}`, `{run}`, `{part}`",
        );
    }
    if file.split.is_some() && !file.name.value.contains("{part}") {
        refuse(
            file.name.at,
            "files of one run would take each other's place",
            "put `{part}` into the name",
        );
    }
}

fn messages(whole: &Whole<'_>, job: &Job, refuse: &mut impl FnMut(Span, &str, &str)) {
    if let Some(when) = &job.when {
        refuse(
            when.at,
            "records become messages as they are",
            "move `when` to the flow that begins with this job",
        );
    }
    if let Some(map) = job.map.first() {
        refuse(
            map.at,
            "records become messages as they are",
            "move `map` to the flow that begins with this job",
        );
    }
    let heard = whole
        .estate
        .flows
        .values()
        .any(|flow| matches!(&flow.source, Source::Job(name) if name.value == job.name));
    if !heard && whole.complete("flow") {
        refuse(
            job.at,
            "no flow begins with this job, so its records would lead nowhere",
            "add a flow with `from: { job: NAME }`, or let the job write files",
        );
    }
}
