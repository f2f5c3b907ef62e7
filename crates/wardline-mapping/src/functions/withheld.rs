//! VRL functions that a map may not call, each with the reason, so that who tries one is told.

use std::sync::Arc;

use vrl::compiler::function::{ArgumentList, Compiled, Example, FunctionCompileContext};
use vrl::compiler::value::kind;
use vrl::compiler::{Function, Parameter, TypeState};

use crate::session::{Complaint, Session};

const NETWORK: &str = "maps do not reach the network: they run before a message is acknowledged; use `enrich:` in the flow, or a process step";
const MACHINE: &str = "maps give the same result on every node: what differs between nodes belongs into the estate's files";
const INFLATES: &str =
    "a small input can inflate to any size; connections decompress, within limits";
const PRINTS: &str = "what it prints could be a patient's data; look at messages with `wardline trace` or `wardline map run`";
const BACKTRACKS: &str =
    "its patterns can take unbounded time on hostile input; use `parse_regex`, which cannot";
const UNBOUNDED: &str = "it can make an array of any size from a number in the message; use `hl7_each`, `hl7_repeat` or the data's own arrays";
const FOREIGN: &str = "it belongs to log processing with another product's query language";
const RANDOM: &str = "a replayed message must map to the same result; derive ids with `uuid_v5`";

/// Name and reason of every function withheld.
pub(super) const WITHHELD: [(&str, &str); 30] = [
    ("decode_gzip", INFLATES),
    ("decode_lz4", INFLATES),
    ("decode_snappy", INFLATES),
    ("decode_zlib", INFLATES),
    ("decode_zstd", INFLATES),
    ("dns_lookup", NETWORK),
    ("encode_proto", MACHINE),
    ("get_env_var", MACHINE),
    ("get_hostname", MACHINE),
    ("get_timezone_name", MACHINE),
    ("get_secret", MACHINE),
    ("set_secret", MACHINE),
    ("remove_secret", MACHINE),
    ("http_request", NETWORK),
    ("log", PRINTS),
    ("match_datadog_query", FOREIGN),
    ("parse_etld", MACHINE),
    ("parse_grok", BACKTRACKS),
    ("parse_groks", BACKTRACKS),
    ("parse_proto", MACHINE),
    ("random_bool", RANDOM),
    ("random_bytes", RANDOM),
    ("random_float", RANDOM),
    ("random_int", RANDOM),
    ("range", UNBOUNDED),
    ("reverse_dns", NETWORK),
    ("set_semantic_meaning", FOREIGN),
    ("uuid_v4", RANDOM),
    ("uuid_v7", RANDOM),
    (
        "validate_json_schema",
        "it reads a file; declare the entity's schema and let the flow `validate:`",
    ),
];

/// Why a function is withheld, where it is.
pub(super) fn reason(name: &str) -> Option<&'static str> {
    WITHHELD
        .iter()
        .find(|(withheld, _)| *withheld == name)
        .map(|(_, reason)| *reason)
}

/// One function for each name withheld, which refuses every call.
pub(super) fn stand_ins(session: &Arc<Session>) -> impl Iterator<Item = Box<dyn Function>> {
    WITHHELD.iter().map(|(name, reason)| -> Box<dyn Function> {
        Box::new(StandIn {
            name,
            reason,
            session: Arc::clone(session),
        })
    })
}

#[derive(Debug)]
struct StandIn {
    name: &'static str,
    reason: &'static str,
    session: Arc<Session>,
}

/// VRL counts arguments before it asks the function; these take whatever is given.
const ANYTHING: &[Parameter] = &[
    Parameter::optional("value", kind::ANY, "Anything."),
    Parameter::optional("second", kind::ANY, "Anything."),
    Parameter::optional("third", kind::ANY, "Anything."),
    Parameter::optional("fourth", kind::ANY, "Anything."),
    Parameter::optional("fifth", kind::ANY, "Anything."),
    Parameter::optional("level", kind::ANY, "Anything."),
];

impl Function for StandIn {
    fn identifier(&self) -> &'static str {
        self.name
    }

    fn usage(&self) -> &'static str {
        self.reason
    }

    fn category(&self) -> &'static str {
        "Withheld"
    }

    fn return_kind(&self) -> u16 {
        kind::ANY
    }

    fn parameters(&self) -> &'static [Parameter] {
        ANYTHING
    }

    fn examples(&self) -> &'static [Example] {
        &[]
    }

    fn compile(
        &self,
        _: &TypeState,
        context: &mut FunctionCompileContext,
        _: ArgumentList,
    ) -> Compiled {
        let complaint = Complaint::new("W2105", format!("`{}` is withheld from maps", self.name))
            .label("not available here")
            .help(self.reason);
        Err(self.session.refuse(context, complaint))
    }
}
