//! The stylesheet, the script and the mark, compiled in. Their addresses carry a digest, so
//! browsers keep them for ever and still get a new version at once.

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use std::sync::LazyLock;

use crate::problem::Problem;
use crate::shelf::hex;

struct Asset {
    name: &'static str,
    media: &'static str,
    bytes: &'static [u8],
}

const ASSETS: [Asset; 3] = [
    Asset {
        name: "console.css",
        media: "text/css; charset=utf-8",
        bytes: include_bytes!("../assets/console.css"),
    },
    Asset {
        name: "console.js",
        media: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/console.js"),
    },
    Asset {
        name: "mark.svg",
        media: "image/svg+xml",
        bytes: include_bytes!("../assets/mark.svg"),
    },
];

static ADDRESSES: LazyLock<Vec<(&str, String)>> = LazyLock::new(|| {
    ASSETS
        .iter()
        .map(|asset| {
            let version = hex(&digest(&SHA256, asset.bytes).as_ref()[..6]);
            (asset.name, format!("/assets/{}?v={version}", asset.name))
        })
        .collect()
});

/// The address of an asset by its name; the bare path for one that does not exist.
pub(crate) fn address(name: &'static str) -> &'static str {
    ADDRESSES
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("/assets/", |(_, address)| address)
}

/// `GET /assets/{name}`: open to everybody, the sign-in page needs them.
pub(crate) async fn serve(Path(name): Path<String>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return Problem::not_found("file").page();
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(asset.media)),
        (
            header::CACHE_CONTROL,
            HeaderValue::from_static("public, max-age=31536000, immutable"),
        ),
    ];
    (headers, asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_stays_small() {
        let script = ASSETS
            .iter()
            .find(|asset| asset.name == "console.js")
            .unwrap();
        // As written, comments and all; the seventh KiB is the end of a session.
        assert!(
            script.bytes.len() < 7 * 1024,
            "{} bytes",
            script.bytes.len()
        );
    }

    /// The colours of a token: in light, in dark.
    fn token(css: &str, name: &str) -> [u32; 2] {
        let value = css
            .split(&format!("--{name}: "))
            .nth(1)
            .unwrap_or_else(|| panic!("no token {name}"));
        let value = value.split(';').next().unwrap();
        let colours: Vec<u32> = value
            .split('#')
            .skip(1)
            .map(|hex| u32::from_str_radix(&hex[..6], 16).unwrap())
            .collect();
        [colours[0], *colours.last().unwrap()]
    }

    /// Contrast of two colours (WCAG 2.2, "contrast ratio").
    fn contrast(one: u32, two: u32) -> f64 {
        let luminance = |colour: u32| {
            let part = |shift: u32| {
                let value = f64::from((colour >> shift) & 255) / 255.0;
                if value <= 0.04045 {
                    value / 12.92
                } else {
                    ((value + 0.055) / 1.055).powf(2.4)
                }
            };
            0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0)
        };
        let (one, two) = (luminance(one), luminance(two));
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    #[test]
    fn words_and_marks_stand_out_in_light_and_dark() {
        let css = include_str!("../assets/console.css");
        // Text needs 4.5 (WCAG 1.4.3); what only has to be seen needs 3 (1.4.11).
        let words = [
            ("text", "bg"),
            ("text", "surface"),
            ("text", "raised"),
            ("text", "hover"),
            ("text", "selected"),
            ("muted", "bg"),
            ("muted", "surface"),
            ("muted", "raised"),
            ("muted", "hover"),
            ("muted", "selected"),
            ("link", "bg"),
            ("link", "surface"),
            ("link", "hover"),
            ("link", "selected"),
            ("on-primary", "primary"),
            ("done-fg", "done-bg"),
            ("run-fg", "run-bg"),
            ("retry-fg", "retry-bg"),
            ("held-fg", "held-bg"),
            ("fail-fg", "fail-bg"),
            ("fail-text", "bg"),
            ("fail-text", "selected"),
            ("retry-fg", "bg"),
            ("done-fg", "surface"),
            ("retry-fg", "surface"),
            ("text", "add-bg"),
            ("text", "cut-bg"),
            ("muted", "add-bg"),
            ("muted", "cut-bg"),
        ];
        let marks = [
            ("control", "bg"),
            ("mark-done", "bg"),
            ("mark-run", "bg"),
            ("mark-retry", "bg"),
            ("mark-fail", "bg"),
            ("mark-wait", "bg"),
        ];
        for (pairs, least) in [(&words[..], 4.5), (&marks[..], 3.0)] {
            for (front, back) in pairs {
                for scheme in 0..2 {
                    let ratio = contrast(token(css, front)[scheme], token(css, back)[scheme]);
                    assert!(
                        ratio >= least,
                        "--{front} on --{back} in {}: {ratio:.2}",
                        ["light", "dark"][scheme]
                    );
                }
            }
        }
    }

    #[test]
    fn addresses_carry_a_digest() {
        assert!(address("console.css").starts_with("/assets/console.css?v="));
    }
}
