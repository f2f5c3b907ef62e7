//! What servers say of directories, files and ports.

use std::time::{Duration, SystemTime};

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::files::time_of;

/// One line of a directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) name: String,
    /// Whether it is a plain file, where that is known.
    pub(super) plain: bool,
    pub(super) size: Option<u64>,
    pub(super) modified: Option<SystemTime>,
}

/// A line of `MLSD`: `type=file;size=12;modify=20260102030405; name` (RFC 3659, 7.2).
pub(super) fn machine(line: &str) -> Option<Line> {
    let (facts, name) = line.split_once(' ')?;
    let mut out = Line {
        name: name.to_owned(),
        plain: false,
        size: None,
        modified: None,
    };
    for fact in facts.split(';') {
        let Some((key, value)) = fact.split_once('=') else {
            continue;
        };
        match key.to_ascii_lowercase().as_str() {
            "type" => out.plain = value.eq_ignore_ascii_case("file"),
            "size" => out.size = value.parse().ok(),
            "modify" => out.modified = time(value),
            _ => {}
        }
    }
    Some(out)
}

/// A line of `LIST`, as Unix or Windows write it. Their times have no year or no seconds, and are left out.
pub(super) fn for_people(line: &str) -> Option<Line> {
    if line.starts_with(|c: char| c.is_ascii_digit()) {
        return windows(line);
    }
    let plain = line.starts_with('-');
    // Rights, links, owner, group, size, month, day, time or year, and the rest is the name.
    let (mut rest, mut size) = (line, None);
    for field in 0..8 {
        let (word, after) = rest.split_once(' ')?;
        if field == 4 {
            size = Some(word.parse().ok()?);
        }
        rest = if field == 7 {
            // The name may begin with a space of its own.
            after
        } else {
            after.trim_start_matches(' ')
        };
    }
    Some(Line {
        name: rest.to_owned(),
        plain,
        size,
        modified: None,
    })
}

/// `01-02-26  03:04PM       12 name`.
fn windows(line: &str) -> Option<Line> {
    let (_, rest) = line.split_once(' ')?;
    let (_, rest) = rest.trim_start().split_once(' ')?;
    let (size, name) = rest.trim_start().split_once(' ')?;
    Some(Line {
        name: name.trim_start().to_owned(),
        plain: size != "<DIR>",
        size: size.parse().ok(),
        modified: None,
    })
}

/// `20260102030405`, with parts of a second or not; in UTC (RFC 3659, 2.3).
pub(super) fn time(text: &str) -> Option<SystemTime> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole.len() != 14 || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| whole[from..to].parse::<i16>().ok();
    let small = |from: usize| number(from, from + 2).and_then(|n| i8::try_from(n).ok());
    let at = DateTime::new(
        number(0, 4)?,
        small(4)?,
        small(6)?,
        small(8)?,
        small(10)?,
        small(12)?.min(59),
        0,
    )
    .ok()?;
    let at = time_of(TimeZone::UTC.to_timestamp(at).ok()?);
    let millis = part.get(..3).and_then(|text| text.parse().ok());
    Some(at + Duration::from_millis(millis.unwrap_or_default()))
}

/// `"/a ""b"""` of a reply to `PWD` (RFC 959, appendix II).
pub(super) fn quoted(text: &str) -> Option<String> {
    let rest = &text[text.find('"')? + 1..];
    let (mut out, mut chars) = (String::new(), rest.chars().peekable());
    while let Some(c) = chars.next() {
        // Two of them stand for one in the path.
        if c == '"' && chars.next_if_eq(&'"').is_none() {
            return Some(out).filter(|path| !path.chars().any(char::is_control));
        }
        out.push(c);
    }
    None
}

/// The port of `… (|||6446|)` (RFC 2428, 3).
pub(super) fn epsv(text: &str) -> Option<u16> {
    let inside = &text[text.find('(')? + 1..];
    let inside = &inside[..inside.find(')')?];
    let mark = inside.chars().next()?;
    let mut parts = inside.split(mark);
    let (_, net, address, port) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (net.is_empty() && address.is_empty())
        .then(|| port.parse().ok())
        .flatten()
        .filter(|port| *port > 0)
}

/// The port of `… (10,0,0,1,25,46)`; some servers leave the brackets out (RFC 959).
pub(super) fn pasv(text: &str) -> Option<u16> {
    let from = text.find(|c: char| c.is_ascii_digit())?;
    let numbers = text[from..].trim_end_matches(|c: char| !c.is_ascii_digit());
    let mut numbers = numbers.split(',').map(|text| text.trim().parse::<u8>());
    for _ in 0..4 {
        numbers.next()?.ok()?;
    }
    let port = u16::from_be_bytes([numbers.next()?.ok()?, numbers.next()?.ok()?]);
    Some(port).filter(|port| *port > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_directories() {
        let line = machine("type=file;size=12;modify=20260102030405.250; a b.csv").unwrap();
        assert_eq!(
            (line.name.as_str(), line.plain, line.size),
            ("a b.csv", true, Some(12))
        );
        let at = line.modified.unwrap();
        let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(since, Duration::from_millis(1_767_323_045_250));
        assert!(!machine("Type=dir;Modify=20260102030405; in").unwrap().plain);
        assert!(!machine("type=OS.unix=symlink;; l").unwrap().plain);

        let unix = for_people("-rw-r--r--    1 1000     1000      123456 Nov 28 11:25 a  b.csv");
        assert_eq!(
            unix,
            Some(Line {
                name: "a  b.csv".into(),
                plain: true,
                size: Some(123_456),
                modified: None
            })
        );
        assert!(
            !for_people("drwxr-xr-x 2 0 0 4096 Jan 01  2025 in")
                .unwrap()
                .plain
        );
        assert!(
            !for_people("lrwxrwxrwx 1 0 0 4 Jan 01  2025 l -> /etc")
                .unwrap()
                .plain
        );
        let windows = for_people("01-02-26  03:04PM                 12 a b.csv").unwrap();
        assert_eq!(
            (windows.name.as_str(), windows.plain, windows.size),
            ("a b.csv", true, Some(12))
        );
        assert!(
            !for_people("01-02-26  03:04PM       <DIR>          in")
                .unwrap()
                .plain
        );
        for hostile in [
            "",
            "total 12",
            "-rw-r--r-- 1 a b c Nov 28 11:25 x",
            "-",
            "0",
            "type=file;",
        ] {
            assert!(
                for_people(hostile).is_none_or(|line| !line.plain),
                "{hostile}"
            );
        }
    }

    #[test]
    fn ports_and_homes() {
        assert_eq!(
            epsv("Entering Extended Passive Mode (|||6446|)"),
            Some(6446)
        );
        assert_eq!(epsv("(|1|10.0.0.1|6446|)"), None);
        assert_eq!(epsv("(|||99999|)"), None);
        assert_eq!(epsv("no"), None);
        assert_eq!(
            pasv("Entering Passive Mode (10,0,0,1,25,46)."),
            Some(25 * 256 + 46)
        );
        assert_eq!(pasv("=10,0,0,1,25,46"), Some(25 * 256 + 46));
        assert_eq!(pasv("(10,0,0,1,0,0)"), None);
        assert_eq!(pasv("(10,0,0,1,256,1)"), None);
        assert_eq!(quoted("\"/a \"\"b\"\"\" is it"), Some("/a \"b\"".into()));
        assert_eq!(quoted("\"/"), None);
        assert_eq!(time("20261301000000"), None);
        assert_eq!(time("２０２６0102030405"), None);
    }
}
