//! What a session and its client agree on (XEP-0124 §7), and why it is that much.

use std::time::Duration;

use klatsch_protocol::stream::bosh::Wishes;

use super::XML;

/// The longest a request waits for its answer: proxies give up after a minute or more.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Requests that may wait: one is enough for everybody who can reuse connections (§7.1), and
/// two for who cannot (row W09).
const HOLD_MAX: u32 = 2;

/// Between two empty requests of a client that polls.
const POLLING: Duration = Duration::from_secs(5);

/// How long a client may have no request here. Browsers wake the timers of a page in the
/// background once a minute only.
const INACTIVITY: Duration = Duration::from_secs(75);

/// The same for one that polls (§12: longer, by more than the interval).
const INACTIVITY_POLLING: Duration = Duration::from_secs(90);

/// How long a client may ask to be away (§10): a slow page, a tunnel.
const PAUSE_MAX: Duration = Duration::from_secs(120);

/// What both sides hold to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) wait: Duration,
    pub(super) hold: u32,
    pub(super) polling: Duration,
    pub(super) inactivity: Duration,
    pub(super) pause_max: Duration,
    /// The client says which answers it has, and is told which requests have come.
    pub(super) acks: bool,
}

impl Terms {
    /// What the client wishes, as far as it may.
    pub(super) fn agree(wishes: &Wishes) -> Self {
        let wait = wishes.wait.unwrap_or(WAIT_MAX).min(WAIT_MAX);
        let hold = wishes.hold.unwrap_or(1).min(HOLD_MAX);
        let mut terms = Self {
            wait,
            hold,
            polling: POLLING,
            inactivity: INACTIVITY,
            pause_max: PAUSE_MAX,
            acks: wishes.acks,
        };
        if terms.polls() {
            terms.inactivity = INACTIVITY_POLLING;
        }
        terms
    }

    /// Requests the client may make at a time (§7.2).
    pub(super) fn requests(&self) -> u32 {
        self.hold + 1
    }

    /// Tells whether no request ever waits (§12).
    pub(super) fn polls(&self) -> bool {
        self.hold == 0 || self.wait.is_zero()
    }

    /// What the answer to the session's first request says of them.
    pub(super) fn attributes(&self) -> Vec<(&'static str, String)> {
        let seconds = |time: Duration| time.as_secs().to_string();
        vec![
            ("wait", seconds(self.wait)),
            ("requests", self.requests().to_string()),
            ("hold", self.hold.to_string()),
            ("polling", seconds(self.polling)),
            ("inactivity", seconds(self.inactivity)),
            ("maxpause", seconds(self.pause_max)),
        ]
    }
}

/// The type of the answers. DEVIATION from §7.1: only one that browsers do not run.
pub(super) fn content_type(wish: Option<&str>) -> &'static str {
    let wish = wish.and_then(|wish| wish.split(';').next());
    match wish.map(|wish| wish.trim().to_ascii_lowercase()).as_deref() {
        Some("text/plain") => "text/plain; charset=utf-8",
        Some("application/xml") => "application/xml; charset=utf-8",
        _ => XML,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agree(wait: Option<u64>, hold: Option<u32>) -> Terms {
        Terms::agree(&Wishes {
            wait: wait.map(Duration::from_secs),
            hold,
            version: None,
            content: None,
            acks: false,
        })
    }

    #[test]
    fn nobody_gets_more_than_wished_for_or_than_there_is() {
        let terms = agree(Some(3600), Some(1000));
        assert_eq!((terms.wait, terms.hold), (WAIT_MAX, HOLD_MAX));
        let terms = agree(Some(10), Some(1));
        assert_eq!(
            (terms.wait.as_secs(), terms.hold, terms.requests()),
            (10, 1, 2)
        );
        assert_eq!(agree(None, None).hold, 1);
    }

    #[test]
    fn who_polls_may_be_silent_for_longer() {
        for terms in [agree(Some(0), Some(1)), agree(Some(60), Some(0))] {
            assert!(terms.polls() && terms.inactivity > INACTIVITY + POLLING);
        }
    }

    #[test]
    fn answers_are_never_a_page() {
        assert_eq!(content_type(Some("text/html")), XML);
        assert_eq!(content_type(None), XML);
        assert_eq!(
            content_type(Some("Text/Plain")),
            "text/plain; charset=utf-8"
        );
    }
}
