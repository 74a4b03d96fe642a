//! Who sees whom: the account's own roster and the organisation's directory together (row R15).
//!
//! This is the one place where that is asked. [`Subscription`](super::Subscription) alone does not
//! say it, for colleagues see each other without having asked, and so it keeps to itself what it
//! says: whoever decides asks the [`Facts`]. Blocking goes before all of it and is asked where
//! something goes out or comes in (row R16).

use std::collections::BTreeSet;

use crate::colleagues::Shift;
use crate::facts::Facts;
use crate::features::blocking;
use crate::jid::{BareJid, Jid};

/// Who lets an account see their presence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Showing {
    /// The accounts whose roster says so, without those whose block list has the account.
    pub by_roster: Vec<BareJid>,
    /// The accounts whose block list has the account, colleagues or not; asked for who has
    /// colleagues.
    pub blocked_by: Vec<BareJid>,
}

impl Facts<'_> {
    /// Tells whether the account and another (its bare address) see each other by the directory.
    pub fn is_colleague(&self, other: &str) -> bool {
        self.views
            .book()
            .are_colleagues(self.account.as_str(), other)
    }

    /// Tells whether the account is in a group of the directory that shows its members.
    pub fn has_colleagues(&self) -> bool {
        let book = self.views.book();
        book.groups(self.account).next().is_some()
    }

    /// Tells whether the account sees the presence of another, as far as it is the account's to
    /// say.
    pub fn sees(&self, other: &str) -> bool {
        let item = self.data.roster.items.get(other);
        item.is_some_and(|item| item.subscription.sees()) || self.is_colleague(other)
    }

    /// Tells whether another sees the account's presence.
    pub fn shows(&self, other: &str) -> bool {
        self.data.roster.shows(other) || self.is_colleague(other)
    }

    /// Tells whether either of the two sees the other.
    pub fn is_acquainted(&self, other: &str) -> bool {
        let item = self.data.roster.items.get(other);
        let is_contact =
            item.is_some_and(|item| item.subscription.sees() || item.subscription.shows());
        is_contact || self.is_colleague(other)
    }

    /// The groups another is in for the account, those of the directory among them.
    pub fn groups_of(&self, other: &BareJid) -> Vec<String> {
        let item = self.data.roster.items.get(other);
        let mut groups = item.map_or_else(Vec::new, |item| item.groups.clone());
        let book = self.views.book();
        let shared = book.colleague(self.account, other);
        for name in shared.iter().flat_map(|shared| &shared.groups) {
            if !groups.iter().any(|group| group == name) {
                groups.push((*name).to_owned());
            }
        }
        groups
    }

    /// The colleagues who have a session somewhere, in order of their addresses. It costs what a
    /// group has of members; nothing is made for those who are not there.
    pub fn colleagues_there(&self) -> Vec<BareJid> {
        let book = self.views.book();
        book.colleagues_of(self.account, |account| self.views.is_there(account))
    }

    /// Who sees the account's presence, each once: contacts wherever they are, and the colleagues
    /// who are there.
    pub fn viewers(&self) -> BTreeSet<BareJid> {
        let contacts = self.data.roster.viewers().cloned();
        contacts.chain(self.colleagues_there()).collect()
    }

    /// Whom the account sees, as far as it is the account's to say, of those for whom this holds,
    /// each once. What is asked costs what the roster and the groups have.
    pub fn seen_if(&self, is_wanted: impl Fn(&BareJid) -> bool) -> BTreeSet<BareJid> {
        let wanted = self.data.roster.seen().filter(|it| is_wanted(it)).cloned();
        let book = self.views.book();
        let colleagues = book.colleagues_of(self.account, &is_wanted);
        wanted.chain(colleagues).collect()
    }

    /// The contacts elsewhere whose presence the account sees.
    pub(crate) fn seen_elsewhere(&self) -> impl Iterator<Item = &BareJid> {
        let seen = self.data.roster.seen();
        seen.filter(|contact| !self.host.serves(contact.domain()))
    }

    /// Tells whether the account sees another of this server, by the word of both.
    pub fn sees_by_both(&self, other: &BareJid, showing: &Showing) -> bool {
        let by_directory =
            || self.is_colleague(other.as_str()) && !showing.blocked_by.contains(other);
        // Row R14: whoever has come to another organisation is seen no more, whatever rosters say.
        let is_near = !self.is_apart(other.as_jid());
        let is_shown = is_near && (self.sees_by_rosters(other, showing) || by_directory());
        is_shown && !blocking::is_blocked(&Jid::from(other.clone()), self)
    }

    fn sees_by_rosters(&self, other: &BareJid, showing: &Showing) -> bool {
        let item = self.data.roster.items.get(other);
        item.is_some_and(|item| item.subscription.sees()) && showing.by_roster.contains(other)
    }

    /// Whom the account sees, by the word of both, since the directory has shown it others, and did
    /// not see before.
    pub(crate) fn newly_seen(&self, shifts: &[Shift], showing: &Showing) -> Vec<BareJid> {
        let is_new = |shift: &&Shift| {
            let other = &shift.account;
            let has_come = shift.is && !shift.was && !self.sees_by_rosters(other, showing);
            has_come && self.sees_by_both(other, showing)
        };
        let new = shifts.iter().filter(is_new);
        new.map(|shift| shift.account.clone()).collect()
    }

    /// Everybody of this server whom the account sees, by the word of both, each once; of the
    /// colleagues those for whom this holds.
    pub(crate) fn seen_by_both(
        &self,
        showing: &Showing,
        is_wanted: impl Fn(&BareJid) -> bool,
    ) -> BTreeSet<BareJid> {
        let sees = |other: &&BareJid| {
            let item = self.data.roster.items.get(*other);
            item.is_some_and(|item| item.subscription.sees())
        };
        let is_near = |other: &&BareJid| !self.is_apart(other.as_jid());
        let by_roster = showing
            .by_roster
            .iter()
            .filter(sees)
            .filter(is_near)
            .cloned();
        let blocked_by: BTreeSet<&BareJid> = showing.blocked_by.iter().collect();
        let by_directory = self.views.book().colleagues_of(self.account, |account| {
            is_wanted(account) && !blocked_by.contains(account)
        });
        let all = by_roster.chain(by_directory);
        all.filter(|other| !blocking::is_blocked(&Jid::from(other.clone()), self))
            .collect()
    }
}
