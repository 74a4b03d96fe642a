//! What entries of other nodes have in common is in memory once.
//!
//! The address of a session stands in the keys of its entries, in what they show, and in whatever
//! is kept about it; and most clients of a kind show the same presence. Between nodes all of that
//! is written out.

use std::sync::{Arc, Mutex};

use klatsch_cluster::presence::snapshot;
use klatsch_protocol::jid::FullJid;
use klatsch_protocol::stanza::Presence;
use xxhash_rust::xxh3::xxh3_64;

use super::{Entry, Key};
use crate::directory::Directory;

/// So many presences are remembered: what nearly everybody shows is a handful, and what few show
/// is hardly worth being found.
const PRESENCES: usize = 1024;

/// What may be shared besides addresses, which the directory has.
pub(super) struct Shared {
    /// By their content; a newer one takes the place of an older one.
    presences: Mutex<Vec<Option<Arc<Presence>>>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            presences: Mutex::new(vec![None; PRESENCES]),
        }
    }
}

impl Shared {
    /// Puts what is there already in the place of what was read.
    pub(super) fn share(&self, directory: &Directory, entry: &mut snapshot::Entry<Key, Entry>) {
        match (&mut entry.key, &mut entry.value) {
            (Key::Session(session), Entry::Session(resource)) => {
                share_address(directory, session);
                if resource.jid == *session {
                    resource.jid = session.clone();
                }
                if let Some(presence) = &mut resource.presence {
                    self.share_presence(presence);
                }
            }
            (Key::Resumption(account, _), Entry::Resumption(record)) => {
                let Some(record) = Arc::get_mut(record) else {
                    return;
                };
                let session = &mut record.facts.jid;
                share_address(directory, session);
                if session.bare_str() == account.as_str() {
                    *account = session.bare();
                }
            }
            (Key::Inside(_, session) | Key::OnTopic(_, session), _) => {
                share_address(directory, session);
            }
            _ => {}
        }
    }

    fn share_presence(&self, presence: &mut Arc<Presence>) {
        let hash = xxh3_64(presence.payloads.bytes());
        let mut presences = self.presences.lock().expect("no holder panics");
        let place = &mut presences[(hash % PRESENCES as u64) as usize];
        match place {
            Some(known) if known == presence => *presence = Arc::clone(known),
            _ => *place = Some(Arc::clone(presence)),
        }
    }
}

/// The address as whoever is published has it.
fn share_address(directory: &Directory, session: &mut FullJid) {
    let published = directory.published(session.bare_str());
    let known = published.and_then(|it| Some(it.view.resource(session)?.jid.clone()));
    if let Some(known) = known {
        *session = known;
    }
}
