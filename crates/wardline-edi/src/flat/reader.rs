//! From rows to records: types, fields, and at the end what the file says about itself.

use super::layout::{Extra, Kind, Role, Totalled};
use super::plan::{At, FieldPlan, Plan, RecordPlan, Shape};
use super::problem::{Problem, What};
use super::rows::{Row, Rows, Step};
use super::value::Value;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;
use serde_json::{Map, Value as Json};
use std::io::{self, Read};
use std::sync::Arc;

/// Reads records one after the other.
///
/// ```
/// use wardline_edi::flat::{Plan, Reader};
/// let plan = Plan::csv();
/// let mut reader = Reader::new(&plan, "item,amount\n\"A \"\"1\"\"\",12.50\n".as_bytes());
/// let record = reader.read()?.ok_or("a record is there")?;
/// assert_eq!((record.line, record.text("item")), (2, Some("A \"1\"")));
/// assert!(reader.read()?.is_none() && reader.end().ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Reader<'p, R> {
    plan: &'p Plan,
    rows: Rows<R>,
    row: Row,
    cells: Vec<Cell>,
    problems: Vec<Problem>,
    /// Where each field of each record type is, once the header line is known.
    places: Vec<Vec<Option<usize>>>,
    whens: Vec<Option<usize>>,
    /// Columns of the header line.
    width: Option<usize>,
    names: Vec<Arc<str>>,
    current: usize,
    begun: bool,
    done: bool,
    end: End,
    counts: Vec<u64>,
    sums: Vec<Option<Decimal>>,
    said: Vec<Option<Decimal>>,
}

/// One field of a record.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    start: usize,
    end: usize,
    /// What it holds.
    pub value: Value,
}

/// A record, as long as the reader is not asked for the next.
#[derive(Debug)]
pub struct Record<'a> {
    /// Its number, from 1; header and trailer count.
    pub number: u64,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// The byte of the file at which it begins.
    pub offset: u64,
    /// What is wrong with it.
    pub problems: &'a [Problem],
    plan: &'a RecordPlan,
    names: &'a [Arc<str>],
    row: &'a Row,
    cells: &'a [Cell],
}

/// How a file ended.
#[derive(Debug, Clone, Default)]
pub struct End {
    /// Records read, header and trailer among them.
    pub records: u64,
    /// Details among them.
    pub details: u64,
    /// Records in which something is wrong.
    pub wrong: u64,
    /// What is wrong with the file as a whole.
    pub problems: Vec<Problem>,
    /// What it says about itself, and what was found.
    pub totals: Vec<TotalSeen>,
}

impl End {
    /// Whether nothing at all is wrong.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.wrong == 0 && self.problems.is_empty()
    }
}

/// A count or an amount: said and found.
#[derive(Debug, Clone)]
pub struct TotalSeen {
    /// The field that says it, such as `trailer.amount`.
    pub name: String,
    /// What it says.
    pub said: Option<Decimal>,
    /// What was found.
    pub found: Decimal,
}

impl<'p, R: Read> Reader<'p, R> {
    /// Reads a file by a layout.
    pub fn new(plan: &'p Plan, input: R) -> Self {
        let mut reader = Self {
            plan,
            rows: Rows::new(plan, input),
            row: Row::default(),
            cells: Vec::new(),
            problems: Vec::new(),
            places: Vec::new(),
            whens: Vec::new(),
            width: None,
            names: Vec::new(),
            current: 0,
            begun: false,
            done: false,
            end: End::default(),
            counts: vec![0; plan.records.len()],
            sums: vec![Some(Decimal::ZERO); plan.totals.len()],
            said: vec![None; plan.totals.len()],
        };
        reader.resolve(&[]);
        reader
    }

    /// The next record; `None` when the file has ended, well or not: see [`Reader::end`].
    ///
    /// # Errors
    /// What the input says; the file itself is never the reason.
    pub fn read(&mut self) -> io::Result<Option<Record<'_>>> {
        if !self.begun {
            self.begun = true;
            self.begin()?;
        }
        if self.done {
            return Ok(None);
        }
        match self.rows.next(&mut self.row)? {
            Step::End => {
                self.finish();
                return Ok(None);
            }
            Step::Broken(what) => {
                let (line, offset) = self.rows.place();
                self.broken(what, line, offset);
                return Ok(None);
            }
            Step::Row => {}
        }
        self.end.records += 1;
        self.problems.clear();
        self.cells.clear();
        self.current = self.take();
        if !self.problems.is_empty() {
            self.end.wrong += 1;
        }
        let plan = &self.plan.records[self.current.min(self.plan.records.len() - 1)];
        Ok(Some(Record {
            number: self.end.records,
            line: self.row.line,
            offset: self.row.offset,
            problems: &self.problems,
            plan,
            names: &self.names,
            row: &self.row,
            cells: &self.cells,
        }))
    }

    /// How the file ended; complete only once [`Reader::read`] has given `None`.
    pub const fn end(&self) -> &End {
        &self.end
    }

    fn begin(&mut self) -> io::Result<()> {
        for _ in 0..self.plan.skip_lines {
            if let Step::Broken(what) = self.rows.skip_line()? {
                self.broken(what, 1, 0);
                return Ok(());
            }
        }
        if !matches!(self.plan.shape, Shape::Delimited { header: true, .. }) {
            return Ok(());
        }
        let (line, offset) = self.rows.place();
        match self.rows.next(&mut self.row)? {
            Step::Row => {}
            Step::End => {
                self.trouble(
                    What::Header,
                    line,
                    offset,
                    "the line of column names is missing",
                );
                self.done = true;
                return Ok(());
            }
            Step::Broken(what) => {
                self.broken(what, line, offset);
                return Ok(());
            }
        }
        if let Some(what) = self.row.trouble {
            self.broken(what, self.row.line, self.row.offset);
            return Ok(());
        }
        let names: Vec<Arc<str>> = (0..self.row.fields.len())
            .map(|index| self.row.field(index).unwrap_or_default().trim().into())
            .collect();
        self.width = Some(names.len());
        self.header(&names);
        self.names = names;
        Ok(())
    }

    /// Finds the declared columns in the header line.
    fn header(&mut self, names: &[Arc<str>]) {
        let (line, offset) = (self.row.line, self.row.offset);
        let mut known = vec![self.plan.open; names.len()];
        let mut missing = Vec::new();
        for field in self.plan.records.iter().flat_map(|record| &record.fields) {
            match &field.at {
                At::Named(wanted) => {
                    let mut found = (0..names.len()).filter(|&one| *names[one] == **wanted);
                    match (found.next(), found.next()) {
                        (None, _) => missing.push(wanted.clone()),
                        (Some(one), None) => known[one] = true,
                        (Some(_), Some(_)) => {
                            let text = format!("column `{wanted}` is there twice");
                            self.trouble(What::Header, line, offset, text);
                        }
                    }
                }
                At::Column(column) => {
                    if let Some(known) = known.get_mut(*column) {
                        *known = true;
                    }
                }
                At::Span { .. } => {}
            }
        }
        for name in missing {
            let text = format!("there is no column `{name}`");
            self.trouble(What::Header, line, offset, text);
        }
        if self.plan.open {
            let mut sorted: Vec<_> = names.iter().collect();
            sorted.sort_unstable();
            if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
                self.trouble(What::Header, line, offset, "two columns have the same name");
            }
        } else if self.plan.extra == Extra::Refuse {
            let extra = known.iter().filter(|known| !**known).count();
            if extra > 0 {
                let text = format!(
                    "{extra} columns are not declared; say `extra: ignore` to leave them out"
                );
                self.trouble(What::Header, line, offset, text);
            }
        }
        self.resolve(names);
    }

    fn resolve(&mut self, names: &[Arc<str>]) {
        let place = |at: &At| match at {
            At::Column(column) => Some(*column),
            At::Named(wanted) => names.iter().position(|name| **name == **wanted),
            At::Span { .. } => None,
        };
        let records = &self.plan.records;
        self.places = records
            .iter()
            .map(|record| record.fields.iter().map(|field| place(&field.at)).collect())
            .collect();
        self.whens = records
            .iter()
            .map(|record| record.when.as_ref().and_then(|(at, _)| place(at)))
            .collect();
    }

    fn trouble(&mut self, what: What, line: u64, offset: u64, text: impl Into<String>) {
        self.end.problems.push(Problem {
            what,
            line,
            offset,
            field: None,
            text: text.into(),
        });
    }

    fn broken(&mut self, what: What, line: u64, offset: u64) {
        self.trouble(what, line, offset, words(what));
        self.done = true;
    }

    fn problem(&mut self, what: What, field: Option<&FieldPlan>, text: impl Into<String>) {
        self.problems.push(Problem {
            what,
            line: self.row.line,
            offset: self.row.offset,
            field: field.map(|field| field.name.to_string()),
            text: text.into(),
        });
    }

    /// Which type the row is of.
    fn kind(&self) -> Option<usize> {
        let records = &self.plan.records;
        let by_content = records.iter().enumerate().find(|(index, record)| {
            let Some((at, is)) = &record.when else {
                return false;
            };
            match at {
                At::Span { start, length } => {
                    cut(&self.row.text, *start, *length).is_some_and(|(text, _)| text == is)
                }
                _ => self.whens[*index]
                    .and_then(|column| self.row.field(column))
                    .is_some_and(|text| text == is),
            }
        });
        by_content
            .map(|(index, _)| index)
            .or_else(|| records.iter().position(|record| record.when.is_none()))
    }

    /// Reads the row's fields; gives its type.
    fn take(&mut self) -> usize {
        if let Some(what) = self.row.trouble {
            self.problem(what, None, words(what));
            if what == What::Charset {
                return 0;
            }
        }
        let Some(kind) = self.kind() else {
            self.problem(What::UnknownRecord, None, words(What::UnknownRecord));
            return 0;
        };
        let plan = self.plan;
        let record = &plan.records[kind];
        self.order(record.role);
        self.counts[kind] += 1;
        if record.role == Role::Detail {
            self.end.details += 1;
        }
        if plan.open {
            if self.width != Some(self.row.fields.len()) {
                self.problem(
                    What::Columns,
                    None,
                    "it has not as many columns as there are names",
                );
            }
            for &(start, end) in &self.row.fields {
                let value = if start == end {
                    Value::Absent
                } else {
                    Value::Text
                };
                self.cells.push(Cell { start, end, value });
            }
            return kind;
        }
        self.width_of(record);
        for (index, field) in record.fields.iter().enumerate() {
            let place = match field.at {
                At::Span { start, length } => {
                    cut(&self.row.text, start, length).map(|(_, place)| place)
                }
                _ => {
                    self.places[kind][index].and_then(|column| self.row.fields.get(column).copied())
                }
            };
            let (mut start, mut end) = place.unwrap_or_default();
            let mut text = self.row.text.get(start..end).unwrap_or_default();
            if field.typing.trim {
                let trimmed = text.trim_start();
                start += text.len() - trimmed.len();
                text = trimmed.trim_end();
                end = start + text.len();
            }
            let value = field.typing.read(text);
            match value {
                Some(Value::Absent) if field.required => {
                    self.problem(
                        What::Required,
                        Some(field),
                        format!("`{}` is empty", field.name),
                    );
                }
                None => {
                    let expected = field.typing.expected();
                    self.problem(
                        What::Type,
                        Some(field),
                        format!("`{}` is not {expected}", field.name),
                    );
                }
                _ => {}
            }
            let value = value.unwrap_or(Value::Text);
            self.cells.push(Cell { start, end, value });
        }
        self.tot(kind);
        kind
    }

    fn order(&mut self, role: Role) {
        let first = self.end.records == 1;
        let header = self.plan.of_role(Role::Header);
        if role == Role::Header && !first {
            self.problem(What::Order, None, "a header stands first, and only once");
        } else if role != Role::Header && first && header.is_some() {
            self.problem(What::Order, None, "the header is missing");
        }
        if let Some(trailer) = self.plan.of_role(Role::Trailer)
            && self.counts[trailer] > 0
        {
            self.problem(What::Order, None, "something stands behind the trailer");
        }
    }

    fn width_of(&mut self, record: &RecordPlan) {
        let lenient = self.plan.extra == Extra::Ignore;
        match self.plan.shape {
            Shape::Delimited { .. } => {
                let wanted = self.width.unwrap_or(record.columns);
                let found = self.row.fields.len();
                if found < wanted || (found > wanted && !(lenient && self.width.is_none())) {
                    let text = format!("it has {found} columns instead of {wanted}");
                    self.problem(What::Columns, None, text);
                }
            }
            Shape::Fixed { length, short, .. } => {
                let text = &self.row.text;
                let found = if text.is_ascii() {
                    text.len()
                } else {
                    text.chars().count()
                };
                let last = record.fields.iter().map(FieldPlan::end).max().unwrap_or(0);
                let wanted = length.unwrap_or(last);
                let behind = cut(text, wanted, usize::MAX).map_or("", |(text, _)| text);
                if found < wanted && !short {
                    let text = format!("it has {found} characters instead of {wanted}");
                    self.problem(What::Columns, None, text);
                } else if !behind.trim().is_empty() && (length.is_some() || !lenient) {
                    let text = format!("something stands behind character {wanted}");
                    self.problem(What::Columns, None, text);
                }
            }
        }
    }

    /// Adds the record to the totals, or keeps what it says about them.
    fn tot(&mut self, kind: usize) {
        for (index, total) in self.plan.totals.iter().enumerate() {
            if total.record == kind {
                self.said[index] = self.cells.get(total.field).and_then(number);
            }
            if let Totalled::Sum(record, field) = total.what
                && record == kind
                && let Some(value) = self.cells.get(field).and_then(number)
            {
                self.sums[index] = self.sums[index].and_then(|sum| sum.checked_add(value));
            }
        }
    }

    fn finish(&mut self) {
        self.done = true;
        let (line, offset) = self.rows.place();
        if self.plan.final_newline && !self.rows.closed {
            self.trouble(
                What::NoFinalNewline,
                line,
                offset,
                words(What::NoFinalNewline),
            );
        }
        for (role, name) in [(Role::Header, "header"), (Role::Trailer, "trailer")] {
            if let Some(kind) = self.plan.of_role(role)
                && self.counts[kind] == 0
                && (role == Role::Trailer || self.end.records == 0)
            {
                let text = format!("the {name} is missing: the file may be cut");
                self.trouble(What::Order, line, offset, text);
            }
        }
        for (index, total) in self.plan.totals.iter().enumerate() {
            let record = &self.plan.records[total.record];
            let name = format!("{}.{}", record.name, record.fields[total.field].name);
            let found = match total.what {
                Totalled::All => Some(self.end.records.into()),
                Totalled::Details => Some(self.end.details.into()),
                Totalled::Records(kind) => Some(self.counts[kind].into()),
                Totalled::Sum(..) => self.sums[index],
            };
            let said = self.said[index];
            let there = self.counts[total.record] > 0;
            let text = match (said, found) {
                (Some(said), Some(found)) if said == found => None,
                (Some(said), Some(found)) => Some(format!(
                    "`{name}` says {said}, but the records give {found}"
                )),
                (Some(_), None) => Some(format!("what `{name}` totals is too large to add up")),
                (None, _) if there => Some(format!("`{name}` says no total")),
                // That its record is missing was told.
                (None, _) => None,
            };
            if let Some(text) = text {
                self.trouble(What::Total, line, offset, text);
            }
            self.end.totals.push(TotalSeen {
                name,
                said,
                found: found.unwrap_or_default(),
            });
        }
    }
}

fn number(cell: &Cell) -> Option<Decimal> {
    match cell.value {
        Value::Integer(number) => Some(number.into()),
        Value::Decimal(number) => Some(number),
        _ => None,
    }
}

/// Characters from `start` on, and where they lie; `None` where the text ends before.
fn cut(text: &str, start: usize, length: usize) -> Option<(&str, (usize, usize))> {
    let (from, to) = if text.is_ascii() {
        (start, start.saturating_add(length).min(text.len()))
    } else {
        let byte = |nth: usize| text.char_indices().nth(nth).map(|(at, _)| at);
        let from = byte(start)?;
        (
            from,
            byte(start.saturating_add(length)).unwrap_or(text.len()),
        )
    };
    text.get(from..to)
        .filter(|cut| !cut.is_empty())
        .map(|cut| (cut, (from, to)))
}

const fn words(what: What) -> &'static str {
    match what {
        What::Charset => "the bytes are not text of the declared charset",
        What::Compressed => "the file is packed; unpack it before it is put here",
        What::Nul => "a NUL stands in the text",
        What::OpenQuote => "a quote is never closed: the file may be cut",
        What::AfterQuote => "something stands between a closing quote and the delimiter",
        What::TooLong => "the record is longer than the layout allows (`max_record`)",
        What::NoFinalNewline => "the last line has no end: the file may be cut",
        What::UnknownRecord => "the record is of no declared type",
        _ => "the record is wrong",
    }
}

impl Record<'_> {
    /// The name of its type.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// What it is for.
    pub const fn role(&self) -> Role {
        self.plan.role
    }

    /// The names of its fields, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let open = self.plan.fields.is_empty();
        let (own, header): (&[FieldPlan], &[Arc<str>]) = if open {
            (&[], self.names)
        } else {
            (&self.plan.fields, &[])
        };
        own.iter()
            .map(|field| &*field.name)
            .chain(header.iter().map(|name| &**name))
    }

    /// Its fields, in order.
    pub const fn cells(&self) -> &[Cell] {
        self.cells
    }

    /// The text of a field, as it stands in the file without quotes.
    pub fn text(&self, name: &str) -> Option<&str> {
        let index = self.names().position(|known| known == name)?;
        self.text_of(self.cells.get(index)?)
    }

    fn text_of(&self, cell: &Cell) -> Option<&str> {
        self.row.text.get(cell.start..cell.end)
    }

    /// Its fields as JSON: decimals as texts, since they are exact; dates by ISO 8601; empty ones
    /// as null, but empty texts as what they are.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Json> {
        let kinds = self.plan.fields.iter().map(|field| field.typing.kind);
        let kinds = kinds.chain(std::iter::repeat(Kind::Text));
        self.names()
            .zip(self.cells)
            .zip(kinds)
            .map(|((name, cell), kind)| {
                let text = || self.text_of(cell).unwrap_or_default().into();
                let value = match cell.value {
                    Value::Absent if kind == Kind::Text => text(),
                    Value::Absent => Json::Null,
                    Value::Text => text(),
                    Value::Integer(number) => number.into(),
                    Value::Decimal(number) => number.to_string().into(),
                    Value::Date(date) => date.to_string().into(),
                };
                (name.to_owned(), value)
            })
            .collect()
    }
}

impl TotalSeen {
    /// What was found, as JSON: whole numbers as numbers, others as exact texts.
    #[must_use]
    pub fn to_json(&self) -> Json {
        match self.found.to_u64().filter(|_| self.found.scale() == 0) {
            Some(whole) => whole.into(),
            None => self.found.to_string().into(),
        }
    }
}
