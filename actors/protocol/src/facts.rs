//! Everything a decision may know. Borrowed for one decision, never kept.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::colleagues::Book;
use crate::features::blocking::Blocklist;
use crate::features::presence::wish::Wish;
use crate::features::roster::Roster;
use crate::features::{
    Service, caps, contact_addresses, external_services, pubsub, registration, upload, web_push,
};
use crate::jid::{BareJid, FullJid, Jid};
use crate::stanza::Presence;
use crate::tenancy;
use crate::time::Timestamp;

/// What one decision may know.
pub struct Facts<'a> {
    /// The time of the decision.
    pub now: Timestamp,
    /// The server.
    pub host: &'a Host,
    /// The account that decides: the session's own, or the one a stanza is addressed to.
    pub account: &'a BareJid,
    /// What the store remembers of the account.
    pub data: &'a AccountData,
    /// The session that decides; `None` when the server acts for the account.
    pub session: Option<&'a SessionFacts>,
    /// Who is connected, anywhere.
    pub views: &'a dyn Views,
    /// Where names come from that nobody may guess.
    pub random: fn() -> u128,
}

impl Facts<'_> {
    /// The resources of the deciding account.
    pub fn resources(&self) -> Arc<AccountView> {
        self.views.view(self.account)
    }

    /// The people and groups of the directory.
    pub fn book(&self) -> Arc<Book> {
        self.views.book()
    }

    /// The hash of the deciding account's avatar: the one it shows, or else the directory's picture
    /// of its owner. Empty: it shows none; `None`: there has never been one.
    pub fn avatar(&self) -> Option<Box<str>> {
        let own = self.data.avatar.clone();
        own.or_else(|| {
            Some(
                self.book()
                    .holder(self.account)?
                    .photo
                    .as_ref()?
                    .hash
                    .clone(),
            )
        })
    }

    /// Tells whether the deciding account and another address have nothing to do with each other
    /// (row R14).
    pub fn is_apart(&self, other: &Jid) -> bool {
        tenancy::are_apart(self.account.as_jid(), other, self.host, &self.book())
    }
}

/// The server, the same for all its sessions.
#[derive(Debug, Clone)]
pub struct Host {
    /// The domains served, the first one being the main one.
    pub domains: Vec<BareJid>,
    /// Version of the server software (XEP-0092).
    pub version: &'static str,
    /// When the server started (XEP-0012 of the server itself).
    pub started: Timestamp,
    /// False: nothing is kept, messages are only routed.
    pub archive: bool,
    /// Largest stanza accepted, bytes (XEP-0478).
    pub stanza_bytes_max: usize,
    /// Limits of nodes (XEP-0060).
    pub pubsub: pubsub::Settings,
    /// Limits of files (XEP-0363).
    pub upload: upload::Settings,
    /// What is not XMPP and clients need (XEP-0215).
    pub external_services: external_services::Settings,
    /// Who may register (XEP-0077).
    pub registration: registration::Settings,
    /// Whom to turn to (XEP-0157).
    pub contacts: contact_addresses::Settings,
    /// What tells browsers (RFC 8030), unless nothing does.
    pub web_push: Option<web_push::Settings>,
    /// The hosts of external components (XEP-0114), whether they are connected or not.
    pub components: Vec<BareJid>,
    /// Domains that no directory puts into an organisation are one each ([`crate::tenancy`]).
    pub isolated: bool,
    /// There is a directory whose people can be searched for (XEP-0055).
    pub people: bool,
}

impl Host {
    /// Tells whether this domain is served here.
    pub fn serves(&self, domain: &str) -> bool {
        self.domains.iter().any(|served| served.as_str() == domain)
    }

    /// Tells whether the domains have such a service.
    pub fn offers(&self, service: Service) -> bool {
        match service {
            Service::Rooms | Service::Pubsub => true,
            Service::Upload => self.upload.url.is_some(),
            Service::Push => self.web_push.is_some(),
            Service::People => self.people,
        }
    }

    /// The external component at this host.
    pub fn component(&self, host: &str) -> Option<&BareJid> {
        self.components.iter().find(|it| it.as_str() == host)
    }

    /// The domain a component is shown at: the one it is below, or else the main one.
    pub fn domain_of(&self, component: &BareJid) -> Option<&BareJid> {
        self.domain_above(component).or(self.domains.first())
    }

    /// The domain a component is below, if it is below one.
    fn domain_above(&self, component: &BareJid) -> Option<&BareJid> {
        let is_below = |domain: &&BareJid| {
            let above = component.as_str().strip_suffix(domain.as_str());
            above.is_some_and(|above| above.ends_with('.'))
        };
        let all = self.domains.iter().filter(is_below);
        all.max_by_key(|domain| domain.as_str().len())
    }

    /// The domain that stands behind a host: the domain itself, the one of a service, or the one
    /// a component is below; `None` for what is everybody's, or elsewhere.
    pub fn domain_behind<'a>(&'a self, host: &'a str) -> Option<&'a str> {
        if self.serves(host) {
            return Some(host);
        }
        if let Some((_, domain)) = self.service(host) {
            return Some(domain);
        }
        let component = self.component(host)?;
        self.domain_above(component).map(BareJid::as_str)
    }

    /// The service at this host, and the domain it belongs to.
    pub fn service<'a>(&self, host: &'a str) -> Option<(Service, &'a str)> {
        if self.serves(host) {
            return None;
        }
        let (label, domain) = host.split_once('.')?;
        let mut all = Service::ALL.iter();
        let service = all.find(|service| service.label() == label)?;
        // Where nothing of ours tells browsers, or there is no directory, the host is free for a
        // component.
        let is_always = !matches!(service, Service::Push | Service::People);
        let is_ours = is_always || self.offers(*service);
        (is_ours && self.serves(domain)).then_some((*service, domain))
    }
}

/// What the store remembers of an account, as far as decisions want it at hand.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccountData {
    /// Its contacts.
    pub roster: Roster,
    /// Whom it blocks.
    pub blocklist: Blocklist,
    /// The hash of its avatar: empty when it shows none, `None` when it never has.
    pub avatar: Option<Box<str>>,
    /// What it shows whatever its clients say.
    pub wish: Option<Wish>,
}

/// What a session knows of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// Its address.
    pub jid: FullJid,
    /// The presence it has last published; `None` before the first and after an unavailable.
    pub presence: Option<Box<Presence>>,
    /// It wants roster pushes.
    pub roster_interest: bool,
    /// It wants block list pushes.
    pub blocklist_interest: bool,
    /// Message Carbons are on.
    pub carbons: bool,
    /// The client is in the background.
    pub inactive: bool,
    /// Where directed presence went (RFC 6121 §4.6).
    pub directed: Vec<Jid>,
    /// By which request the client was asked what it can do, as long as it has not answered.
    pub capabilities_asked: Option<Box<str>>,
}

impl SessionFacts {
    /// A session that has just been bound.
    pub fn new(jid: FullJid) -> Self {
        Self {
            jid,
            presence: None,
            roster_interest: false,
            blocklist_interest: false,
            carbons: false,
            inactive: false,
            directed: Vec::new(),
            capabilities_asked: None,
        }
    }
}

/// One bound resource, as everybody sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its address.
    pub jid: FullJid,
    /// Its presence; `None` while it has sent none.
    pub presence: Option<Arc<Presence>>,
    /// Its priority, 0 without presence.
    pub priority: i8,
    /// Message Carbons are on.
    pub carbons: bool,
    /// It wants roster pushes.
    pub roster_interest: bool,
    /// It wants block list pushes.
    pub blocklist_interest: bool,
    /// Its connection is lost and may come back (XEP-0198).
    pub is_away: bool,
}

impl Resource {
    /// One that has shown nothing yet.
    pub fn unseen(jid: FullJid) -> Self {
        Self {
            jid,
            presence: None,
            priority: 0,
            carbons: false,
            roster_interest: false,
            blocklist_interest: false,
            is_away: false,
        }
    }

    /// Available with a priority that lets messages to the account in (RFC 6121 §4.7.2.3).
    pub fn takes_messages(&self) -> bool {
        self.presence.is_some() && self.priority >= 0
    }
}

/// All bound resources of one account.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccountView {
    /// In the order they were bound.
    pub resources: Vec<Resource>,
}

impl AccountView {
    /// The resource with this address.
    pub fn resource(&self, jid: &FullJid) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.jid == *jid)
    }

    /// The resources that have sent presence.
    pub fn available(&self) -> impl Iterator<Item = &Resource> {
        self.resources
            .iter()
            .filter(|resource| resource.presence.is_some())
    }
}

/// Who is connected, to look up by account. Never waits.
pub trait Views {
    /// The bound resources of an account; empty when there are none.
    fn view(&self, account: &BareJid) -> Arc<AccountView>;
    /// What software with this hash can do, if that is known (XEP-0115).
    fn capabilities(&self, key: &caps::Key) -> Option<Arc<caps::Capabilities>>;
    /// The people and groups of the organisation.
    fn book(&self) -> Arc<Book>;
    /// Tells whether an account has a session anywhere.
    fn is_there(&self, account: &BareJid) -> bool {
        !self.view(account).resources.is_empty()
    }
}
