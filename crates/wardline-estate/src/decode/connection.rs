//! Connections of a system.

use super::files::files_out;
use super::top::bind;
use super::{Decoder, View};
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{
    AckMode, AckPolicy, AckWhen, Auth, ClientTls, Connection, ConnectionKind, Duplicate,
    HeaderValue, Health, Hedge, HmacFields, HttpAck, HttpContent, HttpIn, HttpOut, KeyField,
    Method, MllpConnect, MllpListen, SecretRef, SoapOut, VendorHmac, WebhookSigning, WsSecurity,
};
use crate::shape::connection::{
    AUTH_HEADER, AUTH_OBJECT, CLIENT_TLS, CONNECTION, DUPLICATE, HEALTH, HEDGE, HMAC, HMAC_FIELDS,
    HTTP_ACK, HTTP_IN, HTTP_OUT, MLLP_ACK, MLLP_CONNECT, MLLP_LISTEN, SOAP_OUT, WEBHOOK,
    WS_SECURITY,
};
use crate::shape::scim::SCIM_OUT;
use crate::source::{Span, Spanned};
use crate::value;
use crate::yaml::{Data, Entry, Node};
use wardline_core::Sensitivity;

/// From the secret a way of authenticating needs to that way.
type ByCredential = fn(SecretRef) -> Auth;

/// MLLP acknowledges one message at a time, and many receivers allow one session.
const MLLP_CONCURRENT: &str = "1";
/// Enough to keep a link busy, few enough for a modest application server.
const HTTP_CONCURRENT: &str = "8";
/// Each write waits for the disk; a few share it well.
const FILES_CONCURRENT: &str = "4";
/// Partners take a few messages at a time.
const AS2_CONCURRENT: &str = "4";
/// Archives take a few associations at a time.
const DICOM_CONCURRENT: &str = "2";
/// Each is a connection on which one message waits for its confirmation.
const BROKER_CONCURRENT: &str = "8";
/// Each is a session of a server that has few.
const SQL_CONCURRENT: &str = "4";
/// Mail servers count who comes too often.
const SMTP_CONCURRENT: &str = "2";
/// Nothing is on the other side.
const NULL_CONCURRENT: &str = "64";

impl<'a> Decoder<'a> {
    pub(super) fn connection(
        &mut self,
        entry: &'a Entry,
        system: &str,
        facility: Option<&str>,
    ) -> Connection {
        let view = View::new(Some(&entry.value), &CONNECTION);
        let reference = format!("{system}.{}", entry.key);
        let path = format!("systems.{reference}");
        self.learned.facilities.extend(view.text("facility"));
        let facility = view
            .string("facility")
            .or_else(|| facility.map(str::to_owned));
        let (kind, concurrent) = self.kind(view, entry, system, facility.as_deref(), &path);
        let Some(kind) = kind else {
            self.learned.unclear.insert(reference.clone());
            return self.finish(
                view,
                entry,
                reference,
                &path,
                facility,
                ConnectionKind::Null,
                concurrent,
                system,
            );
        };
        self.finish(
            view, entry, reference, &path, facility, kind, concurrent, system,
        )
    }

    fn kind(
        &mut self,
        view: View<'a>,
        entry: &'a Entry,
        system: &str,
        facility: Option<&str>,
        path: &str,
    ) -> (Option<ConnectionKind>, &'static str) {
        if let Some(node) = view.get("mllp") {
            if node.get("listen").is_some() {
                let levels = self.levels(&[node], system, facility);
                let charset = self.charset(&levels, path);
                return (
                    Some(ConnectionKind::MllpListen(self.mllp_listen(
                        node,
                        entry.key_at,
                        charset,
                    ))),
                    MLLP_CONCURRENT,
                );
            }
            if node.get("connect").is_some() {
                return (
                    Some(ConnectionKind::MllpConnect(
                        self.mllp_connect(node, entry.key_at),
                    )),
                    MLLP_CONCURRENT,
                );
            }
        }
        if let Some(node) = view.get("http") {
            if node.get("listen").is_some() {
                return (
                    Some(ConnectionKind::HttpIn(self.http_in(node, entry.key_at))),
                    HTTP_CONCURRENT,
                );
            }
            if node.get("url").is_some() {
                return (
                    Some(ConnectionKind::HttpOut(self.http_out(node, entry.key_at))),
                    HTTP_CONCURRENT,
                );
            }
        }
        if let Some(node) = view.get("soap")
            && node.get("listen").is_some()
        {
            return match self.soap_in(node, entry.key_at) {
                Some(soap) => (
                    Some(ConnectionKind::SoapIn(Box::new(soap))),
                    HTTP_CONCURRENT,
                ),
                None => (None, HTTP_CONCURRENT),
            };
        }
        if let Some(node) = view.get("soap")
            && let Some(soap) = self.soap_out(node, entry.key_at)
        {
            return (
                Some(ConnectionKind::SoapOut(Box::new(soap))),
                HTTP_CONCURRENT,
            );
        }
        if let Some(node) = view.get("sql") {
            let kind = if node.get("poll").is_some() {
                self.sql_in(node)
                    .map(|sql| ConnectionKind::SqlIn(Box::new(sql)))
            } else {
                self.sql_out(node)
                    .map(|sql| ConnectionKind::SqlOut(Box::new(sql)))
            };
            return (kind, SQL_CONCURRENT);
        }
        if let Some(node) = view.get("scim")
            && node.get("listen").is_some()
        {
            return (
                Some(ConnectionKind::ScimIn(Box::new(
                    self.scim_in(node, entry.key_at),
                ))),
                HTTP_CONCURRENT,
            );
        }
        if let Some(node) = view.get("scim") {
            let view = View::new(Some(node), &SCIM_OUT);
            let http = self.plain_http(view, entry.key_at);
            return (
                Some(ConnectionKind::ScimOut(Box::new(http))),
                HTTP_CONCURRENT,
            );
        }
        if let Some(node) = view.get("smtp") {
            let classified = view.get("sensitivity").is_some();
            let kind = self.smtp_out(node, classified);
            return (
                kind.map(|smtp| ConnectionKind::SmtpOut(Box::new(smtp))),
                SMTP_CONCURRENT,
            );
        }
        if let Some(node) = view.get("fhir")
            && let Some(kind) = self.fhir(node, entry.key_at)
        {
            return (Some(kind), HTTP_CONCURRENT);
        }
        if let Some(node) = view.get("files") {
            if node.get("poll").is_some() {
                let kind = ConnectionKind::FilesIn(self.files_in(node, entry.key_at));
                return (Some(kind), FILES_CONCURRENT);
            }
            if node.get("write").is_some() {
                let kind = ConnectionKind::FilesOut(files_out(node, entry.key_at));
                return (Some(kind), FILES_CONCURRENT);
            }
        }
        if let Some(node) = view.get("as2")
            && let Some(kind) = self.as2(node, entry.key_at)
        {
            return (Some(kind), AS2_CONCURRENT);
        }
        if let Some(node) = view.get("dicom")
            && let Some(kind) = self.dicom(node, entry.key_at)
        {
            return (Some(kind), DICOM_CONCURRENT);
        }
        if let Some(kind) = self.broker(view, entry.key_at) {
            return (Some(kind), BROKER_CONCURRENT);
        }
        if let Some(kind) = self.remote(view, entry.key_at) {
            return (Some(kind), FILES_CONCURRENT);
        }
        (
            view.get("null").map(|_| ConnectionKind::Null),
            NULL_CONCURRENT,
        )
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "each is needed once, and a struct of them would be used once"
    )]
    fn finish(
        &mut self,
        view: View<'a>,
        entry: &'a Entry,
        reference: String,
        path: &str,
        facility: Option<String>,
        kind: ConnectionKind,
        concurrent: &str,
        system: &str,
    ) -> Connection {
        let levels = self.levels(&[&entry.value], system, facility.as_deref());
        let duplicate = view.get("duplicate").map(|node| {
            let view = View::new(Some(node), &DUPLICATE);
            Duplicate {
                by: view.texts("by"),
                within: view.parsed("within", value::duration).unwrap_or_default(),
            }
        });
        let keys = view.get("keys").map_or(&[][..], Node::entries).iter();
        Connection {
            name: entry.key.clone(),
            reference,
            at: entry.key_at,
            kind,
            limits: self.limits(&levels, path, concurrent),
            breaker: self.breaker(&levels, path),
            failover: view.texts("failover"),
            health: view.get("health").map(|node| health(node, entry.key_at)),
            hedge: view.get("hedge").and_then(hedge),
            duplicate,
            x12: self.x12_duties(view.get("x12")),
            keys: keys
                .filter_map(|entry| {
                    Some(KeyField {
                        name: entry.key.clone(),
                        path: entry.value.text()?,
                    })
                })
                .collect(),
            sensitivity: view
                .parsed("sensitivity", sensitivity)
                .unwrap_or(Sensitivity::Phi),
            facility,
        }
    }

    fn mllp_listen(&mut self, node: &Node, at: Span, charset: crate::model::Charset) -> MllpListen {
        let view = View::new(Some(node), &MLLP_LISTEN);
        let ack = view.below("ack", &MLLP_ACK);
        let mode = ack.parsed("mode", |text| match text {
            "auto" => Ok(AckMode::Auto),
            "original" => Ok(AckMode::Original),
            "enhanced" => Ok(AckMode::Enhanced),
            other => Err(other.to_owned()),
        });
        MllpListen {
            bind: bind(view, "listen", at),
            charset,
            ack: AckPolicy {
                when: AckWhen::Committed,
                mode: mode.unwrap_or(AckMode::Auto),
            },
            tls: self.server_tls(view.get("tls")),
            max_size: view.parsed("max_size", value::size).unwrap_or_default(),
            idle_timeout: view
                .parsed("idle_timeout", value::duration)
                .unwrap_or_default(),
            allow: view
                .texts("allow")
                .iter()
                .filter_map(|text| value::network(&text.value).ok())
                .collect(),
            max_connections: view.integer("max_connections"),
        }
    }

    fn mllp_connect(&mut self, node: &Node, at: Span) -> MllpConnect {
        let view = View::new(Some(node), &MLLP_CONNECT);
        MllpConnect {
            address: view.text_or_stand_in("connect", at),
            ack_timeout: view
                .parsed("ack_timeout", value::duration)
                .unwrap_or_default(),
            connect_timeout: view
                .parsed("connect_timeout", value::duration)
                .unwrap_or_default(),
            reuse: view.is_true("reuse"),
            tls: if view.is_true("tls") {
                Some(ClientTls::default())
            } else {
                self.client_tls(view.get("tls"))
            },
        }
    }

    fn http_in(&mut self, node: &Node, at: Span) -> HttpIn {
        let view = View::new(Some(node), &HTTP_IN);
        let (key, method) = if view.get("put").is_some() {
            ("put", Method::Put)
        } else {
            ("post", Method::Post)
        };
        let status = view
            .below("ack", &HTTP_ACK)
            .parsed("status", |text| text.parse().map_err(|_| String::new()));
        HttpIn {
            listener: view.text_or_stand_in("listen", at),
            method,
            path: view.text_or_stand_in(key, at),
            auth: self.auth(view.get("auth")),
            ack: HttpAck {
                when: AckWhen::Committed,
                status: status.unwrap_or(202),
            },
            max_size: view.parsed("max_size", value::size).unwrap_or_default(),
            content: match view.string("content").as_deref() {
                Some("x12") => HttpContent::X12,
                _ => HttpContent::Json,
            },
        }
    }

    pub(super) fn http_out(&mut self, node: &Node, at: Span) -> HttpOut {
        let view = View::new(Some(node), &HTTP_OUT);
        let headers = view.get("headers").map_or(&[][..], Node::entries).iter();
        HttpOut {
            url: view.text_or_stand_in("url", at),
            auth: self.auth(view.get("auth")),
            timeout: view.parsed("timeout", value::duration).unwrap_or_default(),
            connect_timeout: view
                .parsed("connect_timeout", value::duration)
                .unwrap_or_default(),
            headers: headers
                .filter_map(|entry| Some((entry.key.clone(), self.header_value(&entry.value)?)))
                .collect(),
            tls: self.client_tls(view.get("tls")),
            webhook: self.webhook(view.get("webhook")),
            public_only: view.string("reach").as_deref() == Some("public"),
        }
    }

    /// What is said of HTTP beneath another protocol.
    fn plain_http(&mut self, view: View<'_>, at: Span) -> HttpOut {
        let headers = view.get("headers").map_or(&[][..], Node::entries).iter();
        HttpOut {
            url: view.text_or_stand_in("url", at),
            auth: self.auth(view.get("auth")),
            timeout: view.parsed("timeout", value::duration).unwrap_or_default(),
            connect_timeout: view
                .parsed("connect_timeout", value::duration)
                .unwrap_or_default(),
            headers: headers
                .filter_map(|entry| Some((entry.key.clone(), self.header_value(&entry.value)?)))
                .collect(),
            tls: self.client_tls(view.get("tls")),
            webhook: None,
            public_only: false,
        }
    }

    fn soap_out(&mut self, node: &Node, at: Span) -> Option<SoapOut> {
        let view = View::new(Some(node), &SOAP_OUT);
        let http = self.plain_http(view, at);
        let security = view.get("security").map(|node| {
            let view = View::new(Some(node), &WS_SECURITY);
            WsSecurity {
                username: self.secret(view.text("username")),
                plain: view.string("password").as_deref() == Some("text"),
                cert: self.file(view.text("cert")),
                key: self.secret(view.text("key")),
                good_for: view.parsed("good_for", value::duration),
                at: node.at,
            }
        });
        Some(SoapOut {
            http,
            wsdl: self.file(view.text("wsdl"))?,
            service: view.text("service"),
            port: view.text("port"),
            security,
            mtom: view.is_true("mtom"),
        })
    }

    fn webhook(&mut self, node: Option<&Node>) -> Option<WebhookSigning> {
        let view = View::new(Some(node?), &WEBHOOK);
        Some(WebhookSigning {
            secret: self.secret(view.text("secret"))?,
            previous: self.secrets(view.texts("previous")),
        })
    }

    pub(super) fn secrets(&mut self, written: Vec<Spanned<String>>) -> Vec<SecretRef> {
        written
            .into_iter()
            .filter_map(|text| self.secret(Some(text)))
            .collect()
    }

    fn hmac(&mut self, node: &Node) -> Auth {
        let view = View::new(Some(node), &HMAC);
        let word = |key: &str| {
            view.parsed(key, |text| Ok(text.to_owned()))
                .unwrap_or_default()
        };
        let fields = view.get("fields").map(|node| {
            let view = View::new(Some(node), &HMAC_FIELDS);
            HmacFields {
                signature: view.string("signature").unwrap_or_default(),
                timestamp: view.string("timestamp"),
            }
        });
        let timed = view.get("timestamp").is_some()
            || fields
                .as_ref()
                .is_some_and(|fields| fields.timestamp.is_some());
        let signs = view.text("signs");
        if let Some(signs) = &signs {
            let timestamps = signs.matches("{timestamp}").count();
            if signs.matches("{body}").count() != 1 || timestamps > 1 || (timestamps == 1 && !timed)
            {
                self.files.problems.push(
                    Diagnostic::error(codes::BAD_TEMPLATE, "this does not say what is signed")
                        .at(signs.at)
                        .label("expected `{body}` once, and `{timestamp}` where one is declared")
                        .help("such as `v0:{timestamp}:{body}`, with `timestamp: HEADER`"),
                );
            }
        }
        Auth::Hmac(Box::new(VendorHmac {
            secrets: self.secrets(view.texts("secret")),
            header: view.string("header").unwrap_or_default(),
            algorithm: word("algorithm"),
            encoding: word("encoding"),
            prefix: view.string("prefix").unwrap_or_default(),
            timestamp: view.string("timestamp"),
            fields,
            signs: signs.map(|signs| signs.value),
            tolerance: view
                .parsed("tolerance", value::duration)
                .unwrap_or_default(),
        }))
    }

    fn header_value(&mut self, node: &Node) -> Option<HeaderValue> {
        let written = node.text()?;
        if written.value.starts_with("secret:") {
            return self.secret(Some(written)).map(HeaderValue::Secret);
        }
        Some(HeaderValue::Plain(written))
    }

    pub(super) fn client_tls(&mut self, node: Option<&Node>) -> Option<ClientTls> {
        let node = node.filter(|node| matches!(node.data, Data::Mapping(_)))?;
        let view = View::new(Some(node), &CLIENT_TLS);
        Some(ClientTls {
            ca: self.file(view.text("ca")),
            cert: self.file(view.text("cert")),
            key: self.secret(view.text("key")),
            server_name: view.string("server_name"),
        })
    }

    pub(super) fn auth(&mut self, node: Option<&Node>) -> Auth {
        let Some(node) = node.filter(|node| matches!(node.data, Data::Mapping(_))) else {
            return Auth::None;
        };
        let view = View::new(Some(node), &AUTH_OBJECT);
        let plain: [(&str, ByCredential); 2] = [("basic", Auth::Basic), ("bearer", Auth::Bearer)];
        for (key, make) in plain {
            if let Some(secret) = self.secret(view.text(key)) {
                return make(secret);
            }
        }
        let webhook = self.secrets(view.texts("webhook"));
        if !webhook.is_empty() {
            return Auth::Webhook(webhook);
        }
        let signers = view.texts("signed_by");
        if !signers.is_empty() {
            return Auth::SignedBy(signers);
        }
        if let Some(node) = view.get("hmac") {
            return self.hmac(node);
        }
        let header = view.below("header", &AUTH_HEADER);
        match (header.string("name"), self.secret(header.text("value"))) {
            (Some(name), Some(value)) => Auth::Header { name, value },
            _ => Auth::None,
        }
    }
}

fn health(node: &Node, at: Span) -> Health {
    let view = View::new(Some(node), &HEALTH);
    Health {
        get: view.text_or_stand_in("get", at),
        every: view.parsed("every", value::duration).unwrap_or_default(),
        timeout: view.parsed("timeout", value::duration).unwrap_or_default(),
        healthy_after: view.integer("healthy_after"),
        unhealthy_after: view.integer("unhealthy_after"),
    }
}

fn hedge(node: &Node) -> Option<Hedge> {
    let view = View::new(Some(node), &HEDGE);
    Some(Hedge {
        after: view.parsed("after", value::duration)?,
        at: node.at,
    })
}

pub(super) fn sensitivity(text: &str) -> Result<Sensitivity, String> {
    match text {
        "public" => Ok(Sensitivity::Public),
        "internal" => Ok(Sensitivity::Internal),
        "financial" => Ok(Sensitivity::Financial),
        "pii" => Ok(Sensitivity::Pii),
        "phi" => Ok(Sensitivity::Phi),
        "secret" => Ok(Sensitivity::Secret),
        other => Err(other.to_owned()),
    }
}
