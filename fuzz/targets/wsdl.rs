//! WSDL and XSD: read or refused with a reason, however they refer to themselves.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wardline_soap::source::{Loaded, Source};
use wardline_soap::wsdl::Definitions;
use wardline_soap::xsd::Schemas;

struct Same<'a>(&'a [u8]);

impl Source for Same<'_> {
    fn read(&self, _from: &str, location: &str) -> Result<Loaded, String> {
        Ok(Loaded {
            name: location.chars().take(8).collect(),
            bytes: self.0.to_vec(),
        })
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(definitions) = Definitions::read(&Same(bytes), "a.wsdl") {
        let _ = definitions.port(None, None);
    }
    let _ = Schemas::read(&Same(bytes), "a.xsd");
});
