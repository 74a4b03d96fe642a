//! Result Set Management: XEP-0059 version 1.0,
//! <https://xmpp.org/extensions/xep-0059.html>
//!
//! Reads what page is wanted and says which one it is. Left out: pages by index (§2.6),
//! which the archive would have to count for.

use super::{Feature, Spec};
use crate::stanza::StanzaError;
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "http://jabber.org/protocol/rsm";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "rsm",
    title: "Result Set Management",
    spec: Spec::Xep {
        number: 59,
        version: "1.0",
    },
    disco: &[NS],
    ..Feature::NONE
};

/// The page somebody wants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PageRequest {
    /// Items at most.
    pub max: Option<u32>,
    /// The items after this one.
    pub after: Option<String>,
    /// The items before this one; empty: the last ones.
    pub before: Option<String>,
}

/// Reads `<set/>` out of a request.
///
/// # Errors
/// Row X20: a number that is none is `bad-request`; a page by index is not implemented.
pub fn read(request: &Element) -> Result<PageRequest, StanzaError> {
    let Some(set) = request.find("set", NS) else {
        return Ok(PageRequest::default());
    };
    if set.find("index", NS).is_some() {
        return Err(StanzaError::feature_not_implemented());
    }
    let text = |name| set.find(name, NS).map(Element::text_content);
    let max = text("max").map(|max| read_max(&max)).transpose()?;
    Ok(PageRequest {
        max,
        after: text("after"),
        before: text("before"),
    })
}

fn read_max(text: &str) -> Result<u32, StanzaError> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return Err(StanzaError::bad_request().with_text("max is no number"));
    }
    // Whoever wants more than there can be gets what there is.
    Ok(text.parse().unwrap_or(u32::MAX))
}

/// Says which page this is (§2.1).
pub fn page(first: Option<&str>, last: Option<&str>, count: Option<u64>) -> Element {
    let item = |name: &'static str, id: &str| Element::new(name, NS).text(id);
    Element::new("set", NS)
        .children_from(first.map(|id| item("first", id)))
        .children_from(last.map(|id| item("last", id)))
        .children_from(count.map(|count| item("count", &count.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(inner: &str) -> Result<PageRequest, StanzaError> {
        let text = format!("<q xmlns='any'><set xmlns='{NS}'>{inner}</set></q>");
        read(&Element::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_page_is_wanted_by_its_neighbour_and_its_size() {
        let page = request("<max>10</max><after>7</after>").unwrap();
        assert_eq!(
            page,
            PageRequest {
                max: Some(10),
                after: Some("7".into()),
                before: None
            }
        );
        assert_eq!(request("<before/>").unwrap().before, Some(String::new()));
    }

    #[test]
    fn x20_a_max_that_is_no_number_is_a_bad_request_and_a_huge_one_is_capped() {
        for max in ["-1", "", "ten", "0x10", "1.5"] {
            assert!(request(&format!("<max>{max}</max>")).is_err(), "{max:?}");
        }
        assert_eq!(
            request("<max>18446744073709551616</max>").unwrap().max,
            Some(u32::MAX)
        );
    }
}
