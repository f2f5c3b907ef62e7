//! Cutting text into rows and rows into fields.

use super::plan::{Plan, Shape};
use super::problem::What;
use super::window::{More, Window};
use memchr::{memchr, memchr2, memchr3};
use std::io::{self, Read};

/// One row: its text, and where its fields lie in it.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) text: String,
    pub(crate) fields: Vec<(usize, usize)>,
    pub(crate) line: u64,
    pub(crate) offset: u64,
    pub(crate) trouble: Option<What>,
    /// Whether a field may hold line breaks.
    quoted: bool,
}

impl Row {
    pub(crate) fn field(&self, index: usize) -> Option<&str> {
        let &(start, end) = self.fields.get(index)?;
        self.text.get(start..end)
    }
}

pub(crate) enum Step {
    Row,
    End,
    /// The rest of the file cannot be read.
    Broken(What),
}

pub(crate) struct Rows<R> {
    window: Window<R>,
    shape: Shape,
    line: u64,
    offset: u64,
    max: usize,
    begun: bool,
    /// Whether the last row had an end of line.
    pub(crate) closed: bool,
}

/// What was found in view.
enum Found {
    /// A row of so many bytes, of which so many are its end.
    Row {
        length: usize,
        end: usize,
    },
    More,
}

impl<R: Read> Rows<R> {
    pub(crate) fn new(plan: &Plan, input: R) -> Self {
        Self {
            window: Window::new(input, plan.charset, plan.max_record),
            shape: plan.shape,
            line: 1,
            offset: 0,
            max: plan.max_record,
            begun: false,
            closed: true,
        }
    }

    /// The place that is read next.
    pub(crate) const fn place(&self) -> (u64, u64) {
        (self.line, self.offset)
    }

    /// Skips a line whatever is in it.
    pub(crate) fn skip_line(&mut self) -> io::Result<Step> {
        let mut row = Row::default();
        let shape = std::mem::replace(
            &mut self.shape,
            Shape::Fixed {
                length: None,
                newline: true,
                short: true,
            },
        );
        let step = self.read(&mut row);
        self.shape = shape;
        step
    }

    /// Reads the next row. Empty lines are no rows.
    pub(crate) fn next(&mut self, row: &mut Row) -> io::Result<Step> {
        loop {
            match self.read(row)? {
                Step::Row if row.text.is_empty() && row.trouble.is_none() => {}
                step => return Ok(step),
            }
        }
    }

    fn read(&mut self, row: &mut Row) -> io::Result<Step> {
        loop {
            row.fields.clear();
            row.text.clear();
            row.trouble = None;
            row.quoted = false;
            (row.line, row.offset) = (self.line, self.offset);
            let data = self.window.data();
            if data.is_empty() && self.window.ended() {
                return Ok(Step::End);
            }
            let ended = self.window.ended();
            let found = if data.is_empty() {
                Found::More
            } else {
                match self.shape {
                    Shape::Delimited {
                        delimiter,
                        quote,
                        backslash,
                        ..
                    } => delimited(data, ended, (delimiter, quote, backslash), row),
                    Shape::Fixed {
                        newline: false,
                        length: Some(length),
                        ..
                    } => block(data, ended, length, row),
                    Shape::Fixed { .. } => line(data, ended, row),
                }
            };
            match found {
                Found::More => match self.window.more()? {
                    More::Broken(what) => return Ok(Step::Broken(what)),
                    More::Some | More::None => {
                        if !self.begun {
                            self.begun = true;
                            self.offset = self.window.mark;
                        }
                    }
                },
                Found::Row { length, end } => {
                    let data = self.window.data();
                    if length > self.max {
                        return Ok(Step::Broken(What::TooLong));
                    }
                    self.closed =
                        end > 0 || matches!(self.shape, Shape::Fixed { newline: false, .. });
                    self.offset += self.window.bytes_in_file(&data[..length]);
                    self.line += if row.quoted || end == 0 {
                        lines(&data[..length])
                    } else {
                        1
                    };
                    if memchr(0, &data[..length]).is_some() && row.trouble.is_none() {
                        row.trouble = Some(What::Nul);
                    }
                    self.window.consume(length);
                    return Ok(Step::Row);
                }
            }
        }
    }
}

/// Ends of lines: `\n`, `\r\n`, or `\r` alone.
fn lines(raw: &[u8]) -> u64 {
    let feeds = memchr::memchr_iter(b'\n', raw).count();
    let lone = memchr::memchr_iter(b'\r', raw).filter(|&at| raw.get(at + 1) != Some(&b'\n'));
    (feeds + lone.count()) as u64
}

/// Puts a row's raw text in place. Fields of text that is none are not looked at.
fn keep(raw: &[u8], row: &mut Row) -> bool {
    let Ok(text) = std::str::from_utf8(raw) else {
        row.trouble = Some(What::Charset);
        row.fields.clear();
        return false;
    };
    row.text.push_str(text);
    true
}

/// So many bytes at `at` end a line; `None` where more must be seen to know.
fn end_of_line(data: &[u8], at: usize, ended: bool) -> Option<usize> {
    match (data[at], data.get(at + 1)) {
        (b'\r', Some(b'\n')) => Some(2),
        (b'\r', None) if !ended => None,
        _ => Some(1),
    }
}

fn line(data: &[u8], ended: bool, row: &mut Row) -> Found {
    let (length, end) = match memchr2(b'\n', b'\r', data) {
        Some(at) => match end_of_line(data, at, ended) {
            Some(end) => (at, end),
            None => return Found::More,
        },
        None if ended => (data.len(), 0),
        None => return Found::More,
    };
    if keep(&data[..length], row) {
        row.fields.push((0, length));
    }
    Found::Row {
        length: length + end,
        end,
    }
}

/// A record of so many characters, with no end of line.
fn block(data: &[u8], ended: bool, length: usize, row: &mut Row) -> Found {
    let mut starts = data.iter().enumerate().filter(|(_, b)| **b & 0xC0 != 0x80);
    let bytes = match starts.nth(length) {
        Some((at, _)) => at,
        None if ended => data.len(),
        None => return Found::More,
    };
    // A last line break is none of the records.
    if ended && bytes == data.len() && data.iter().all(|b| matches!(b, b'\r' | b'\n')) {
        return Found::Row {
            length: bytes,
            end: 0,
        };
    }
    if keep(&data[..bytes], row) {
        row.fields.push((0, bytes));
    }
    Found::Row {
        length: bytes,
        end: 0,
    }
}

/// A row without a quote: one look for its end and one for its delimiters. `None` where it has one.
fn plain(
    data: &[u8],
    ended: bool,
    delimiter: u8,
    quote: Option<u8>,
    row: &mut Row,
) -> Option<Found> {
    let stop = match quote {
        Some(quote) => memchr3(b'\n', b'\r', quote, data),
        None => memchr2(b'\n', b'\r', data),
    };
    let (length, end) = match stop {
        Some(at) if Some(data[at]) == quote => return None,
        Some(at) => match end_of_line(data, at, ended) {
            Some(end) => (at, end),
            None => return Some(Found::More),
        },
        None if ended => (data.len(), 0),
        None => return Some(Found::More),
    };
    if keep(&data[..length], row) {
        let mut start = 0;
        for at in memchr::memchr_iter(delimiter, &data[..length]) {
            row.fields.push((start, at));
            start = at + 1;
        }
        row.fields.push((start, length));
    }
    Some(Found::Row {
        length: length + end,
        end,
    })
}

/// One row of a delimited file.
fn delimited(
    data: &[u8],
    ended: bool,
    (delimiter, quote, backslash): (u8, Option<u8>, bool),
    row: &mut Row,
) -> Found {
    if let Some(found) = plain(data, ended, delimiter, quote, row) {
        return found;
    }
    let mut at = 0;
    // Fields whose text is not what stands in the file, such as doubled quotes.
    let mut unescaped: Vec<(usize, Vec<u8>)> = Vec::new();
    let finish = |row: &mut Row, length: usize, end: usize, unescaped: Vec<(usize, Vec<u8>)>| {
        if keep(&data[..length], row) {
            for (index, bytes) in unescaped {
                let start = row.text.len();
                if let Ok(text) = std::str::from_utf8(&bytes) {
                    row.text.push_str(text);
                }
                row.fields[index] = (start, row.text.len());
            }
        }
        Found::Row {
            length: length + end,
            end,
        }
    };
    loop {
        let mut start = at;
        let mut text_end = None;
        if let Some(quote) = quote.filter(|quote| data.get(at) == Some(quote)) {
            row.quoted = true;
            start += 1;
            at += 1;
            let mut copy: Option<Vec<u8>> = None;
            let mut copied = at;
            loop {
                let next = if backslash {
                    memchr2(quote, b'\\', &data[at..])
                } else {
                    memchr(quote, &data[at..])
                };
                let Some(next) = next.map(|next| at + next) else {
                    if !ended {
                        return Found::More;
                    }
                    row.trouble = Some(What::OpenQuote);
                    row.fields.push((start, data.len()));
                    return finish(row, data.len(), 0, unescaped);
                };
                let after = data.get(next + 1);
                if after.is_none() && !ended {
                    return Found::More;
                }
                let escape = data[next] == b'\\' || (!backslash && after == Some(&quote));
                if escape && after.is_some() {
                    // What stands behind an escape is text, whatever it is.
                    let copy = copy.get_or_insert_default();
                    copy.extend_from_slice(&data[copied..next]);
                    copy.push(data[next + 1]);
                    at = next + 2;
                    copied = at;
                    continue;
                }
                if escape {
                    at = next + 1;
                    continue;
                }
                text_end = Some(next);
                at = next + 1;
                if let Some(mut copy) = copy {
                    copy.extend_from_slice(&data[copied..next]);
                    unescaped.push((row.fields.len(), copy));
                }
                break;
            }
        }
        let stop = memchr3(delimiter, b'\n', b'\r', &data[at..]).map(|stop| at + stop);
        if text_end.is_some() && stop.unwrap_or(data.len()) != at && (stop.is_some() || ended) {
            row.trouble = Some(What::AfterQuote);
        }
        let Some(stop) = stop else {
            if !ended {
                return Found::More;
            }
            row.fields.push((start, text_end.unwrap_or(data.len())));
            return finish(row, data.len(), 0, unescaped);
        };
        row.fields.push((start, text_end.unwrap_or(stop)));
        if data[stop] == delimiter {
            at = stop + 1;
            if at < data.len() {
                continue;
            }
            if !ended {
                return Found::More;
            }
            row.fields.push((at, at));
            return finish(row, at, 0, unescaped);
        }
        return match end_of_line(data, stop, ended) {
            Some(end) => finish(row, stop, end, unescaped),
            None => Found::More,
        };
    }
}
