//! Rooms as operators see and end them, and as they are written to files and read again: on the
//! running server and in a store at rest.

use crate::admin::{Answer, ListedRoom, PAGE_MAX, Request, ShownRoom};
use crate::transfer::{self, Piece};
use klatsch_actors::rooms::Rooms;
use klatsch_protocol::features::Service;
use klatsch_protocol::features::muc::config::Config;
use klatsch_protocol::features::muc::room::Room;
use klatsch_protocol::jid::BareJid;
use klatsch_store::{Store, StoreError};

/// Where rooms are.
pub enum Source {
    /// On the running server, with whoever is inside, and in its store.
    Server(Rooms, Store),
    /// In a store at rest, where nobody is.
    Store(Store),
}

/// Shows and ends rooms of the domains served.
pub struct RoomCommands {
    domains: Vec<BareJid>,
    source: Source,
}

/// Why something is not done, for the person who asked.
type Refusal = String;

impl RoomCommands {
    /// Rooms of these domains from there.
    pub fn new(domains: Vec<BareJid>, source: Source) -> Self {
        Self { domains, source }
    }

    /// Carries out what concerns rooms; anything else is given back.
    pub async fn handle(&self, request: Request) -> Result<Answer, Request> {
        let outcome = match request {
            Request::RoomList { domain, after } => self.list(domain, after).await,
            Request::RoomShow { jid } => self.show(&jid).await,
            Request::RoomDestroy { jid, reason } => self.destroy(&jid, reason.as_deref()).await,
            Request::RoomExport { jid, after } => self.export(&jid, after).await,
            Request::RoomImport { jid, pieces } => self.import(&jid, &pieces).await,
            other => return Err(other),
        };
        Ok(outcome.unwrap_or_else(Answer::Refused))
    }

    /// A page of rooms: domain by domain in the order served, each in order of its addresses.
    async fn list(&self, domain: Option<String>, after: Option<String>) -> Result<Answer, Refusal> {
        let mut after = after.map(|after| parse(&after)).transpose()?;
        let domains = match domain {
            Some(domain) => vec![parse(&domain)?],
            None => self.domains.clone(),
        };
        let is_of = |domain: &BareJid, room: &BareJid| {
            Service::Rooms
                .at(domain.as_str())
                .is_some_and(|service| service.as_str() == room.domain())
        };
        let reached = after
            .as_ref()
            .and_then(|after| domains.iter().position(|domain| is_of(domain, after)));
        let mut rooms = Vec::new();
        for domain in &domains[reached.unwrap_or(0)..] {
            let wanted = u32::try_from(PAGE_MAX - rooms.len()).unwrap_or(u32::MAX);
            let page = self.page(domain, after.as_ref(), wanted).await;
            rooms.extend(page.map_err(|error| error.to_string())?);
            after = None;
            if rooms.len() >= PAGE_MAX {
                break;
            }
        }
        Ok(Answer::Rooms(rooms))
    }

    async fn page(
        &self,
        domain: &BareJid,
        after: Option<&BareJid>,
        max: u32,
    ) -> Result<Vec<ListedRoom>, StoreError> {
        let listed = |jid: BareJid, sessions| ListedRoom {
            jid: jid.to_string(),
            sessions,
        };
        match &self.source {
            Source::Server(rooms, _) => {
                let rooms = rooms.list(domain, after, max).await?;
                let shown = rooms
                    .into_iter()
                    .map(|(jid, inside)| listed(jid, Some(inside)));
                Ok(shown.collect())
            }
            Source::Store(store) => {
                let Some(service) = Service::Rooms.at(domain.as_str()) else {
                    return Ok(Vec::new());
                };
                let rooms = store.rooms(service.as_str(), after, max).await?;
                Ok(rooms.into_iter().map(|jid| listed(jid, None)).collect())
            }
        }
    }

    async fn show(&self, jid: &str) -> Result<Answer, Refusal> {
        let room = parse(jid)?;
        let found = match &self.source {
            Source::Server(rooms, _) => rooms.inspect(&room).await,
            Source::Store(store) => {
                let record = store.room(&room).await;
                record.map(|it| it.map(|record| Box::new(Room::open(room.clone(), record))))
            }
        };
        let found = found.map_err(|error| error.to_string())?;
        let found = found.ok_or_else(|| nowhere(&room))?;
        Ok(Answer::Room(Box::new(shown(&found))))
    }

    async fn destroy(&self, jid: &str, reason: Option<&str>) -> Result<Answer, Refusal> {
        let room = parse(jid)?;
        let was_there = match &self.source {
            Source::Server(rooms, _) => rooms.destroy(&room, reason).await,
            Source::Store(store) => remove(store, &room).await,
        };
        match was_there {
            Ok(true) => {
                tracing::info!(%room, "room destroyed by an operator");
                Ok(Answer::Done(1))
            }
            Ok(false) => Err(nowhere(&room)),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl RoomCommands {
    fn store(&self) -> &Store {
        match &self.source {
            Source::Server(_, store) | Source::Store(store) => store,
        }
    }

    async fn export(&self, jid: &str, after: Option<u64>) -> Result<Answer, Refusal> {
        let room = parse(jid)?;
        let page = transfer::rooms::page(self.store(), &room, after).await;
        let (xml, next) = page.map_err(|error| error.to_string())?;
        let xml = String::from_utf8(xml).map_err(|error| error.to_string())?;
        Ok(Answer::RoomExported(xml, next))
    }

    async fn import(&self, jid: &str, pieces: &[Piece]) -> Result<Answer, Refusal> {
        let room = parse(jid)?;
        let is_served = self.domains.iter().any(|domain| {
            let service = Service::Rooms.at(domain.as_str());
            service.is_some_and(|service| service.as_str() == room.domain())
        });
        if !is_served || room.localpart().is_none() {
            return Err(format!("{room} is no room of a domain served"));
        }
        match transfer::rooms::take(self.store(), &room, pieces).await {
            Ok(taken) => Ok(Answer::Taken(taken)),
            Err(StoreError::Conflict) => Err(format!(
                "there is another room {room} already, or this one has no owner"
            )),
            Err(error) => Err(error.to_string()),
        }
    }
}

async fn remove(store: &Store, room: &BareJid) -> Result<bool, StoreError> {
    if store.room(room).await?.is_none() {
        return Ok(false);
    }
    store.remove_room(room).await?;
    Ok(true)
}

fn parse(text: &str) -> Result<BareJid, Refusal> {
    BareJid::parse(text).map_err(|error| format!("\"{text}\": {error}"))
}

fn nowhere(room: &BareJid) -> Refusal {
    format!("there is no room {room}")
}

fn shown(room: &Room) -> ShownRoom {
    let record = room.record();
    let affiliations = record.affiliations.iter();
    let occupants = room.occupants().iter();
    ShownRoom {
        jid: room.jid().to_string(),
        name: record.config.name.to_string(),
        description: record.config.description.to_string(),
        created: record.created.to_xep0082(),
        creator: record.creator.to_string(),
        marks: marks(&record.config),
        affiliations: affiliations
            .map(|(jid, it)| (jid.to_string(), it.affiliation.as_str().to_owned()))
            .collect(),
        occupants: occupants
            .map(|it| {
                let role = it.role.as_str().to_owned();
                (it.nick.to_string(), it.account.to_string(), role)
            })
            .collect(),
    }
}

/// What XEP-0045 §4.2 calls types of rooms.
fn marks(config: &Config) -> Vec<String> {
    let either = |is_so: bool, yes: &str, no: &str| if is_so { yes } else { no }.to_owned();
    vec![
        either(config.persistent, "persistent", "temporary"),
        either(config.public, "public", "hidden"),
        either(config.members_only, "members-only", "open"),
        either(config.moderated, "moderated", "unmoderated"),
        either(config.non_anonymous, "non-anonymous", "semi-anonymous"),
        either(config.password.is_some(), "password-protected", "unsecured"),
        either(config.archived, "archived", "not archived"),
    ]
}
