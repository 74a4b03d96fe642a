//! What one client shows of itself, and what it sees of the others.

use std::collections::HashMap;

use klatsch_protocol::ns;
use klatsch_protocol::xml::Fragment;

use super::circle::Circle;
use crate::history::Subject;

/// The presence of one client, and of those it has heard of.
#[derive(Debug, Default)]
pub(super) struct View {
    /// How many presences the client has sent; the last one carries this number.
    pub(super) token: u32,
    seen: HashMap<Subject, u32>,
}

impl View {
    /// The client's presence; its number stands in it as a status.
    pub(super) fn own(&self) -> String {
        format!("<presence><status>{}</status></presence>", self.token)
    }

    /// A new session has seen nobody.
    pub(super) fn forget(&mut self) {
        self.seen.clear();
    }

    /// Takes a presence in; tells whose it is when something has changed, and what is seen now.
    pub(super) fn take(
        &mut self,
        presence: &Fragment,
        circle: &Circle,
        number_of: impl Fn(&str) -> Option<u32>,
    ) -> Option<(Subject, Option<u32>)> {
        let from = presence.attr("from")?;
        let (bare, resource) = from.split_once('/').unwrap_or((from, ""));
        let subject = match circle.room_of(bare) {
            Some(room) => Subject::Occupant {
                room,
                account: Circle::called(resource)?,
            },
            None => Subject::Contact(number_of(bare)?),
        };
        let seen = match (presence.attr("type"), subject) {
            (None, Subject::Occupant { .. }) => Some(0),
            (None, Subject::Contact(_)) => Some(token_of(presence)),
            (Some("unavailable"), _) => None,
            _ => return None,
        };
        let before = match seen {
            Some(seen) => self.seen.insert(subject, seen),
            None => self.seen.remove(&subject),
        };
        (before != seen).then_some((subject, seen))
    }
}

/// The number in a presence; a presence without one is another client's, and counts as none.
fn token_of(presence: &Fragment) -> u32 {
    let status = presence.payloads().element("status", ns::CLIENT);
    let token = status.and_then(|status| status.text_content().parse().ok());
    token.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use klatsch_protocol::xml::{Limits, Token, Tokenizer};

    use super::*;

    fn presence(text: &str) -> Fragment {
        let mut tokenizer = Tokenizer::new(Limits::S2S);
        tokenizer.push(b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>");
        tokenizer.push(text.as_bytes());
        loop {
            match tokenizer.next().expect("well-formed") {
                Some(Token::Fragment(fragment)) => return fragment,
                Some(_) => {}
                None => panic!("no stanza in {text}"),
            }
        }
    }

    #[test]
    fn only_what_changes_is_told() {
        let circle = Circle {
            service: "conference.example.org".into(),
            run: "7f".into(),
            ..Circle::default()
        };
        let mut view = View::default();
        let mut take = |text: &str| {
            let number_of = |bare: &str| bare.strip_suffix("@example.org")?.parse().ok();
            view.take(&presence(text), &circle, number_of)
        };
        let three = "<presence from='3@example.org/lt'><status>7</status></presence>";
        assert_eq!(take(three), Some((Subject::Contact(3), Some(7))));
        assert_eq!(take(three), None);
        let gone = "<presence from='3@example.org/lt' type='unavailable'/>";
        assert_eq!(take(gone), Some((Subject::Contact(3), None)));
        assert_eq!(take(gone), None);
        let inside = Subject::Occupant {
            room: 2,
            account: 5,
        };
        let five = "<presence from='room-7f-2@conference.example.org/n5'/>";
        assert_eq!(take(five), Some((inside, Some(0))));
        assert_eq!(
            take("<presence from='3@example.org' type='subscribe'/>"),
            None
        );
        assert_eq!(take("<presence from='4@example.com/x'/>"), None);
    }
}
