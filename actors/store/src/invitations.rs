//! Invitations (XEP-0401), and the accounts people make for themselves, with one or without.

use klatsch_protocol::features::invitation::{Invitation, Invite, TokenHash};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use crate::accounts::Credentials;
use crate::store::subject;

subject! {
    /// Invitations.
    Invitations {
        /// Keeps an invitation, unless its inviter has as many as it says already: then false.
        /// Those whose time is over do not count.
        ///
        /// # Errors
        /// `Conflict` when the address it reserves is an account's or reserved already;
        /// `NoSuchAccount` for an inviter that does not exist, `Unavailable`, `Uncertain`.
        fn add_invitation(&self, invite: &Invite) -> bool;
        /// An invitation that is good now.
        ///
        /// # Errors
        /// `Unavailable`, `Corrupt`.
        fn invitation(&self, hash: TokenHash, now: Timestamp) -> Option<Invitation>;
        /// Makes an account for somebody who asks for it; uses an invitation up, if it is made
        /// with one, all at once (row A16). Its time was looked at before (XEP-0445 §4).
        ///
        /// # Errors
        /// `NoSuchItem` when the invitation is used, or for another domain or address;
        /// `Conflict` when there is one of this name, or was, or another is to have it:
        /// what others have given to that name is not for strangers (row C15);
        /// `Unavailable`, `Uncertain`.
        fn register_account(
            &self,
            account: &BareJid,
            credentials: &Credentials,
            invitation: Option<TokenHash>,
            now: Timestamp
        ) -> Option<Invitation>;
        /// Uses an invitation of this account up, for a contact; false: there is none such.
        ///
        /// # Errors
        /// `Unavailable`, `Uncertain`.
        fn use_invitation(&self, inviter: &BareJid, hash: TokenHash, now: Timestamp) -> bool;
    }
}
