//! A description as a service gives it to others: with the service's own address in it, and with
//! imports that lead back to the service.

use std::sync::Arc;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{NsReader, Writer, XmlVersion, name::ResolveResult};

use super::WsdlError;
use crate::source::Source;

const WSDL: &str = "http://schemas.xmlsoap.org/wsdl/";
const XS: &str = "http://www.w3.org/2001/XMLSchema";
const ADDRESSES: [&str; 2] = [
    "http://schemas.xmlsoap.org/wsdl/soap/",
    "http://schemas.xmlsoap.org/wsdl/soap12/",
];
/// What stands for the address until it is known; no XML holds it.
const HERE: &str = "\u{1}";

/// The files of a description, ready to be given away.
#[derive(Clone, Debug)]
pub struct Published {
    files: Arc<[String]>,
}

impl Published {
    /// Reads the files of a description again: the first is the description itself.
    ///
    /// # Errors
    /// Where a file cannot be read any more.
    pub fn read(source: &dyn Source, files: &[String]) -> Result<Self, WsdlError> {
        let mut written = Vec::new();
        for file in files {
            let loaded = source.read("", file).map_err(WsdlError::File)?;
            let text = String::from_utf8(loaded.bytes)
                .map_err(|_| WsdlError::Wrong(format!("{file} is not UTF-8")))?;
            let place = |location: &str| {
                let found = source.read(file, location).ok()?;
                files.iter().position(|known| *known == found.name)
            };
            written.push(
                rewritten(&text, place)
                    .map_err(|_| WsdlError::Wrong(format!("{file} cannot be written again")))?,
            );
        }
        Ok(Self {
            files: written.into(),
        })
    }

    /// File `index` (0 is the description) for a service at `address`; `None` where there is none.
    pub fn at(&self, index: usize, address: &str) -> Option<String> {
        let address = quick_xml::escape::escape(address);
        Some(self.files.get(index)?.replace(HERE, &address))
    }
}

fn rewritten(
    text: &str,
    place: impl Fn(&str) -> Option<usize>,
) -> Result<String, quick_xml::Error> {
    let mut reader = NsReader::from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut writer = Writer::new(Vec::with_capacity(text.len()));
    loop {
        let (namespace, event) = reader.read_resolved_event()?;
        let change =
            |start: &BytesStart<'_>| -> Result<Option<BytesStart<'static>>, quick_xml::Error> {
                let ResolveResult::Bound(namespace) = &namespace else {
                    return Ok(None);
                };
                let local = start.local_name();
                let local: &str = local.as_ref();
                let attribute = match (namespace.0, local) {
                    (uri, "address") if ADDRESSES.contains(&uri) => "location",
                    (WSDL, "import") => "location",
                    (XS, "import" | "include") => "schemaLocation",
                    _ => return Ok(None),
                };
                let mut changed = start.to_owned();
                changed.clear_attributes();
                for one in start.attributes() {
                    let one = one.map_err(quick_xml::Error::from)?;
                    if one.key.0 != attribute {
                        changed.push_attribute(one);
                        continue;
                    }
                    if local == "address" {
                        changed.push_attribute((attribute, HERE));
                        continue;
                    }
                    let location = one.normalized_value(XmlVersion::Implicit1_0)?;
                    // One that was not followed while it was read leads nowhere for others either.
                    if let Some(at) = place(&location) {
                        changed.push_attribute((attribute, format!("{HERE}?wsdl={at}").as_str()));
                    }
                }
                Ok(Some(changed))
            };
        match event {
            Event::Eof => break,
            // What was noted for those who keep the file is not for others.
            Event::Comment(_) | Event::PI(_) | Event::DocType(_) => {}
            Event::Start(start) => {
                let changed = change(&start)?;
                writer.write_event(Event::Start(changed.unwrap_or(start)))?;
            }
            Event::Empty(start) => {
                let changed = change(&start)?;
                writer.write_event(Event::Empty(changed.unwrap_or(start)))?;
            }
            other => writer.write_event(other)?,
        }
    }
    Ok(String::from_utf8_lossy(&writer.into_inner()).into_owned())
}
