//! Guessing what somebody meant, and quoting what they wrote without flooding the screen.

use crate::value;

/// A bounded piece of what somebody wrote, for a message.
pub(crate) fn clip(text: &str) -> String {
    const MOST: usize = 40;
    if text.chars().count() <= MOST {
        text.to_owned()
    } else {
        text.chars().take(MOST).chain(['…']).collect()
    }
}

/// The nearest proper name, for a suggestion: `Close Account` → `close-account`.
pub(crate) fn nearest_name(text: &str) -> Option<String> {
    let lower = text.trim().to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let proposal = words.join("-");
    value::name(&proposal).is_ok().then_some(proposal)
}

/// The candidate that somebody most likely meant.
pub(crate) fn nearest<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let lower = wrong.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (likeness(&lower, &candidate.to_lowercase()), candidate))
        // Below two thirds a proposal is more often silly than helpful; very short words need less.
        .filter(|(likeness, candidate)| *likeness >= if candidate.len() <= 4 { 0.5 } else { 0.66 })
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// From 0, nothing in common, to 1, equal. Typing errors count by their number; a word with the
/// right beginning (`retires` for `retry`) counts too, but not in a reference, where all names of
/// one system begin alike.
fn likeness(a: &str, b: &str) -> f64 {
    let by_errors = strsim::normalized_damerau_levenshtein(a, b);
    let by_beginning = strsim::jaro_winkler(a, b);
    if by_beginning >= 0.85 && !b.contains('.') {
        by_errors.max(by_beginning)
    } else {
        by_errors
    }
}

/// The candidates, those first that are likest to what somebody wrote. Candidates may be
/// sentences, of which only a part was written.
///
/// ```
/// let tests = ["a discharge closes the account", "a transfer frees the bed"];
/// assert_eq!(wardline_estate::by_likeness("tranfer", tests)[0], tests[1]);
/// ```
pub fn by_likeness<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let lower = wrong.trim().to_lowercase();
    let count = lower.split_whitespace().count().max(1);
    let part_likeness = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let words: Vec<&str> = candidate.split_whitespace().collect();
        words
            .windows(count.min(words.len()).max(1))
            .map(|part| likeness(&lower, &part.join(" ")))
            .fold(0.0, f64::max)
    };
    let mut all: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| (part_likeness(candidate), candidate))
        .collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().map(|(_, candidate)| candidate).collect()
}

/// `did you mean …?` where there is a likely candidate.
pub(crate) fn did_you_mean<'a>(
    wrong: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(wrong, candidates).map(|candidate| format!("did you mean `{candidate}`?"))
}

/// The first line of a text, bounded, for a label.
pub(crate) fn clip_line(text: &str) -> String {
    const MOST: usize = 120;
    let line = text.lines().next().unwrap_or("");
    if line.chars().count() <= MOST {
        line.to_owned()
    } else {
        line.chars().take(MOST).chain(['…']).collect()
    }
}
