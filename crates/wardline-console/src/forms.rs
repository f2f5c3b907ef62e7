//! Tokens in forms: what a form bears so that it is known that one of our pages was shown to
//! the browser that sends it. Where the browser says by itself whence a form comes
//! (`Sec-Fetch-Site`, `Origin`) that is looked at too; this is for those that do not.

use url::form_urlencoded;

/// The field.
const FIELD: &str = "csrf";

/// The page with a token in every form that is posted. In what we write no `<` stands in a
/// text or an attribute, so what looks like a form is one.
pub(crate) fn sealed(page: &str, token: &str) -> String {
    let mut out = String::with_capacity(page.len() + 512);
    let mut rest = page;
    while let Some(at) = rest.find("<form ") {
        let Some(end) = rest[at..].find('>') else {
            break;
        };
        let (before, after) = rest.split_at(at + end + 1);
        out.push_str(before);
        if before[at..].contains("method=\"post\"") {
            out.push_str("<input type=\"hidden\" name=\"");
            out.push_str(FIELD);
            out.push_str("\" value=\"");
            out.push_str(token);
            out.push_str("\">");
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The token that a form bears.
pub(crate) fn token_of(body: &[u8]) -> Option<String> {
    form_urlencoded::parse(body)
        .find(|(name, _)| name == FIELD)
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_posted_form_gets_it_and_no_other() {
        let page = "<p>&lt;form method=\"post\"&gt;</p><form class=\"a\" method=\"post\" action=\"/x\"><b></b></form>\
                    <form method=\"get\"></form><form method=\"dialog\"></form><form method=\"post\"></form>";
        let sealed = sealed(page, "t0ken");
        assert_eq!(sealed.matches("t0ken").count(), 2, "{sealed}");
        assert!(
            sealed
                .contains("action=\"/x\"><input type=\"hidden\" name=\"csrf\" value=\"t0ken\"><b>")
        );
        assert_eq!(
            sealed.replace("<input type=\"hidden\" name=\"csrf\" value=\"t0ken\">", ""),
            page
        );
    }

    #[test]
    fn tokens_are_read_from_forms() {
        assert_eq!(token_of(b"a=1&csrf=x%20y&b=2").as_deref(), Some("x y"));
        assert_eq!(token_of(b"xcsrf=1"), None);
        assert_eq!(token_of(b""), None);
    }
}
