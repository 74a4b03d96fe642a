//! What is remembered of a room while nobody is in it, and how it changes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::affiliation::{Affiliate, Affiliation, AffiliationChange};
use super::config::Config;
use super::hats::{Hats, HatsChange};
use crate::jid::BareJid;
use crate::stanza::Message;
use crate::time::Timestamp;

/// What the store remembers of a room.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoomRecord {
    /// Raised by every change; changes are compare-and-set on it.
    pub version: u64,
    /// How it is configured.
    pub config: Config,
    /// Who is what in it: accounts, and domains as a whole.
    pub affiliations: BTreeMap<BareJid, Affiliate>,
    /// What it is about; `None`: nobody has ever said.
    pub subject: Option<Subject>,
    /// The key of its occupant ids (XEP-0421 §4.1), as long as the room exists.
    pub secret: [u8; 32],
    /// Its hats (XEP-0317).
    pub hats: Hats,
    /// Its vCard, canonical, with its avatar (XEP-0486).
    pub vcard: Option<Bytes>,
    /// Who created it, for whom rooms are counted.
    pub creator: BareJid,
    /// When.
    pub created: Timestamp,
}

/// A room's subject (XEP-0045 §7.2.15).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Subject {
    /// The message that set it, as it stands in the log.
    pub message: Message,
    /// When; the actor puts in the entry's stamp.
    pub stamp: Timestamp,
}

/// A change of what is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RoomChange {
    /// The room is there from now on.
    Create(Box<RoomRecord>),
    /// The configuration is this one.
    Config(Box<Config>),
    /// Somebody's affiliation, nick or both.
    Affiliation(AffiliationChange),
    /// Hats defined, destroyed, put on or taken off.
    Hats(HatsChange),
    /// The vCard is this one, or gone.
    Vcard(Option<Bytes>),
    /// The room is no more: record and log go.
    Destroy,
}

impl RoomRecord {
    /// A new room of this owner.
    pub fn new(owner: &BareJid, secret: [u8; 32], now: Timestamp) -> Self {
        let affiliate = Affiliate {
            affiliation: Affiliation::Owner,
            ..Affiliate::default()
        };
        Self {
            version: 0,
            config: Config::default(),
            affiliations: BTreeMap::from([(owner.clone(), affiliate)]),
            subject: None,
            secret,
            hats: Hats::default(),
            vcard: None,
            creator: owner.clone(),
            created: now,
        }
    }

    /// What somebody is to the room: by their account, or else by their domain (§9.2).
    pub fn affiliation(&self, account: &BareJid) -> Affiliation {
        let known = self.affiliations.get(account);
        let known = known.or_else(|| self.affiliations.get(account.domain()));
        known.map_or(Affiliation::None, |affiliate| affiliate.affiliation)
    }

    /// Everybody with this affiliation.
    pub fn affiliates(
        &self,
        affiliation: Affiliation,
    ) -> impl Iterator<Item = (&BareJid, &Affiliate)> {
        let all = self.affiliations.iter();
        all.filter(move |(_, affiliate)| affiliate.affiliation == affiliation)
    }

    /// The nick reserved for an account.
    pub fn reserved_nick(&self, account: &BareJid) -> Option<&str> {
        self.affiliations.get(account)?.nick.as_deref()
    }

    /// Makes a change that has been saved.
    pub fn apply(&mut self, change: &RoomChange) {
        match change {
            RoomChange::Create(record) => {
                let version = self.version;
                *self = (**record).clone();
                self.version = version;
            }
            RoomChange::Config(config) => self.config = (**config).clone(),
            RoomChange::Affiliation(change) => self.apply_affiliation(change),
            RoomChange::Hats(change) => self.hats.apply(change),
            RoomChange::Vcard(vcard) => self.vcard = vcard.clone(),
            RoomChange::Destroy => {}
        }
    }

    fn apply_affiliation(&mut self, change: &AffiliationChange) {
        let is_nothing =
            change.after.affiliation == Affiliation::None && change.after.nick.is_none();
        match is_nothing {
            true => self.affiliations.remove(&change.jid),
            false => self
                .affiliations
                .insert(change.jid.clone(), change.after.clone()),
        };
    }

    /// §10: every room has an owner. Holds for what changes would leave.
    pub fn keeps_an_owner<'a>(
        &self,
        changes: impl Iterator<Item = &'a AffiliationChange> + Clone,
    ) -> bool {
        // The last word about each address is what counts.
        let mut after: BTreeMap<&BareJid, Affiliation> = BTreeMap::new();
        for change in changes {
            after.insert(&change.jid, change.after.affiliation);
        }
        let is_owner = |affiliation: &Affiliation| *affiliation == Affiliation::Owner;
        after.values().any(is_owner)
            || self
                .affiliates(Affiliation::Owner)
                .any(|(jid, _)| !after.contains_key(jid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::bare;

    fn change(jid: &str, affiliation: Affiliation) -> AffiliationChange {
        AffiliationChange {
            jid: bare(jid),
            before: Affiliation::None,
            after: Affiliate {
                affiliation,
                ..Affiliate::default()
            },
        }
    }

    #[test]
    fn a_domain_counts_for_those_who_are_not_named() {
        let mut record = RoomRecord::new(&bare("a@d.example"), [0; 32], Timestamp(0));
        record.apply_affiliation(&change("d.example", Affiliation::Outcast));
        assert_eq!(record.affiliation(&bare("a@d.example")), Affiliation::Owner);
        assert_eq!(
            record.affiliation(&bare("b@d.example")),
            Affiliation::Outcast
        );
        assert_eq!(record.affiliation(&bare("d.example")), Affiliation::Outcast);
        assert_eq!(record.affiliation(&bare("b@e.example")), Affiliation::None);
    }

    #[test]
    fn r13_an_owner_of_the_same_name_elsewhere_is_nobody() {
        let record = RoomRecord::new(&bare("admin@example.org"), [0; 32], Timestamp(0));
        assert_eq!(
            record.affiliation(&bare("admin@evil.example")),
            Affiliation::None
        );
    }

    #[test]
    fn m01_changes_are_looked_at_together_for_an_owner() {
        let record = RoomRecord::new(&bare("a@d.example"), [0; 32], Timestamp(0));
        let gone = change("a@d.example", Affiliation::Admin);
        let new = change("b@d.example", Affiliation::Owner);
        let undone = change("b@d.example", Affiliation::None);
        assert!(!record.keeps_an_owner([&gone].into_iter()));
        assert!(record.keeps_an_owner([&gone, &new].into_iter()));
        assert!(!record.keeps_an_owner([&new, &gone, &undone].into_iter()));
        assert!(record.keeps_an_owner([&undone].into_iter()));
    }
}
