//! What the client knows of the roster, and what it is still to be told of the organisation's
//! directory (RFC 6121 §2.1.6, §2.6).
//!
//! A version says which roster a client has, and must never say more than it was sent: so the
//! session writes it into every push itself, in the order in which they go out. Left out: a session
//! that goes on on another node has lost what it was still to be told; its client is told with its
//! next login.

use std::collections::BTreeSet;
use std::sync::Arc;

use klatsch_protocol::colleagues::{Book, Shift};
use klatsch_protocol::features::presence;
use klatsch_protocol::features::pubsub::pep;
use klatsch_protocol::features::roster::shared::{self, Version};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::Presence;
use klatsch_protocol::xml::Element;

use super::{Live, SessionMsg};
use crate::colleagues::items_of_newcomers;
use crate::mail::Mail;
use crate::router;

/// So many pushes are written at once; then it is looked whether the client takes them. Whoever
/// comes into a group of thousands is shown thousands.
const AT_ONCE: usize = 50;

/// What the client knows, and what it is to be told.
#[derive(Default)]
pub(super) struct Contacts {
    /// The roster it has; `None`: it has not asked here.
    known: Option<Version>,
    /// Who is to be shown, by this book.
    unshown: BTreeSet<BareJid>,
    book: Option<Arc<Book>>,
}

impl Contacts {
    /// The client is told the roster of this version.
    pub(super) fn know(&mut self, version: Version) {
        self.known = Some(version);
        self.unshown.clear();
        self.book = None;
    }

    /// What the client has; of what is not known so much that it is told all the next time.
    fn version(&self) -> Version {
        self.known.unwrap_or(Version {
            own: 0,
            shared: Version::UNKNOWN,
        })
    }
}

impl Live {
    /// The account has changed its roster.
    pub(super) fn push_roster(&mut self, mut payload: Element) {
        if let Some(own) = payload.get("ver").and_then(|version| version.parse().ok()) {
            let version = Version {
                own,
                ..self.contacts.version()
            };
            payload.set_attr("ver", version.to_string());
            if self.contacts.known.is_some() {
                self.contacts.known = Some(version);
            }
        }
        self.push(payload);
    }

    /// The directory shows others otherwise to this account, and so this account to them.
    pub(super) fn take_shifts(&mut self, shifts: Arc<[Shift]>, book: Arc<Book>) {
        if self.session.facts.roster_interest {
            let shown = shifts.iter().map(|shift| shift.account.clone());
            self.contacts.unshown.extend(shown);
            self.contacts.book = Some(book);
            self.go_on_showing_contacts();
        }
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        let wants_items = pep::may_want_newcomers(&shifts, &facts);
        for effect in presence::decide_shifts(&shifts, &facts) {
            self.perform_delivery(effect);
        }
        if wants_items {
            self.ask_for_newcomers(shifts);
        }
    }

    /// XEP-0163 §4.3.4: the last items of new colleagues, as of whoever is newly subscribed to.
    /// They come as what those had published just now.
    fn ask_for_newcomers(&self, shifts: Arc<[Shift]>) {
        let (world, slot, cell) = (self.world.clone(), self.slot, self.cell.clone());
        let session = self.session.facts.clone();
        tokio::spawn(async move {
            for item in items_of_newcomers(&world, &cell, &session, &shifts).await {
                let mail = SessionMsg::Mail(Box::new(Mail::Deliver(item)));
                world.directory.slots.send(slot, mail);
            }
        });
    }

    /// Shows contacts that are not shown yet, as far as the client takes them.
    pub(super) fn go_on_showing_contacts(&mut self) {
        let Some(book) = self.contacts.book.clone() else {
            return;
        };
        let account = self.cell.jid.clone();
        let data = self.cell.data();
        for _ in 0..AT_ONCE {
            if self.has_ended || !self.can_take_entries() {
                return;
            }
            let Some(other) = self.contacts.unshown.pop_first() else {
                self.contacts.book = None;
                return;
            };
            let mut version = self.contacts.version();
            if self.contacts.unshown.is_empty() {
                version.shared = book.digest(&account);
                self.contacts.book = None;
                if self.contacts.known.is_some() {
                    self.contacts.known = Some(version);
                }
            }
            let own = data.roster.items.get(&other);
            self.push(shared::push(&other, own, &book, &account, version));
        }
        if self.contacts.book.is_some() {
            // Others have their turn, and whatever else is for this client.
            let slots = &self.world.directory.slots;
            slots.send(self.slot, SessionMsg::Writable);
        }
    }

    /// A presence to the colleagues who are there.
    pub(super) fn spread(&self, presence: &Presence) {
        let data = self.cell.data();
        let facts = self
            .world
            .facts(&self.cell.jid, &data, Some(&self.session.facts));
        router::spread(&self.world, presence, &facts);
    }
}
