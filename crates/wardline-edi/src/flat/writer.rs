//! Writing records by a layout, with the header's names and the trailer's totals.

use super::date::Date;
use super::layout::{Align, Kind, Role, Totalled};
use super::plan::{At, Charset, FieldPlan, Plan, RecordPlan, Shape};
use rust_decimal::Decimal;
use serde_json::{Map, Value as Json};
use std::io::{self, Write};

/// Why a record cannot be written. It never quotes a value.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// No record of the layout has this name.
    #[error("the layout has no record `{0}`")]
    NoRecord(String),
    /// A value does not fit its field.
    #[error("`{record}.{field}`: {why}")]
    Field {
        /// The record's name.
        record: String,
        /// The field's name.
        field: String,
        /// What does not fit.
        why: &'static str,
    },
    /// The header's totals would have to be known before what they total.
    #[error("a header's totals cannot be written: give them as values, or let a trailer say them")]
    HeaderTotals,
    /// The output failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes records one after the other.
pub struct Writer<'p, W> {
    plan: &'p Plan,
    output: W,
    names: Vec<String>,
    begun: bool,
    records: u64,
    details: u64,
    counts: Vec<u64>,
    sums: Vec<Decimal>,
}

impl<'p, W: Write> Writer<'p, W> {
    /// Writes a file by a layout. Where its fields are what the header line says, `names` are that
    /// line; otherwise they do not count.
    pub fn new(plan: &'p Plan, names: &[String], output: W) -> Self {
        let mut declared: Vec<String> = Vec::new();
        for field in plan.records.iter().flat_map(|record| &record.fields) {
            match &field.at {
                At::Named(name) if !declared.contains(name) => declared.push(name.clone()),
                _ => {}
            }
        }
        Self {
            plan,
            output,
            names: if plan.open { names.to_vec() } else { declared },
            begun: false,
            records: 0,
            details: 0,
            counts: vec![0; plan.records.len()],
            sums: vec![Decimal::ZERO; plan.totals.len()],
        }
    }

    /// Writes one record; `name` may be left out where all records are alike.
    ///
    /// # Errors
    /// A value that does not fit, or what the output says.
    pub fn write(
        &mut self,
        name: Option<&str>,
        fields: &Map<String, Json>,
    ) -> Result<(), WriteError> {
        let kind = match name {
            Some(name) => self.plan.records.iter().position(|one| *one.name == *name),
            None => self.plan.of_role(Role::Detail),
        };
        let Some(kind) = kind else {
            return Err(WriteError::NoRecord(name.unwrap_or("detail").to_owned()));
        };
        self.begin()?;
        self.put(kind, fields)
    }

    /// Writes the trailer, where the layout has one and it was not written, and gives the output
    /// back.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn finish(mut self) -> Result<W, WriteError> {
        self.begin()?;
        if let Some(trailer) = self.plan.of_role(Role::Trailer)
            && self.counts[trailer] == 0
        {
            self.put(trailer, &Map::new())?;
        }
        self.output.flush()?;
        Ok(self.output)
    }

    fn begin(&mut self) -> Result<(), WriteError> {
        if std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        if let Charset::Utf16 = self.plan.charset {
            self.output.write_all(&[0xFF, 0xFE])?;
        }
        if matches!(self.plan.shape, Shape::Delimited { header: true, .. }) {
            let names = self.names.clone();
            self.line(&names)?;
        }
        Ok(())
    }

    fn put(&mut self, kind: usize, fields: &Map<String, Json>) -> Result<(), WriteError> {
        let record = &self.plan.records[kind];
        self.records += 1;
        self.counts[kind] += 1;
        self.details += u64::from(record.role == Role::Detail);
        if self.plan.open {
            let texts: Vec<String> = self
                .names
                .iter()
                .map(|name| plain(fields.get(name)).unwrap_or_default())
                .collect();
            return self.line(&texts);
        }
        let mut texts = Vec::new();
        for (index, field) in record.fields.iter().enumerate() {
            let given = fields.get(&*field.name).filter(|value| !value.is_null());
            let total = self
                .plan
                .totals
                .iter()
                .position(|total| total.record == kind && total.field == index);
            let text = match (given, total) {
                // A count is made, whatever is given: it must tie.
                (_, Some(total)) if record.role == Role::Trailer => {
                    self.total(total, record, field)?
                }
                (Some(value), _) => spell(record, field, value)?,
                (None, Some(_)) => return Err(WriteError::HeaderTotals),
                (None, None) => field.value.clone().unwrap_or_else(|| is(record, field)),
            };
            if text.is_empty() && field.required {
                return Err(misfit(record, field, "it is required and nothing is given"));
            }
            self.sum(kind, index, field, &text);
            texts.push(text);
        }
        match self.plan.shape {
            Shape::Delimited { header, .. } => {
                let mut columns = vec![
                    String::new();
                    if header {
                        self.names.len()
                    } else {
                        record.columns
                    }
                ];
                for (field, text) in record.fields.iter().zip(texts) {
                    let at = match &field.at {
                        At::Column(column) => Some(*column),
                        At::Named(wanted) => self.names.iter().position(|name| name == wanted),
                        At::Span { .. } => None,
                    };
                    if let Some(place) = at.and_then(|at| columns.get_mut(at)) {
                        *place = text;
                    }
                }
                self.line(&columns)
            }
            Shape::Fixed {
                length, newline, ..
            } => {
                let last = record.fields.iter().map(FieldPlan::end).max().unwrap_or(0);
                let mut line = vec![' '; length.unwrap_or(last)];
                if let Some((At::Span { start, .. }, is)) = &record.when {
                    place(&mut line, *start, is);
                }
                for (field, text) in record.fields.iter().zip(texts) {
                    fill(&mut line, record, field, &text)?;
                }
                let mut line: String = line.into_iter().collect();
                if newline {
                    line.push('\n');
                }
                self.encode(&line)
            }
        }
    }

    fn sum(&mut self, kind: usize, index: usize, field: &FieldPlan, text: &str) {
        for (sum, total) in self.sums.iter_mut().zip(&self.plan.totals) {
            if total.what != Totalled::Sum(kind, index) {
                continue;
            }
            let value = match field.typing.read(text) {
                Some(super::Value::Integer(number)) => number.into(),
                Some(super::Value::Decimal(number)) => number,
                _ => continue,
            };
            *sum = sum.saturating_add(value);
        }
    }

    fn total(
        &self,
        total: usize,
        record: &RecordPlan,
        field: &FieldPlan,
    ) -> Result<String, WriteError> {
        let number = match self.plan.totals[total].what {
            Totalled::All => self.records.into(),
            Totalled::Details => self.details.into(),
            Totalled::Records(kind) => self.counts[kind].into(),
            Totalled::Sum(..) => self.sums[total],
        };
        spell(record, field, &number.to_string().into())
    }

    fn line(&mut self, fields: &[String]) -> Result<(), WriteError> {
        let Shape::Delimited {
            delimiter,
            quote,
            backslash,
            quote_all,
            ..
        } = self.plan.shape
        else {
            return Ok(());
        };
        let mut line = String::new();
        for (index, text) in fields.iter().enumerate() {
            if index > 0 {
                line.push(char::from(delimiter));
            }
            let special = |b: u8| b == delimiter || matches!(b, b'\r' | b'\n') || Some(b) == quote;
            // A line of one empty field would be an empty line, which is no record.
            let alone = fields.len() == 1 && text.is_empty();
            let needs = quote_all || alone || text.bytes().any(special);
            match quote {
                Some(quote) if needs => {
                    let quote = char::from(quote);
                    line.push(quote);
                    for c in text.chars() {
                        if c == quote || (backslash && c == '\\') {
                            line.push(if backslash { '\\' } else { quote });
                        }
                        line.push(c);
                    }
                    line.push(quote);
                }
                None if needs && !quote_all => {
                    return Err(WriteError::Field {
                        record: "a record".into(),
                        field: (index + 1).to_string(),
                        why: "it holds a delimiter or a line break, and the layout has no quotes",
                    });
                }
                _ => line.push_str(text),
            }
        }
        line.push('\n');
        self.encode(&line)
    }

    fn encode(&mut self, text: &str) -> Result<(), WriteError> {
        match self.plan.charset {
            Charset::Utf8 => self.output.write_all(text.as_bytes())?,
            Charset::Utf16 => {
                let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
                self.output.write_all(&bytes)?;
            }
            Charset::Single(encoding) => {
                let (bytes, _, unmappable) = encoding.encode(text);
                if unmappable {
                    return Err(WriteError::Field {
                        record: "a record".into(),
                        field: "one".into(),
                        why: "it holds a character that the charset does not have",
                    });
                }
                self.output.write_all(&bytes)?;
            }
        }
        Ok(())
    }
}

fn misfit(record: &RecordPlan, field: &FieldPlan, why: &'static str) -> WriteError {
    WriteError::Field {
        record: record.name.to_string(),
        field: field.name.to_string(),
        why,
    }
}

/// What says the record's type, where this field lies at that place.
fn is(record: &RecordPlan, field: &FieldPlan) -> String {
    match &record.when {
        Some((at, is)) if *at == field.at => is.clone(),
        _ => String::new(),
    }
}

fn plain(value: Option<&Json>) -> Option<String> {
    match value? {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// A value as the field writes it.
fn spell(record: &RecordPlan, field: &FieldPlan, value: &Json) -> Result<String, WriteError> {
    let Some(text) = plain(Some(value)) else {
        return Err(misfit(record, field, "a text or a number is expected"));
    };
    if text.is_empty() || field.typing.kind == Kind::Text {
        return Ok(text);
    }
    match field.typing.kind {
        Kind::Integer => text
            .parse::<i64>()
            .map(|number| number.to_string())
            .map_err(|_| misfit(record, field, "a whole number is expected")),
        Kind::Decimal => Decimal::from_str_exact(&text)
            .ok()
            .and_then(|number| field.typing.show_decimal(number))
            .ok_or_else(|| {
                misfit(
                    record,
                    field,
                    "a decimal is expected, with no more digits than the field has",
                )
            }),
        _ => Date::from_iso(&text)
            .zip(field.typing.picture.as_ref())
            .map(|(date, picture)| picture.write(date))
            .ok_or_else(|| misfit(record, field, "a date such as 2026-11-27 is expected")),
    }
}

fn place(line: &mut [char], start: usize, text: &str) {
    for (slot, c) in line.iter_mut().skip(start).zip(text.chars()) {
        *slot = c;
    }
}

fn fill(
    line: &mut [char],
    record: &RecordPlan,
    field: &FieldPlan,
    text: &str,
) -> Result<(), WriteError> {
    let At::Span { start, length } = field.at else {
        return Ok(());
    };
    let count = text.chars().count();
    if count > length {
        return Err(misfit(record, field, "it is longer than the field"));
    }
    if text.chars().any(|c| matches!(c, '\r' | '\n' | '\0')) {
        return Err(misfit(record, field, "it holds a line break"));
    }
    let left = match field.align {
        Align::Left => 0,
        Align::Right => length - count,
    };
    for slot in line.iter_mut().skip(start).take(length) {
        *slot = field.pad;
    }
    // Zeros go between a sign and its digits.
    match text
        .strip_prefix('-')
        .filter(|_| field.pad == '0' && left > 0)
    {
        Some(digits) => {
            place(line, start, "-");
            place(line, start + left + 1, digits);
        }
        None => place(line, start + left, text),
    }
    Ok(())
}
