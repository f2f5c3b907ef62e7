//! A layout that makes sense, ready to read and write by.

use super::date::Picture;
use super::layout::{
    Align, Delimited, Escape, Extra, Field, Fixed, Kind, Layout, Place, Role, Total, Totalled,
};
use super::value::Typing;
use encoding_rs::Encoding;
use serde::Deserialize as _;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Where no other limit is said.
const MAX_RECORD: usize = 1 << 20;
/// No layout needs more, and a mistyped number should not cost memory.
const MOST_COLUMNS: u32 = 100_000;

/// A layout that makes no sense, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct LayoutError {
    /// JSON Pointer to the part of the layout.
    pub pointer: String,
    /// What is wrong and what is expected.
    pub text: String,
}

/// A layout, checked.
#[derive(Debug, Clone)]
pub struct Plan {
    pub(crate) shape: Shape,
    pub(crate) charset: Charset,
    pub(crate) skip_lines: u32,
    pub(crate) final_newline: bool,
    pub(crate) max_record: usize,
    pub(crate) extra: Extra,
    pub(crate) records: Vec<RecordPlan>,
    pub(crate) totals: Vec<TotalPlan>,
    /// Fields are what the header line says, all of them text.
    pub(crate) open: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    Delimited {
        delimiter: u8,
        quote: Option<u8>,
        backslash: bool,
        header: bool,
        quote_all: bool,
    },
    Fixed {
        length: Option<usize>,
        newline: bool,
        short: bool,
    },
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Charset {
    Utf8,
    Utf16,
    Single(&'static Encoding),
}

#[derive(Debug, Clone)]
pub(crate) struct RecordPlan {
    pub(crate) name: Arc<str>,
    pub(crate) role: Role,
    pub(crate) when: Option<(At, String)>,
    pub(crate) fields: Vec<FieldPlan>,
    /// Delimited without names: how many columns it has.
    pub(crate) columns: usize,
}

#[derive(Debug, Clone)]
pub(crate) struct FieldPlan {
    pub(crate) name: Arc<str>,
    pub(crate) at: At,
    pub(crate) typing: Typing,
    pub(crate) required: bool,
    pub(crate) pad: char,
    pub(crate) align: Align,
    pub(crate) value: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    Column(usize),
    Named(String),
    Span { start: usize, length: usize },
}

#[derive(Debug, Clone)]
pub(crate) struct TotalPlan {
    pub(crate) record: usize,
    pub(crate) field: usize,
    pub(crate) what: Totalled,
}

fn wrong<T>(pointer: impl Into<String>, text: impl Into<String>) -> Result<T, LayoutError> {
    Err(LayoutError {
        pointer: pointer.into(),
        text: text.into(),
    })
}

impl Plan {
    /// Checks a layout given as JSON (or what YAML says, as JSON).
    ///
    /// # Errors
    /// What makes no sense, and where.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, LayoutError> {
        match Layout::deserialize(value) {
            Ok(layout) => Self::new(&layout),
            Err(error) => wrong("", error.to_string()),
        }
    }

    /// Comma-separated values with a line of names, everything text.
    #[must_use]
    pub fn csv() -> Self {
        let shape = delimited(&Delimited {
            header: true,
            ..Delimited::default()
        });
        Self {
            // The defaults are right by construction; a comma is what is left if they were not.
            shape: shape.unwrap_or(Shape::Delimited {
                delimiter: b',',
                quote: Some(b'"'),
                backslash: false,
                header: true,
                quote_all: false,
            }),
            charset: Charset::Utf8,
            skip_lines: 0,
            final_newline: false,
            max_record: MAX_RECORD,
            extra: Extra::Refuse,
            records: vec![RecordPlan {
                name: "record".into(),
                role: Role::Detail,
                when: None,
                fields: Vec::new(),
                columns: 0,
            }],
            totals: Vec::new(),
            open: true,
        }
    }

    /// Checks a layout.
    ///
    /// # Errors
    /// What makes no sense, and where.
    pub fn new(layout: &Layout) -> Result<Self, LayoutError> {
        let shape = match (&layout.delimited, &layout.fixed) {
            (Some(said), None) => delimited(said)?,
            (None, Some(said)) => fixed(said)?,
            _ => return wrong("", "say either `delimited` or `fixed`"),
        };
        let charset = charset(layout.encoding.as_deref().unwrap_or("utf-8"))?;
        let named = matches!(shape, Shape::Delimited { header: true, .. });
        let mut records = Vec::new();
        match (layout.fields.is_empty(), layout.records.is_empty()) {
            (false, true) => records.push(RecordPlan {
                name: "record".into(),
                role: Role::Detail,
                when: None,
                fields: fields(&layout.fields, "/fields", shape)?,
                columns: 0,
            }),
            (true, false) => {
                for (index, said) in layout.records.iter().enumerate() {
                    let pointer = format!("/records/{index}");
                    if said.record.is_empty() {
                        return wrong(pointer, "the record needs a name: `record: NAME`");
                    }
                    let when = match &said.when {
                        None => None,
                        Some(when) => {
                            let at = format!("{pointer}/when");
                            let place = match (shape, &when.column, when.start) {
                                (Shape::Delimited { .. }, Some(place), None) => {
                                    column(place, named, &at)?
                                }
                                (Shape::Fixed { .. }, None, Some(start @ 1..=MOST_COLUMNS)) => {
                                    At::Span {
                                        start: start as usize - 1,
                                        length: when.is.chars().count(),
                                    }
                                }
                                (Shape::Delimited { .. }, ..) => {
                                    return wrong(at, "say which `column` is compared");
                                }
                                (Shape::Fixed { .. }, ..) => {
                                    return wrong(
                                        at,
                                        "say at which character (`start`, from 1) it is compared",
                                    );
                                }
                            };
                            Some((place, when.is.clone()))
                        }
                    };
                    records.push(RecordPlan {
                        name: said.record.as_str().into(),
                        role: said.role,
                        when,
                        fields: fields(&said.fields, &format!("{pointer}/fields"), shape)?,
                        columns: 0,
                    });
                }
            }
            (true, true) if named => {
                return Ok(Self {
                    ..open(layout, shape, charset)
                });
            }
            _ => return wrong("", "say either `fields`, or `records` with fields each"),
        }
        for record in &mut records {
            let columns = record.fields.iter().map(|field| match field.at {
                At::Column(column) => column + 1,
                _ => 0,
            });
            record.columns = columns.max().unwrap_or(0);
        }
        check_types(&records)?;
        if let Shape::Fixed {
            length: Some(length),
            ..
        } = shape
        {
            for (index, record) in records.iter().enumerate() {
                let last = record.fields.iter().map(FieldPlan::end).max().unwrap_or(0);
                if last > length {
                    return wrong(
                        format!("/records/{index}"),
                        "a field lies behind the end of the record",
                    );
                }
            }
        }
        let mut totals = Vec::new();
        for (index, said) in layout.totals.iter().enumerate() {
            totals.push(total(said, &records, &format!("/totals/{index}"))?);
        }
        Ok(Self {
            records,
            totals,
            open: false,
            ..open(layout, shape, charset)
        })
    }

    /// Names of its record types, header and trailer among them.
    pub fn record_names(&self) -> impl Iterator<Item = &str> {
        self.records.iter().map(|record| &*record.name)
    }

    /// Whether fields are at fixed columns.
    #[must_use]
    pub const fn is_fixed(&self) -> bool {
        matches!(self.shape, Shape::Fixed { .. })
    }

    /// Whether the file says something about itself that is compared.
    #[must_use]
    pub fn has_totals(&self) -> bool {
        !self.totals.is_empty()
    }

    pub(crate) fn of_role(&self, role: Role) -> Option<usize> {
        self.records.iter().position(|record| record.role == role)
    }
}

impl FieldPlan {
    pub(crate) fn end(&self) -> usize {
        match self.at {
            At::Span { start, length } => start + length,
            _ => 0,
        }
    }
}

fn open(layout: &Layout, shape: Shape, charset: Charset) -> Plan {
    Plan {
        shape,
        charset,
        skip_lines: layout.skip_lines,
        final_newline: layout.final_newline,
        max_record: layout
            .max_record
            .map_or(MAX_RECORD, |most| most.max(1) as usize),
        extra: layout.extra,
        ..Plan::csv()
    }
}

fn delimited(said: &Delimited) -> Result<Shape, LayoutError> {
    let ascii = |c: char| {
        u8::try_from(c)
            .ok()
            .filter(|b| b.is_ascii() && !matches!(b, b'\r' | b'\n' | 0))
    };
    let Some(delimiter) = ascii(said.delimiter) else {
        return wrong(
            "/delimited/delimiter",
            "the delimiter must be one ASCII character",
        );
    };
    let mut quotes = said.quote.chars();
    let quote = match (quotes.next(), quotes.next()) {
        (None, _) => None,
        (Some(one), None) if ascii(one).is_some_and(|one| one != delimiter && one != b'\\') => {
            ascii(one)
        }
        _ => {
            return wrong(
                "/delimited/quote",
                "the quote must be one ASCII character other than the delimiter, or empty",
            );
        }
    };
    Ok(Shape::Delimited {
        delimiter,
        quote,
        backslash: said.escape == Escape::Backslash,
        header: said.header,
        quote_all: said.quote_all,
    })
}

fn fixed(said: &Fixed) -> Result<Shape, LayoutError> {
    if !said.newline && said.length.is_none_or(|length| length == 0) {
        return wrong(
            "/fixed/length",
            "records without line breaks need a `length`",
        );
    }
    Ok(Shape::Fixed {
        length: said.length.map(|length| length as usize),
        newline: said.newline,
        short: said.short,
    })
}

fn charset(label: &str) -> Result<Charset, LayoutError> {
    let found = Encoding::for_label(label.as_bytes());
    match found {
        Some(encoding) if encoding == encoding_rs::UTF_8 => Ok(Charset::Utf8),
        Some(encoding)
            if encoding == encoding_rs::UTF_16LE || encoding == encoding_rs::UTF_16BE =>
        {
            Ok(Charset::Utf16)
        }
        Some(encoding) if encoding.is_single_byte() => Ok(Charset::Single(encoding)),
        _ => wrong(
            "/encoding",
            "the charset must be `utf-8`, `utf-16` or a single-byte one such as `windows-1252`",
        ),
    }
}

fn column(place: &Place, named: bool, pointer: &str) -> Result<At, LayoutError> {
    match place {
        Place::Number(number @ 1..=MOST_COLUMNS) => Ok(At::Column(*number as usize - 1)),
        Place::Number(_) => wrong(pointer, "columns are counted from 1"),
        Place::Name(name) if named => Ok(At::Named(name.clone())),
        Place::Name(_) => wrong(pointer, "columns have names only with `header: true`"),
    }
}

fn fields(said: &[Field], pointer: &str, shape: Shape) -> Result<Vec<FieldPlan>, LayoutError> {
    let mut all: Vec<FieldPlan> = Vec::new();
    let mut names = BTreeSet::new();
    let (mut next_column, mut next_start) = (0_usize, 0_usize);
    for (index, field) in said.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        if field.name.is_empty() {
            return wrong(pointer, "the field needs a `name`");
        }
        if !names.insert(&field.name) {
            return wrong(
                pointer,
                format!("there are two fields named `{}`", field.name),
            );
        }
        let at = match shape {
            Shape::Delimited { header, .. } => {
                if field.start.is_some() || field.length.is_some() {
                    return wrong(pointer, "`start` and `length` belong to `fixed`");
                }
                match &field.column {
                    Some(place) => column(place, header, &pointer)?,
                    None if header => At::Named(field.name.clone()),
                    None => At::Column(next_column),
                }
            }
            Shape::Fixed { .. } => {
                if field.column.is_some() {
                    return wrong(pointer, "`column` belongs to `delimited`");
                }
                let Some(length @ 1..=MOST_COLUMNS) = field.length else {
                    return wrong(pointer, "the field needs a `length` in characters");
                };
                let start = match field.start {
                    None => next_start,
                    Some(start @ 1..=MOST_COLUMNS) => start as usize - 1,
                    Some(_) => return wrong(pointer, "characters are counted from 1"),
                };
                At::Span {
                    start,
                    length: length as usize,
                }
            }
        };
        if let At::Column(column) = at {
            next_column = column + 1;
        }
        let picture = match (field.kind, &field.format) {
            (Kind::Date, said) => match Picture::parse(said.as_deref().unwrap_or("YYYY-MM-DD")) {
                Ok(picture) => Some(picture),
                Err(why) => return wrong(format!("{pointer}/format"), why),
            },
            (_, Some(_)) => {
                return wrong(format!("{pointer}/format"), "only dates have a `format`");
            }
            _ => None,
        };
        if field.kind != Kind::Decimal && (field.implied.is_some() || field.mark.is_some()) {
            return wrong(pointer, "`implied` and `mark` belong to decimals");
        }
        if field.implied.is_some_and(|scale| scale > 18) {
            return wrong(
                format!("{pointer}/implied"),
                "a fraction has at most 18 digits",
            );
        }
        let number = matches!(field.kind, Kind::Integer | Kind::Decimal);
        let one = FieldPlan {
            name: field.name.as_str().into(),
            at,
            typing: Typing {
                kind: field.kind,
                picture,
                implied: field.implied,
                mark: field.mark.unwrap_or('.'),
                trim: field.kind != Kind::Text
                    || field.trim.unwrap_or(matches!(shape, Shape::Fixed { .. })),
            },
            required: field.required,
            pad: field.pad.unwrap_or(' '),
            align: field
                .align
                .unwrap_or(if number { Align::Right } else { Align::Left }),
            value: field.value.clone(),
        };
        next_start = one.end();
        all.push(one);
    }
    Ok(all)
}

fn check_types(records: &[RecordPlan]) -> Result<(), LayoutError> {
    let mut names = BTreeSet::new();
    let (mut rest, mut headers, mut trailers) = (0, 0, 0);
    for (index, record) in records.iter().enumerate() {
        let pointer = format!("/records/{index}");
        if !names.insert(&record.name) {
            return wrong(
                pointer,
                format!("there are two records named `{}`", record.name),
            );
        }
        match record.role {
            Role::Header => headers += 1,
            Role::Trailer => trailers += 1,
            Role::Detail => {}
        }
        if record.when.is_none() {
            rest += 1;
            if record.role != Role::Detail {
                return wrong(
                    pointer,
                    "a header or trailer needs a `when` by which it is known",
                );
            }
        }
    }
    if rest > 1 {
        return wrong(
            "/records",
            "only one type of record can be that of all the rest; give the others a `when`",
        );
    }
    if headers > 1 || trailers > 1 {
        return wrong("/records", "a file has at most one header and one trailer");
    }
    Ok(())
}

fn total(said: &Total, records: &[RecordPlan], pointer: &str) -> Result<TotalPlan, LayoutError> {
    let by_name = |name: &str| records.iter().position(|record| *record.name == *name);
    let Some(record) = by_name(&said.within).filter(|&found| records[found].role != Role::Detail)
    else {
        return wrong(
            format!("{pointer}/in"),
            "it must name a record whose role is `header` or `trailer`",
        );
    };
    let field_of = |record: usize, name: &str, key: &str| {
        let found = records[record]
            .fields
            .iter()
            .position(|field| *field.name == *name);
        found.map_or_else(
            || {
                wrong(
                    format!("{pointer}/{key}"),
                    format!("`{}` has no field `{name}`", records[record].name),
                )
            },
            Ok,
        )
    };
    let field = field_of(record, &said.field, "field")?;
    let number = |record: usize, field: usize, key: &str| {
        if matches!(
            records[record].fields[field].typing.kind,
            Kind::Integer | Kind::Decimal
        ) {
            Ok(())
        } else {
            wrong(
                format!("{pointer}/{key}"),
                "it must be an integer or a decimal",
            )
        }
    };
    number(record, field, "field")?;
    let what = match (&said.counts, &said.sums) {
        (Some(counts), None) => match counts.as_str() {
            "all" => Totalled::All,
            "details" => Totalled::Details,
            name => match by_name(name) {
                Some(found) => Totalled::Records(found),
                None => {
                    return wrong(
                        format!("{pointer}/counts"),
                        "it must be `all`, `details` or the name of a record",
                    );
                }
            },
        },
        (None, Some(sums)) => {
            let mut details = (0..records.len()).filter(|&one| records[one].role == Role::Detail);
            let of = match &said.of {
                Some(name) => by_name(name),
                None => details.next().filter(|_| details.next().is_none()),
            };
            let Some(of) = of else {
                return wrong(
                    format!("{pointer}/of"),
                    "it must name the record whose field is added up",
                );
            };
            let summed = field_of(of, sums, "sums")?;
            number(of, summed, "sums")?;
            Totalled::Sum(of, summed)
        }
        _ => return wrong(pointer, "say either `counts` or `sums`"),
    };
    Ok(TotalPlan {
        record,
        field,
        what,
    })
}
