//! Sessions that this node has given to another which does not show them yet: the answer may have
//! been lost with its connection, and then nobody has them.
//!
//! Owns: those sessions, as they left, for as long as their names linger. Whoever was to have one
//! asks again, and is given it again; whoever has it does not ask, and shows it soon.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::jid::BareJid;
use tokio::time::Instant;

use crate::replica::LINGERING;
use crate::session::Waiting;

/// The sessions, by what they are resumed by.
#[derive(Default)]
pub struct Given(Mutex<HashMap<String, Gift>>);

struct Gift {
    to: NodeId,
    waiting: Waiting,
    since: Instant,
}

impl Gift {
    fn is_kept(&self, now: Instant) -> bool {
        now.duration_since(self.since) < LINGERING
    }
}

impl Given {
    /// A node is given a session.
    pub(crate) fn note(&self, previd: &str, to: NodeId, waiting: Waiting) {
        let since = Instant::now();
        let gift = Gift { to, waiting, since };
        self.all().insert(previd.to_owned(), gift);
    }

    /// The session that this node was given, and does not have.
    pub(crate) fn again(&self, account: &BareJid, previd: &str, to: NodeId) -> Option<Waiting> {
        let all = self.all();
        let gift = all.get(previd).filter(|it| it.to == to)?;
        let jid = &gift.waiting.session.facts.jid;
        let is_theirs = jid.bare_str() == account.as_str();
        (is_theirs && gift.is_kept(Instant::now())).then(|| gift.waiting.clone())
    }

    /// Who was given a session.
    pub(crate) fn heir(&self, previd: &str) -> Option<NodeId> {
        self.all().get(previd).map(|gift| gift.to)
    }

    /// Somebody has it.
    pub(crate) fn forget(&self, previd: &str) {
        self.all().remove(previd);
    }

    /// Forgets what was given so long ago that its name lingers no more.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.all().retain(|_, gift| gift.is_kept(now));
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Gift>> {
        self.0.lock().expect("no holder panics")
    }
}

#[cfg(test)]
mod tests {
    use klatsch_protocol::jid::FullJid;

    use super::*;
    use crate::session::Session;

    fn given() -> (Given, BareJid) {
        let jid = FullJid::parse("a@x/phone").unwrap();
        let waiting = Waiting {
            session: Session::new(jid.clone(), Default::default(), 9),
            held: Vec::new(),
        };
        let given = Given::default();
        given.note("previd", NodeId(2), waiting);
        (given, jid.bare())
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_given_again_to_its_heir_alone_and_to_no_other_account() {
        let (given, account) = given();
        assert!(given.again(&account, "previd", NodeId(2)).is_some());
        assert!(given.again(&account, "previd", NodeId(3)).is_none());
        let mallory = BareJid::parse("mallory@x").unwrap();
        assert!(given.again(&mallory, "previd", NodeId(2)).is_none());
        given.forget("previd");
        assert!(given.again(&account, "previd", NodeId(2)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_is_given_again_as_long_as_its_name_lingers() {
        let (given, account) = given();
        tokio::time::advance(LINGERING).await;
        assert!(given.again(&account, "previd", NodeId(2)).is_none());
        given.sweep();
        assert!(given.all().is_empty());
    }
}
