//! The frame of our few pages: plain HTML, no script, readable on a phone and by a screen
//! reader, in light and dark.

use std::fmt::Write;

use axum::response::{Html, IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::headers::cacheable;

const STYLE: &str = include_str!("page.css");

/// `/klatsch.css`
pub(crate) async fn style() -> Response {
    cacheable(([(CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response())
}

/// Every path that is none.
pub(crate) async fn not_found() -> Response {
    let body = "<h1>Nothing here</h1>\n<p>There is no page at this address. \
                <a href=\"/\">Go to the start page</a>.</p>";
    page(StatusCode::NOT_FOUND, "Nothing here", body)
}

/// A whole page around a body that is HTML already.
pub(crate) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex\">\n<title>{title} · klatsch</title>\n\
         <link rel=\"stylesheet\" href=\"/klatsch.css\">\n</head>\n<body>\n<main>\n\
         <p class=\"brand\">klatsch</p>\n{body}\n</main>\n</body>\n</html>\n"
    );
    (status, Html(html)).into_response()
}

/// Text as HTML text or attribute value.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' | '>' | '&' | '"' | '\'' => {
                write!(out, "&#{};", u32::from(character)).expect("a String takes everything");
            }
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        assert_eq!(
            escape("<a href='x'>\"&"),
            "&#60;a href=&#39;x&#39;&#62;&#34;&#38;"
        );
        assert_eq!(escape("Grüße"), "Grüße");
    }
}
