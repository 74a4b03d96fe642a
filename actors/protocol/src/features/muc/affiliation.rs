//! Affiliations: XEP-0045 §5.2, and who may change whose.
//!
//! Here are the values and the rules. Reading requests and telling the room: `lists.rs`,
//! `role_change.rs`, `change.rs`.

use serde::{Deserialize, Serialize};

use crate::jid::BareJid;
use crate::stanza::StanzaError;

/// What somebody is to a room, lastingly (§5.2). The order is the hierarchy.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Affiliation {
    /// Banned.
    Outcast,
    /// Nothing in particular.
    #[default]
    None,
    /// Belongs to the room.
    Member,
    /// Manages its people.
    Admin,
    /// Manages the room.
    Owner,
}

impl Affiliation {
    /// All of them, the lowest first.
    pub const ALL: [Self; 5] = [
        Self::Outcast,
        Self::None,
        Self::Member,
        Self::Admin,
        Self::Owner,
    ];

    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcast => "outcast",
            Self::None => "none",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// Reads the attribute.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// Admins and owners.
    pub fn manages(self) -> bool {
        self >= Self::Admin
    }
}

/// What a room remembers of somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affiliate {
    /// What they are to the room.
    pub affiliation: Affiliation,
    /// The nick reserved for them (§7.10).
    pub nick: Option<Box<str>>,
    /// Why it is so, as the one who did it said.
    pub reason: Option<Box<str>>,
}

/// Somebody's affiliation before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AffiliationChange {
    /// Whose: an account, or a whole domain (§9.2).
    pub jid: BareJid,
    /// What the decision was based on.
    pub before: Affiliation,
    /// What is remembered from now on; with [`Affiliation::None`] and no nick, nothing is.
    pub after: Affiliate,
}

/// Tells whether somebody may make this change (§9 and §10).
///
/// # Errors
/// What the one who asked is told.
pub fn check_change(
    by: &BareJid,
    own: Affiliation,
    change: &AffiliationChange,
) -> Result<(), StanzaError> {
    let (before, after) = (change.before, change.after.affiliation);
    if !own.manages() {
        return Err(StanzaError::forbidden());
    }
    // §9.1: nobody bans themselves; a ban of their domain would be one.
    if after == Affiliation::Outcast && (change.jid == *by || change.jid == by.domain_jid()) {
        return Err(StanzaError::conflict());
    }
    if own == Affiliation::Owner || before == after && !after.manages() {
        return Ok(());
    }
    // §9.1: nobody is banned or demoted by somebody lower.
    if before > own || before.manages() && after == Affiliation::Outcast {
        return Err(StanzaError::not_allowed());
    }
    // §10.5, §10.8: the lists of owners and admins are the owners'.
    if before.manages() || after.manages() {
        return Err(StanzaError::forbidden());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::bare;

    fn verdict(own: Affiliation, before: Affiliation, after: Affiliation) -> &'static str {
        let change = AffiliationChange {
            jid: bare("hag66@shakespeare.lit"),
            before,
            after: Affiliate {
                affiliation: after,
                ..Affiliate::default()
            },
        };
        match check_change(&bare("crone1@shakespeare.lit"), own, &change) {
            Ok(()) => "ok",
            Err(error) => error.condition.as_str(),
        }
    }

    #[test]
    fn the_state_chart_of_section_5_2_2_holds_for_admins_and_owners() {
        use Affiliation::*;
        for before in Affiliation::ALL {
            for after in Affiliation::ALL {
                assert_eq!(verdict(Owner, before, after), "ok", "{before:?} {after:?}");
                assert_eq!(verdict(Member, before, after), "forbidden");
                assert_eq!(verdict(None, before, after), "forbidden");
                let low = before <= Member && after <= Member;
                let got = verdict(Admin, before, after);
                assert_eq!(got == "ok", low, "{before:?} {after:?} {got}");
            }
        }
        assert_eq!(verdict(Admin, Owner, Outcast), "not-allowed");
        assert_eq!(verdict(Admin, Admin, Outcast), "not-allowed");
        assert_eq!(verdict(Admin, None, Owner), "forbidden");
        assert_eq!(verdict(Admin, Admin, None), "forbidden");
    }

    #[test]
    fn nobody_bans_themselves_or_their_domain() {
        for jid in ["crone1@shakespeare.lit", "shakespeare.lit"] {
            let change = AffiliationChange {
                jid: bare(jid),
                before: Affiliation::None,
                after: Affiliate {
                    affiliation: Affiliation::Outcast,
                    ..Affiliate::default()
                },
            };
            let me = bare("crone1@shakespeare.lit");
            let error = check_change(&me, Affiliation::Owner, &change).unwrap_err();
            assert_eq!(error.condition.as_str(), "conflict");
        }
    }
}
