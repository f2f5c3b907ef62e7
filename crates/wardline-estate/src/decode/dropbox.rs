//! `dropboxes` of `wardline.yaml`, and the keys that open them.

use super::top::bind;
use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::files::TEXT_LIMIT;
use crate::model::{DropBox, DropBoxes, FileRef};
use crate::shape::dropbox::{DROPBOX, DROPBOXES};
use crate::source::Spanned;
use crate::value;
use crate::yaml::{Entry, Node};

impl Decoder<'_> {
    pub(super) fn dropboxes(&mut self, node: &Node) -> DropBoxes {
        let view = View::new(Some(node), &DROPBOXES);
        let boxes = view.get("boxes").map_or(&[][..], Node::entries).iter();
        DropBoxes {
            bind: bind(view, "bind", node.at),
            host_keys: self.secrets(view.texts("host_key")),
            allow: view
                .texts("allow")
                .iter()
                .filter_map(|text| value::network(&text.value).ok())
                .collect(),
            max_connections: view.integer("max_connections"),
            idle_timeout: view
                .parsed("idle_timeout", value::duration)
                .unwrap_or_default(),
            boxes: boxes
                .map(|entry| (entry.key.clone(), dropbox(entry)))
                .collect(),
        }
    }

    /// A file of public keys, a line each.
    pub(super) fn ssh_keys(&mut self, written: Option<Spanned<String>>) -> Option<FileRef> {
        let written = written?;
        let path = self.files.refer("", &written)?;
        let file = self.files.text(&path, TEXT_LIMIT)?;
        let lines = self.files.sources.text(file).lines().map(str::trim);
        let keys = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (mut count, mut bad) = (0, 0);
        for key in keys {
            count += 1;
            bad += usize::from(value::public_key(key).is_err());
        }
        if count == 0 || bad > 0 {
            self.files.problems.push(
                Diagnostic::error(
                    codes::BAD_HOST_KEY,
                    format!("`{}` is not a list of public keys of SSH", path.display()),
                )
                .at(written.at)
                .label("expected a line such as `ssh-ed25519 AAAA…` for each key, without options")
                .help("it is what `ssh-keygen` writes into a file whose name ends in `.pub`"),
            );
        }
        Some(FileRef {
            path,
            at: written.at,
        })
    }
}

fn dropbox(entry: &Entry) -> DropBox {
    let view = View::new(Some(&entry.value), &DROPBOX);
    DropBox {
        at: entry.key_at,
        directory: view.text_or_stand_in("directory", entry.key_at),
        quota: view.parsed("quota", value::size).unwrap_or_default(),
        files: view.integer("files"),
        sessions: view.integer("sessions"),
    }
}
