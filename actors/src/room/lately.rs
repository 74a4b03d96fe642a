//! Whose presence a room has sent lately, for those who may not have got it.

use std::collections::HashMap;
use std::time::Duration;

use klatsch_protocol::features::muc::nick::Nick;
use klatsch_protocol::jid::FullJid;
use klatsch_protocol::stanza::Stanza;
use tokio::time::Instant;

use crate::news::KEPT;

/// Nicks are looked through for old ones when there are so many more.
const SWEPT_EVERY: usize = 64;

/// The nicks, and when each was last told of.
#[derive(Default)]
pub(super) struct Lately {
    told: HashMap<Nick, Instant>,
    /// Those whose sessions were gone without a word, with a node perhaps: the last of each.
    gone: HashMap<Nick, (FullJid, Instant)>,
    since_sweep: usize,
}

impl Lately {
    /// The room says this to its occupants.
    pub(super) fn note(&mut self, stanza: &Stanza) {
        let Stanza::Presence(presence) = stanza else {
            return;
        };
        let from = presence.head.from.as_ref();
        let Some(nick) = from.and_then(|from| from.resource()) else {
            return;
        };
        let now = Instant::now();
        if self.told.insert(nick.into(), now).is_none() {
            self.since_sweep += 1;
        }
        if self.since_sweep >= SWEPT_EVERY {
            self.since_sweep = 0;
            self.told.retain(|_, at| now.duration_since(*at) < KEPT);
        }
    }

    /// Somebody is gone without a word.
    pub(super) fn note_gone(&mut self, nick: Nick, session: FullJid) {
        let now = Instant::now();
        self.gone
            .retain(|_, (_, at)| now.duration_since(*at) < KEPT);
        self.gone.insert(nick, (session, now));
    }

    /// Those gone without a word.
    pub(super) fn gone(&self) -> Vec<Nick> {
        self.gone.keys().cloned().collect()
    }

    /// Their sessions.
    pub(super) fn gone_sessions(&self) -> impl Iterator<Item = &FullJid> {
        self.gone.values().map(|(session, _)| session)
    }

    /// Those told of within such a time.
    pub(super) fn within(&self, time: Duration) -> Vec<Nick> {
        let told = self.told.iter().filter(|(_, at)| at.elapsed() <= time);
        told.map(|(nick, _)| nick.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(xml: &str) -> Stanza {
        let framed = xml.replacen(" from", " xmlns='jabber:client' from", 1);
        Stanza::parse(framed.as_bytes()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_was_told_of_lately_is_remembered_and_others_are_not() {
        let mut lately = Lately::default();
        lately.note(&stanza("<presence from='r@c.x/old'/>"));
        tokio::time::advance(Duration::from_secs(20)).await;
        lately.note(&stanza("<presence from='r@c.x/new' type='unavailable'/>"));
        lately.note(&stanza("<message from='r@c.x/third'/>"));
        assert_eq!(lately.within(Duration::from_secs(10)), ["new".into()]);
        assert_eq!(lately.within(KEPT).len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nicks_that_come_and_go_do_not_pile_up() {
        let mut lately = Lately::default();
        for number in 0..10 * SWEPT_EVERY {
            lately.note(&stanza(&format!("<presence from='r@c.x/{number}'/>")));
            tokio::time::advance(KEPT / 8).await;
        }
        assert!(lately.told.len() <= 2 * SWEPT_EVERY);
    }
}
