//! One word about an account for whoever draws a single dot: which of its resources speaks for
//! it, and for whom at all.
//!
//! Who may see is decided as for an initial presence (RFC 6121 §4.3.1, row R15): both rosters
//! have to agree, and blocking holds (row R16).

use super::wish::STATUS_BYTES_MAX;
use crate::facts::{AccountView, Facts};
use crate::features::blocking;
use crate::features::roster::sight::Showing;
use crate::jid::{BareJid, Jid};
use crate::ns;
use crate::stanza::{Presence, Show};

/// What somebody is seen as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// What they are up to; `None`: they are not there.
    pub show: Option<Show>,
    /// A line about it; empty: none.
    pub status: Box<str>,
}

/// What the deciding account may see of another, or of itself; `None` when it may not, or there
/// is no such account: nothing tells the two apart (row A11). `showing` has the accounts that
/// let it see them.
#[must_use]
pub fn seen(of: &BareJid, showing: &Showing, facts: &Facts<'_>) -> Option<Seen> {
    let is_own = of == facts.account;
    if !is_own && !facts.sees_by_both(of, showing) {
        return None;
    }
    Some(summary(&facts.views.view(of), |resource| {
        is_own || !blocking::is_blocked(resource, facts)
    }))
}

/// Tells whether two accounts know each other: one is on the other's roster, with leave for its
/// presence on one side at least, or they are colleagues. Whoever has only asked is not known for
/// that.
#[must_use]
pub fn knows(of: &BareJid, showing: &Showing, facts: &Facts<'_>) -> bool {
    let is_own = of == facts.account;
    // Row R14: whoever has come to another organisation is a stranger.
    let is_near = !facts.is_apart(of.as_jid());
    let is_known = facts.is_acquainted(of.as_str()) || showing.by_roster.contains(of);
    is_own || (is_near && is_known)
}

fn summary(view: &AccountView, is_shown: impl Fn(&Jid) -> bool) -> Seen {
    let available = view.available();
    let shown = available.filter(|resource| is_shown(resource.jid.as_jid()));
    let presences = shown.filter_map(|it| Some((it.priority, it.presence.as_deref()?)));
    let speaking = presences.max_by_key(|(priority, presence)| {
        // A device below zero is not for messages, so it speaks when no other does.
        (*priority >= 0, rank(presence.show()), *priority)
    });
    speaking.map_or_else(Seen::default, |(_, presence)| Seen {
        show: Some(presence.show()),
        status: status_of(presence),
    })
}

/// Nobody is busy by accident; idle devices say nothing while another one is in use.
fn rank(show: Show) -> u8 {
    match show {
        Show::Xa => 0,
        Show::Away => 1,
        Show::Online => 2,
        Show::Chat => 3,
        Show::Dnd => 4,
    }
}

fn status_of(presence: &Presence) -> Box<str> {
    let status = presence.payloads.text_of("status", ns::CLIENT);
    let status = status.unwrap_or_default();
    let end = status.floor_char_boundary(STATUS_BYTES_MAX);
    status[..end].into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::facts::Resource;
    use crate::jid::FullJid;
    use crate::stanza::Stanza;
    use crate::testkit::parse;

    fn view(presences: &[&str]) -> AccountView {
        let resources = presences.iter().enumerate().map(|(number, presence)| {
            let Stanza::Presence(presence) = parse(presence) else {
                panic!("no presence")
            };
            let jid = FullJid::parse(&format!("juliet@example.org/{number}")).unwrap();
            Resource {
                priority: presence.priority(),
                presence: Some(Arc::new(presence)),
                ..Resource::unseen(jid)
            }
        });
        AccountView {
            resources: resources.collect(),
        }
    }

    fn word(presences: &[&str]) -> Option<Show> {
        summary(&view(presences), |_| true).show
    }

    const AWAY: &str = "<presence><show>away</show><priority>50</priority></presence>";
    const HERE: &str = "<presence/>";
    const BUSY: &str = "<presence><show>dnd</show></presence>";
    const LOOKS: &str = "<presence><show>dnd</show><priority>-1</priority></presence>";

    #[test]
    fn device_in_use_speaks_for_idle_ones_and_a_busy_person_for_all() {
        assert_eq!(word(&[]), None);
        assert_eq!(word(&[AWAY]), Some(Show::Away));
        assert_eq!(word(&[AWAY, HERE]), Some(Show::Online));
        assert_eq!(word(&[HERE, BUSY, AWAY]), Some(Show::Dnd));
    }

    #[test]
    fn device_that_takes_no_messages_speaks_when_no_other_does() {
        assert_eq!(word(&[LOOKS]), Some(Show::Dnd));
        assert_eq!(word(&[LOOKS, AWAY]), Some(Show::Away));
    }

    #[test]
    fn long_status_is_cut_between_characters() {
        let long = format!("<presence><status>{}</status></presence>", "ä".repeat(2000));
        let seen = summary(&view(&[&long]), |_| true);
        assert_eq!(seen.status.len(), STATUS_BYTES_MAX);
    }

    #[test]
    fn resource_that_is_blocked_says_nothing() {
        let seen = summary(&view(&[BUSY]), |_| false);
        assert_eq!(seen, Seen::default());
    }
}
