//! What an account wants to show whatever its clients say: set beside a chat, as in the toolbar
//! of webmail, and kept until it is taken back.
//!
//! Sessions keep what their clients have said. The wish is laid over it on the way out, for
//! contacts and for the account's own resources, and where it is published for all to look up;
//! so what clients say holds again at once when the wish goes. It makes nobody available who is
//! not. Left out: directed presence, so what a client shows in a room is its own.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::announce;
use crate::effect::Effect;
use crate::facts::{Facts, SessionFacts};
use crate::ns;
use crate::stanza::{Presence, PresenceKind, Show};
use crate::time::Timestamp;
use crate::xml::Element;

/// What an account keeps it under.
pub const NAME: &str = "presence wish";

/// A status is a line to be read.
pub const STATUS_BYTES_MAX: usize = 1024;

/// What an account wishes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// Since when: of two wishes the later one holds.
    pub since: Timestamp,
    /// What is to be shown; `None`: what each client says.
    pub shown: Option<Wished>,
}

/// What is to be shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wished {
    /// The state.
    pub show: Show,
    /// A line about it; empty: none.
    pub status: Box<str>,
}

impl Wish {
    /// As it is kept.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let since = self.since.0;
        Bytes::from(match &self.shown {
            None => format!("{since} auto "),
            Some(wished) => format!("{since} {} {}", wished.show.as_str(), wished.status),
        })
    }

    /// Reads what is kept; `None` when it is no wish.
    #[must_use]
    pub fn read(kept: &[u8]) -> Option<Self> {
        let (since, rest) = str::from_utf8(kept).ok()?.split_once(' ')?;
        let (show, status) = rest.split_once(' ')?;
        let since = Timestamp(since.parse().ok()?);
        if show == "auto" {
            return Some(Self { since, shown: None });
        }
        let status = status.into();
        let show = Show::parse(show)?;
        let shown = Some(Wished { show, status });
        Some(Self { since, shown })
    }
}

/// What others are to see of a presence.
#[must_use]
pub fn laid_over(presence: &Presence, wish: Option<&Wish>) -> Presence {
    let wished = wish.and_then(|wish| wish.shown.as_ref());
    let (Some(wished), PresenceKind::Available) = (wished, presence.kind) else {
        return presence.clone();
    };
    let text = |name: &'static str, text: &str| Element::new(name, ns::CLIENT).text(text);
    let show = Some(wished.show).filter(|show| *show != Show::Online);
    let show = show.map(|show| text("show", show.as_str()));
    let status = Some(&*wished.status).filter(|status| !status.is_empty());
    let status = status.map(|status| text("status", status));
    let said = |child: &crate::xml::Child<'_>| {
        child.is("show", ns::CLIENT) || child.is("status", ns::CLIENT)
    };
    let mut presence = presence.clone();
    let mut payloads = presence.payloads.without(said);
    for element in show.into_iter().chain(status) {
        payloads = payloads.with(&element);
    }
    presence.payloads = payloads;
    presence
}

/// The account wishes something else: what this session does about it. The facts have the new
/// wish.
pub fn decide_wished(session: &SessionFacts, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(presence) = session.presence.as_deref() else {
        return Vec::new();
    };
    let mut effects = vec![Effect::Publish(Some(Box::new(presence.clone())))];
    effects.extend(announce::tell_everybody(presence, facts));
    effects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::roster::Subscription;
    use crate::testkit::*;

    fn wish(show: Show, status: &str) -> Wish {
        let status = status.into();
        Wish {
            since: Timestamp(7),
            shown: Some(Wished { show, status }),
        }
    }

    #[test]
    fn wish_is_read_as_it_is_kept() {
        let auto = Wish {
            since: Timestamp(9),
            shown: None,
        };
        for wish in [
            auto,
            wish(Show::Online, ""),
            wish(Show::Dnd, "in a meeting  "),
        ] {
            assert_eq!(Wish::read(&wish.to_bytes()), Some(wish));
        }
        for bad in [
            &b""[..],
            b"7",
            b"7 away",
            b"x away ",
            b"7 gone ",
            b"\xff away ",
        ] {
            assert_eq!(Wish::read(bad), None, "{bad:?}");
        }
    }

    fn shown(wish: Option<&Wish>, presence: &str) -> String {
        let crate::stanza::Stanza::Presence(presence) = parse(presence) else {
            panic!("no presence")
        };
        let shown = laid_over(&presence, wish).payloads;
        String::from_utf8(shown.bytes().to_vec()).unwrap()
    }

    #[test]
    fn wish_takes_the_place_of_what_the_client_says_and_nothing_else() {
        let said =
            "<presence><show>chat</show><status>here</status><priority>5</priority></presence>";
        let whole = "<show>chat</show><status>here</status><priority>5</priority>";
        assert_eq!(shown(None, said), whole);
        let auto = Wish {
            since: Timestamp(1),
            shown: None,
        };
        assert_eq!(shown(Some(&auto), said), whole);
        assert_eq!(
            shown(Some(&wish(Show::Away, "lunch")), said),
            "<priority>5</priority><show>away</show><status>lunch</status>"
        );
        assert_eq!(
            shown(Some(&wish(Show::Online, "")), said),
            "<priority>5</priority>"
        );
    }

    #[test]
    fn who_goes_goes_whatever_was_wished() {
        let gone = "<presence type='unavailable'><status>bye</status></presence>";
        let seen = shown(Some(&wish(Show::Away, "lunch")), gone);
        assert_eq!(seen, "<status>bye</status>");
    }

    #[test]
    fn contacts_are_told_the_wish_and_the_session_keeps_what_its_client_said() {
        let mut given = facts().contact("juliet@example.org", Subscription::Both);
        given.data.wish = Some(wish(Show::Dnd, ""));
        let effects = given.sends("<presence><show>chat</show></presence>");
        let kept = effects.iter().find_map(|effect| match effect {
            Effect::Publish(presence) => presence.as_deref(),
            _ => None,
        });
        assert_eq!(kept.unwrap().show(), Show::Chat);
        let told: Vec<Show> = effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Route(crate::stanza::Stanza::Presence(presence)) => Some(presence.show()),
                _ => None,
            })
            .collect();
        assert!(
            told.len() >= 2 && told.iter().all(|show| *show == Show::Dnd),
            "{told:?}"
        );
    }
}
