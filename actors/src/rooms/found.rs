//! Rooms that come with something else: a thread of mail, a document, an event of a calendar.
//!
//! Such a room is made whole, with its people, and is there before anybody enters. What changes
//! later is asked of the room like any owner would ask it, so that everybody inside hears of it.
//! Who may have what made is for whoever calls this to decide.

use klatsch_protocol::features::data_forms;
use klatsch_protocol::features::muc::affiliation::{Affiliate, Affiliation};
use klatsch_protocol::features::muc::config::Config;
use klatsch_protocol::features::muc::form::NS_FORM;
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord};
use klatsch_protocol::features::muc::{NS_ADMIN, NS_OWNER};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::stanza::{Head, Iq, IqKind, Stanza, StanzaError};
use klatsch_protocol::xml::Element;
use klatsch_store::StoreError;

use super::Rooms;
use crate::administration::has_role;
use crate::room::{Settled, ask};
use crate::router::patiently;
use crate::sessions::random_id;

/// Why somebody belongs to a room who belongs to what it comes with: they go with it, while
/// those whom an owner has brought stay.
pub const BELONGS: &str = "belongs to what this room is about";

/// A room to be made.
#[derive(Debug, Clone)]
pub struct NewRoom {
    /// Its address.
    pub jid: BareJid,
    /// Whose it is.
    pub owner: BareJid,
    /// What people call it.
    pub name: String,
    /// Who belongs to it.
    pub members: Vec<BareJid>,
}

/// Why a room is not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum FoundError {
    /// The account has as many rooms as it may have (row M09), or may make none.
    #[error("the account may make no more rooms")]
    TooMany,
    /// The room says no.
    #[error("the room refuses: {0:?}")]
    Refused(Box<StanzaError>),
    /// The store does not answer, or the room.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Rooms {
    /// Makes a room for members only, which nobody finds who does not know it. False: there is
    /// one already, and it stays as it is.
    ///
    /// # Errors
    /// [`FoundError`].
    pub async fn found(&self, new: &NewRoom) -> Result<bool, FoundError> {
        self.check_may_found(&new.owner).await?;
        let mut record = self.private_record(&new.owner, &new.name);
        for member in &new.members {
            let affiliate = Affiliate {
                affiliation: Affiliation::Member,
                nick: None,
                reason: Some(BELONGS.into()),
            };
            record
                .affiliations
                .entry(member.clone())
                .or_insert(affiliate);
        }
        let is_new = self.save_new(&new.jid, record).await?;
        if is_new {
            tracing::info!(room = %new.jid, owner = %new.owner, "room made by the API");
        }
        Ok(is_new)
    }

    /// A room for members only, which nobody finds who does not know it, and which stays.
    pub(super) fn private_record(&self, owner: &BareJid, name: &str) -> RoomRecord {
        let world = &self.world;
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).expect("the system has randomness");
        let mut record = RoomRecord::new(owner, secret, world.now());
        record.config = Config {
            name: name.into(),
            persistent: true,
            public: false,
            members_only: true,
            // Colleagues know each other by their addresses.
            non_anonymous: true,
            ..world.settings.rooms.new_rooms.clone()
        };
        record
    }

    /// Keeps a room that nobody is in yet. False: there is one already, and it stays as it is.
    pub(super) async fn save_new(
        &self,
        room: &BareJid,
        record: RoomRecord,
    ) -> Result<bool, StoreError> {
        let create = vec![RoomChange::Create(Box::new(record))];
        match patiently(self.world.store.save_room(room, 0, create)).await {
            Ok(_) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As for whoever makes a room by entering it (XEP-0045 §10.1.1).
    async fn check_may_found(&self, owner: &BareJid) -> Result<(), FoundError> {
        let (store, settings) = (&self.world.store, &self.world.settings.rooms);
        let credentials = patiently(store.credentials(owner)).await?;
        let owner_is_operator = credentials.ok_or(StoreError::NoSuchAccount)?.admin;
        if owner_is_operator || has_role(&self.world, owner) {
            return Ok(());
        }
        let rooms = patiently(store.rooms_created(owner)).await?;
        let has_room = usize::try_from(rooms).is_ok_and(|it| it < settings.rooms_per_account_max);
        match has_room && !settings.restrict_creation {
            true => Ok(()),
            false => Err(FoundError::TooMany),
        }
    }

    /// Changes what these accounts are to a room, in the name of an owner.
    ///
    /// # Errors
    /// [`FoundError`].
    pub async fn affiliate(
        &self,
        room: &BareJid,
        owner: &BareJid,
        accounts: &[BareJid],
        affiliation: Affiliation,
    ) -> Result<(), FoundError> {
        self.affiliate_because(room, owner, accounts, affiliation, BELONGS)
            .await
    }

    /// The same for this reason.
    pub(super) async fn affiliate_because(
        &self,
        room: &BareJid,
        owner: &BareJid,
        accounts: &[BareJid],
        affiliation: Affiliation,
        reason: &str,
    ) -> Result<(), FoundError> {
        let at_once = self.world.settings.rooms.items_max.max(1);
        for some in accounts.chunks(at_once) {
            let items = some.iter().map(|account| {
                let reason = Element::new("reason", NS_ADMIN).text(reason);
                Element::new("item", NS_ADMIN)
                    .attr("affiliation", affiliation.as_str())
                    .attr("jid", account.as_str())
                    .child(reason)
            });
            let query = Element::new("query", NS_ADMIN).children_from(items);
            self.ask(room, owner, query).await?;
        }
        Ok(())
    }

    /// Changes fields of a room's configuration, in the name of an owner.
    ///
    /// # Errors
    /// [`FoundError`].
    pub async fn configure(
        &self,
        room: &BareJid,
        owner: &BareJid,
        fields: &[(&'static str, &str)],
    ) -> Result<(), FoundError> {
        let field = |name: &str, value: &str| {
            let value = Element::new("value", data_forms::NS).text(value);
            Element::new("field", data_forms::NS)
                .attr("var", name)
                .child(value)
        };
        let fields = fields.iter().map(|(name, value)| field(name, value));
        let form = Element::new("x", data_forms::NS)
            .attr("type", "submit")
            .child(field("FORM_TYPE", NS_FORM))
            .children_from(fields);
        let query = Element::new("query", NS_OWNER).child(form);
        self.ask(room, owner, query).await
    }

    /// Asks a room in the name of an account, and waits until it has done it. The answer itself
    /// goes to nobody.
    async fn ask(&self, room: &BareJid, by: &BareJid, query: Element) -> Result<(), FoundError> {
        let asker = by.with_resource(&random_id());
        let asker = asker.expect("hexadecimal digits are a resource");
        let iq = Iq {
            head: Head {
                to: Some(Jid::from(room.clone())),
                from: Some(asker.into()),
                id: Some(random_id().into()),
                lang: None,
            },
            kind: IqKind::Set,
            payloads: [query].into_iter().collect(),
        };
        match ask::deliver(&self.world, Stanza::Iq(iq).into(), None, None).await {
            Settled::Done => Ok(()),
            Settled::Refused(error) => Err(FoundError::Refused(Box::new(error))),
            Settled::Replied(_) => {
                let error = StanzaError::not_allowed();
                Err(FoundError::Refused(Box::new(error)))
            }
            Settled::Uncertain => {
                let unknown = StoreError::Unavailable("the room does not answer".into());
                Err(FoundError::Store(unknown))
            }
        }
    }

    /// Which version of an event a room is for, as its owner keeps it; `None`: nobody has said.
    ///
    /// # Errors
    /// `NoSuchAccount`, `Unavailable`, `Corrupt`.
    pub async fn event_version(
        &self,
        room: &BareJid,
        owner: &BareJid,
    ) -> Result<Option<u32>, StoreError> {
        let kept = patiently(self.world.store.kept(owner, &version_name(room))).await?;
        let text = kept
            .value
            .as_deref()
            .and_then(|value| str::from_utf8(value).ok());
        Ok(text.and_then(|text| text.parse().ok()))
    }

    /// Keeps that.
    ///
    /// # Errors
    /// `NoSuchAccount`, `Unavailable`, `Uncertain`.
    pub async fn keep_event_version(
        &self,
        room: &BareJid,
        owner: &BareJid,
        version: u32,
    ) -> Result<(), StoreError> {
        let value = Some(version.to_string().into());
        patiently(self.world.store.keep(owner, &version_name(room), value)).await
    }
}

/// What it is kept under; names of private XML begin with another word.
fn version_name(room: &BareJid) -> String {
    format!("event version {room}")
}
