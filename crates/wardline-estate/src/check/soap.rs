//! SOAP services: their descriptions can be used, and have what connections and operations name.

use super::Whole;
use crate::codes;
use crate::diagnostic::Diagnostic;
use crate::model::{Connection, ConnectionKind, OperationKind, SoapOut, System};
use crate::suggest::{clip, did_you_mean};
use std::collections::BTreeMap;
use std::path::Path;
use wardline_soap::source::Directory;
use wardline_soap::wsdl::{Definitions, WsdlError};

pub(super) fn check(whole: &Whole<'_>, problems: &mut Vec<Diagnostic>) {
    let source = Directory::new(&whole.estate.root);
    // Each description is read once, however many connections name it.
    let mut read: BTreeMap<&Path, Result<Definitions, WsdlError>> = BTreeMap::new();
    for (system, connection) in whole.estate.connections() {
        let wsdl = match &connection.kind {
            ConnectionKind::SoapOut(soap) => {
                security(soap, problems);
                &soap.wsdl
            }
            ConnectionKind::SoapIn(soap) => &soap.wsdl,
            _ => continue,
        };
        let described = read
            .entry(&wsdl.path)
            .or_insert_with(|| Definitions::read(&source, &wsdl.path.to_string_lossy()));
        match (described, &connection.kind) {
            (Ok(definitions), ConnectionKind::SoapIn(soap)) => {
                super::soap_in::check(whole, definitions, connection, soap, problems);
            }
            (Ok(definitions), ConnectionKind::SoapOut(soap)) => {
                fits(definitions, system, connection, soap, problems);
            }
            (Ok(_), _) => {}
            (Err(error), _) => problems.push(
                Diagnostic::error(
                    codes::BAD_DESCRIPTION,
                    format!(
                        "the description of `{}` cannot be used",
                        connection.reference
                    ),
                )
                .at(wsdl.at)
                .label(error.to_string()),
            ),
        }
    }
}

fn fits(
    definitions: &Definitions,
    system: &System,
    connection: &Connection,
    soap: &SoapOut,
    problems: &mut Vec<Diagnostic>,
) {
    let services = &definitions.services;
    let service = soap.service.as_ref();
    if let Some(name) = service.filter(|name| !services.iter().any(|one| one.name == name.value)) {
        let known = services.iter().map(|one| one.name.as_str());
        problems.push(
            Diagnostic::error(
                codes::UNKNOWN_PORT,
                format!("the description has no service `{}`", clip(name)),
            )
            .at(name.at)
            .help_if(did_you_mean(name, known)),
        );
        return;
    }
    let service = service.map(|name| name.value.as_str());
    let wanted = soap.port.as_ref();
    let Some(port) = definitions.port(service, wanted.map(|name| name.value.as_str())) else {
        if let Some(name) = wanted {
            let known = services
                .iter()
                .filter(|one| service.is_none_or(|name| one.name == name))
                .flat_map(|one| one.ports.iter().map(|port| port.name.as_str()));
            problems.push(
                Diagnostic::error(
                    codes::UNKNOWN_PORT,
                    format!("the description has no SOAP port `{}`", clip(name)),
                )
                .at(name.at)
                .help_if(did_you_mean(name, known)),
            );
        }
        return;
    };
    for operation in system.operations.values() {
        let OperationKind::Soap { operation: name } = &operation.kind else {
            continue;
        };
        if operation.connection.value != connection.name || port.operation(&name.value).is_some() {
            continue;
        }
        let known = port.operations.iter().map(|one| one.name.as_str());
        problems.push(
            Diagnostic::error(
                codes::UNKNOWN_OPERATION,
                format!("port `{}` has no operation `{}`", port.name, clip(name)),
            )
            .at(name.at)
            .related(soap.wsdl.at, "described here")
            .help_if(did_you_mean(name, known)),
        );
    }
}

fn security(soap: &SoapOut, problems: &mut Vec<Diagnostic>) {
    let Some(security) = &soap.security else {
        return;
    };
    let mut refuse = |text: &str, help: &str| {
        problems.push(
            Diagnostic::error(codes::BAD_SECURITY, text.to_owned())
                .at(security.at)
                .help(help.to_owned()),
        );
    };
    if security.cert.is_some() != security.key.is_some() {
        refuse(
            "a signature needs a certificate and its key",
            "write `cert: certs/NAME.pem` and `key: secret:NAME`",
        );
    }
    if security.username.is_none() && security.cert.is_none() && security.good_for.is_none() {
        refuse(
            "`security` adds nothing to messages",
            "write `username`, `cert` and `key`, or `good_for`",
        );
    }
    if security.plain && !soap.http.url.value.starts_with("https://") {
        refuse(
            "the password would go as text where everybody can read it",
            "leave `password` away (a digest is sent), or call the service over https",
        );
    }
    if soap.mtom && security.cert.is_some() {
        refuse(
            "a message with parts beside it is not signed",
            "leave `mtom` away",
        );
    }
}
