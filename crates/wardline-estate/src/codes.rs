//! Every code this crate can report, with the paragraph that `wardline explain CODE` prints and
//! `docs/reference/errors.md` repeats. Codes are never reused for another meaning.

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

        /// All codes of estate files in order.
        pub const ALL: &[Explanation] = &[$(Explanation { code: $name, title: $title, text: $text }),+];
    };
}

codes! {
    NO_ESTATE "W1001" "no estate here"
    "The directory has no `wardline.yaml`. An estate is a directory with that file at its top; run the command there or give the directory as its argument."
    UNREADABLE "W1002" "a file cannot be read"
    "The file or directory exists but the operating system refused to read it. The message carries its reason; most often the permissions are those of another user."
    NOT_UTF8 "W1003" "a file is not UTF-8"
    "Files of an estate are UTF-8 text. Save the file in that encoding; fixtures in another charset belong in a test's binary fixture, not in YAML."
    TOO_LARGE "W1004" "a file is too large"
    "Declarations are small. A file beyond the limit is most likely data that was put in the wrong place, so it is not read. Code tables may be larger than other files."
    YAML_SYNTAX "W1005" "not YAML"
    "The file is not well-formed YAML, so nothing in it could be checked. The usual causes are a tab for indentation, a missing blank after a colon, and an unquoted text that starts with one of `@ & * ! % [ {` or contains `: `."
    YAML_FEATURE "W1006" "a YAML feature that estates do not use"
    "Anchors, aliases, merge keys and tags are refused: they hide where a value comes from and let a small file grow without bound. Say it where it is used, or put it into `defaults.yaml`."
    TOO_DEEP "W1007" "nested too deeply"
    "No declaration needs so many levels. The file is refused so that hostile input cannot exhaust the stack."
    OUTSIDE "W1008" "a path leaves the estate"
    "Paths in an estate are relative to its directory and stay inside it, also through symbolic links: an estate must mean the same on every machine, and must not read what it does not own."
    NO_FILE "W1009" "a file that is referred to does not exist"
    "A map, schema, certificate, runbook, fixture or other file is named but is not there. Paths are relative to the estate directory; an entity's `schema` is relative to `entities/`, a test's fixture to `tests/`."
    IGNORED_FILE "W1010" "a file that nothing reads"
    "The file lies in a directory of declarations but its name ends in something else than that directory is read for, so it has no effect. Rename it (`.yaml`, not `.yml`) or move it away."
    BAD_JSON "W1011" "not JSON"
    "A JSON Schema could not be parsed."
    BAD_TABLE "W1012" "a code table is malformed"
    "A code table is CSV with the header `from,to` or `from,to,description`, one row for each code, quoted as in RFC 4180."
    MORE "W1013" "more problems than are shown"
    "So many problems mostly have one cause. The errors are shown first; mend what is shown and check again."
    UNKNOWN_KEY "W1101" "unknown key"
    "Nothing reads this key. It is refused rather than ignored, because a misspelt `retry` would otherwise silently mean no retry."
    MISSING_KEY "W1102" "a key is missing"
    "The declaration is incomplete without this key."
    WRONG_TYPE "W1103" "wrong type"
    "The value has another shape than this key takes, for example a list where a text is expected."
    DUPLICATE_KEY "W1104" "a key occurs twice"
    "The same key stands twice in one mapping. Only one can be meant."
    UNKNOWN_WORD "W1105" "not one of the words"
    "The key takes one of a few words, and this is none of them."
    BAD_NUMBER "W1106" "number out of range"
    "The key takes a number within the range that the message names."
    BAD_DURATION "W1107" "not a duration"
    "Durations are a number and a unit: `500ms`, `30s`, `5m`, `1h`, `7d`, `2w`, `7y`; units may follow each other, largest first (`1h30m`). A day is 24 hours and a year is 365 days."
    BAD_SIZE "W1108" "not a size"
    "Sizes are a number and a unit: `512B`, `256KiB`, `16MiB`, `1GiB`, or `KB`, `MB`, `GB` for powers of ten."
    BAD_RATE "W1109" "not a rate"
    "Rates are a number per unit of time: `20/s`, `600/m`, `5000/h`, `100000/d`."
    BAD_ADDRESS "W1110" "not an address"
    "Where Wardline listens, an address is an IP address and a port (`0.0.0.0:2575`, `[::]:2575`). Where it connects, it is a host and a port (`ehr.example:2576`). Networks are written `10.1.0.0/16`."
    BAD_URL "W1111" "not a URL"
    "The key takes an absolute `http://` or `https://` URL without user, password, query and fragment."
    BAD_CRON "W1112" "not a schedule"
    "A schedule is five cron fields: minute, hour, day of the month, month, day of the week. `0 2 * * *` is every night at two."
    BAD_ZONE "W1113" "not a time zone"
    "Time zones are names of the IANA database such as `America/Chicago` or `UTC`."
    BAD_NAME "W1114" "not a name"
    "Names are lower-case letters, digits and hyphens, start with a letter and have at most 64 characters. They appear in references (`system.connection`), on the command line and in the journal, so they are kept plain."
    BAD_SECRET "W1115" "not a reference to a secret"
    "A secret is named, never written: `secret:erp/ws` stands for the secret `erp/ws` in the secrets directory or the environment. A password in a file of an estate would end up in version control."
    NOT_EXACTLY_ONE "W1116" "exactly one of these keys is needed"
    "Each of the keys says what kind of thing is declared, so exactly one of them must be there."
    BAD_PATH "W1117" "not a path"
    "HTTP paths start with `/`, have no query or fragment, and name what the data fills in braces: `/accounts/{account}/close`."
    BAD_CHARSET "W1118" "not a charset"
    "`auto`, or the name of a character set as MSH-18 (HL7 table 0211) or the WHATWG write it, such as `UNICODE UTF-8`, `8859/1` or `windows-1252`."
    BAD_EVENT "W1119" "not an event type"
    "Events are named by entity and what happened to it, in lower case with underscores: `encounter.discharged`, `purchase_order.approved`."
    BAD_FIELD "W1120" "not a field path"
    "Fields are HL7 paths (`MSH-10`, `PID-3.1`), paths into JSON (`.account.number`) or, for messages over HTTP, `header:name`."
    EMPTY "W1121" "must not be empty"
    "The list or text has no content, so it says nothing."
    PASSWORD_IN_FILE "W1122" "a password in a file"
    "The URL holds a user or a password. Files of an estate are under version control; use `auth` with a reference to a secret."
    BAD_REFERENCE "W1123" "not a reference"
    "Connections and operations are named by their system: `ehr.adt`, `patient-accounting.close-account`."
    BAD_TIME "W1124" "not a moment"
    "Moments are written as in RFC 3339: `2026-11-24T10:42:00-06:00`."
    BAD_VERSION "W1125" "not a version"
    "Versions are three numbers, `major.minor.patch`."
    BAD_SCOPE "W1126" "not a scope"
    "Scopes and purposes are single words of letters, digits and `.`, `_`, `:`, `/`, `*`, `-`, such as `supplier.read`. They stand in tokens, parted by blanks."
    BAD_SHARE "W1127" "not a share"
    "Shares are percentages from `0.01%` to `100%`."
    BAD_DIGEST "W1128" "not a digest"
    "A SHA-256 digest is 64 hexadecimal digits; colons between bytes are allowed. `printf %s KEY | sha256sum` makes one."
    BAD_KEYS "W1129" "not a set of keys"
    "The file is to hold a JWK Set (RFC 7517): `{ \"keys\": [ … ] }` with at least one public key of kind EC, OKP or RSA."
    KEY_IN_FILE "W1130" "a private key in a file"
    "The file holds the private part of a key. Only its owner may have that; files of an estate are under version control. Take the key as compromised, make a new one, and put only its public part here."
    BAD_RECIPIENT "W1141" "not a recipient of age"
    "Recipients are written `age1…` and are public. What begins with `AGE-SECRET-KEY-` opens files and belongs into none of the estate's."
    DUPLICATE_NAME "W1201" "a name is used twice"
    "Two declarations of the same kind have the same name. Names are how everything else refers to them, so they are unique across all files."
    UNKNOWN_CONNECTION "W1202" "no such connection"
    "The reference `system.connection` names something that no file under `systems/` declares."
    UNKNOWN_OPERATION "W1203" "no such operation"
    "The reference `system.operation` names something that no file under `systems/` declares."
    UNKNOWN_EVENT "W1204" "nobody emits this event"
    "A flow hears, or a test expects, an event that no flow emits, so it would never happen."
    UNKNOWN_ENTITY "W1205" "no such entity"
    "The name is that of no file under `entities/`. For `emit`, the entity is the part before the dot with `-` for `_`: `purchase_order.approved` belongs to `purchase-order`. Use `validate: none` for an event that has no entity."
    UNKNOWN_LISTENER "W1206" "no such listener"
    "The name is none of the `listeners` in `wardline.yaml`."
    UNKNOWN_SYSTEM "W1207" "no such system"
    "The name is that of no file under `systems/`."
    WRONG_DIRECTION "W1208" "the connection goes the other way"
    "Flows start at connections that receive (`mllp: { listen: … }`, `http: { listen: … }`) and send to connections that go out (`mllp: { connect: … }`, `http: { url: … }`)."
    NO_SECRET "W1209" "a secret is missing"
    "The estate refers to a secret that this machine does not have. Put it into the secrets directory or the environment."
    PORT_CLASH "W1210" "two things listen on the same port"
    "Two listeners or connections bind the same address and port, so the second could not start. An unspecified address (`0.0.0.0`, `[::]`) clashes with every address on that port."
    PATH_CLASH "W1211" "two connections receive on the same path"
    "Two inbound HTTP connections have the same listener, method and path, so nobody could say which of them gets the message."
    UNKNOWN_FACILITY "W1212" "no such facility"
    "The name is none of the `facilities` in `wardline.yaml`."
    UNKNOWN_FLOW "W1213" "no such flow"
    "The name is that of no flow under `flows/`."
    WRONG_PROTOCOL "W1214" "the connection speaks another protocol"
    "An operation must use a connection of its own protocol that goes out: `http` operations use `http: { url: … }`, `mllp` operations `mllp: { connect: … }`."
    UNKNOWN_API "W1215" "no such Api"
    "The name, or the reference `api.operation`, is that of nothing under `apis/`."
    ROUTE_CLASH "W1216" "two operations have the same method and path"
    "Both operations are visible on the listeners of one zone, and a request could be for either. Names in braces do not tell them apart; a literal part beats a name in braces, so `/suppliers/search` beside `/suppliers/{supplier_id}` is fine."
    NOT_SERVED "W1217" "the system has no such operation"
    "A binding promises that its system can do all that the Api does. Add the operation to the system, or name the one that does it under the binding's `operations`."
    ENTITY_MISMATCH "W1218" "the entities differ"
    "The Api says that it accepts or returns one entity and what fulfils it says another, so callers would get something else than was promised. Maps (`request`, `response`) belong to the system's operation."
    UNKNOWN_ISSUER "W1219" "no such issuer"
    "The name is none of `identity.issuers` in `wardline.yaml`."
    UNKNOWN_SCOPE "W1220" "a scope that opens nothing"
    "No operation that the client could reach through its zone asks for this scope."
    UNKNOWN_PROCESS "W1221" "no such process"
    "The name is that of no file under `processes/`, so nothing could be started, told or asked."
    UNKNOWN_ROLE "W1229" "no such role"
    "The role is none of the built-in ones, none of `people.roles` in `wardline.yaml` and none of a client, so no policy could speak of it and whoever is given it could do nothing."
    BAD_SCHEMA "W1301" "not a JSON Schema"
    "The entity's schema does not compile. Schemas are JSON Schema 2020-12 unless `$schema` names another draft, and refer only to themselves: nothing is fetched."
    DUPLICATE_CODE "W1302" "a code occurs twice in its table"
    "A code table maps each code to one other, so the second row could never be used."
    NO_EFFECT "W1303" "a flow without effect"
    "The flow neither emits an event nor sends to anybody."
    EVENT_LOOP "W1304" "an event leads back to itself"
    "Following `emit` and `from` leads in a circle, so one message could go round for ever. If a predicate breaks the circle this is only a warning to be sure of it."
    UNKNOWN_ATTRIBUTE "W1305" "the schema has no such attribute"
    "The entity declares something about an attribute that its JSON Schema does not describe, most often because one of the two was renamed."
    BAD_PARAMETER "W1306" "the parameters of a path do not fit"
    "A name occurs twice in a path, or a name under `with` or in a system's path is that of no parameter that could fill it."
    BAD_BODY "W1307" "a body is missing, or has no place"
    "POST, PUT and PATCH change something by what they are given: say which entity they accept, so that it can be checked and documented. DELETE needs none, GET has none. What is about changing (`async`, `idempotent`) has no meaning for GET, and a list is a list of what is returned."
    WRONG_LAYER "W1308" "this belongs to another layer"
    "A system Api is fulfilled by its `bindings`, an operation of an experience Api by its `calls`, one of a process Api by `event` or `starts`. Nothing else may be said there, and nothing of it may be missing."
    NO_SCOPE "W1309" "an operation that nobody guards"
    "Every operation names the scope that a caller needs, or says `public: true`. Nothing is open by omission."
    UNREACHABLE "W1310" "a binding that is never reached"
    "The binding before it has no condition and serves everything."
    SHADOW_SELF "W1311" "a system shadows itself"
    "The shadow is a system that already serves the requests it would get copies of, so every copy would be a second request and every comparison equal."
    NO_CREDENTIAL "W1312" "a client that cannot prove who it is"
    "`auth` has no way, or a way lacks what it needs: `private_key_jwt` needs `jwks`, `client_secret_basic` needs `secret`, `tls_client_auth` needs `mtls` beside it."
    WRONG_ORDER "W1313" "two dates in the wrong order"
    "What ends before it begins never is: `sunset` is not before `deprecated`, `until` is after `from`."
    OPEN_SENSITIVE "W1314" "sensitive values in the open"
    "The operation is `public` and its entity has attributes of a sensitive class. Ask for a scope, or return an entity without them."
    TOO_LONG "W1315" "longer than is safe"
    "A token or a session that was stolen is good until it expires, so its life is bounded."
    CALL_LOOP "W1316" "an Api calls itself"
    "Following `calls` leads in a circle, so a request would never be answered."
    DEAF_WEBHOOK "W1317" "a webhook that is never told"
    "No policy lets the client receive the event, so its webhook would stay silent: grant the scope `ENTITY.receive` in the client's file, or write a `permit` for the action `receive`. A group of people has no webhook, and an event without an entity is received by nobody, since no file says what of it is sensitive."
    BAD_TEMPLATE "W1318" "what is signed is not said whole"
    "`signs` holds `{body}` once, and `{timestamp}` only where `timestamp` or `fields.timestamp` says where that stands: a signature that leaves out the body proves nothing about it."
    NOT_KEPT "W1319" "an answer that cannot be given again"
    "`cache` lets answers be given again without asking the system. That is for GET only, and for reference data: answers that hold attributes of class phi or secret are not kept in memory."
    RESERVED_PATH "W1321" "a path that is taken"
    "Wardline serves `/oauth` (tokens), `/.well-known` (what clients discover), `openapi.json` below the base of every Api (its contract) and `/-/` below it (the status of accepted requests). An Api there would hide them, or be hidden."
    VERSION_HEADER "W1322" "versions that a header cannot tell apart"
    "Versions of an Api that share a path name the same header and have the same `base`, and at most one of them serves requests without the header."
    OPAQUE_BODY "W1323" "a body that nobody can read is to be read"
    "With `content: xml` bodies are passed on as they are. They cannot be mapped, masked, compared with a schema or looked into by a binding."
    NO_VAULT "W1341" "there is no Vault"
    "`keys: { provider: vault }` wraps data keys with a key of the server that `secrets.vault` names."
    UNUSED_MAP "W1401" "a map that nothing uses"
    "No flow and no operation refers to the file."
    UNUSED_CONNECTION "W1402" "a connection that nothing uses"
    "No flow starts at it or sends to it and no operation uses it. An inbound connection without a flow still listens, and refuses what it gets."
    NO_OWNER "W1403" "nobody answers for it"
    "Systems and flows should name an `owner`, so that whoever is woken by a failure knows whom to call."
    UNHEARD_EVENT "W1404" "an event that nobody hears"
    "A flow emits the event but no flow starts from it, so it is recorded and nothing more."
    OPEN_DOOR "W1405" "an open door"
    "Whoever reaches the port may send, or may listen on the way: the listener of zone `partner` or `admin` has no TLS, the path has no `auth`, or an identity provider is asked without TLS."
    UNUSED_CODES "W1406" "settings of a code table without rows"
    "There is a `codes/NAME.yaml` but no `codes/NAME.csv`."
    EXPIRED "W1407" "it has expired"
    "The date lies in the past, so the client, key or binding is refused or never used. Renew it or remove it."
    NOT_ALL_SERVED "W1408" "some requests are served by nobody"
    "The last binding has a condition. A request that matches no binding gets an error; let the last one match everything."
    SHOWN_NOWHERE "W1409" "an Api that no listener shows"
    "No listener has one of the Api's zones, so nobody can reach it."
    ENDS_SOON "W1441" "a certificate ends soon"
    "From that day on it is refused by whoever checks it. Renew it: put the new file, and the new key, in the place of the old; a running server takes them up by itself."
    NO_CERTIFICATE "W1442" "a file that holds no certificate"
    "The file is named where a certificate (PEM) belongs, and none can be read in it. Nothing that needs it can start."
    UNSUPPORTED "W1901" "not supported yet"
    "The declaration is right but this release cannot run it. It is refused, because an estate that runs in part would lose what the rest should have done."
    UNSUPPORTED_DIRECTORY "W1902" "a directory that this release does not read"
    "Files of this kind belong to a later release. They are left alone: nothing in them is checked or run."
}

/// The explanation of a code such as `W1101`; letters may be lower case.
///
/// ```
/// assert_eq!(wardline_estate::codes::explain("w1101").map(|e| e.title), Some("unknown key"));
/// assert!(wardline_estate::codes::explain("W0000").is_none());
/// ```
pub fn explain(code: &str) -> Option<&'static Explanation> {
    ALL.iter()
        .find(|entry| entry.code.0.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_of_this_crate() {
        assert!(ALL.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert!(
            ALL.iter()
                .all(|entry| entry.code.0.len() == 5 && entry.code.0.starts_with("W1"))
        );
    }
}
