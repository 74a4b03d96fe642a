//! Bind 2: XEP-0386 version 1.1.0, <https://xmpp.org/extensions/xep-0386.html>
//!
//! What a client wants its session to be from the first moment, asked for within its login.
//! Its late messages are not sent to it: it reads the archive (§3.2).

use super::sm;
use crate::features::{carbons, csi};
use crate::jid::{BareJid, prepare_resource};
use crate::sasl::Hash;
use crate::xml::Element;

/// The namespace.
pub(super) const NS: &str = "urn:xmpp:bind:0";

/// Bytes of a tag at most: it names a program.
const TAG_BYTES_MAX: usize = 64;

/// Bytes of the generated part: as many as make a chance repeat within an account impossible.
const ID_BYTES: usize = 8;

/// What a session is to be from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Carbons (XEP-0280).
    pub carbons: bool,
    /// The client begins in the background (XEP-0352).
    pub inactive: bool,
    /// Stream management (XEP-0198), and whether the session is to be resumable.
    pub sm: Option<bool>,
}

/// `<bind/>` within `<authenticate/>`.
#[derive(Debug, Default)]
pub(super) struct Request {
    tag: Option<String>,
    pub(super) wishes: Wishes,
}

impl Request {
    pub(super) fn read(bind: &Element) -> Self {
        let tag = bind.find("tag", NS).map(Element::text_content);
        let resume = |enable: &Element| matches!(enable.get("resume"), Some("true" | "1"));
        Self {
            tag: tag.filter(|tag| (1..=TAG_BYTES_MAX).contains(&tag.len())),
            wishes: Wishes {
                carbons: bind.find("enable", carbons::NS).is_some(),
                inactive: bind.find("inactive", csi::NS).is_some(),
                sm: bind.find("enable", sm::NS).map(resume),
            },
        }
    }

    /// §3.2.1: the tag and a part of ours, the same for every login of one installation. Its
    /// id is not to be seen in it.
    pub(super) fn resource(
        &self,
        key: &[u8; 32],
        account: &BareJid,
        agent: Option<&str>,
        entropy: &[u8; 16],
    ) -> String {
        let tag = self.tag.as_deref().unwrap_or_default();
        let id = match agent {
            Some(agent) => {
                let input = format!("resource\0{account}\0{agent}\0{tag}");
                Hash::Sha256.hmac(key, input.as_bytes())
            }
            None => entropy.to_vec(),
        };
        let id: String = id
            .iter()
            .take(ID_BYTES)
            .map(|it| format!("{it:02x}"))
            .collect();
        let tagged = prepare_resource(&format!("{tag}/{id}")).map(|it| it.into_owned());
        match tagged {
            Ok(tagged) if !tag.is_empty() => tagged,
            _ => id,
        }
    }
}

/// The feature, and what can be asked for with it (§3.1).
pub(super) fn feature() -> Element {
    let inline = [carbons::NS, csi::NS, sm::NS]
        .iter()
        .map(|var| Element::new("feature", NS).attr("var", *var));
    Element::new("bind", NS).child(Element::new("inline", NS).children_from(inline))
}

/// `<bound/>` with what came of the wishes.
pub(super) fn bound(results: Vec<Element>) -> Element {
    Element::new("bound", NS).children_from(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(tag: &str) -> Request {
        let bind = format!("<bind xmlns='{NS}'><tag>{tag}</tag></bind>");
        Request::read(&Element::parse(bind.as_bytes()).unwrap())
    }

    fn resource(tag: &str, agent: Option<&str>, entropy: u8) -> String {
        let account = BareJid::parse("juliet@example.org").unwrap();
        request(tag).resource(&[9; 32], &account, agent, &[entropy; 16])
    }

    #[test]
    fn an_installation_keeps_its_resource_and_shows_nothing_of_its_id() {
        let agent = "d4565fa7-4d72-4749-b3d3-740edbf87770";
        let one = resource("AwesomeXMPP", Some(agent), 1);
        assert_eq!(one, resource("AwesomeXMPP", Some(agent), 2));
        assert!(one.starts_with("AwesomeXMPP/") && one.len() == 28, "{one}");
        assert!(!one.contains("d4565fa7"));
        assert_ne!(one, resource("Other", Some(agent), 1));
        assert_ne!(resource("A", None, 1), resource("A", None, 2));
    }

    #[test]
    fn a_tag_that_cannot_stand_in_an_address_is_left_out() {
        for tag in ["", "a&#x9;b", &"x".repeat(65)] {
            assert_eq!(resource(tag, None, 7), "0707070707070707", "{tag}");
        }
    }

    #[test]
    fn wishes_are_read() {
        let bind = format!(
            "<bind xmlns='{NS}'><enable xmlns='urn:xmpp:carbons:2'/><inactive \
             xmlns='urn:xmpp:csi:0'/><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"
        );
        let wishes = Request::read(&Element::parse(bind.as_bytes()).unwrap()).wishes;
        assert_eq!(
            wishes,
            Wishes {
                carbons: true,
                inactive: true,
                sm: Some(true)
            }
        );
        assert_eq!(request("x").wishes, Wishes::default());
    }
}
