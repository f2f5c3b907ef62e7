//! What a layout file says, as plain data. Whether it makes sense is found by [`super::Plan`].

use schemars::JsonSchema;
use serde::Deserialize;

/// How records lie in a file: exactly one of `delimited` and `fixed`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Layout {
    /// What it is called; for people.
    pub layout: Option<String>,
    /// Fields between delimiters: CSV and its kin.
    pub delimited: Option<Delimited>,
    /// Fields at fixed columns.
    pub fixed: Option<Fixed>,
    /// The charset: `utf-8`, `utf-16`, or any single-byte one by its WHATWG label.
    pub encoding: Option<String>,
    /// Lines before the first record that say nothing.
    pub skip_lines: u32,
    /// Whether the last line must end with a line break. The only sign of a cut file where there is no trailer.
    pub final_newline: bool,
    /// The longest record, in bytes; 1 MiB where absent.
    pub max_record: Option<u32>,
    /// What to do with columns that no field names.
    pub extra: Extra,
    /// Where all records are alike: their fields.
    pub fields: Vec<Field>,
    /// Where records are of several types.
    pub records: Vec<RecordType>,
    /// What the file says about itself, to be compared with what is in it.
    pub totals: Vec<Total>,
}

impl Layout {
    /// The JSON Schema of layout files, for editors.
    #[must_use]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

/// Fields between delimiters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Delimited {
    /// One ASCII character.
    pub delimiter: char,
    /// What encloses a field that holds delimiters or line breaks; empty for nothing.
    pub quote: String,
    /// How a quote within quotes is written.
    pub escape: Escape,
    /// Whether the first line names the columns. Fields are then found by these names.
    pub header: bool,
    /// Whether the writer quotes every field.
    pub quote_all: bool,
}

impl Default for Delimited {
    fn default() -> Self {
        Self {
            delimiter: ',',
            quote: "\"".into(),
            escape: Escape::Doubled,
            header: false,
            quote_all: false,
        }
    }
}

/// How a quote within quotes is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Escape {
    /// Twice (RFC 4180).
    #[default]
    Doubled,
    /// Behind a backslash.
    Backslash,
}

/// Fields at fixed columns.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Fixed {
    /// Characters of every record; lines may be of any length where absent.
    pub length: Option<u32>,
    /// Whether each record is a line. `false` needs `length`.
    pub newline: bool,
    /// Whether a line may end before its last fields, which are then absent.
    pub short: bool,
}

impl Default for Fixed {
    fn default() -> Self {
        Self {
            length: None,
            newline: true,
            short: false,
        }
    }
}

/// What to do with columns that no field names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Extra {
    /// They are a problem.
    #[default]
    Refuse,
    /// They are left out.
    Ignore,
}

/// One type of record.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecordType {
    /// Its name.
    pub record: String,
    /// What it is for.
    pub role: Role,
    /// How it is told from others; the type without is that of all the rest.
    pub when: Option<When>,
    /// Its fields.
    pub fields: Vec<Field>,
}

/// What a record is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Carries business data.
    #[default]
    Detail,
    /// Stands first, exactly once.
    Header,
    /// Stands last, exactly once. Without it the file was cut.
    Trailer,
}

/// How a record's type is known: by what stands at a place.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct When {
    /// Delimited: the column.
    #[serde(default)]
    pub column: Option<Place>,
    /// Fixed: the first character, from 1.
    #[serde(default)]
    pub start: Option<u32>,
    /// What stands there.
    pub is: String,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Place {
    /// By its number, from 1.
    Number(u32),
    /// By its name in the header line.
    Name(String),
}

/// One field of a record.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Field {
    /// What it is called in messages.
    pub name: String,
    /// Delimited: its column; the one named like it, or the next, where absent.
    pub column: Option<Place>,
    /// Fixed: its first character, from 1; right behind the field before where absent.
    pub start: Option<u32>,
    /// Fixed: how many characters.
    pub length: Option<u32>,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Dates: how they are written, such as `YYYYMMDD` or `DD.MM.YYYY hh:mm`; `YYYY-MM-DD` where absent.
    pub format: Option<String>,
    /// Decimals: so many last digits are the fraction, though no mark is written.
    pub implied: Option<u32>,
    /// Decimals: the decimal mark; a point where absent.
    pub mark: Option<char>,
    /// Whether blanks around it go. Always so for anything but text, and in fixed width.
    pub trim: Option<bool>,
    /// Whether it may not be empty.
    pub required: bool,
    /// Writing, fixed: what fills it up; a blank where absent.
    pub pad: Option<char>,
    /// Writing, fixed: where it stands within its columns.
    pub align: Option<Align>,
    /// Writing: what is written where nothing is given.
    pub value: Option<String>,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Any text.
    #[default]
    Text,
    /// A whole number.
    Integer,
    /// An exact decimal, such as money; in JSON it is a text.
    Decimal,
    /// A date, or date and time; in JSON by ISO 8601.
    Date,
}

/// Where a field stands within its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Align {
    /// At their beginning.
    Left,
    /// At their end.
    Right,
}

/// Something a header or trailer says about the file.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Total {
    /// The record that says it.
    #[serde(rename = "in")]
    pub within: String,
    /// The field that says it.
    pub field: String,
    /// Counts these records: the name of a type, `details` or `all`.
    #[serde(default)]
    pub counts: Option<String>,
    /// Adds up this field …
    #[serde(default)]
    pub sums: Option<String>,
    /// … of this type of record; of the only type of detail where absent.
    #[serde(default)]
    pub of: Option<String>,
}

/// What is totalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Totalled {
    /// All records, header and trailer among them.
    All,
    /// All details.
    Details,
    /// Records of a type.
    Records(usize),
    /// A field of a type of record.
    Sum(usize, usize),
}
