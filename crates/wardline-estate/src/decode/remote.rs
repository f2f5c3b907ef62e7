//! Connections whose files lie on other machines.

use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{ConnectionKind, FtpsReach, Reach, S3Reach, SftpReach};
use crate::shape::remote::{FTPS_IN, FTPS_OUT, S3_IN, S3_OUT, SFTP_IN, SFTP_OUT};
use crate::source::Span;
use crate::value;

impl Decoder<'_> {
    /// A connection to files of another machine, where it is one.
    pub(super) fn remote(&mut self, connection: View<'_>, at: Span) -> Option<ConnectionKind> {
        for (word, taking, writing) in [
            ("sftp", &SFTP_IN, &SFTP_OUT),
            ("ftps", &FTPS_IN, &FTPS_OUT),
            ("s3", &S3_IN, &S3_OUT),
        ] {
            let Some(node) = connection.get(word) else {
                continue;
            };
            let takes = node.get("poll").is_some();
            if !takes && node.get("write").is_none() {
                continue;
            }
            let view = View::new(Some(node), if takes { taking } else { writing });
            let reach = Some(Box::new(match word {
                "sftp" => Reach::Sftp(self.sftp(view, node.at)),
                "ftps" => Reach::Ftps(self.ftps(view, node.at)),
                _ => Reach::S3(self.s3(view, node.at)),
            }));
            return Some(if takes {
                ConnectionKind::FilesIn(self.taking(view, at, reach))
            } else {
                ConnectionKind::FilesOut(super::files::writing(view, at, reach))
            });
        }
        None
    }

    fn ftps(&mut self, view: View<'_>, at: Span) -> FtpsReach {
        let duration = |key: &str| view.parsed(key, value::duration).unwrap_or_default();
        let implicit = view.string("mode").as_deref() == Some("implicit");
        FtpsReach {
            host: view.text_or_stand_in("host", at),
            port: match u16::try_from(view.integer("port")) {
                Ok(port @ 1..) => port,
                _ if implicit => 990,
                _ => 21,
            },
            implicit,
            user: view.text_or_stand_in("user", at),
            password: self.secret(view.text("password")),
            tls: self.client_tls(view.get("tls")),
            connect_timeout: duration("connect_timeout"),
            timeout: duration("timeout"),
        }
    }

    fn s3(&mut self, view: View<'_>, at: Span) -> S3Reach {
        let duration = |key: &str| view.parsed(key, value::duration).unwrap_or_default();
        S3Reach {
            url: view.text_or_stand_in("url", at),
            bucket: view.text_or_stand_in("bucket", at),
            region: view.string("region").unwrap_or_default(),
            in_path: view.string("style").as_deref() == Some("path"),
            key_id: self.secret(view.text("key_id")),
            key: self.secret(view.text("key")),
            tls: self.client_tls(view.get("tls")),
            connect_timeout: duration("connect_timeout"),
            timeout: duration("timeout"),
        }
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
