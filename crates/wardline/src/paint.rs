//! Colours, where the terminal has them: `--no-color`, `NO_COLOR` and pipes have none.

use owo_colors::OwoColorize as _;

/// Settles for the whole run whether there are colours.
pub(crate) fn init(off: bool) {
    if off {
        anstream::ColorChoice::Never.write_global();
    }
}

/// Whether standard output shows colours; for renderers that must know beforehand.
pub(crate) fn on() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

pub(crate) fn bad(text: &str) -> String {
    format!("{}", text.red().bold())
}
pub(crate) fn good(text: &str) -> String {
    format!("{}", text.green())
}
pub(crate) fn wait(text: &str) -> String {
    format!("{}", text.yellow())
}
pub(crate) fn faint(text: &str) -> String {
    format!("{}", text.dimmed())
}
pub(crate) fn strong(text: &str) -> String {
    format!("{}", text.bold())
}

/// A delivery state with its sign, never by colour alone.
pub(crate) fn state(state: wardline_core::DeliveryState) -> String {
    use wardline_core::DeliveryState as S;
    let word = state.as_str();
    match state {
        S::Delivered => good(&format!("✓ {word}")),
        S::Pending => faint(&format!("◷ {word}")),
        S::Retrying => wait(&format!("↻ {word}")),
        S::Held => wait(&format!("! {word}")),
        S::Dead => bad(&format!("✕ {word}")),
        S::Cancelled => faint(&format!("⊘ {word}")),
    }
}

/// Where an instance or a business transaction stands, with a sign.
pub(crate) fn stand(word: &str) -> String {
    match word {
        "completed" => good(&format!("✓ {word}")),
        "retrying" => wait(&format!("↻ {word}")),
        "stuck" => wait(&format!("! {word}")),
        "failed" => bad(&format!("✕ {word}")),
        "cancelled" => faint(&format!("⊘ {word}")),
        "running" => format!("▸ {word}"),
        _ => format!("◷ {word}"),
    }
}
