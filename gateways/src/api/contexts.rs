//! The room of a thread of mail, an event or a document.
//!
//! Whoever comes first with an id that is hard to guess, as a Message-ID is, makes the room and
//! names who belongs to it; whoever belongs to it may name more. To know the id is not enough: an
//! account that nobody has named is told that the room is not for it. A document of an office
//! (`wopi.rs`) is its own proof: whoever may open it belongs to its room.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use klatsch_actors::rooms::found::NewRoom;
use klatsch_protocol::features::muc::affiliation::Affiliation;
use klatsch_protocol::features::muc::record::RoomRecord;
use klatsch_protocol::jid::BareJid;
use serde::{Deserialize, Serialize};

use super::answer::{Json, Refusal};
use super::caller::Caller;
use super::presence::address;
use super::room::Place;
use super::{ApiGateway, body};

/// People named at once: the recipients of a mail.
const MEMBERS_MAX: usize = 200;

/// A Message-ID has 998 bytes at most (RFC 5322 §2.1.1).
const ID_BYTES_MAX: usize = 1024;

/// A subject is cut to what fits above a chat.
const TITLE_BYTES_MAX: usize = 512;

/// What a room is about.
#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Thread,
    Event,
    Document,
    Wopi,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Thread => "thread",
            Self::Event => "event",
            Self::Document => "document",
            Self::Wopi => "wopi",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    kind: Kind,
    id: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    members: Vec<String>,
    /// Of a document of an office: the token that the page has for it.
    proof: Option<String>,
}

#[derive(Serialize)]
pub(super) struct Resolved {
    #[serde(flatten)]
    place: Place,
    role: &'static str,
}

/// `POST /contexts/resolve`
pub(super) async fn resolve(
    State(gateway): State<Arc<ApiGateway>>,
    Caller(account): Caller,
    request: Request,
) -> Result<Json<Resolved>, Refusal> {
    let wanted: Wanted = body::json(request).await?;
    if wanted.members.len() > MEMBERS_MAX || wanted.id.len() > ID_BYTES_MAX {
        return Err(Refusal::TooLarge);
    }
    let id = wanted.id.trim();
    if id.is_empty() || id.chars().any(char::is_control) {
        return Err(Refusal::BadRequest);
    }
    match (wanted.kind, &wanted.proof) {
        (Kind::Wopi, Some(proof)) if wanted.members.is_empty() => {
            gateway.resolve_document(&account, id, proof).await
        }
        (Kind::Wopi, _) | (_, Some(_)) => Err(Refusal::BadRequest),
        (_, None) => gateway.resolve_named(&account, id, &wanted).await,
    }
}

impl ApiGateway {
    async fn resolve_named(
        &self,
        account: &BareJid,
        id: &str,
        wanted: &Wanted,
    ) -> Result<Json<Resolved>, Refusal> {
        let domain = account.domain_jid();
        let room = self.room_about(&domain, "ctx", &[wanted.kind.name(), id])?;
        let named = colleagues(account, wanted.members.iter().map(String::as_str));
        let record = match self.record(&room).await? {
            None => {
                self.found(&room, account, &wanted.title, named.clone())
                    .await?
            }
            record => record,
        };
        let role = match record {
            Some(record) => self.join(&room, &record, account, &named).await?,
            None => OWNER,
        };
        let place = Place::of(&room);
        Ok(Json(Resolved { place, role }))
    }

    /// The first who may write the document makes its room; who may only read it comes in once
    /// there is one.
    async fn resolve_document(
        &self,
        account: &BareJid,
        source: &str,
        token: &str,
    ) -> Result<Json<Resolved>, Refusal> {
        let opened = self.documents.open(account, source, token).await?;
        let domain = account.domain_jid();
        let room = self.room_about(&domain, "doc", &[Kind::Wopi.name(), &opened.id])?;
        let record = match self.record(&room).await? {
            None if !opened.can_write => return Err(Refusal::NotFound),
            None => self.found(&room, account, &opened.name, Vec::new()).await?,
            record => record,
        };
        let role = match record {
            Some(record) => self.let_in(&room, &record, account).await?,
            None => OWNER,
        };
        let role = match (role, opened.can_write) {
            (MEMBER, false) => READER,
            (role, _) => role,
        };
        let place = Place::of(&room);
        Ok(Json(Resolved { place, role }))
    }

    /// The account belongs to a room from now on, unless it is banned there.
    async fn let_in(
        &self,
        room: &BareJid,
        record: &RoomRecord,
        account: &BareJid,
    ) -> Result<&'static str, Refusal> {
        let is_new = !strangers(record, std::slice::from_ref(account)).is_empty();
        let owner = record.affiliates(Affiliation::Owner).next();
        if let (true, Some((owner, _))) = (is_new, owner) {
            let new = [account.clone()];
            self.rooms
                .affiliate(room, owner, &new, Affiliation::Member)
                .await?;
            return Ok(MEMBER);
        }
        self.join(room, record, account, &[]).await
    }

    /// Makes the room, whose owner the account is; if somebody was faster, what there is now.
    async fn found(
        &self,
        room: &BareJid,
        account: &BareJid,
        title: &str,
        members: Vec<BareJid>,
    ) -> Result<Option<RoomRecord>, Refusal> {
        let new = NewRoom {
            jid: room.clone(),
            owner: account.clone(),
            name: line(title, TITLE_BYTES_MAX),
            members,
        };
        match self.rooms.found(&new).await? {
            true => Ok(None),
            false => Ok(Some(self.record(room).await?.ok_or(Refusal::Unavailable)?)),
        }
    }

    /// What the account is to a room that is there; whom it names belongs to it, too, if it may
    /// invite.
    async fn join(
        &self,
        room: &BareJid,
        record: &RoomRecord,
        account: &BareJid,
        named: &[BareJid],
    ) -> Result<&'static str, Refusal> {
        let own = record.affiliation(account);
        if own < Affiliation::Member {
            return Err(Refusal::Forbidden);
        }
        let new = strangers(record, named);
        let may_invite = own.manages() || record.config.allow_invites;
        let mut owners = record.affiliates(Affiliation::Owner);
        if let (true, false, Some((owner, _))) = (may_invite, new.is_empty(), owners.next()) {
            let affiliation = Affiliation::Member;
            self.rooms.affiliate(room, owner, &new, affiliation).await?;
        }
        Ok(match own {
            Affiliation::Owner => OWNER,
            _ => MEMBER,
        })
    }
}

const OWNER: &str = "owner";
const MEMBER: &str = "member";
const READER: &str = "reader";

/// Those who are nothing to a room; who is banned stays so.
pub(super) fn strangers(record: &RoomRecord, named: &[BareJid]) -> Vec<BareJid> {
    let is_stranger = |it: &&BareJid| record.affiliation(it) == Affiliation::None;
    named.iter().filter(is_stranger).cloned().collect()
}

/// The people of an account's own domain among these, each once and without itself. Whether there
/// are such accounts nobody learns here; those of other domains are not let in (row R14).
pub(super) fn colleagues<'a>(
    account: &BareJid,
    addresses: impl Iterator<Item = &'a str>,
) -> Vec<BareJid> {
    let all = addresses.filter_map(address);
    let colleagues: BTreeSet<BareJid> = all
        .filter(|it| it.domain() == account.domain() && it != account)
        .collect();
    colleagues.into_iter().collect()
}

/// One line of bounded length.
pub(super) fn line(text: &str, bytes_max: usize) -> String {
    let text: String = text
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it })
        .collect();
    let text = text.trim();
    text[..text.floor_char_boundary(bytes_max)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r14_people_of_other_domains_are_no_colleagues() {
        let anna = BareJid::parse("anna@x.test").unwrap();
        let named = [
            "bert@x.test",
            "BERT@x.test",
            "anna@x.test",
            "carl@y.test",
            "x.test",
            "no address",
            "bert@x.test/phone",
        ];
        let colleagues = colleagues(&anna, named.into_iter());
        assert_eq!(colleagues, [BareJid::parse("bert@x.test").unwrap()]);
    }

    #[test]
    fn title_is_one_line_of_bounded_length() {
        assert_eq!(line(" a\r\nb ", 100), "a  b");
        assert_eq!(line("äöü", 3), "ä");
    }
}
