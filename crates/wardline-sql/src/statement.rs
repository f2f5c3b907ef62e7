//! One statement, and where its parameters stand.

use crate::Dialect;

/// The longest statement, in bytes.
const LONGEST: usize = 64 << 10;
/// The most parameters.
const MOST: usize = 500;

/// One statement with named parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    dialect: Dialect,
    /// Texts around the parameters: one more than there are places.
    texts: Vec<String>,
    /// For each place which parameter it takes.
    places: Vec<usize>,
    parameters: Vec<String>,
    verb: String,
}

/// Why a text is no statement that can be used. It quotes nothing but the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct BadStatement {
    /// Where, in bytes.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
}

/// A statement as its database takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholders {
    /// The text with placeholders.
    pub text: String,
    /// For each value that is sent, in order, which of [`Statement::parameters`] it is.
    pub order: Vec<usize>,
}

impl Statement {
    /// Reads one statement. Parameters are `:name` or `:name.within`.
    ///
    /// # Errors
    /// [`BadStatement`] where it is empty, more than one, not ended, or holds placeholders of the
    /// database's own kind.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, BadStatement> {
        if text.len() > LONGEST {
            return Err(bad(LONGEST, "a statement has at most 64 KiB"));
        }
        Scan {
            text,
            bytes: text.as_bytes(),
            at: 0,
            dialect,
        }
        .statement()
    }

    /// The names of its parameters, each once, in the order of their first use.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// Its first word in lower case: `select`, `insert`, `call`.
    pub fn verb(&self) -> &str {
        &self.verb
    }

    /// Whether it asks and changes nothing by itself. (A function that it calls may.)
    pub fn only_reads(&self) -> bool {
        matches!(self.verb.as_str(), "select" | "values" | "table" | "show")
    }

    /// How its database reads it.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// The text that is sent.
    pub fn placeholders(&self) -> Placeholders {
        let mut text = self.texts[0].clone();
        for (place, after) in self.places.iter().zip(&self.texts[1..]) {
            match self.dialect {
                Dialect::Postgres => text.push_str(&format!("${}", place + 1)),
                Dialect::Mysql => text.push('?'),
                Dialect::Sqlite => text.push_str(&format!("?{}", place + 1)),
            }
            text.push_str(after);
        }
        let order = match self.dialect {
            Dialect::Mysql => self.places.clone(),
            Dialect::Postgres | Dialect::Sqlite => (0..self.parameters.len()).collect(),
        };
        Placeholders { text, order }
    }
}

fn bad(at: usize, what: impl Into<String>) -> BadStatement {
    BadStatement {
        at,
        what: what.into(),
    }
}

struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    dialect: Dialect,
}

impl Scan<'_> {
    fn statement(mut self) -> Result<Statement, BadStatement> {
        let (mut texts, mut places) = (Vec::new(), Vec::new());
        let mut parameters: Vec<String> = Vec::new();
        let (mut from, mut verb, mut ended) = (0, String::new(), None);
        while let Some(&byte) = self.bytes.get(self.at) {
            if byte.is_ascii_whitespace() || self.comment()? {
                if byte.is_ascii_whitespace() {
                    self.at += 1;
                }
                continue;
            }
            if let Some(end) = ended {
                return Err(bad(
                    end,
                    "one statement each: several are written as a list, and run in one transaction",
                ));
            }
            if byte == b';' {
                ended = Some(self.at);
                self.at += 1;
                continue;
            }
            if self.literal()? {
                continue;
            }
            if byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80 {
                let word = self.word();
                if verb.is_empty() {
                    verb = word.to_ascii_lowercase();
                }
                continue;
            }
            if byte.is_ascii_digit() {
                self.word();
                continue;
            }
            if byte == b':' {
                if let Some(name) = self.parameter()? {
                    let before = self.at - name.len() - 1;
                    texts.push(self.text[from..before].to_owned());
                    from = self.at;
                    let known = parameters.iter().position(|known| *known == name);
                    let place = known.unwrap_or(parameters.len());
                    if known.is_none() {
                        parameters.push(name);
                    }
                    places.push(place);
                    if places.len() > MOST {
                        return Err(bad(before, format!("more than {MOST} parameters")));
                    }
                }
                continue;
            }
            self.foreign(byte)?;
            self.at += 1;
        }
        if verb.is_empty() {
            return Err(bad(0, "there is no statement"));
        }
        texts.push(self.text[from..ended.unwrap_or(self.text.len())].to_owned());
        Ok(Statement {
            dialect: self.dialect,
            texts,
            places,
            parameters,
            verb,
        })
    }

    /// A `:` and what follows: a parameter, or something of the database's own.
    fn parameter(&mut self) -> Result<Option<String>, BadStatement> {
        let colon = self.at;
        self.at += 1;
        let next = self.bytes.get(self.at).copied().unwrap_or(b' ');
        // `value::type`, `variable := value`.
        if next == b':' || next == b'=' {
            self.at += 1;
            return Ok(None);
        }
        if !(next.is_ascii_alphabetic() || next == b'_') {
            return Ok(None);
        }
        // `array[1:n]` of PostgreSQL.
        let before = colon.checked_sub(1).and_then(|at| self.bytes.get(at));
        if before.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            return Err(bad(
                colon,
                "this may be a parameter or a part of what stands before it: put a blank before the `:` of a parameter, or behind that of a slice",
            ));
        }
        let begin = self.at;
        loop {
            while self
                .bytes
                .get(self.at)
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            {
                self.at += 1;
            }
            let more = self.bytes.get(self.at) == Some(&b'.')
                && self
                    .bytes
                    .get(self.at + 1)
                    .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
            if !more {
                break;
            }
            self.at += 1;
        }
        let name = &self.text[begin..self.at];
        if name.len() > 128 {
            return Err(bad(
                colon,
                "the name of a parameter has at most 128 characters",
            ));
        }
        Ok(Some(name.to_owned()))
    }

    /// Placeholders of the database's own: nothing would be bound to them.
    fn foreign(&self, byte: u8) -> Result<(), BadStatement> {
        let digit = self.bytes.get(self.at + 1).is_some_and(u8::is_ascii_digit);
        let named = self
            .bytes
            .get(self.at + 1)
            .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
        let refused = match self.dialect {
            Dialect::Postgres => byte == b'$' && digit,
            Dialect::Mysql => byte == b'?',
            Dialect::Sqlite => byte == b'?' || (matches!(byte, b'$' | b'@') && (named || digit)),
        };
        if refused {
            return Err(bad(self.at, "parameters are named: write `:name`"));
        }
        Ok(())
    }

    fn word(&mut self) -> &str {
        let begin = self.at;
        while self.bytes.get(self.at).is_some_and(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$') || *byte >= 0x80
        }) {
            self.at += 1;
        }
        &self.text[begin..self.at]
    }

    fn comment(&mut self) -> Result<bool, BadStatement> {
        let rest = &self.bytes[self.at..];
        let line = match self.dialect {
            // MySQL wants a blank behind: `5--1` is six.
            Dialect::Mysql => {
                rest.starts_with(b"#")
                    || (rest.starts_with(b"--") && rest.get(2).is_none_or(u8::is_ascii_whitespace))
            }
            Dialect::Postgres | Dialect::Sqlite => rest.starts_with(b"--"),
        };
        if line {
            let end = rest.iter().position(|byte| *byte == b'\n');
            self.at += end.unwrap_or(rest.len());
            return Ok(true);
        }
        if !rest.starts_with(b"/*") {
            return Ok(false);
        }
        if self.dialect == Dialect::Mysql && matches!(rest.get(2), Some(b'!' | b'M')) {
            return Err(bad(self.at, "MySQL runs what stands in this comment"));
        }
        let (begin, mut depth) = (self.at, 0_u32);
        loop {
            let rest = &self.bytes[self.at..];
            if rest.starts_with(b"/*") && (depth == 0 || self.dialect == Dialect::Postgres) {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with(b"*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(true);
                }
            } else if rest.is_empty() {
                return Err(bad(begin, "the comment does not end"));
            } else {
                self.at += 1;
            }
        }
    }

    /// A quoted text or name.
    fn literal(&mut self) -> Result<bool, BadStatement> {
        let byte = self.bytes[self.at];
        match byte {
            b'\'' => {
                let escapes = self.dialect == Dialect::Mysql || self.escaping();
                self.quoted(b'\'', escapes)
            }
            b'"' => self.quoted(b'"', self.dialect == Dialect::Mysql),
            b'`' if self.dialect != Dialect::Postgres => self.quoted(b'`', false),
            b'[' if self.dialect == Dialect::Sqlite => self.quoted(b']', false),
            b'$' if self.dialect == Dialect::Postgres => self.dollars(),
            _ => Ok(false),
        }
    }

    /// `E'…'` of PostgreSQL.
    fn escaping(&self) -> bool {
        let before = |back: usize| self.at.checked_sub(back).map(|at| self.bytes[at]);
        self.dialect == Dialect::Postgres
            && matches!(before(1), Some(b'e' | b'E'))
            && !before(2).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }

    fn quoted(&mut self, close: u8, escapes: bool) -> Result<bool, BadStatement> {
        let begin = self.at;
        self.at += 1;
        while let Some(&byte) = self.bytes.get(self.at) {
            self.at += 1;
            if byte == b'\\' && escapes {
                self.at += 1;
            } else if byte == close {
                // Doubled, it stands for itself.
                if self.bytes.get(self.at) != Some(&close) || close == b']' {
                    return Ok(true);
                }
                self.at += 1;
            }
        }
        Err(bad(begin, "the quoted text does not end"))
    }

    /// `$tag$…$tag$` of PostgreSQL.
    fn dollars(&mut self) -> Result<bool, BadStatement> {
        let rest = &self.bytes[self.at..];
        let tag = rest[1..].iter().position(|byte| *byte == b'$');
        let Some(tag) = tag.map(|end| &rest[..end + 2]) else {
            return Ok(false);
        };
        let inner = &tag[1..tag.len() - 1];
        let name = inner
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        if !name || inner.first().is_some_and(u8::is_ascii_digit) {
            return Ok(false);
        }
        let begin = self.at;
        let tail = &self.bytes[begin + tag.len()..];
        match tail.windows(tag.len()).position(|window| window == tag) {
            Some(end) => {
                self.at = begin + tag.len() * 2 + end;
                Ok(true)
            }
            None => Err(bad(begin, "the quoted text does not end")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dialect::{Mysql, Postgres, Sqlite};

    fn sent(text: &str, dialect: Dialect) -> (String, Vec<String>) {
        let read = Statement::parse(text, dialect).unwrap();
        let made = read.placeholders();
        let order = made.order.iter();
        let names = order.map(|at| read.parameters()[*at].clone()).collect();
        (made.text, names)
    }

    #[test]
    fn parameters_become_placeholders() {
        let text = "insert into t (a, b) values (:a, :b.c) on conflict (a) do update set b = :b.c;";
        assert_eq!(
            sent(text, Postgres),
            (
                "insert into t (a, b) values ($1, $2) on conflict (a) do update set b = $2".into(),
                vec!["a".into(), "b.c".into()]
            )
        );
        assert_eq!(
            sent("update t set a=:a where b=:b or c=:a", Mysql),
            (
                "update t set a=? where b=? or c=?".into(),
                vec!["a".into(), "b".into(), "a".into()]
            )
        );
        assert_eq!(
            sent("select :x, :y, :x", Sqlite),
            ("select ?1, ?2, ?1".into(), vec!["x".into(), "y".into()])
        );
    }

    #[test]
    fn what_only_looks_like_one_is_left_alone() {
        for (text, dialect) in [
            ("select '':x'' , ':x', \":x\"", Postgres),
            ("select E'\\':x'", Postgres),
            ("select $a$ ':x' $a$, $$:x$$", Postgres),
            (
                "select a::text, a[1: 2] /* :x /* :y */ :z */ -- :x",
                Postgres,
            ),
            ("select ':x\\':x', `:x` # :x", Mysql),
            ("set @a := 1 -- :x", Mysql),
            ("select [:x], `:x`, ':x\\'", Sqlite),
        ] {
            // The first reads `''` twice, and a name between.
            if text.contains("'':x''") {
                assert_eq!(sent(text, dialect).1, ["x"], "{text}");
                continue;
            }
            assert_eq!(sent(text, dialect), (text.to_owned(), vec![]), "{text}");
        }
        // MySQL: `5--1` holds no comment, so the parameter behind it is one.
        assert_eq!(sent("select 5--1, :x", Mysql).1, ["x"]);
        assert_eq!(sent("select 5--1, :x", Sqlite).1, Vec::<String>::new());
    }

    #[test]
    fn what_cannot_be_told_apart_is_refused() {
        for (text, dialect, at) in [
            ("", Postgres, 0),
            (" -- nothing\n", Postgres, 0),
            ("delete from t; delete from u", Postgres, 13),
            ("select 'a", Postgres, 7),
            ("select /* a", Sqlite, 7),
            ("select $1", Postgres, 7),
            ("select ?", Mysql, 7),
            ("select ?1", Sqlite, 7),
            ("select @x", Sqlite, 7),
            ("select a[1:n]", Postgres, 10),
            ("select /*! 1 */ 2", Mysql, 7),
            ("select $a$ :x", Postgres, 7),
        ] {
            let error = Statement::parse(text, dialect).unwrap_err();
            assert_eq!(error.at, at, "{text}: {error}");
        }
    }

    #[test]
    fn the_verb_is_found_behind_comments() {
        let read = Statement::parse("/* why */ SELECT 1", Postgres).unwrap();
        assert_eq!(read.verb(), "select");
        assert!(read.only_reads());
        assert!(
            !Statement::parse(
                "with a as (delete from t returning *) select * from a",
                Postgres
            )
            .unwrap()
            .only_reads()
        );
    }

    #[test]
    fn nothing_makes_it_panic() {
        let odd = [
            "'", "\"", "$", "$$", ":", "::", "/*", "--", "\\", "é", ";", "E'", "[", "`", ":é",
            "$a", "*/",
        ];
        for dialect in [Postgres, Mysql, Sqlite] {
            for a in odd {
                for b in odd {
                    for c in odd {
                        let _ = Statement::parse(&format!("x{a}{b}{c}"), dialect);
                        let _ = Statement::parse(&format!("{a} {b}{c}y"), dialect);
                    }
                }
            }
        }
    }
}
