//! From files to services.

use ahash::{AHashMap, AHashSet};

use super::{
    DeclaredFault, Definitions, Message, Operation, Part, Port, Service, Version, WsdlError,
};
use crate::source::Source;
use crate::xml::{Element, Limits, Name, parse};
use crate::xsd::{Collector, Schemas, XS};

const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
const SOAP11: &str = "http://schemas.xmlsoap.org/wsdl/soap/";
const SOAP12: &str = "http://schemas.xmlsoap.org/wsdl/soap12/";
const HTTP: &str = "http://schemas.xmlsoap.org/soap/http";
/// Files of one description.
const MOST_FILES: usize = 100;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Message,
    PortType,
    Binding,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::PortType => "portType",
            Self::Binding => "binding",
        }
    }
}

pub(super) fn read(source: &dyn Source, location: &str) -> Result<Definitions, WsdlError> {
    let mut files = Files {
        source,
        seen: AHashSet::new(),
        parts: AHashMap::new(),
        services: Vec::new(),
    };
    let mut collector = Collector::new(source);
    files.file("", location, &mut collector)?;
    let missing = collector.missing.clone();
    let Files {
        parts,
        services,
        seen,
        ..
    } = files;
    let mut files: Vec<String> = seen.into_iter().chain(collector.files()).collect();
    files.sort_unstable();
    files.dedup();
    let schemas = collector.compile()?;
    let reader = Reader {
        schemas: &schemas,
        parts: &parts,
    };
    let mut notes = missing;
    let mut made = Vec::new();
    let mut refused = Vec::new();
    for service in &services {
        let name = service.attribute("name").unwrap_or_default().to_owned();
        let mut ports = Vec::new();
        for port in service
            .elements()
            .filter(|child| child.name.is(WSDL, "port"))
        {
            let port_name = port.attribute("name").unwrap_or_default();
            match reader.port(port, &mut notes) {
                Ok(port) => ports.push(port),
                Err(Pass::Over(why)) => refused.push(format!("port {port_name}: {why}")),
                Err(Pass::Wrong(error)) => return Err(error),
            }
        }
        if !ports.is_empty() {
            made.push(Service { name, ports });
        }
    }
    if made.is_empty() {
        return Err(WsdlError::NoPort(refused));
    }
    notes.extend(refused);
    Ok(Definitions {
        services: made,
        schemas,
        notes,
        files,
    })
}

struct Files<'a> {
    source: &'a dyn Source,
    seen: AHashSet<String>,
    parts: AHashMap<(Kind, Name), Element>,
    services: Vec<Element>,
}

impl Files<'_> {
    fn file(
        &mut self,
        from: &str,
        location: &str,
        schemas: &mut Collector<'_>,
    ) -> Result<(), WsdlError> {
        let loaded = self.source.read(from, location).map_err(WsdlError::File)?;
        if !self.seen.insert(loaded.name.clone()) {
            return Ok(());
        }
        if self.seen.len() > MOST_FILES {
            return Err(WsdlError::Wrong("it has more than 100 files".into()));
        }
        let root = parse(&loaded.bytes, Limits::DESCRIPTION)
            .map_err(|error| WsdlError::File(format!("{}: {error}", loaded.name)))?;
        if root.name.is(XS, "schema") {
            schemas.schema(&loaded.name, &root, None)?;
            return Ok(());
        }
        if !root.name.is(WSDL, "definitions") {
            return Err(WsdlError::NotWsdl(loaded.name));
        }
        let target = root.attribute("targetNamespace").unwrap_or_default();
        for child in root.elements() {
            if &*child.name.namespace != WSDL {
                continue;
            }
            let kind = match &*child.name.local {
                "import" => {
                    let location = child.attribute("location").ok_or_else(|| {
                        WsdlError::Wrong(format!("{}: an import names no file", loaded.name))
                    })?;
                    self.file(&loaded.name, location, schemas)?;
                    continue;
                }
                "types" => {
                    for schema in child.elements().filter(|one| one.name.is(XS, "schema")) {
                        schemas.schema(&loaded.name, schema, None)?;
                    }
                    continue;
                }
                "service" => {
                    self.services.push(child.clone());
                    continue;
                }
                "message" => Kind::Message,
                "portType" => Kind::PortType,
                "binding" => Kind::Binding,
                _ => continue,
            };
            let local = child.attribute("name").unwrap_or_default();
            let key = (kind, Name::new(target, local));
            if self.parts.insert(key, child.clone()).is_some() {
                return Err(WsdlError::Wrong(format!(
                    "{} {local} is declared twice",
                    kind.word()
                )));
            }
        }
        Ok(())
    }
}

/// Why a port is not taken.
enum Pass {
    /// It is of a kind that is not spoken.
    Over(String),
    /// The description is wrong.
    Wrong(WsdlError),
}

impl From<WsdlError> for Pass {
    fn from(error: WsdlError) -> Self {
        Self::Wrong(error)
    }
}

fn over(text: impl Into<String>) -> Pass {
    Pass::Over(text.into())
}

struct Reader<'a> {
    schemas: &'a Schemas,
    parts: &'a AHashMap<(Kind, Name), Element>,
}

/// What a binding says of a body.
struct Body<'a> {
    element: Option<&'a Element>,
    headers: Vec<&'a Element>,
}

impl<'a> Reader<'a> {
    fn part(&self, kind: Kind, written: &str, at: &Element) -> Result<&'a Element, WsdlError> {
        let name = at.resolve(written).ok_or_else(|| {
            WsdlError::Wrong(format!(
                "the name of a {} has a prefix that stands for nothing",
                kind.word()
            ))
        })?;
        self.parts
            .get(&(kind, name.clone()))
            .ok_or_else(|| WsdlError::Unknown {
                what: kind.word(),
                name: name.to_string(),
            })
    }

    fn port(&self, port: &Element, notes: &mut Vec<String>) -> Result<Port, Pass> {
        let name = port.attribute("name").unwrap_or_default().to_owned();
        let binding = self.part(
            Kind::Binding,
            port.attribute("binding").unwrap_or_default(),
            port,
        )?;
        let found = binding.elements().find_map(|child| {
            let version = match &*child.name.namespace {
                SOAP11 => Version::V11,
                SOAP12 => Version::V12,
                _ => return None,
            };
            (&*child.name.local == "binding").then_some((version, child))
        });
        let Some((version, soap)) = found else {
            return Err(over("its binding is not SOAP"));
        };
        let transport = soap.attribute("transport").unwrap_or(HTTP);
        if transport != HTTP && transport != "http://www.w3.org/2003/05/soap/bindings/HTTP/" {
            return Err(over(format!(
                "its transport {} is not HTTP",
                transport.chars().take(100).collect::<String>()
            )));
        }
        let address = port
            .elements()
            .find(|child| &*child.name.local == "address")
            .and_then(|address| address.attribute("location"))
            .unwrap_or_default()
            .trim()
            .to_owned();
        let port_type = self.part(
            Kind::PortType,
            binding.attribute("type").unwrap_or_default(),
            binding,
        )?;
        let ns = soap.name.namespace.clone();
        let style = soap.attribute("style").unwrap_or("document");
        let mut operations = Vec::new();
        let mut refused = Vec::new();
        for bound in binding
            .elements()
            .filter(|child| child.name.is(WSDL, "operation"))
        {
            let operation = bound.attribute("name").unwrap_or_default();
            match self.operation(operation, bound, port_type, &ns, style) {
                Ok(made) => operations.push(made),
                Err(Pass::Over(why)) => refused.push(format!("operation {operation}: {why}")),
                Err(wrong) => return Err(wrong),
            }
        }
        if operations.is_empty() {
            return Err(over(if refused.is_empty() {
                "it has no operation".to_owned()
            } else {
                refused.join("; ")
            }));
        }
        notes.extend(refused.into_iter().map(|why| format!("port {name}: {why}")));
        Ok(Port {
            name,
            version,
            address,
            operations,
        })
    }

    fn operation(
        &self,
        name: &str,
        bound: &Element,
        port_type: &'a Element,
        ns: &str,
        style: &str,
    ) -> Result<Operation, Pass> {
        let declared = port_type
            .elements()
            .find(|child| child.name.is(WSDL, "operation") && child.attribute("name") == Some(name))
            .ok_or_else(|| WsdlError::Unknown {
                what: "operation",
                name: name.to_owned(),
            })?;
        let soap = bound.child(ns, "operation");
        let style = soap
            .and_then(|soap| soap.attribute("style"))
            .unwrap_or(style);
        let action = soap
            .and_then(|soap| soap.attribute("soapAction"))
            .unwrap_or_default()
            .to_owned();
        let side = |which: &str| -> Option<(&Element, Body<'_>)> {
            let declared = declared.child(WSDL, which)?;
            let within = bound.child(WSDL, which);
            let body = Body {
                element: within.and_then(|side| side.child(ns, "body")),
                headers: within
                    .map(|side| {
                        side.elements()
                            .filter(|child| child.name.is(ns, "header"))
                            .collect()
                    })
                    .unwrap_or_default(),
            };
            Some((declared, body))
        };
        let Some((input, body)) = side("input") else {
            return Err(over("it only tells and takes no request"));
        };
        let headers = self.headers(&body)?;
        let made = self.message(input, &body, style, name)?;
        let output = match side("output") {
            Some((output, body)) => {
                Some(self.message(output, &body, style, &format!("{name}Response"))?)
            }
            None => None,
        };
        let mut faults = Vec::new();
        for fault in declared
            .elements()
            .filter(|child| child.name.is(WSDL, "fault"))
        {
            faults.extend(self.fault(fault)?);
        }
        Ok(Operation {
            name: name.to_owned(),
            action,
            input: made,
            output,
            faults,
            headers,
        })
    }

    fn fault(&self, fault: &Element) -> Result<Option<DeclaredFault>, Pass> {
        let message = self.part(
            Kind::Message,
            fault.attribute("message").unwrap_or_default(),
            fault,
        )?;
        let Some(part) = message.elements().find(|one| one.name.is(WSDL, "part")) else {
            return Ok(None);
        };
        let Some(element) = part.attribute("element") else {
            return Ok(None);
        };
        Ok(Some(DeclaredFault {
            name: fault.attribute("name").unwrap_or_default().to_owned(),
            element: self.element(element, part)?,
        }))
    }

    fn headers(&self, body: &Body<'_>) -> Result<Vec<crate::xsd::ElementId>, Pass> {
        let mut all = Vec::new();
        for header in &body.headers {
            let message = self.part(
                Kind::Message,
                header.attribute("message").unwrap_or_default(),
                header,
            )?;
            let wanted = header.attribute("part").unwrap_or_default();
            let part = message
                .elements()
                .find(|one| one.name.is(WSDL, "part") && one.attribute("name") == Some(wanted));
            if let Some(part) = part
                && let Some(element) = part.attribute("element")
            {
                all.push(self.element(element, part)?);
            }
        }
        Ok(all)
    }

    fn element(&self, written: &str, at: &Element) -> Result<crate::xsd::ElementId, WsdlError> {
        let name = at.resolve(written).ok_or_else(|| {
            WsdlError::Wrong("the element of a part has a prefix that stands for nothing".into())
        })?;
        self.schemas
            .element(&name)
            .ok_or_else(|| WsdlError::Unknown {
                what: "element",
                name: name.to_string(),
            })
    }

    fn message(
        &self,
        declared: &Element,
        body: &Body<'_>,
        style: &str,
        wrapper: &str,
    ) -> Result<Message, Pass> {
        let said = |name| body.element.and_then(|element| element.attribute(name));
        if said("use").is_some_and(|used| used != "literal") {
            return Err(over(
                "it is encoded (use=\"encoded\"), which WS-I forbids; ask for document/literal",
            ));
        }
        let message = self.part(
            Kind::Message,
            declared.attribute("message").unwrap_or_default(),
            declared,
        )?;
        let chosen: Option<Vec<&str>> =
            said("parts").map(|list| list.split_ascii_whitespace().collect());
        let in_header: Vec<&str> = body
            .headers
            .iter()
            .filter_map(|header| header.attribute("part"))
            .collect();
        let parts: Vec<&Element> = message
            .elements()
            .filter(|child| child.name.is(WSDL, "part"))
            .filter(|part| {
                let name = part.attribute("name").unwrap_or_default();
                match &chosen {
                    Some(chosen) => chosen.contains(&name),
                    None => !in_header.contains(&name),
                }
            })
            .collect();
        if style == "rpc" {
            let mut made = Vec::new();
            for part in parts {
                let name = part.attribute("name").unwrap_or_default().to_owned();
                let Some(of) = part.attribute("type") else {
                    return Err(over(format!("part {name} of an rpc message has no type")));
                };
                let written = part.resolve(of).ok_or_else(|| {
                    WsdlError::Wrong(
                        "the type of a part has a prefix that stands for nothing".into(),
                    )
                })?;
                let of = self
                    .schemas
                    .type_named(&written)
                    .ok_or_else(|| WsdlError::Unknown {
                        what: "type",
                        name: written.to_string(),
                    })?;
                made.push(Part { name, of });
            }
            return Ok(Message::Rpc {
                wrapper: Name::new(said("namespace").unwrap_or_default(), wrapper),
                parts: made,
            });
        }
        match parts.as_slice() {
            [] => Ok(Message::Empty),
            [part] => match part.attribute("element") {
                Some(element) => Ok(Message::Element(self.element(element, part)?)),
                None => Err(over(
                    "its document message has a part with a type instead of an element",
                )),
            },
            _ => Err(over(
                "its document message has more than one part in the body",
            )),
        }
    }
}
