//! Chat notification settings: XEP-0492 version 0.2.0,
//! <https://xmpp.org/extensions/xep-0492.html>
//!
//! What the user wants to be told of in one chat, as their clients have written it into the
//! chat's bookmark (XEP-0402 `<extensions/>`). Read before a device is told of something
//! ([`super::push`]); clients read it for themselves. What is in `<advanced/>` is for clients.

use super::{Feature, Spec, bookmarks};
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "urn:xmpp:notification-settings:1";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "notification_settings",
    title: "Chat notification settings",
    spec: Spec::Xep {
        number: 492,
        version: "0.2.0",
    },
    ..Feature::NONE
};

/// What the user wants to be told of in a chat (§2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notify {
    /// Everything.
    Always,
    /// What mentions them.
    OnMention,
    /// Nothing.
    Never,
}

/// Who asks to be told is a phone (§2.2): nobody else has app servers. A registration does not
/// say it.
const CATEGORY: &str = "client";
const TYPE: &str = "phone";

/// Reads the setting of a bookmark; `None`: it has none.
pub fn of_bookmark(payload: &[u8]) -> Option<Notify> {
    let conference = Element::parse(payload).ok()?;
    let extensions = conference.find("extensions", bookmarks::NS)?;
    let notify = extensions.find("notify", NS)?;
    // §3: the most specific one counts.
    let settings = notify.children().filter_map(read);
    settings.max_by_key(|(rank, _)| *rank).map(|(_, it)| it)
}

/// How specific a setting is, and which; `None` for one that is for others or not known.
fn read(setting: &Element) -> Option<(u8, Notify)> {
    let notify = match setting.name() {
        _ if setting.namespace() != NS => return None,
        "always" => Notify::Always,
        "on-mention" => Notify::OnMention,
        "never" => Notify::Never,
        _ => return None,
    };
    let identity = (
        setting.get("identity-category"),
        setting.get("identity-type"),
    );
    let rank = match identity {
        (Some(CATEGORY), Some(TYPE)) => 2,
        (Some(CATEGORY), None) => 1,
        (None, None) => 0,
        _ => return None,
    };
    Some((rank, notify))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(inner: &str) -> Option<Notify> {
        let bookmark = format!(
            "<conference xmlns='urn:xmpp:bookmarks:1' autojoin='true'><nick>x</nick><extensions>\
             <notify xmlns='{NS}'>{inner}</notify></extensions></conference>"
        );
        of_bookmark(bookmark.as_bytes())
    }

    #[test]
    fn the_most_specific_setting_for_a_phone_counts() {
        for (inner, expected) in [
            ("<never/>", Some(Notify::Never)),
            ("<always/>", Some(Notify::Always)),
            ("", None),
            ("<sometimes/>", None),
            // §2.2's own example.
            (
                "<never identity-category='client' identity-type='pc'/>\
                 <on-mention identity-category='client' identity-type='phone'/>\
                 <on-mention identity-category='gateway'/><always/>",
                Some(Notify::OnMention),
            ),
            (
                "<always/><never identity-category='client'/>",
                Some(Notify::Never),
            ),
            (
                "<never identity-type='phone'/><always/>",
                Some(Notify::Always),
            ),
            ("<never identity-category='gateway'/>", None),
        ] {
            assert_eq!(setting(inner), expected, "{inner}");
        }
    }

    #[test]
    fn what_is_no_bookmark_or_has_no_setting_says_nothing() {
        for payload in [
            "",
            "<x",
            "<conference xmlns='urn:xmpp:bookmarks:1'/>",
            "<conference xmlns='urn:xmpp:bookmarks:1'><extensions/></conference>",
        ] {
            assert_eq!(of_bookmark(payload.as_bytes()), None, "{payload}");
        }
    }
}
