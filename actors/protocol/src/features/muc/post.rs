//! What a room hands to accounts and not to all inside: private messages (XEP-0045 §7.5) and
//! invitations (§7.8.2).
//!
//! What lasts is kept in the logs of the accounts, so that it reaches who is away (D4); the
//! room's log never has it (XEP-0313 §8.2).

use super::NS_USER;
use super::effect::RoomEffect;
use super::room::{Room, refuse};
use crate::effect::DedupKey;
use crate::features::hints;
use crate::jid::{BareJid, Jid};
use crate::stanza::{Head, Message, MessageKind, Stanza, StanzaError};
use crate::xml::Element;

/// Messages for accounts.
#[derive(Debug, Clone, PartialEq)]
pub struct Post {
    /// What it answers, to refuse it if it cannot be kept.
    pub origin: Stanza,
    /// Who sent it, really.
    pub sender: Jid,
    /// The messages.
    pub letters: Vec<Letter>,
    /// They are to be kept, by the accounts that have a log here.
    pub is_kept: bool,
    /// What makes a replay of them recognisable (D2), together with who sent and who gets it.
    pub dedup: DedupKey,
}

/// One message for one account.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// The message as it arrives, to the account or to the address that was invited.
    pub message: Message,
    /// The account.
    pub account: BareJid,
    /// Where it goes if it is not kept: the account's sessions inside (§7.2.8), or the address
    /// that was invited.
    pub to: Vec<Jid>,
    /// The message as the log of its sender has it. Invitations stand in no sender's log.
    pub sent: Option<Message>,
}

impl Letter {
    /// The messages of a letter that is not kept.
    pub fn unkept(&self) -> impl Iterator<Item = Message> {
        self.to.iter().map(|to| {
            let mut message = self.message.clone();
            message.head.to = Some(to.clone());
            message
        })
    }
}

impl Post {
    /// A private message, by its origin.
    pub(super) fn private(origin: &Message, sender: Jid, letter: Letter, archive: bool) -> Self {
        Self {
            is_kept: archive && hints::is_kept(&letter.message),
            dedup: crate::features::stanza_id::dedup_key(origin),
            origin: origin.clone().into(),
            sender,
            letters: vec![letter],
        }
    }

    /// Invitations; an open room remembers nobody it has invited.
    pub(super) fn invitations(
        origin: Stanza,
        sender: Jid,
        letters: Vec<Letter>,
        archive: bool,
    ) -> Self {
        let dedup = match &origin {
            Stanza::Message(message) => crate::features::stanza_id::dedup_key(message),
            _ => DedupKey::Counted,
        };
        Self {
            is_kept: archive,
            dedup,
            origin,
            sender,
            letters,
        }
    }

    /// What the sender is told when a letter could not be delivered. `None`: nothing, for it
    /// was no message that caused it.
    pub fn refusal(&self, room: &BareJid, letter: &Letter, error: &StanzaError) -> Option<Stanza> {
        let Stanza::Message(message) = &self.origin else {
            return None;
        };
        if letter.sent.is_none() {
            // §7.8.2: the inviter is told whom it did not reach.
            let to = self.sender.clone();
            let id = message.head.id.clone();
            return Some(not_invited(room, letter.account.as_jid(), to, id, error));
        }
        refuse(room, &self.origin, error)
            .into_iter()
            .find_map(|effect| match effect {
                RoomEffect::Send(stanza) => Some(stanza),
                _ => None,
            })
    }
}

impl Room {
    /// An invitation for one account.
    pub(super) fn letter_of(&self, to: Jid, id: Option<&str>, invitation: Element) -> Letter {
        let mut message = self.message_from_room(MessageKind::Normal, invitation);
        message.head.to = Some(to.clone());
        message.head.id = id.map(Into::into);
        Letter {
            message,
            account: to.bare(),
            to: vec![to],
            sent: None,
        }
    }
}

/// §7.8.2: somebody was not to be invited.
pub(super) fn not_invited(
    room: &BareJid,
    whom: &Jid,
    to: Jid,
    id: Option<Box<str>>,
    error: &StanzaError,
) -> Stanza {
    let invite = Element::new("invite", NS_USER).attr("to", whom.as_str());
    let x = Element::new("x", NS_USER).child(invite);
    Stanza::Message(Message {
        head: Head {
            to: Some(to),
            from: Some(room.clone().into()),
            id,
            ..Head::default()
        },
        kind: MessageKind::Error,
        payloads: [x, error.to_element()].into_iter().collect(),
    })
}
