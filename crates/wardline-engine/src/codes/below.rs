//! Codes of the crates below that describe themselves in one line only: what each means, and
//! what to do, for people who look a code up.

/// Code, title, explanation.
type Entry = (&'static str, &'static str, &'static str);

/// Codes of `wardline-mapping`: found while a program is compiled (W20, W21, W23), or while
/// it runs (W22).
pub(super) const MAPPING: &[Entry] = &[
    (
        "W2001",
        "a program cannot be read",
        "The text is not VRL. The frame points at the first place where reading stopped; the mistake is there or shortly \
         before: a bracket, a quote, a missing line end.",
    ),
    (
        "W2002",
        "a function that does not exist",
        "The nearest name is offered. `docs/reference/mapping-functions.md` lists Wardline's functions; those of VRL's \
         standard library that reach the network, the disk or the environment are withheld.",
    ),
    (
        "W2003",
        "a function is called with the wrong arguments",
        "An argument is missing, unknown, or of a type that the function does not take.",
    ),
    (
        "W2004",
        "a program may fail and does not say what then",
        "The call can fail on some messages. Add `!` after the function's name to fail the map (the message becomes a dead \
         letter that says so), `?? value` to go on with a value, or `x, err = …` to look at the error.",
    ),
    (
        "W2005",
        "an error is handled that cannot happen",
        "The call cannot fail here: remove the `!`, the `?? …` or the `, err`.",
    ),
    (
        "W2006",
        "an assignment or expression makes no sense here",
        "The target cannot be assigned to, or the types do not fit.",
    ),
    (
        "W2007",
        "a variable that does not exist",
        "Assign to it first, on every way that leads here.",
    ),
    (
        "W2008",
        "a condition or literal is not valid",
        "A condition must be true or false; a literal must be one of its kind.",
    ),
    (
        "W2009",
        "what describes the message cannot be changed",
        "`%…` tells of the message. Assign to `.` or to a variable instead.",
    ),
    (
        "W2010",
        "a program does not compile",
        "The frame and the note say why, in VRL's words.",
    ),
    (
        "W2011",
        "a result is not used",
        "Assign it, or remove the expression; names that begin with `_` are ignored on purpose.",
    ),
    (
        "W2012",
        "something old is used",
        "It works for now; the note names what replaces it.",
    ),
    (
        "W2101",
        "not an HL7 path",
        "Paths are written `PV1-19`, `PID-3.1`, `OBX[2]-5`, `PID-3[*].1`: segment, field, component, subcomponent.",
    ),
    (
        "W2102",
        "an HL7 function where there is no HL7 message",
        "After a map to JSON, in a flow of events, or in an answer over HTTP there is JSON: read it with `.field`.",
    ),
    (
        "W2103",
        "a code table that does not exist",
        "Tables are `codes/NAME.csv`; the nearest name is offered.",
    ),
    (
        "W2104",
        "not a time zone",
        "Zones are names of the IANA database, such as `America/Chicago`.",
    ),
    (
        "W2105",
        "a function is withheld from maps",
        "A map is a function of its message. What reaches the network, the disk, the environment or the machine's clock is \
         withheld; the help names what to use instead.",
    ),
    (
        "W2106",
        "a function of a later release",
        "`lookup` needs the registry; use a code table until then.",
    ),
    (
        "W2107",
        "a predicate is not true or false, or an expression is empty",
        "Compare the value (`… == \"A03\"`) or test for it (`exists(.field)`).",
    ),
    (
        "W2108",
        "a predicate or key may fail",
        "Say what holds then: `(…) ?? false` for a predicate, `(…) ?? null` for a key.",
    ),
    (
        "W2109",
        "a key is neither text nor a whole number",
        "Name the field that says whose message it is.",
    ),
    (
        "W2110",
        "more than one result, or writing where only looking is allowed",
        "A map builds one result: it assigns to `.` or writes an HL7 message, not both. Predicates and keys write nothing.",
    ),
    (
        "W2111",
        "two arguments say different things",
        "Each place in the message is named once; leave one of them out.",
    ),
    (
        "W2112",
        "a part of the message that maps cannot write",
        "The delimiters are fixed and a message has exactly one MSH; `hl7_build` begins a new message.",
    ),
    (
        "W2113",
        "not a UUID namespace",
        "`dns`, `url`, `oid`, `x500`, or a UUID made once and written down.",
    ),
    (
        "W2114",
        "an argument must be written out",
        "Paths, tables and zones are checked while the program is compiled, so they stand there in quotes.",
    ),
    (
        "W2115",
        "not a precision",
        "One of year, month, day, hour, minute, second, fraction.",
    ),
    (
        "W2116",
        "a segment that HL7 v2 does not have",
        "A warning: segments of your own begin with Z.",
    ),
    (
        "W2117",
        "a field that its segment does not have",
        "A warning: the segment ends before that field in HL7 v2.",
    ),
    (
        "W2118",
        "a float where a decimal number is meant",
        "Write the number in quotes: `\"0.5\"`. A float is not exact, and amounts of money must be.",
    ),
    (
        "W2119",
        "not a way to round",
        "`half-up`, `half-even`, `up`, `down`, `ceiling` or `floor`.",
    ),
    (
        "W2120",
        "not an X12 path",
        "Write it as BEG-03, N1[ST]-04, NM1[01=85]-03, PO1[2]-04 or SVC-01-2. A loop must be one of a guide that is known.",
    ),
    (
        "W2121",
        "an X12 function where there is no X12",
        "Say `content: x12` at the connection that the flow is from. Read an event's data with `.field`.",
    ),
    (
        "W2122",
        "a segment or element that no guide has",
        "A warning: check the path. A partner may send more than the guides know.",
    ),
    (
        "W2123",
        "an argument of an X12 function that cannot be",
        "`implied` is a literal from 0 to 9. An object of `x12_build` is one segment, and its paths say no loops or qualifiers.",
    ),
    (
        "W2124",
        "a name that no element can have",
        "`lists` of `xml_read` takes local names of elements, without prefixes and paths.",
    ),
    (
        "W2125",
        "an XML Schema that cannot be used",
        "The label says why: schemas are the `*.xsd` files below `schemas/` of the estate, and so is all that they include and import. \
         Nothing is fetched, and none leads out of the estate.",
    ),
    (
        "W2126",
        "an element that the XML Schema does not declare",
        "`root` is the local name of an element that the schema declares globally, in its own namespace. The nearest one is offered.",
    ),
    (
        "W2127",
        "a member that no document of the XML Schema has",
        "A path, or a value that is to be written, has a name that the schema's types do not have, or lacks what they require. The nearest \
         one is offered. What may come more than once is an array: take one with `[0]`, or go through them.",
    ),
    (
        "W2203",
        "a map does too much work",
        "It was stopped after its limit of steps. Split the message or simplify the map.",
    ),
    (
        "W2204",
        "a map's result is too large",
        "Let it produce less.",
    ),
    (
        "W2205",
        "a map was given another kind of input",
        "It was compiled for HL7 and got JSON, or the reverse.",
    ),
    (
        "W2206",
        "a key that is no key",
        "It must be text, a whole number or null; convert it with `to_string(…)`.",
    ),
    (
        "W2207",
        "a map wrote no message",
        "Call `hl7_build` on every way through the map, or `abort` to filter the message.",
    ),
    (
        "W2209",
        "a defect in a function",
        "The message is kept. Report the map and the kind of message, and replay it later.",
    ),
    (
        "W2211",
        "the message lacks what the map requires",
        "`hl7_required!` found nothing at its path. Ask the sender for it, or read it with `hl7(…)` where it may be absent.",
    ),
    (
        "W2212",
        "not a time",
        "The text is no HL7 timestamp (YYYYMMDDHHMMSS, which may end early), or no RFC 3339 time. Correct it at the sender, or \
         handle it with `??`.",
    ),
    (
        "W2213",
        "a time without an offset, and no zone is known",
        "Write `zone: \"…\"` in the call, or `zone:` in `wardline.yaml`.",
    ),
    (
        "W2214",
        "a code that its table does not know",
        "Add a row to `codes/NAME.csv`, or say `otherwise:` in the call or in `codes/NAME.yaml`.",
    ),
    (
        "W2215",
        "a value cannot be written there",
        "The text names the place and why: a path or a delimiter that does not fit.",
    ),
    (
        "W2216",
        "not a decimal number",
        "Amounts and quantities are decimal strings (`\"50.00\"`) or integers; a float is not exact and is refused. Let the \
         sender write it as text, test for it, or handle it with `??`.",
    ),
    (
        "W2217",
        "a decimal number cannot be computed",
        "The text says why: more than 28 digits, a division by zero, the root of a number below zero, or a number of places \
         or a rounding that is none. Nothing is rounded in silence: say `decimal_round` where less is meant.",
    ),
    (
        "W2218",
        "not a date",
        "Dates are written `2026-12-01`, times as RFC 3339 with an offset. Which day a time belongs to depends on the zone: \
         `local_date` says it.",
    ),
    (
        "W2219",
        "a time zone in the data that does not exist",
        "Zones are names of the IANA database, such as `America/Chicago`. Correct the data that names it.",
    ),
    (
        "W2220",
        "an X12 interchange that cannot be built",
        "Values are text or integers without delimiters and control characters; the text says which element. Clean the value in the map.",
    ),
    (
        "W2221",
        "no whole number, or no date, where X12 must have one",
        "An N2 such as TDS-01 has digits and a sign only, a date eight or six digits. Ask the sender, or handle it with `??`.",
    ),
    (
        "W2222",
        "no XML that is taken",
        "The text says why: not well-formed, not UTF-8, larger or deeper than 8 MiB and 64 levels, or with declarations and entities \
         of its own. Ask the sender for the document as a standard has it, or handle it with `??`.",
    ),
    (
        "W2223",
        "a value that is no JSON",
        "It holds bytes or a number that JSON cannot. Make text of it first.",
    ),
    (
        "W2224",
        "a document that does not fit its XML Schema",
        "The text says where and why. Ask the sender for what the schema says, or handle it with `??`.",
    ),
    (
        "W2225",
        "a value that cannot be written by its XML Schema",
        "The text says where and why: something that must be there is not, a name or a value does not fit, or a float stands where an \
         exact number belongs. Mend the map.",
    ),
    (
        "W2301",
        "a JSON Schema is not one",
        "The text names the place in the schema that is not valid.",
    ),
    (
        "W2302",
        "data breaks its schema",
        "The path into the data and the rule that it breaks are named, never the value.",
    ),
];

/// Codes of `wardline-store`.
pub(super) const STORE: &[Entry] = &[
    (
        "W5001",
        "the journal is busy",
        "More changes wait for the disk than may. Senders are asked to come again; nothing was recorded. Look for a slow disk.",
    ),
    (
        "W5002",
        "the disk is full",
        "Nothing more is accepted, and nothing that was acknowledged is lost. Free space; intake resumes by itself.",
    ),
    (
        "W5003",
        "the journal cannot be written",
        "The file or its file system is read-only. Check mount and permissions; intake resumes by itself.",
    ),
    (
        "W5004",
        "the journal was made by a newer Wardline",
        "Run that version, or restore a backup from before the upgrade.",
    ),
    (
        "W5005",
        "the journal is in use",
        "Another process holds it. Stop that one first; one journal has one writer.",
    ),
    (
        "W5006",
        "SQLite is not safe as it is set up",
        "The linked library has a known way to corrupt the file, or durability was switched off. Install a build of ours.",
    ),
    (
        "W5007",
        "two acts were audited at once",
        "Another entry was written first. Try the act again.",
    ),
    (
        "W5008",
        "the journal is closed",
        "The process is stopping. Ask again after the next start.",
    ),
    (
        "W5009",
        "the database failed",
        "The text says what was attempted and what SQLite said.",
    ),
    (
        "W5010",
        "a change contradicts the journal",
        "It can never be recorded. This is a defect: report it with the text.",
    ),
    (
        "W5011",
        "a process withdrew a delivery",
        "What it had asked for was no longer needed: its steps went another way, or it ended. Nothing is wrong.",
    ),
];

/// Codes of `wardline-vault`.
pub(super) const VAULT: &[Entry] = &[
    (
        "W6001",
        "there is no master key",
        "Run `wardline keys init` for a new estate. If this estate has run before, restore the key from its backup: a new one \
         cannot open what the old one sealed.",
    ),
    (
        "W6002",
        "a master key cannot be read or written",
        "Check that the service user owns the file and its directory.",
    ),
    (
        "W6003",
        "others may read a key or secret",
        "Run `chmod 600` on the file, and replace the key: consider it known.",
    ),
    (
        "W6004",
        "a master key is not one",
        "It must be 32 bytes in base64. Restore it from its backup.",
    ),
    (
        "W6005",
        "a key was wrapped by a master key that is missing",
        "Put the named master key back beside the present one.",
    ),
    (
        "W6006",
        "a key does not unwrap",
        "The key ring was changed, or is of another estate. Restore `keyring.json`.",
    ),
    (
        "W6007",
        "the key ring cannot be read or written",
        "The text says what the system said. Nothing is sealed meanwhile.",
    ),
    (
        "W6008",
        "the key ring is damaged",
        "Restore `keyring.json` from a backup.",
    ),
    (
        "W6009",
        "the key ring is of another estate",
        "Check the data directory.",
    ),
    (
        "W6010",
        "payloads of that day are gone",
        "Retention destroyed their key. No copy of them can be opened again.",
    ),
    (
        "W6011",
        "the key ring is older than the journal",
        "Restore the newer `keyring.json`; the key itself was not destroyed.",
    ),
    (
        "W6012",
        "the keys of a day are used up",
        "Something restarts the process in a loop. Stop that.",
    ),
    (
        "W6013",
        "keys in use cannot be destroyed",
        "Only days before today can be forgotten.",
    ),
    (
        "W6014",
        "a payload is too large to be sealed",
        "Lower `max_size` of the connection, or split the message.",
    ),
    (
        "W6015",
        "sealed bytes are damaged",
        "They do not have the form that the vault writes. Restore the journal.",
    ),
    (
        "W6016",
        "sealed bytes were changed",
        "They do not authenticate: somebody or something changed them. Restore the journal.",
    ),
    (
        "W6017",
        "the compressor failed",
        "Nothing was sealed or opened. The text says why.",
    ),
    (
        "W6018",
        "no random bytes",
        "The operating system gave none; nothing can be sealed without.",
    ),
    (
        "W6019",
        "not a reference to a secret",
        "Write `secret:NAME/PART`. The text is not repeated, since a real secret may stand there.",
    ),
    (
        "W6020",
        "a secret is missing",
        "Write it to the named file (mode 0600), or set the named variable.",
    ),
    (
        "W6021",
        "a secret cannot be read",
        "Check the named file's owner and permissions.",
    ),
    (
        "W6022",
        "a private file of the data directory cannot be used",
        "Signing keys and revocations are kept in small private files beside the journal. Check the owner, the \
         permissions and the room on the disk.",
    ),
    (
        "W6023",
        "a witness's key cannot be used",
        "Make one with `wardline audit witness NAME --out FILE`; a name has no blanks and no `+`.",
    ),
    (
        "W6024",
        "an age file, identity or recipient cannot be used",
        "The text says which. `wardline secrets identity` makes an identity, `wardline secrets set NAME` encrypts to it.",
    ),
    (
        "W6025",
        "Vault or OpenBao did not do what was asked",
        "The text says what it said. Values in use stay in use for as long as `stale` under `secrets.vault` says.",
    ),
    (
        "W6026",
        "a secret was found empty",
        "The value in use stays. Write the new one anew, best in one step: `wardline secrets set NAME`.",
    ),
    (
        "W6027",
        "a secret's keeper has been away for too long",
        "What needs the secret is refused until its keeper answers again.",
    ),
];

/// Codes of `wardline-access`.
pub(super) const ACCESS: &[Entry] = &[
    (
        "W6201",
        "policy file that is not Cedar",
        "The text could not be read at the marked place. A policy is \
         `permit(principal, action, resource) when { … };` or `forbid(…)`, with a semicolon at its end.",
    ),
    (
        "W6202",
        "policy that does not fit what there is",
        "The policy uses an attribute, an entity type or an action that does not exist, or compares \
         values of different types. An attribute with a question mark in the schema has to be asked \
         for first: `context has facility && context.facility == \"north\"`.",
    ),
    (
        "W6203",
        "policy that names nothing",
        "The policy names an Api, operation, client, entity, flow or role that the estate does not \
         have, so that part of it can never hold. Correct the name, or remove the policy.",
    ),
    (
        "W6204",
        "policy that never applies",
        "The condition is false for every request, or a name in it contains characters that look \
         like others. The policy is kept; nothing that it was meant to decide is decided by it.",
    ),
    (
        "W6205",
        "policy template",
        "Templates are not linked to anything here. Grants are data (the client's file); write a \
         condition over `principal` instead.",
    ),
    (
        "W6206",
        "two policies of one name",
        "`@id` has to be unique, since decisions are explained and audited by it, and names that \
         begin with `base.` belong to the built-in policies.",
    ),
    (
        "W6401",
        "signing keys or revocations are not what was written",
        "The file was changed, damaged, or belongs to another estate. Restore it from a backup, or remove it: a new \
         key is made then, and clients fetch new tokens.",
    ),
    (
        "W6402",
        "no new key",
        "The operating system or the cryptographic library gave none; nothing can be signed without.",
    ),
    (
        "W6403",
        "not the URL of an issuer",
        "An issuer is `https://HOST` or `https://HOST:PORT` without a path; plain http only for this machine itself.",
    ),
    (
        "W6404",
        "tokens may not live that long",
        "Access tokens live for 1 to 300 seconds; clients fetch new ones by themselves.",
    ),
    (
        "W6405",
        "a client cannot be used",
        "Its name, API key, certificate or external claim is another client's too. The text says which.",
    ),
    (
        "W6406",
        "not a certificate",
        "What was shown is not X.509 in DER form.",
    ),
    (
        "W6407",
        "the accounts of people are not what was written",
        "`people.json` was changed, damaged, or belongs to another estate. Restore it from a backup; the admin token \
         and the identity provider still let people in.",
    ),
];
