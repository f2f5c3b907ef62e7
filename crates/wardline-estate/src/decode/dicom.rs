//! DICOM connections.

use super::top::bind;
use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{ClientTls, ConnectionKind, DicomEntries, DicomIn, DicomOut, DicomWeb};
use crate::shape::dicom::{DICOM_ENTRIES, DICOM_IN, DICOM_OUT, DICOM_WEB};
use crate::source::{Span, Spanned};
use crate::value;
use crate::yaml::Node;

impl Decoder<'_> {
    /// A connection of whichever of the four ways.
    pub(super) fn dicom(&mut self, node: &Node, at: Span) -> Option<ConnectionKind> {
        if node.get("listen").is_some() {
            return Some(ConnectionKind::DicomIn(Box::new(self.dicom_in(node, at))));
        }
        if node.get("connect").is_some() {
            return Some(ConnectionKind::DicomOut(Box::new(self.dicom_out(node, at))));
        }
        if node.get("stow").is_some() {
            return Some(ConnectionKind::DicomWeb(Box::new(self.dicom_web(node, at))));
        }
        node.get("entries")?;
        let view = View::new(Some(node), &DICOM_ENTRIES);
        Some(ConnectionKind::DicomEntries(DicomEntries {
            entries: view.text_or_stand_in("entries", at),
        }))
    }

    fn dicom_in(&mut self, node: &Node, at: Span) -> DicomIn {
        let view = View::new(Some(node), &DICOM_IN);
        let duration = |key: &str| view.parsed(key, value::duration).unwrap_or_default();
        let callers = view.texts("callers");
        for title in view.text("title").iter().chain(&callers) {
            self.title(title);
        }
        let allow = view.texts("allow");
        let allow = allow
            .iter()
            .filter_map(|text| value::network(&text.value).ok());
        DicomIn {
            bind: bind(view, "listen", at),
            title: view.string("title").unwrap_or_default(),
            callers,
            objects: view.text("objects"),
            worklist: view.text("worklist"),
            steps: view.text("steps"),
            max_object: view.parsed("max_object", value::size).unwrap_or_default(),
            idle_timeout: duration("idle_timeout"),
            stall_timeout: duration("stall_timeout"),
            max_connections: view.integer("max_connections"),
            allow: allow.collect(),
            tls: self.server_tls(view.get("tls")),
            remember: duration("remember"),
        }
    }

    fn dicom_out(&mut self, node: &Node, at: Span) -> DicomOut {
        let view = View::new(Some(node), &DICOM_OUT);
        let duration = |key: &str| view.parsed(key, value::duration).unwrap_or_default();
        for title in ["called", "calling"]
            .into_iter()
            .filter_map(|key| view.text(key))
        {
            self.title(&title);
        }
        DicomOut {
            address: view.text_or_stand_in("connect", at),
            called: view.string("called").unwrap_or_default(),
            calling: view.string("calling").unwrap_or_default(),
            objects: view.text_or_stand_in("objects", at),
            timeout: duration("timeout"),
            connect_timeout: duration("connect_timeout"),
            tls: if view.is_true("tls") {
                Some(ClientTls::default())
            } else {
                self.client_tls(view.get("tls"))
            },
        }
    }

    fn dicom_web(&mut self, node: &Node, at: Span) -> DicomWeb {
        let view = View::new(Some(node), &DICOM_WEB);
        let duration = |key: &str| view.parsed(key, value::duration).unwrap_or_default();
        DicomWeb {
            url: view.text_or_stand_in("stow", at),
            auth: self.auth(view.get("auth")),
            objects: view.text_or_stand_in("objects", at),
            timeout: duration("timeout"),
            connect_timeout: duration("connect_timeout"),
            tls: self.client_tls(view.get("tls")),
        }
    }

    /// An AE title is sixteen characters on the wire, blanks around it not counted.
    fn title(&mut self, title: &Spanned<String>) {
        let text = title.value.as_str();
        let fits = (1..=16).contains(&text.len())
            && text.trim() == text
            && text
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\');
        if !fits {
            self.files.problems.push(
                Diagnostic::error(codes::BAD_NAME, "this is no AE title")
                    .at(title.at)
                    .label("expected 1 to 16 characters of ASCII, without `\\` and without blanks around them"),
            );
        }
    }
}
