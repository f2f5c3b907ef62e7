//! Values that are written as text but mean something: durations, sizes, rates, addresses, URLs,
//! schedules, names. Each reader says in plain words what is wrong; the caller adds the place.

use crate::model::{Charset, Goal, Limit, Network, Quota, Share};
use crate::suggest::clip;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use wardline_core::Timestamp;

const UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 7 * 86_400_000),
    ("y", 365 * 86_400_000),
];

/// Reads `500ms`, `30s`, `1h30m`, `7y`. At most a thousand years.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    const MOST: u64 = 1_000 * 365 * 86_400_000;
    let mut rest = text;
    let mut total = 0_u64;
    let mut last = u64::MAX;
    while !rest.is_empty() {
        let (number, after) =
            leading_digits(rest).ok_or("expected a number and a unit, such as `30s`")?;
        let letters = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        if unit.is_empty() {
            return Err(if after.starts_with(' ') {
                "write number and unit without a blank, such as `5m`".to_owned()
            } else {
                format!("`{}` has no unit: did you mean `{number}s`?", clip(text))
            });
        }
        let Some(&(_, millis)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!(
                "`{}` is not a unit of time: use ms, s, m, h, d, w or y",
                clip(unit)
            ));
        };
        if millis >= last {
            return Err("units must follow each other from large to small".to_owned());
        }
        last = millis;
        total = number
            .checked_mul(millis)
            .and_then(|part| part.checked_add(total))
            .filter(|&sum| sum <= MOST)
            .ok_or("longer than a thousand years")?;
        rest = after;
    }
    if text.is_empty() {
        Err("expected a number and a unit, such as `30s`".to_owned())
    } else {
        Ok(Duration::from_millis(total))
    }
}

/// Writes a duration as a file would: `1h30m`.
pub(crate) fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    // Weeks are how people write two weeks, but 90 days read better as days.
    for (unit, millis) in UNITS.iter().rev().filter(|(unit, _)| *unit != "w") {
        if rest >= *millis {
            text.extend([&(rest / millis).to_string(), *unit]);
            rest %= millis;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

/// Reads `512B`, `256KiB`, `16MB` into bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) =
        leading_digits(text).ok_or("expected a number and a unit, such as `256KiB`")?;
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "" => {
            return Err(format!(
                "`{}` has no unit: did you mean `{number}B`?",
                clip(text)
            ));
        }
        _ => {
            return Err(format!(
                "`{}` is not a unit of size: use B, KiB, MiB, GiB, KB, MB or GB",
                clip(unit)
            ));
        }
    };
    number
        .checked_mul(bytes)
        .filter(|&total| total <= 1 << 40)
        .ok_or_else(|| "more than 1024GiB".to_owned())
}

/// Reads `20/s` into events per second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let hint = "expected a number per unit of time, such as `20/s`";
    let (number, unit) = text.split_once('/').ok_or(hint)?;
    let number: f64 = number.trim().parse().map_err(|_| hint)?;
    if !number.is_finite() || number <= 0.0 {
        return Err("a rate must be more than 0".to_owned());
    }
    let seconds = match unit.trim() {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" | "day" => 86_400.0,
        other => {
            return Err(format!(
                "`{}` is not a unit of time for a rate: use s, m, h or d",
                clip(other)
            ));
        }
    };
    Ok(number / seconds)
}

/// Reads `100000/day` into a count and its time.
pub(crate) fn quota(text: &str) -> Result<Quota, String> {
    let hint = "expected a number per unit of time, such as `100000/day`";
    let (count, unit) = text.split_once('/').ok_or(hint)?;
    let count: u64 = count.trim().parse().map_err(|_| hint)?;
    if count == 0 {
        return Err("a quota must be more than 0".to_owned());
    }
    let seconds = match unit.trim() {
        "h" | "hour" => 3_600,
        "d" | "day" => 86_400,
        "w" | "week" => 7 * 86_400,
        other => {
            return Err(format!(
                "`{}` is not a unit of time for a quota: use hour, day or week",
                clip(other)
            ));
        }
    };
    Ok(Quota {
        count,
        per: Duration::from_secs(seconds),
    })
}

/// Reads `10%` or `0.5%`.
pub(crate) fn share(text: &str) -> Result<Share, String> {
    let hint = "expected a share such as `10%`";
    let number: f64 = text
        .strip_suffix('%')
        .and_then(|number| number.trim().parse().ok())
        .ok_or(hint)?;
    // A hundredth of a percent is the smallest step.
    let steps = (number * 100.0).round();
    if number.is_finite() && (1.0..=10_000.0).contains(&steps) {
        Ok(Share(steps as u16))
    } else {
        Err("a share is from `0.01%` to `100%`".to_owned())
    }
}

/// Reads `>= 95 %`, `p99 <= 5m`, `<= 50000 USD`.
pub(crate) fn goal(text: &str) -> Result<Goal, String> {
    let hint = "expected a limit with its side, such as `>= 95 %`, `p99 <= 5m` or `<= 50000 USD`";
    let mut rest = text.trim();
    let percentile = [
        ("p50", 50),
        ("p90", 90),
        ("p95", 95),
        ("p99", 99),
        ("max", 100),
    ]
    .into_iter()
    .find_map(|(word, percentile)| Some((rest.strip_prefix(word)?, percentile)));
    if let Some((after, _)) = percentile {
        rest = after.trim_start();
    }
    let sides = [("<=", true), ("≤", true), (">=", false), ("≥", false)];
    let (rest, at_most) = sides
        .into_iter()
        .find_map(|(side, at_most)| Some((rest.strip_prefix(side)?.trim(), at_most)))
        .ok_or(hint)?;
    let limit = if let Some(number) = rest.strip_suffix('%') {
        let number: f64 = number.trim().parse().map_err(|_| hint)?;
        let hundredths = (number * 100.0).round();
        if !(0.0..=10_000.0).contains(&hundredths) {
            return Err("a share is from `0 %` to `100 %`".to_owned());
        }
        Limit::Share(hundredths as u16)
    } else {
        let mut words = rest.split_whitespace();
        let (number, currency) = (words.next().ok_or(hint)?, words.next());
        let decimal = |text: &str| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
            let fits = |text: &str| {
                (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
            };
            fits(whole) && fits(part)
        };
        let named = |word: &str| word.len() == 3 && word.bytes().all(|b| b.is_ascii_uppercase());
        match currency {
            Some(word) if decimal(number) && named(word) && words.next().is_none() => {
                Limit::Sum(number.to_owned(), Some(word.to_owned()))
            }
            None if decimal(number) => Limit::Sum(number.to_owned(), None),
            None => Limit::Lag(duration(number)?),
            Some(_) => return Err(hint.to_owned()),
        }
    };
    let percentile = percentile.map(|(_, percentile)| percentile);
    if percentile.is_some() && !matches!(limit, Limit::Lag(_)) {
        return Err("which value is looked at is said of times only, as in `p99 <= 5m`".to_owned());
    }
    Ok(Goal {
        percentile,
        at_most,
        limit,
    })
}

/// Reads a scope: `supplier.read`. RFC 6749 allows more; this is what people can tell apart.
pub(crate) fn scope(text: &str) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"._:/*-".contains(&b);
    if text.len() > 128 {
        Err("it has more than 128 characters".to_owned())
    } else if !text.is_empty() && text.bytes().all(fits) {
        Ok(())
    } else {
        Err(
            "expected letters, digits and `.`, `_`, `:`, `/`, `*`, `-`, such as `supplier.read`"
                .to_owned(),
        )
    }
}

/// Reads a SHA-256 digest in hexadecimal digits; colons between bytes are allowed.
pub(crate) fn digest(text: &str) -> Result<[u8; 32], String> {
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b':').collect();
    let mut bytes = [0; 32];
    let hint = "expected the 64 hexadecimal digits of a SHA-256 digest";
    if digits.len() != 64 {
        return Err(hint.to_owned());
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| pair.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
            .ok_or(hint)?;
    }
    Ok(bytes)
}

/// Reads a day (its first moment in UTC) or an RFC 3339 moment.
pub(crate) fn date(text: &str) -> Result<Timestamp, String> {
    let moment = if text.len() == 10 {
        format!("{text}T00:00:00Z").parse::<jiff::Timestamp>()
    } else {
        text.parse()
    };
    moment
        .map(|moment| Timestamp(moment.as_microsecond()))
        .map_err(|_| {
            "expected a day such as `2027-03-31`, or a moment such as `2027-03-31T06:00:00Z`"
                .to_owned()
        })
}

/// Checks which files are taken: at most one directory, and a name with `*` and `?`.
pub(crate) fn file_pattern(text: &str) -> Result<(), String> {
    let (below, name) = text
        .split_once('/')
        .map_or((None, text), |(below, name)| (Some(below), name));
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && !part.contains(['/', '\\', '{', '}'])
            && !part.chars().any(char::is_control)
    };
    if below.is_some_and(|below| !plain(below) || below.contains(['*', '?'])) || !plain(name) {
        return Err(
            "expected at most one directory and a name, such as `in/receipts-*.csv`".to_owned(),
        );
    }
    if matches!(below, Some("archive" | "refused")) {
        return Err("`archive/` and `refused/` are where files go that were taken".to_owned());
    }
    Ok(())
}

/// Checks the name of a file that is written.
pub(crate) fn file_name(text: &str) -> Result<(), String> {
    if text.matches("{id}").count() != 1 {
        return Err("expected `{id}` in it once: the delivery's id keeps names apart".to_owned());
    }
    let plain = text.replace("{id}", "id");
    if plain.contains(['*', '?'])
        || file_pattern(&plain).is_err()
        || text
            .split('/')
            .next()
            .is_some_and(|first| first != text && first.contains('{'))
    {
        return Err(
            "expected at most one directory and a name, such as `out/bill-{id}.json`".to_owned(),
        );
    }
    Ok(())
}

/// Checks the ending of a marker.
pub(crate) fn ending(text: &str) -> Result<(), String> {
    if text.starts_with('.')
        && text.len() > 1
        && file_pattern(&format!("a{text}")).is_ok()
        && !text.contains(['*', '?', '/'])
    {
        Ok(())
    } else {
        Err("expected an ending such as `.done`".to_owned())
    }
}

/// Reads `20:00` into minutes after midnight.
pub(crate) fn hour(text: &str) -> Result<u16, String> {
    let hint = "expected an hour of the day, such as `20:00`";
    let (hour, minute) = text.split_once(':').ok_or(hint)?;
    let two = |text: &str, below: u16| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        let number: u16 = text.parse().ok().filter(|_| digits)?;
        (number < below).then_some(number)
    };
    match (two(hour, 24), two(minute, 60)) {
        (Some(hour), Some(minute)) => Ok(hour * 60 + minute),
        _ => Err(hint.to_owned()),
    }
}

/// Reads a local address to listen on.
pub(crate) fn bind(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| match text.rsplit_once(':') {
        _ if text.parse::<IpAddr>().is_ok() => {
            "the port is missing, as in `0.0.0.0:2575`".to_owned()
        }
        Some(("localhost", port)) => format!("use the address: `127.0.0.1:{}`", clip(port)),
        Some((host, port)) if port.parse::<u16>().is_err() && host.parse::<IpAddr>().is_ok() => {
            "the port must be a number from 0 to 65535".to_owned()
        }
        _ => "expected an IP address and a port, such as `0.0.0.0:2575`".to_owned(),
    })
}

/// Checks `host:port` of another machine.
/// The name or address of another machine.
pub(crate) fn host(text: &str) -> Result<(), String> {
    if text.parse::<IpAddr>().is_ok() {
        return Ok(());
    }
    if text.contains(':') {
        return Err("the port has a key of its own: `port`".to_owned());
    }
    host_name(text)
}

/// The key by which a server of SSH is known. Whether the curve has such a point is found when it
/// is used.
pub(crate) fn host_key(text: &str) -> Result<(), String> {
    let base64 = |text: &str| {
        let digits = text.trim_end_matches('=');
        digits
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b))
    };
    if let Some(digest) = text.strip_prefix("SHA256:") {
        let digest = digest.trim_end_matches('=');
        return if digest.len() == 43 && base64(digest) {
            Ok(())
        } else {
            Err("a fingerprint is `SHA256:` and 43 characters".to_owned())
        };
    }
    public_key(text).map_err(|()| {
        "expected `SHA256:…` as `ssh-keygen -l` prints it, or a line such as `ssh-ed25519 AAAA…`"
            .to_owned()
    })
}

/// A line with a public key of SSH, of a kind that is good enough.
pub(crate) fn public_key(text: &str) -> Result<(), ()> {
    const KINDS: [&str; 5] = [
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "ssh-rsa",
    ];
    let mut words = text.split_whitespace();
    let (Some(kind), Some(key)) = (words.next(), words.next()) else {
        return Err(());
    };
    // The key begins with its kind, length first: "AAAA" and so on.
    let plain = key
        .trim_end_matches('=')
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"+/".contains(&b));
    if KINDS.contains(&kind) && key.len() >= 64 && key.starts_with("AAAA") && plain {
        Ok(())
    } else {
        Err(())
    }
}

pub(crate) fn host_port(text: &str) -> Result<(), String> {
    let (host, port) = text
        .rsplit_once(':')
        .ok_or("expected a host and a port, such as `ehr.example:2576`")?;
    if text.parse::<SocketAddr>().is_ok() && !port.is_empty() {
        return if port == "0" {
            Err("port 0 cannot be connected to".to_owned())
        } else {
            Ok(())
        };
    }
    if !matches!(port.parse::<u16>(), Ok(1..)) {
        return Err("the port must be a number from 1 to 65535".to_owned());
    }
    host_name(host)
}

fn host_name(host: &str) -> Result<(), String> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if host.len() <= 253 && host.split('.').all(label) {
        Ok(())
    } else {
        Err(format!("`{}` is not the name of a host", clip(host)))
    }
}

/// Why a URL is refused.
pub(crate) enum BadUrl {
    Malformed(String),
    /// It holds a user or a password.
    Password,
}

/// Checks an absolute http(s) URL.
pub(crate) fn url(text: &str) -> Result<(), BadUrl> {
    let malformed = |why: &str| Err(BadUrl::Malformed(why.to_owned()));
    let Some((scheme, rest)) = text.split_once("://") else {
        return malformed("expected an absolute URL, such as `https://erp.example/ws`");
    };
    if !matches!(scheme, "http" | "https") {
        return malformed("the scheme must be `http` or `https`");
    }
    if rest
        .split('/')
        .next()
        .is_some_and(|authority| authority.contains('@'))
    {
        return Err(BadUrl::Password);
    }
    let Ok(uri) = text.parse::<http::Uri>() else {
        return malformed("it has characters or a port that a URL cannot have");
    };
    if text.contains(['?', '#']) {
        return malformed("a query or fragment cannot be part of it");
    }
    match uri.host() {
        Some(host) if host.starts_with('[') => Ok(()),
        Some(host) => host_name(host).map_err(BadUrl::Malformed),
        None => malformed("the host is missing"),
    }
}

/// Checks a path on a listener, or of an operation where `{names}` are allowed.
pub(crate) fn url_path(text: &str, template: bool) -> Result<(), String> {
    if !text.starts_with('/') {
        return Err("it must start with `/`".to_owned());
    }
    if text.contains(['?', '#']) {
        return Err("a query or fragment cannot be part of it".to_owned());
    }
    let mut plain = String::new();
    let mut rest = text;
    while let Some(open) = rest.find(['{', '}']) {
        if !template {
            return Err("braces have no meaning here".to_owned());
        }
        let name = rest[open..]
            .strip_prefix('{')
            .and_then(|after| after.split_once('}'));
        let Some((name, after)) = name else {
            return Err("a brace has no partner".to_owned());
        };
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.');
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(format!("`{{{}}}` is not the name of a field", clip(name)));
        }
        plain.push_str(&rest[..open]);
        rest = after;
    }
    plain.push_str(rest);
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@%".contains(&b);
    if plain.bytes().all(allowed) {
        Ok(())
    } else {
        Err("it has characters that a path cannot have".to_owned())
    }
}

/// The names in braces of a path, in order: `/accounts/{account}/close` has `account`.
pub(crate) fn parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// Reads `10.1.0.0/16` or one address.
pub(crate) fn network(text: &str) -> Result<Network, String> {
    let hint = "expected a network such as `10.1.0.0/16`, or one address";
    let (address, prefix) = text
        .split_once('/')
        .map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().map_err(|_| hint)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Ok(most), str::parse).map_err(|_| hint)?;
    if prefix > most {
        Err(format!("the prefix must be 0 to {most}"))
    } else {
        Ok(Network { address, prefix })
    }
}

/// Checks five cron fields.
pub(crate) fn cron(text: &str) -> Result<(), String> {
    let fields = text.split_whitespace().count();
    if fields != 5 {
        return Err(format!(
            "expected five fields (minute hour day month weekday), found {fields}"
        ));
    }
    croner::parser::CronParser::builder()
        .seconds(croner::parser::Seconds::Disallowed)
        .build()
        .parse(text)
        .map(drop)
        .map_err(|error| {
            let text = error.to_string();
            // The kind of error before the colon says nothing to who wrote the schedule.
            let why = text.split_once(": ").map_or(text.as_str(), |(_, why)| why);
            why.trim_end_matches('.').to_lowercase()
        })
}

/// Checks the name of a time zone.
pub(crate) fn time_zone(text: &str) -> Result<(), String> {
    jiff::tz::TimeZone::get(text)
        .map(drop)
        .map_err(|_| "expected a name of the IANA database, such as `America/Chicago`".to_owned())
}

/// Checks a name: lower-case letters, digits and hyphens, starting with a letter.
pub(crate) fn name(text: &str) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if text.len() > 64 {
        Err("it has more than 64 characters".to_owned())
    } else if text.starts_with(|c: char| c.is_ascii_lowercase())
        && !text.ends_with('-')
        && text.bytes().all(fits)
    {
        Ok(())
    } else {
        Err("expected lower-case letters, digits and hyphens, starting with a letter".to_owned())
    }
}

/// Checks an identifier of a key or attribute: letters, digits and underscores.
pub(crate) fn identifier(text: &str) -> Result<(), String> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    if !text.is_empty() && text.len() <= 64 && text.bytes().all(fits) {
        Ok(())
    } else {
        Err("expected letters, digits and underscores".to_owned())
    }
}

/// Checks `system.connection`.
pub(crate) fn reference(text: &str) -> Result<(), String> {
    let hint = "expected a system and a name in it, such as `ehr.adt`";
    let (system, name_in_it) = text.split_once('.').ok_or(hint)?;
    name(system)
        .and_then(|()| name(name_in_it))
        .map_err(|_| hint.to_owned())
}

/// Checks where a delivery goes: a reference, or `webhook/ghx`, `webhook/ghx.orders`.
pub(crate) fn destination(text: &str) -> Result<(), String> {
    let Some(endpoint) = text.strip_prefix("webhook/") else {
        return reference(text);
    };
    endpoint
        .splitn(2, '.')
        .try_for_each(name)
        .map_err(|_| "expected a client's webhook, such as `webhook/ghx`".to_owned())
}

/// Checks `encounter.discharged`.
pub(crate) fn event(text: &str) -> Result<(), String> {
    let word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.len() <= 64
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    match text.split_once('.') {
        Some((entity, happened)) if word(entity) && word(happened) => Ok(()),
        _ => Err("expected an entity and what happened, such as `encounter.discharged`".to_owned()),
    }
}

/// The entity an event belongs to: `purchase_order.approved` → `purchase-order`.
pub(crate) fn entity_of(event: &str) -> String {
    event.split('.').next().unwrap_or(event).replace('_', "-")
}

/// Checks a field: an HL7 path, a path into JSON, or `header:name`.
pub(crate) fn field(text: &str) -> Result<(), String> {
    if let Some(header) = text.strip_prefix("header:") {
        return http::HeaderName::try_from(header)
            .map(drop)
            .map_err(|_| "this is not the name of a header".to_owned());
    }
    if let Some(path) = text.strip_prefix('.') {
        let fits = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"_-[]".contains(&b))
        };
        return if path.split('.').all(fits) {
            Ok(())
        } else {
            Err("expected a path such as `.account.number`".to_owned())
        };
    }
    // What one reads, the other may: only the connection knows which message it takes.
    match (
        wardline_hl7::Path::parse(text),
        wardline_edi::x12::Path::parse(text),
    ) {
        (Err(error), Err(_)) => Err(error.to_string()),
        _ => Ok(()),
    }
}

/// Checks `secret:erp/ws`.
pub(crate) fn secret(text: &str) -> Result<(), String> {
    let part = |part: &str| {
        !part.is_empty()
            && part != ".."
            && part != "."
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match text.strip_prefix("secret:") {
        Some(name) => {
            let (place, field) = match name.split_once('#') {
                Some((place, field)) => (place, Some(field)),
                None => (name, None),
            };
            if place.split('/').chain(field).all(part) {
                return Ok(());
            }
            Err("expected letters, digits, `-`, `_`, `.` and `/` after `secret:`".to_owned())
        }
        None => {
            Err("expected a reference such as `secret:erp/ws`, never the secret itself".to_owned())
        }
    }
}

/// Checks a recipient of age. Whether its last letters fit the others is for the vault to say.
pub(crate) fn recipient(text: &str) -> Result<(), String> {
    let alphabet = |byte: u8| b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".contains(&byte);
    match text.strip_prefix("age1") {
        Some(rest) if rest.len() == 58 && rest.bytes().all(alphabet) => Ok(()),
        _ if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") => {
            Err("this is an identity, which opens files; name its recipient, `age1…`".to_owned())
        }
        _ => Err("expected `age1…`, as `wardline secrets identity` prints it".to_owned()),
    }
}

/// Checks a public key of webhooks. Whether it is a point of the curve is for the connection to say.
pub(crate) fn webhook_key(text: &str) -> Result<(), String> {
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    let key = text.strip_prefix("whpk_");
    match key.and_then(|key| key.strip_suffix('=')) {
        Some(key) if key.len() == 43 && key.bytes().all(alphabet) => Ok(()),
        _ if text.starts_with("whsk_") || text.starts_with("whsec_") => Err(
            "this is a secret; name the sender's public key, `whpk_…`, or write `webhook: secret:NAME`"
                .to_owned(),
        ),
        _ => Err("expected `whpk_` and the base64 of 32 bytes, as the sender publishes it".to_owned()),
    }
}

/// Reads a charset by the name that HL7 or the WHATWG give it.
pub(crate) fn charset(text: &str) -> Result<Charset, String> {
    if text == "auto" {
        return Ok(Charset::Auto);
    }
    let known = wardline_hl7::Charset::named(text);
    known.map(|charset| Charset::Fixed(charset.label().to_owned())).ok_or_else(|| {
        "expected `auto` or the name of a character set, such as `UNICODE UTF-8` or `windows-1252`".to_owned()
    })
}

/// Whether a path is that of a mapping program.
pub(crate) fn is_map(path: &str) -> bool {
    std::path::Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "vrl")
}

/// Checks `major.minor.patch`.
pub(crate) fn version(text: &str) -> Result<(), String> {
    let number = |part: &str| {
        part.len() <= 9 && !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())
    };
    let parts = text.split('.').collect::<Vec<_>>();
    if parts.len() == 3 && parts.iter().all(|part| number(part)) {
        Ok(())
    } else {
        Err("expected three numbers, such as `1.0.0`".to_owned())
    }
}

/// Checks an RFC 3339 moment.
pub(crate) fn moment(text: &str) -> Result<(), String> {
    text.parse::<jiff::Timestamp>()
        .map(drop)
        .map_err(|_| "expected a moment such as `2026-11-24T10:42:00-06:00`".to_owned())
}

fn leading_digits(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}
