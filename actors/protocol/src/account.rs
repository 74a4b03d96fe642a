//! What can be done to an account itself, as a decision asks for it.
//!
//! Leaves out: who may ask; every feature that does checks that itself.

use crate::jid::BareJid;
use crate::sasl::Secret;

/// A change of an account: of the deciding one, or, for administrators, of any.
///
/// Sessions of the account end with the change where that says so, before the effects behind it
/// are carried out, and what they were resumed by or logged in with is worth nothing any more
/// (row A14). The session that decides is spared: what becomes of it is said with
/// [`Effect::Close`](crate::effect::Effect::Close).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountChange {
    /// Which account.
    pub account: BareJid,
    /// What is done to it.
    pub act: AccountAct,
}

impl AccountAct {
    /// What an audit log calls it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Password(_) => "password",
            Self::Remove => "remove",
            Self::Disable(true) => "disable",
            Self::Disable(false) => "enable",
            Self::Administrator(true) => "promote",
            Self::Administrator(false) => "demote",
        }
    }
}

/// What is done to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountAct {
    /// It is made. Refused with `conflict` when there is one of this name.
    Create {
        /// What its owner logs in with.
        password: Secret,
        /// May it do what administrators may?
        is_admin: bool,
    },
    /// It gets another password; its sessions end and its tokens are forgotten.
    Password(Secret),
    /// It is removed with all it kept; its sessions end and its contacts are told.
    Remove,
    /// Nobody may log in any more, and its sessions end; or again.
    Disable(bool),
    /// It may do what administrators may; or no more.
    Administrator(bool),
}
