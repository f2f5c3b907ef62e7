//! Connections whose files lie on other machines.

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{FilesIn, FilesOut, Reach, SftpReach};
use crate::shape::remote::{SFTP_IN, SFTP_OUT};
use crate::source::Span;
use crate::value;
use crate::yaml::Node;

impl Decoder<'_> {
    pub(super) fn sftp_in(&mut self, node: &Node, at: Span) -> FilesIn {
        let view = View::new(Some(node), &SFTP_IN);
        let reach = self.sftp(view, node.at);
        self.taking(view, at, Some(Box::new(Reach::Sftp(reach))))
    }

    pub(super) fn sftp_out(&mut self, node: &Node, at: Span) -> FilesOut {
        let view = View::new(Some(node), &SFTP_OUT);
        let reach = self.sftp(view, node.at);
        super::files::writing(view, at, Some(Box::new(Reach::Sftp(reach))))
    }

    fn sftp(&mut self, view: View<'_>, at: Span) -> SftpReach {
        let duration = |key: &str| view.parsed(key, value::duration).unwrap_or_default();
        let reach = SftpReach {
            host: view.text_or_stand_in("host", at),
            port: u16::try_from(view.integer("port")).unwrap_or(22),
            user: view.text_or_stand_in("user", at),
            host_keys: view.texts("host_key"),
            key: self.secret(view.text("key")),
            passphrase: self.secret(view.text("passphrase")),
            certificate: self.file(view.text("certificate")),
            password: self.secret(view.text("password")),
            connect_timeout: duration("connect_timeout"),
            timeout: duration("timeout"),
        };
        let mut lacks = |text: &str, help: &str| {
            self.files.problems.push(
                Diagnostic::error(codes::MISSING_KEY, text)
                    .at(at)
                    .help(help),
            );
        };
        if view.get("key").is_none() {
            if view.get("password").is_none() {
                lacks(
                    "nothing proves who Wardline is there",
                    "add `key: secret:NAME`, a private key, or `password: secret:NAME`",
                );
            }
            for needs in ["certificate", "passphrase"] {
                if view.get(needs).is_some() {
                    lacks(
                        &format!("`{needs}` without a `key`"),
                        "add `key: secret:NAME`, the private key that it belongs to",
                    );
                }
            }
        }
        reach
    }
}
