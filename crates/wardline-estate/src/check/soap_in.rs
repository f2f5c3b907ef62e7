//! SOAP services that Wardline offers, held against their descriptions.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Auth, Connection, SoapIn};
use crate::source::{Span, Spanned};
use crate::suggest::{clip, did_you_mean};
use std::collections::BTreeSet;
use wardline_soap::service::answers_itself;
use wardline_soap::wsdl::{Definitions, Message, Operation, Port};

pub(super) fn check(
    whole: &Whole<'_>,
    definitions: &Definitions,
    connection: &Connection,
    soap: &SoapIn,
    problems: &mut Vec<Diagnostic>,
) {
    let Some(ports) = ports(definitions, soap, problems) else {
        return;
    };
    let mut check = Check {
        definitions,
        ports,
        soap,
        problems,
    };
    check.operations();
    check.answers(connection);
    check.security(whole);
}

fn ports<'a>(
    definitions: &'a Definitions,
    soap: &SoapIn,
    problems: &mut Vec<Diagnostic>,
) -> Option<Vec<&'a Port>> {
    let mut refuse = |name: &Spanned<String>, what: &str, known: Vec<&str>| {
        problems.push(
            Diagnostic::error(
                codes::UNKNOWN_PORT,
                format!("the description has no {what} `{}`", clip(name)),
            )
            .at(name.at)
            .help_if(did_you_mean(name, known)),
        );
    };
    let services = &definitions.services;
    if let Some(name) = &soap.service
        && !services.iter().any(|one| one.name == name.value)
    {
        let known = services.iter().map(|one| one.name.as_str()).collect();
        refuse(name, "service", known);
        return None;
    }
    let of_service = services.iter().filter(|one| {
        soap.service
            .as_ref()
            .is_none_or(|name| one.name == name.value)
    });
    let ports: Vec<&Port> = of_service.flat_map(|one| &one.ports).collect();
    let Some(wanted) = &soap.port else {
        // Without a name they are those of the first service.
        let service = services.iter().find(|one| {
            soap.service
                .as_ref()
                .is_none_or(|name| one.name == name.value)
        })?;
        return Some(service.ports.iter().collect());
    };
    let found: Vec<&Port> = ports
        .iter()
        .copied()
        .filter(|port| port.name == wanted.value)
        .take(1)
        .collect();
    if found.is_empty() {
        let known = ports.iter().map(|port| port.name.as_str()).collect();
        refuse(wanted, "SOAP port", known);
        return None;
    }
    Some(found)
}

struct Check<'a> {
    definitions: &'a Definitions,
    ports: Vec<&'a Port>,
    soap: &'a SoapIn,
    problems: &'a mut Vec<Diagnostic>,
}

impl<'a> Check<'a> {
    fn find(&self, name: &str) -> Option<&'a Operation> {
        self.ports.iter().find_map(|port| port.operation(name))
    }

    /// Every operation that is named is one of the description.
    fn operations(&mut self) {
        let soap = self.soap;
        let answers = soap.answers.iter().map(|(name, _)| name);
        let hl7 = soap.hl7.iter().map(|one| &one.operation);
        let echo = soap.echo.iter().map(|one| &one.operation);
        for name in answers.chain(hl7).chain(echo) {
            if self.find(name).is_some() {
                continue;
            }
            let known: BTreeSet<&str> = self
                .ports
                .iter()
                .flat_map(|port| port.operations.iter().map(|one| one.name.as_str()))
                .collect();
            self.problems.push(
                Diagnostic::error(
                    codes::UNKNOWN_OPERATION,
                    format!("the description has no operation `{}`", clip(name)),
                )
                .at(name.at)
                .related(soap.wsdl.at, "described here")
                .help_if(did_you_mean(name, known)),
            );
        }
        if let Some(hl7) = &soap.hl7
            && let Some(operation) = self.find(&hl7.operation)
        {
            let fields = [
                Some(&hl7.message),
                hl7.username.as_ref(),
                hl7.password.as_ref(),
            ];
            for field in fields.into_iter().flatten() {
                self.element(&operation.input, field);
            }
            self.answered(operation, &hl7.answer);
        }
        if let Some(echo) = &soap.echo
            && let Some(operation) = self.find(&echo.operation)
        {
            self.element(&operation.input, &echo.from);
            self.answered(operation, &echo.to);
        }
    }

    fn answered(&mut self, operation: &Operation, field: &Spanned<String>) {
        match &operation.output {
            Some(output) => self.element(output, field),
            None => self.problems.push(
                Diagnostic::error(
                    codes::UNKNOWN_OPERATION,
                    format!("`{}` has no answer", operation.name),
                )
                .at(field.at),
            ),
        }
    }

    fn element(&mut self, message: &Message, field: &Spanned<String>) {
        let outline = message.outline(&self.definitions.schemas);
        let known = outline.as_object();
        if known.is_some_and(|object| object.contains_key(&field.value)) {
            return;
        }
        let known = known.into_iter().flat_map(|object| object.keys());
        self.problems.push(
            Diagnostic::error(
                codes::UNKNOWN_OPERATION,
                format!("the message has no element `{}`", clip(field)),
            )
            .at(field.at)
            .related(self.soap.wsdl.at, "described here")
            .help_if(did_you_mean(field, known.map(String::as_str))),
        );
    }

    /// What must be answered with something has a map that says what.
    fn answers(&mut self, connection: &Connection) {
        let soap = self.soap;
        let said = |operation: &Operation| {
            let name = &operation.name;
            soap.answers.iter().any(|(one, _)| one.value == *name)
                || soap.hl7.iter().any(|one| one.operation.value == *name)
                || soap.echo.iter().any(|one| one.operation.value == *name)
        };
        let mut told = BTreeSet::new();
        for operation in self.ports.iter().flat_map(|port| &port.operations) {
            if said(operation)
                || answers_itself(self.definitions, operation)
                || !told.insert(operation.name.as_str())
            {
                continue;
            }
            // Where HL7 is carried, nothing else is taken.
            if soap.hl7.is_some() {
                continue;
            }
            self.problems.push(
                Diagnostic::error(
                    codes::NO_ANSWER,
                    format!("nothing says what `{}` is answered with", operation.name),
                )
                .at(soap.wsdl.at)
                .label(format!("`{}` offers it", connection.reference))
                .help(format!(
                    "add `answers: {{ {}: maps/NAME.vrl }}`",
                    operation.name
                )),
            );
        }
    }

    fn security(&mut self, whole: &Whole<'_>) {
        let soap = self.soap;
        let mut refuse = |at: Span, text: &str, help: &str| {
            self.problems.push(
                Diagnostic::error(codes::BAD_SECURITY, text.to_owned())
                    .at(at)
                    .help(help.to_owned()),
            );
        };
        if matches!(
            soap.http.auth,
            Auth::Webhook(_) | Auth::SignedBy(_) | Auth::Hmac(_) | Auth::Header { .. }
        ) {
            refuse(
                soap.http.path.at,
                "senders of SOAP do not sign webhooks",
                "write `auth: { basic: secret:NAME }`, `{ bearer: … }` or `none`, and `security`",
            );
        }
        let in_body = soap.hl7.as_ref().and_then(|hl7| hl7.username.as_ref());
        if let (Some(username), None) = (
            in_body,
            soap.security.as_ref().filter(|one| !one.users.is_empty()),
        ) {
            refuse(
                username.at,
                "nothing says who that user may be",
                "add `security: { users: secret:NAME }`",
            );
        }
        if let Some(hl7) = &soap.hl7
            && hl7.username.is_some() != hl7.password.is_some()
        {
            refuse(
                hl7.operation.at,
                "a user needs its password",
                "write `username` and `password`, or neither",
            );
        }
        let Some(security) = &soap.security else {
            return;
        };
        if security.users.is_empty() && security.certs.is_empty() {
            refuse(
                security.at,
                "`security` asks for nothing",
                "write `users`, `certs`, or both",
            );
        }
        let listener = whole.estate.listeners.get(&soap.http.listener.value);
        let open =
            listener.is_some_and(|one| one.tls.is_none() && !one.bind.value.ip().is_loopback());
        if open && (security.plain || in_body.is_some()) {
            refuse(
                security.at,
                "the password would come as text where everybody can read it",
                "take digests alone, or give the listener `tls`",
            );
        }
    }
}
