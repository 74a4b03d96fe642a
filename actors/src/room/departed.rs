//! Who has left a room lately: a node may still show somebody who was turned out a moment ago.

use std::collections::HashMap;
use std::time::Duration;

use klatsch_protocol::features::muc::effect::Occupancy;
use klatsch_protocol::jid::FullJid;
use klatsch_protocol::time::Timestamp;
use tokio::time::Instant;

/// What another node shows is later than the truth by a second at most, unless the nodes were
/// cut off from each other; then it is right.
const LATE_MAX: Duration = Duration::from_secs(10);

/// What is over, and since when. A stay is known by the moment it began at, as the node that
/// had the room then wrote it down: clocks of two nodes are not compared.
#[derive(Default)]
pub(super) struct Departed(HashMap<(FullJid, Timestamp), Instant>);

impl Departed {
    /// A session has left that came in then.
    pub(super) fn note(&mut self, session: &FullJid, joined: Timestamp) {
        let now = Instant::now();
        self.0
            .retain(|_, left| now.duration_since(*left) < LATE_MAX);
        self.0.insert((session.clone(), joined), now);
    }

    /// Tells whether this speaks of a stay that is over.
    pub(super) fn is_late(&self, session: &FullJid, occupancy: &Occupancy) -> bool {
        let stay = (session.clone(), occupancy.joined);
        self.0
            .get(&stay)
            .is_some_and(|left| left.elapsed() < LATE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use klatsch_protocol::features::muc::role::Role;
    use klatsch_protocol::jid::BareJid;

    use super::*;

    fn occupancy(joined: i64) -> Occupancy {
        Occupancy {
            room: BareJid::parse("coven@conference.x").unwrap(),
            nick: "hag".into(),
            role: Role::Participant,
            joined: Timestamp(joined),
            presence: Box::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_stay_that_is_over_is_late_whatever_clocks_say() {
        let hag = FullJid::parse("hag@x/r").unwrap();
        let mut departed = Departed::default();
        departed.note(&hag, Timestamp(50));
        assert!(departed.is_late(&hag, &occupancy(50)));
        // Back in a room whose node has a clock that is behind.
        assert!(!departed.is_late(&hag, &occupancy(20)));
        tokio::time::advance(LATE_MAX).await;
        assert!(!departed.is_late(&hag, &occupancy(50)), "shown by then");
    }
}
