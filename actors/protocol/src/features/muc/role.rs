//! Roles: XEP-0045 §5.1, and who may change whose.

use serde::{Deserialize, Serialize};

use super::affiliation::Affiliation;
use crate::stanza::StanzaError;

/// What somebody may do in a room while they are in it (§5.1). The order is the hierarchy.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Role {
    /// Not in the room.
    None,
    /// Listens.
    Visitor,
    /// Speaks.
    #[default]
    Participant,
    /// Keeps order.
    Moderator,
}

impl Role {
    /// All of them, the lowest first.
    pub const ALL: [Self; 4] = [
        Self::None,
        Self::Visitor,
        Self::Participant,
        Self::Moderator,
    ];

    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Visitor => "visitor",
            Self::Participant => "participant",
            Self::Moderator => "moderator",
        }
    }

    /// Reads the attribute.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// The role somebody enters with (§5.1.2).
    pub fn on_entry(affiliation: Affiliation, is_moderated: bool) -> Self {
        match affiliation {
            Affiliation::Outcast => Self::None,
            Affiliation::Admin | Affiliation::Owner => Self::Moderator,
            Affiliation::Member => Self::Participant,
            Affiliation::None if is_moderated => Self::Visitor,
            Affiliation::None => Self::Participant,
        }
    }

    /// The role somebody has after their affiliation changed (§5.1.3, note): what is gained
    /// is certain; who loses admin or owner status loses with it the role it had given.
    pub fn after_change(self, before: Affiliation, after: Affiliation, is_moderated: bool) -> Self {
        let entry = Self::on_entry(after, is_moderated);
        match (before.manages(), after.manages()) {
            (_, true) => Self::Moderator,
            (true, false) => entry,
            (false, false) if after == Affiliation::Outcast => Self::None,
            (false, false) if after > before => self.max(entry),
            (false, false) => self,
        }
    }
}

/// Who asks for a change of role, and of whom.
#[derive(Debug, Clone, Copy)]
pub struct RoleChange {
    /// The role of the one who asks; none: they are not in the room.
    pub own_role: Role,
    /// The affiliation of the one who asks.
    pub own: Affiliation,
    /// The affiliation of the one it is about.
    pub target: Affiliation,
    /// Their role now.
    pub before: Role,
    /// Their role then.
    pub after: Role,
}

/// Tells whether somebody may make this change (§8.2 to §8.5, §9.6 to §9.8).
///
/// # Errors
/// What the one who asked is told.
pub fn check_change(change: RoleChange) -> Result<(), StanzaError> {
    let RoleChange {
        own_role,
        own,
        target,
        before,
        after,
    } = change;
    // §8: a moderator. Admins and owners are, also when they are elsewhere.
    if own_role != Role::Moderator && !own.manages() {
        return Err(StanzaError::forbidden());
    }
    if before == after {
        return Ok(());
    }
    // §9.6: to make moderators is for admins and owners.
    if after == Role::Moderator {
        let is_admin = own.manages();
        return is_admin.then_some(()).ok_or_else(StanzaError::forbidden);
    }
    // §5.1.3: a moderator loses that role by admins and owners only.
    if before == Role::Moderator && !own.manages() {
        return Err(StanzaError::not_allowed());
    }
    match after {
        // §8.2: nobody is kicked by somebody lower.
        Role::None if target > own => Err(StanzaError::not_allowed()),
        Role::None => Ok(()),
        // §8.4, §9.7: an admin's or owner's voice and moderator status are nobody's to take.
        _ if target.manages() => Err(StanzaError::not_allowed()),
        // §8.4: voice is not taken by somebody at the same level. Without affiliation there
        // is no level, or a moderator of visitors' choosing could silence nobody.
        Role::Visitor if target > Affiliation::None && target >= own => {
            Err(StanzaError::not_allowed())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(own: Affiliation, target: Affiliation, before: Role, after: Role) -> &'static str {
        let own_role = Role::Moderator;
        let change = RoleChange {
            own_role,
            own,
            target,
            before,
            after,
        };
        match check_change(change) {
            Ok(()) => "ok",
            Err(error) => error.condition.as_str(),
        }
    }

    #[test]
    fn entry_follows_the_table_of_section_5_1_2() {
        use Affiliation::*;
        for (affiliation, moderated, open) in [
            (None, Role::Visitor, Role::Participant),
            (Member, Role::Participant, Role::Participant),
            (Admin, Role::Moderator, Role::Moderator),
            (Owner, Role::Moderator, Role::Moderator),
        ] {
            assert_eq!(Role::on_entry(affiliation, true), moderated);
            assert_eq!(Role::on_entry(affiliation, false), open);
        }
    }

    #[test]
    fn a_role_is_gained_with_an_affiliation_and_lost_with_a_managing_one() {
        use Affiliation::*;
        let visitor = Role::Visitor;
        assert_eq!(visitor.after_change(None, Member, true), Role::Participant);
        assert_eq!(visitor.after_change(Member, Admin, true), Role::Moderator);
        let moderator = Role::Moderator;
        assert_eq!(moderator.after_change(Admin, None, true), Role::Visitor);
        assert_eq!(moderator.after_change(Owner, Admin, false), moderator);
        assert_eq!(moderator.after_change(Member, None, false), moderator);
        assert_eq!(visitor.after_change(None, Outcast, false), Role::None);
    }

    #[test]
    fn nobody_kicks_or_silences_upwards() {
        use Affiliation::*;
        let kick = |own, target| verdict(own, target, Role::Participant, Role::None);
        assert_eq!(kick(Member, None), "ok");
        assert_eq!(kick(Member, Admin), "not-allowed");
        assert_eq!(kick(Admin, Owner), "not-allowed");
        let silence = |own, target| verdict(own, target, Role::Participant, Role::Visitor);
        assert_eq!(silence(None, None), "ok");
        assert_eq!(silence(Member, Member), "not-allowed");
        assert_eq!(silence(Admin, Member), "ok");
        assert_eq!(silence(Owner, Admin), "not-allowed");
        let promote = |own| verdict(own, None, Role::Participant, Role::Moderator);
        assert_eq!((promote(Member), promote(Admin)), ("forbidden", "ok"));
        let demote = |own, target| verdict(own, target, Role::Moderator, Role::Participant);
        assert_eq!(demote(Member, None), "not-allowed");
        assert_eq!(demote(Admin, Member), "ok");
        assert_eq!(demote(Owner, Owner), "not-allowed");
    }
}
