//! The archive of a room: XEP-0313 version 1.1.3 §5.1.2.
//!
//! Whoever may enter may read, and is asked for it at every page (row M07). Who wrote what,
//! really, is told to those alone who may know it (row M06).

use super::affiliation::Affiliation;
use super::effect::{Load, RoomEffect, RoomQuery};
use super::facts::RoomFacts;
use super::presence::{Item, user_element};
use super::role::Role;
use super::room::{Room, answer};
use crate::archive::{ArchiveQuery, Bounds, Entry, Page};
use crate::features::carbons::NS_FORWARD;
use crate::features::{delay, mam};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Head, Iq, Message, MessageKind, Stanza, StanzaError, framed};
use crate::xml::{Element, Payloads};

pub(super) use crate::features::mam::NS;

impl Room {
    /// §5.1.2: whether somebody may read the archive, now.
    fn check_reader(&self, by: &BareJid, facts: &RoomFacts<'_>) -> Result<(), StanzaError> {
        let config = &self.record.config;
        if !config.archived || !facts.archive {
            return Err(StanzaError::feature_not_implemented());
        }
        self.check_may_read(by)
    }

    fn check_may_read(&self, by: &BareJid) -> Result<(), StanzaError> {
        let config = &self.record.config;
        let own = self.record.affiliation(by);
        let is_closed = config.members_only || config.password.is_some();
        let is_inside = self.role_of_account(by) > Role::None;
        let may = match own {
            Affiliation::Outcast => false,
            Affiliation::None => !is_closed || is_inside,
            _ => true,
        };
        may.then_some(()).ok_or_else(StanzaError::forbidden)
    }

    pub(super) fn query_archive(
        &self,
        iq: &Iq,
        by: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        self.check_reader(by, facts)?;
        let wanted = mam::read(iq)?;
        // XEP-0313 §4.1.4 is about what accounts keep of rooms.
        if wanted.minds_groupchat {
            return Err(StanzaError::feature_not_implemented());
        }
        let query = wanted.query;
        let Some(with) = &query.with else {
            return Ok(vec![load(iq, RoomQuery::Archive(query))]);
        };
        match self.author(with, by)? {
            Some(author) => {
                let with = Some(author.into());
                Ok(vec![load(
                    iq,
                    RoomQuery::Archive(ArchiveQuery { with, ..query }),
                )])
            }
            // Nobody of that name: nothing of theirs.
            None => {
                let page = Page {
                    complete: true,
                    ..Page::default()
                };
                Ok(vec![answer(iq, Some(mam::end(&page)))])
            }
        }
    }

    /// Whose messages are wanted: a nick's holder, or, by those who may know, an account's.
    fn author(&self, with: &Jid, by: &BareJid) -> Result<Option<BareJid>, StanzaError> {
        if with.bare_str() != self.jid.as_str() {
            return match self.may_know_authors(by) {
                true => Ok(Some(with.bare())),
                false => Err(StanzaError::forbidden()),
            };
        }
        let nick = with.resource().ok_or_else(StanzaError::bad_request)?;
        let inside = self.occupants.get(nick).map(|it| it.account.clone());
        let mut reserved = self.record.affiliations.iter();
        let reserved = reserved.find(|(_, it)| it.nick.as_deref() == Some(nick));
        Ok(inside.or_else(|| reserved.map(|(jid, _)| jid.clone())))
    }

    pub(super) fn offer_archive_form(
        &self,
        iq: &Iq,
        by: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        self.check_reader(by, facts)?;
        Ok(vec![answer(iq, Some(mam::form()))])
    }

    pub(super) fn query_archive_bounds(
        &self,
        iq: &Iq,
        by: &BareJid,
        facts: &RoomFacts<'_>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        self.check_reader(by, facts)?;
        Ok(vec![load(iq, RoomQuery::Bounds)])
    }

    /// The results, then the end.
    pub(super) fn tell_page(
        &self,
        origin: &Stanza,
        page: &Page,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let (iq, reader) = reader(origin)?;
        // Row M07: whoever was banned while the store was asked reads nothing.
        self.check_may_read(&reader.bare())?;
        let wanted = mam::read(iq)?;
        let knows = self.may_know_authors(&reader.bare());
        let result = |entry: &Entry| {
            let element = mam::result_element(entry.id, wanted.query_id.as_deref());
            let element = element.child(self.forwarded(entry, knows));
            let message = Message {
                head: Head {
                    from: Some(self.jid.clone().into()),
                    to: Some(reader.clone()),
                    ..Head::default()
                },
                kind: MessageKind::Normal,
                payloads: [element].into_iter().collect(),
            };
            RoomEffect::Send(message.into())
        };
        let mut effects: Vec<RoomEffect> = page.entries.iter().map(result).collect();
        if wanted.is_flipped {
            effects.reverse();
        }
        effects.push(answer(iq, Some(mam::end(page))));
        Ok(effects)
    }

    fn forwarded(&self, entry: &Entry, knows: bool) -> Element {
        let stanza = match knows {
            true => self.with_author(entry),
            false => None,
        };
        let stanza = stanza.unwrap_or_else(|| framed(&entry.stanza));
        Element::new("forwarded", NS_FORWARD)
            .child(delay::delay(None, entry.stamp))
            .raw_child(stanza)
    }

    /// §5.1.2: with the real address of its author.
    fn with_author(&self, entry: &Entry) -> Option<bytes::Bytes> {
        let Ok(Stanza::Message(mut message)) = Stanza::parse(&entry.stanza) else {
            return None;
        };
        // The room itself has no other address.
        message.head.from.as_ref()?.resource()?;
        let item = Item {
            affiliation: self.record.affiliation(&entry.with),
            role: self.role_of_account(&entry.with),
            jid: Some(entry.with.as_jid()),
            ..Item::default()
        };
        let payloads: Payloads = message.payloads.with(&user_element(item, &[]));
        message.payloads = payloads;
        let mut bytes = Vec::new();
        Stanza::Message(message).write_framed(&mut bytes);
        Some(bytes.into())
    }

    pub(super) fn tell_bounds(
        &self,
        origin: &Stanza,
        bounds: Option<Bounds>,
    ) -> Result<Vec<RoomEffect>, StanzaError> {
        let (iq, reader) = reader(origin)?;
        self.check_may_read(&reader.bare())?;
        Ok(vec![answer(iq, Some(mam::metadata_element(bounds)))])
    }
}

fn reader(origin: &Stanza) -> Result<(&Iq, Jid), StanzaError> {
    let Stanza::Iq(iq) = origin else {
        return Err(StanzaError::bad_request());
    };
    let from = iq.head.from.clone();
    Ok((iq, from.ok_or_else(StanzaError::bad_request)?))
}

fn load(iq: &Iq, query: RoomQuery) -> RoomEffect {
    RoomEffect::Load(Box::new(Load {
        origin: iq.clone().into(),
        query,
    }))
}

#[cfg(test)]
mod tests;
