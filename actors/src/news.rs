//! What has become of sessions lately, for those who may not have heard of it.
//!
//! Owns: which sessions have come, gone or shown something else in the last minutes. Does not
//! own: what they show now (the directory has it), nor who may see it. Between nodes presence
//! travels twice: as mail, which comes at once and may be lost, and as what nodes show each
//! other, which comes a little later and always. Whoever may have missed the mail is told from
//! the second.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use klatsch_protocol::jid::{BareJid, FullJid};
use tokio::time::Instant;

/// As long as most sessions are kept for their clients (`c2s.resume_seconds`), twice.
pub(crate) const KEPT: Duration = Duration::from_secs(600);

/// What is old is looked for so often: nobody looks at each session each time.
const SWEPT_EVERY: Duration = Duration::from_secs(60);

/// So many sessions are remembered, some 7 MB; of more the oldest are forgotten, a tenth at a
/// time, and whoever comes back after that sees what is true with the next change.
const SESSIONS_MAX: usize = 100_000;

/// The changes.
#[derive(Default)]
pub(crate) struct News(Mutex<Changes>);

#[derive(Default)]
struct Changes {
    /// When sessions have last changed. Those of an account are beside each other.
    latest: BTreeMap<FullJid, Instant>,
    swept: Option<Instant>,
}

impl News {
    /// A session has come, gone, or shows something else.
    pub(crate) fn note(&self, session: &FullJid) {
        self.changes().note(session, Instant::now());
    }

    /// The sessions of an account that have changed since then.
    pub(crate) fn of(&self, account: &BareJid, since: Instant) -> Vec<FullJid> {
        self.changes().of(account, since)
    }

    /// All sessions that have changed since then, by their accounts.
    pub(crate) fn all(&self, since: Instant) -> HashMap<BareJid, Vec<FullJid>> {
        let changes = self.changes();
        let mut all: HashMap<BareJid, Vec<FullJid>> = HashMap::new();
        let lately = changes.latest.iter().filter(|(_, at)| **at >= since);
        for (session, _) in lately {
            let sessions = all.entry(session.bare()).or_default();
            sessions.push(session.clone());
        }
        all
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.0.lock().expect("no holder panics")
    }
}

impl Changes {
    fn note(&mut self, session: &FullJid, now: Instant) {
        self.latest.insert(session.clone(), now);
        let swept = *self.swept.get_or_insert(now);
        if now.duration_since(swept) >= SWEPT_EVERY {
            self.swept = Some(now);
            self.latest.retain(|_, at| now.duration_since(*at) < KEPT);
        }
        if self.latest.len() > SESSIONS_MAX {
            let mut all: Vec<Instant> = self.latest.values().copied().collect();
            let (_, old, _) = all.select_nth_unstable(SESSIONS_MAX / 10);
            self.latest.retain(|_, at| *at > *old);
        }
    }

    fn of(&self, account: &BareJid, since: Instant) -> Vec<FullJid> {
        let first = format!("{account}/");
        let from = (Bound::Included(first.as_str()), Bound::Unbounded);
        let all = self.latest.range::<str, _>(from);
        let of_account = all.take_while(|(session, _)| session.bare_str() == account.as_str());
        let lately = of_account.filter(|(_, at)| **at >= since);
        lately.map(|(session, _)| session.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(text: &str) -> FullJid {
        FullJid::parse(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn only_what_has_changed_since_then_is_news() {
        let news = News::default();
        news.note(&session("a@x/old"));
        tokio::time::advance(Duration::from_secs(1)).await;
        let since = Instant::now();
        news.note(&session("a@x/new"));
        news.note(&session("b@x/new"));
        let a = session("a@x/new").bare();
        assert_eq!(news.of(&a, since), [session("a@x/new")]);
        assert_eq!(news.all(since).len(), 2);
        news.note(&session("a@x/old"));
        assert_eq!(news.of(&a, since).len(), 2, "it has changed again");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_old_is_forgotten() {
        let news = News::default();
        let begin = Instant::now();
        news.note(&session("a@x/r"));
        tokio::time::advance(KEPT / 2).await;
        news.note(&session("a@x/r"));
        tokio::time::advance(KEPT / 2).await;
        news.note(&session("b@x/r"));
        let a = session("a@x/r").bare();
        assert_eq!(news.of(&a, begin).len(), 1, "the later change counts");
        tokio::time::advance(KEPT / 2).await;
        news.note(&session("b@x/r"));
        assert!(news.of(&a, begin).is_empty());
        assert_eq!(news.changes().latest.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_remembered_than_there_is_room_for() {
        let news = News::default();
        let begin = Instant::now();
        let mut changes = news.changes();
        for n in 0..=SESSIONS_MAX {
            let at = begin + Duration::from_micros(n as u64);
            changes.note(&session(&format!("{n}@x/r")), at);
        }
        assert_eq!(changes.latest.len(), SESSIONS_MAX - SESSIONS_MAX / 10);
        let is_known = |n: usize| {
            !changes
                .of(&session(&format!("{n}@x/r")).bare(), begin)
                .is_empty()
        };
        assert!(!is_known(0) && is_known(SESSIONS_MAX));
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_whose_names_begin_alike_are_told_apart() {
        let news = News::default();
        let begin = Instant::now();
        for text in ["a@x/r", "a@x.org/r", "a@x-y/r", "a@x/s", "a@xx/r"] {
            news.note(&session(text));
        }
        let of = news.of(&session("a@x/r").bare(), begin);
        assert_eq!(of, [session("a@x/r"), session("a@x/s")]);
    }
}
