//! One slice of who is bound and available.
//!
//! Owns: which resources the accounts of its slice have on this node, and their presence.
//! Does not own: who may see it (the roster decides), nor the sessions. Restarted by:
//! [`crate::supervisor`]. On restart: reads back what the directory still publishes.

use std::collections::HashMap;
use std::sync::Arc;

use klatsch_protocol::facts::{AccountView, Resource};
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::Presence;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

use crate::directory::{Directory, Published};
use crate::slot::Slot;

/// How many slices there are: fixed for all nodes of a cluster.
pub const SHARDS: u16 = 256;

/// The slice an account is in.
pub fn shard_of(account: &str) -> u16 {
    (xxh3_64(account.as_bytes()) % u64::from(SHARDS)) as u16
}

/// Mail of a presence shard.
pub enum PresenceShardMsg {
    /// A session wants this resource. Who had it before is answered, to be ended.
    Bind {
        /// The address wanted.
        jid: FullJid,
        /// Where the new session is.
        slot: Slot,
        /// How many resources an account may have.
        resources_max: usize,
        /// The answer.
        reply: oneshot::Sender<Result<Option<Slot>, TooManyResources>>,
    },
    /// A session has ended. `reply` hears whether it was still the one bound there.
    Unbind {
        /// Its address.
        jid: FullJid,
        /// Where it was.
        slot: Slot,
        /// The answer.
        reply: Option<oneshot::Sender<bool>>,
    },
    /// What a bound session shows has changed.
    Show {
        /// Its address.
        jid: FullJid,
        /// Where it is.
        slot: Slot,
        /// What it shows now.
        shown: Shown,
        /// Heard once it is published.
        reply: oneshot::Sender<()>,
    },
}

impl ractor::Message for PresenceShardMsg {}

/// What a session shows of itself.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its presence.
    pub presence: Option<Arc<Presence>>,
    /// Carbons are on.
    pub carbons: bool,
    /// It wants roster pushes.
    pub roster_interest: bool,
    /// It wants block list pushes.
    pub blocklist_interest: bool,
    /// Its connection is lost and may come back.
    pub is_away: bool,
}

/// The account has all the resources it may have (row A15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyResources;

/// The actor.
pub struct PresenceShard;

/// What a shard is started with.
pub struct Arguments {
    /// Which slice.
    pub shard: u16,
    /// Where it publishes.
    pub directory: Arc<Directory>,
}

/// The slice: plain data.
pub struct Slice {
    directory: Arc<Directory>,
    accounts: HashMap<BareJid, Vec<(Resource, Slot)>>,
}

impl Actor for PresenceShard {
    type Msg = PresenceShardMsg;
    type State = Slice;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        _me: ActorRef<Self::Msg>,
        arguments: Arguments,
    ) -> Result<Slice, ActorProcessingErr> {
        Ok(Slice::read_back(arguments.shard, arguments.directory))
    }

    async fn handle(
        &self,
        _me: ActorRef<Self::Msg>,
        message: PresenceShardMsg,
        slice: &mut Slice,
    ) -> Result<(), ActorProcessingErr> {
        #[cfg(feature = "broken")]
        crate::broken::panic_now_and_then(crate::broken::Fragile::PresenceShard);
        // Nobody listening for an answer has ended meanwhile; that is theirs to know.
        match message {
            PresenceShardMsg::Bind {
                jid,
                slot,
                resources_max,
                reply,
            } => {
                let _ = reply.send(slice.bind(jid, slot, resources_max));
            }
            PresenceShardMsg::Unbind { jid, slot, reply } => {
                let was_bound = slice.unbind(&jid, slot);
                reply.map(|reply| reply.send(was_bound));
            }
            PresenceShardMsg::Show {
                jid,
                slot,
                shown,
                reply,
            } => {
                slice.show(&jid, slot, shown);
                let _ = reply.send(());
            }
        }
        Ok(())
    }
}

impl Slice {
    fn read_back(shard: u16, directory: Arc<Directory>) -> Self {
        let published = directory.all(|account| shard_of(account.as_str()) == shard);
        let accounts = published.into_iter().map(|(account, published)| {
            let resources = published.view.resources.iter().cloned();
            (
                account,
                resources.zip(published.slots.iter().copied()).collect(),
            )
        });
        Self {
            accounts: accounts.collect(),
            directory,
        }
    }

    /// Gives a resource to a session; the session that had it is answered.
    fn bind(
        &mut self,
        jid: FullJid,
        slot: Slot,
        resources_max: usize,
    ) -> Result<Option<Slot>, TooManyResources> {
        let account = jid.bare();
        let resources = self.accounts.entry(account.clone()).or_default();
        let before = resources
            .iter()
            .position(|(resource, _)| resource.jid == jid);
        if before.is_none() && resources.len() >= resources_max {
            return Err(TooManyResources);
        }
        let replaced = before.map(|index| resources.remove(index).1);
        resources.push((unseen(jid), slot));
        self.publish(&account);
        Ok(replaced)
    }

    fn unbind(&mut self, jid: &FullJid, slot: Slot) -> bool {
        let account = jid.bare();
        let Some(resources) = self.accounts.get_mut(&account) else {
            return false;
        };
        let count = resources.len();
        resources.retain(|(_, bound)| *bound != slot);
        let was_bound = resources.len() < count;
        if was_bound {
            self.publish(&account);
        }
        was_bound
    }

    fn show(&mut self, jid: &FullJid, slot: Slot, shown: Shown) {
        let account = jid.bare();
        let Some(resources) = self.accounts.get_mut(&account) else {
            return;
        };
        let Some((resource, _)) = resources.iter_mut().find(|(_, bound)| *bound == slot) else {
            return;
        };
        resource.priority = shown
            .presence
            .as_ref()
            .map_or(0, |presence| presence.priority());
        resource.presence = shown.presence;
        resource.carbons = shown.carbons;
        resource.roster_interest = shown.roster_interest;
        resource.blocklist_interest = shown.blocklist_interest;
        resource.is_away = shown.is_away;
        self.publish(&account);
    }

    fn publish(&mut self, account: &BareJid) {
        let Some(resources) = self.accounts.get(account) else {
            return;
        };
        let (resources, slots): (Vec<_>, Vec<_>) = resources.iter().cloned().unzip();
        if resources.is_empty() {
            self.accounts.remove(account);
        }
        let view = Arc::new(AccountView { resources });
        self.directory
            .publish(account.clone(), Published { view, slots });
    }
}

/// A resource that has shown nothing yet.
fn unseen(jid: FullJid) -> Resource {
    Resource {
        jid,
        presence: None,
        priority: 0,
        carbons: false,
        roster_interest: false,
        blocklist_interest: false,
        is_away: false,
    }
}

#[cfg(test)]
mod tests {
    use klatsch_protocol::facts::Views;

    use super::*;
    use crate::directory::Wire;

    fn slice() -> Slice {
        Slice {
            directory: Arc::new(Directory::new(Wire::Direct)),
            accounts: HashMap::new(),
        }
    }

    fn jid(text: &str) -> FullJid {
        FullJid::parse(text).unwrap()
    }

    #[test]
    fn a_resource_bound_again_replaces_the_session_before() {
        let mut slice = slice();
        let first = slice.directory.slots.reserve(1);
        let second = slice.directory.slots.reserve(1);
        assert_eq!(slice.bind(jid("a@x/r"), first, 10), Ok(None));
        assert_eq!(slice.bind(jid("a@x/r"), second, 10), Ok(Some(first)));
        assert!(
            !slice.unbind(&jid("a@x/r"), first),
            "the old session no longer owns the name"
        );
        assert_eq!(slice.directory.slot(&jid("a@x/r")), Some(second));
    }

    #[test]
    fn a15_an_account_has_so_many_resources_and_no_more() {
        let mut slice = slice();
        for n in 0..10 {
            let slot = slice.directory.slots.reserve(n);
            assert!(slice.bind(jid(&format!("a@x/{n}")), slot, 10).is_ok());
        }
        let slot = slice.directory.slots.reserve(11);
        assert_eq!(slice.bind(jid("a@x/11"), slot, 10), Err(TooManyResources));
    }

    #[test]
    fn a_shard_started_again_knows_who_was_bound() {
        let mut slice = slice();
        let slot = slice.directory.slots.reserve(1);
        slice.bind(jid("a@x/r"), slot, 10).unwrap();
        let shard = shard_of("a@x");
        let mut again = Slice::read_back(shard, slice.directory.clone());
        assert!(again.unbind(&jid("a@x/r"), slot));
        assert!(
            again
                .directory
                .view(&jid("a@x/r").bare())
                .resources
                .is_empty()
        );
    }
}
