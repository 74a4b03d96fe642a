//! What has become of sessions lately, for those who may not have heard of it.
//!
//! Owns: which sessions have come, gone or shown something else in the last minutes. Does not
//! own: what they show now (the directory has it), nor who may see it. Between nodes presence
//! travels twice: as mail, which comes at once and may be lost, and as what nodes show each
//! other, which comes a little later and always. Whoever may have missed the mail is told from
//! the second.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use klatsch_protocol::jid::{BareJid, FullJid};
use tokio::time::Instant;

/// As long as most sessions are kept for their clients (`c2s.resume_seconds`), twice.
pub(crate) const KEPT: Duration = Duration::from_secs(600);

/// So many changes are remembered, some 20 MB; of more the oldest are forgotten, and whoever
/// comes back after that sees what is true with the next change.
const CHANGES_MAX: usize = 100_000;

/// The changes.
#[derive(Default)]
pub(crate) struct News(Mutex<Changes>);

#[derive(Default)]
struct Changes {
    latest: HashMap<BareJid, Vec<(FullJid, Instant)>>,
    order: VecDeque<(Instant, FullJid)>,
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
        let lately = changes.order.iter().rev();
        for (_, session) in lately.take_while(|(at, _)| *at >= since) {
            let sessions = all.entry(session.bare()).or_default();
            if !sessions.contains(session) {
                sessions.push(session.clone());
            }
        }
        all
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.0.lock().expect("no holder panics")
    }
}

impl Changes {
    fn note(&mut self, session: &FullJid, now: Instant) {
        let of_account = self.latest.entry(session.bare()).or_default();
        match of_account.iter_mut().find(|(jid, _)| jid == session) {
            Some((_, at)) => *at = now,
            None => of_account.push((session.clone(), now)),
        }
        self.order.push_back((now, session.clone()));
        self.forget(now);
    }

    fn of(&self, account: &BareJid, since: Instant) -> Vec<FullJid> {
        let of_account = self.latest.get(account).into_iter().flatten();
        let lately = of_account.filter(|(_, at)| *at >= since);
        lately.map(|(session, _)| session.clone()).collect()
    }

    fn forget(&mut self, now: Instant) {
        let is_over = |at: Instant| now.duration_since(at) >= KEPT;
        while let Some((at, _)) = self.order.front() {
            if self.order.len() <= CHANGES_MAX && !is_over(*at) {
                return;
            }
            let Some((at, session)) = self.order.pop_front() else {
                return;
            };
            let account = session.bare();
            let Some(of_account) = self.latest.get_mut(&account) else {
                continue;
            };
            // Of a session that has changed again the later change is remembered.
            of_account.retain(|(jid, latest)| *jid != session || *latest > at);
            if of_account.is_empty() {
                self.latest.remove(&account);
            }
        }
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
        for n in 0..=CHANGES_MAX {
            news.note(&session(&format!("{n}@x/r")));
        }
        let changes = news.changes();
        assert_eq!(
            (changes.order.len(), changes.latest.len()),
            (CHANGES_MAX, CHANGES_MAX)
        );
        assert!(changes.of(&session("0@x/r").bare(), begin).is_empty());
    }
}
