//! Moments and durations as they are typed.

/// `90s`, `5m`, `2h`, `7d`.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, String> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let n: u64 = digits
        .parse()
        .map_err(|_| format!("`{text}` is not a duration: write 30s, 5m, 2h or 7d"))?;
    let seconds = match unit {
        "s" | "" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => {
            return Err(format!(
                "`{unit}` is not a unit of time: write 30s, 5m, 2h or 7d"
            ));
        }
    };
    Ok(std::time::Duration::from_secs(n.saturating_mul(seconds)))
}

/// A moment: RFC 3339, or an age.
pub(crate) fn moment(text: &str) -> Result<wardline_core::Timestamp, String> {
    if let Ok(at) = wardline_core::Timestamp::try_from(text.to_owned()) {
        return Ok(at);
    }
    let age = duration(text).map_err(|_| {
        format!("`{text}` is neither a time (2026-11-24T10:00:00Z) nor an age (4h)")
    })?;
    let now = wardline_core::Timestamp::now();
    Ok(wardline_core::Timestamp(now.0.saturating_sub(
        i64::try_from(age.as_micros()).unwrap_or(i64::MAX),
    )))
}

/// A moment that is to come: RFC 3339, or a time from now.
pub(crate) fn ahead(text: &str) -> Result<wardline_core::Timestamp, String> {
    if let Ok(at) = wardline_core::Timestamp::try_from(text.to_owned()) {
        return Ok(at);
    }
    let wait = duration(text).map_err(|_| {
        format!("`{text}` is neither a time (2026-11-24T10:00:00Z) nor a time from now (2d)")
    })?;
    let now = wardline_core::Timestamp::now();
    Ok(wardline_core::Timestamp(now.0.saturating_add(
        i64::try_from(wait.as_micros()).unwrap_or(i64::MAX),
    )))
}
