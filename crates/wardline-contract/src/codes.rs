//! Every code this crate can report. Codes are never reused for another meaning.

use wardline_core::Code;

/// What a code stands for.
#[derive(Clone, Copy, Debug)]
pub struct Explanation {
    /// The code.
    pub code: Code,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why it matters and how it is mended.
    pub text: &'static str,
}

macro_rules! codes {
    ($($name:ident $code:literal $title:literal $text:literal)+) => {
        $(#[doc = concat!($title, ".\n\n", $text)] pub const $name: Code = Code($code);)+

        /// All codes of contracts in order.
        pub const ALL: &[Explanation] = &[$(Explanation { code: $name, title: $title, text: $text }),+];
    };
}

codes! {
    NOT_A_CONTRACT "W1501" "not an OpenAPI document"
    "A contract is an OpenAPI 3.0 or 3.1 document: an object with `openapi`, `info` and `paths`. Swagger 2.0 is not read; convert it first."
    MALFORMED "W1502" "a part of the contract cannot be read"
    "A part of the document is not what OpenAPI says it must be, or a reference leads nowhere. What cannot be read cannot be held, so it is refused."
    UNSUPPORTED "W1503" "a part of the contract is not held"
    "OpenAPI can say this, but the gateway does not hold requests against it: references into other documents, `$id` and anchors, cookies, objects in a query but `deepObject`."
    NOT_PROMISED "W1504" "an operation is not in the contract"
    "The Api has an operation that its contract does not promise. Callers would find it by accident and rely on it. Add it to the document or remove it from the Api."
    NOT_SERVED "W1505" "the contract promises what is not served"
    "The contract has a path and method for which the Api has no operation. Callers would get 404 or 405. Add the operation or remove it from the document."
    PARAMETER "W1506" "parameters differ"
    "Contract and operation do not agree on a parameter: its name in the path, whether it must be there, or whether there is one at all."
    REQUEST "W1507" "the contract's request does not fit the entity"
    "The contract takes a body that the entity's schema would refuse, or takes none where the operation needs one. Callers who keep to the contract would be refused."
    ANSWER "W1508" "the entity does not fit the contract's answer"
    "The entity's schema allows an answer that the contract does not. Callers who trust the contract would get what they do not expect."
    SECURITY "W1509" "contract and operation differ in who may call"
    "The operation needs a scope that the contract does not name, or is public where the contract wants proof."
    GENERATE "W1510" "no contract can be written"
    "The description of the Api contradicts itself; the message says where."
    BREAKING "W1511" "a breaking change without a major version"
    "Callers that work with the version before can fail with this one. Raise the major version and keep both side by side until the old one's sunset, or take the change back. `wardline api diff` lists each change."
    VERSION "W1512" "contract and Api differ in version"
    "The document's `info.version` has another major version than the Api that serves it."
    SCHEMA "W1513" "a schema of the contract cannot be compiled"
    "A schema is no JSON Schema, or has a pattern that cannot be matched in linear time (look-around, back references). Rewrite it."
}
