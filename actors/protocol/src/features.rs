//! What klatsch can do, one feature a file; the `ALL` table; dispatch of IQs.
//!
//! Disco answers, the table of specifications and `doap.xml` derive from this table.

pub mod adhoc;
pub mod admin;
pub mod archive_preferences;
pub mod attention;
pub mod avatar;
pub mod blocking;
pub mod bookmarks;
pub mod caps;
pub mod carbons;
pub mod chat;
pub mod component;
pub mod contact_addresses;
pub mod csi;
pub mod data_forms;
pub mod delay;
pub mod disco;
pub mod external_services;
pub mod fulltext;
pub mod hints;
pub mod invitation;
pub mod jingle;
pub mod last_activity;
pub mod mam;
pub mod mds;
pub mod muc;
pub mod notification_settings;
pub mod offline;
pub mod people_search;
pub mod ping;
pub mod presence;
pub mod private_xml;
pub mod pubsub;
pub mod push;
pub mod registration;
pub mod reporting;
pub mod roster;
pub mod rsm;
pub mod session;
pub mod stanza_id;
pub mod streams;
pub mod subscription;
pub mod time;
pub mod upload;
pub mod vcard;
pub mod version;
pub mod web_push;

use crate::effect::Effect;
use crate::facts::Facts;
use crate::jid::BareJid;
use crate::stanza::{Iq, IqKind, StanzaError};

/// One capability with its specification.
pub struct Feature {
    /// The name of its file.
    pub name: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Where it is specified.
    pub spec: Spec,
    /// How much of it is there.
    pub status: Status,
    /// Announced by the server's domain (XEP-0030).
    pub disco: &'static [&'static str],
    /// Announced by an account's bare JID.
    pub disco_account: &'static [&'static str],
    /// Announced by a room.
    pub disco_room: &'static [&'static str],
    /// Identities of an account's bare JID, as category and type.
    pub identities_account: &'static [(&'static str, &'static str)],
    /// Announced by the services of a domain.
    pub services: &'static [(Service, &'static [&'static str])],
    /// The requests it answers.
    pub iq: &'static [IqRule],
}

impl Feature {
    /// A feature that does nothing, to fill up with `..Feature::NONE`.
    pub const NONE: Self = Self {
        name: "",
        title: "",
        spec: Spec::Rfc {
            number: 6121,
            section: "",
        },
        status: Status::Complete,
        disco: &[],
        disco_account: &[],
        disco_room: &[],
        identities_account: &[],
        services: &[],
        iq: &[],
    };
}

/// A specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spec {
    /// A XEP and the version that was read.
    Xep {
        /// Its number.
        number: u16,
        /// The version implemented.
        version: &'static str,
    },
    /// An RFC, or a section of one.
    Rfc {
        /// Its number.
        number: u16,
        /// The section, or empty.
        section: &'static str,
    },
}

/// How much of a specification is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All that concerns a server.
    Complete,
    /// Something is missing: this.
    Partial(&'static str),
}

/// Which requests a rule answers, and how.
pub struct IqRule {
    /// Get or set.
    pub kind: IqKind,
    /// Namespace of the request's payload.
    pub namespace: &'static str,
    /// Name of the request's payload.
    pub name: &'static str,
    /// To whom the request is addressed.
    pub scope: Scope,
    /// Decides.
    pub handle: IqHandler,
}

/// Decides a request.
pub type IqHandler = fn(&Iq, &Facts<'_>) -> Vec<Effect>;

/// To whom a request is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The server's domain.
    Server,
    /// The sender's own account: its bare JID, or no address at all.
    Own,
    /// Any account's bare JID, also the sender's own. `facts.account` is the account asked;
    /// `facts.session` is `None` when it is somebody else's: look at the request's `from`.
    Account,
    /// A service of a domain. `facts.account` is the service's address and has no data,
    /// `facts.session` is `None`.
    Service(Service),
}

/// What a domain serves at a host of its own (XEP-0030 §8: category `pubsub` and the like).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Rooms (XEP-0045); they live below its host and have actors of their own.
    Rooms,
    /// Nodes of anybody's (XEP-0060).
    Pubsub,
    /// Files (XEP-0363).
    Upload,
    /// What tells browsers (XEP-0357).
    Push,
    /// People of the directory, to be searched for (XEP-0055).
    People,
}

impl Service {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Rooms,
        Self::Pubsub,
        Self::Upload,
        Self::Push,
        Self::People,
    ];

    /// The first label of its host.
    pub fn label(self) -> &'static str {
        match self {
            Self::Rooms => "conference",
            Self::Pubsub => "pubsub",
            Self::Upload => "upload",
            Self::Push => "push",
            Self::People => "people",
        }
    }

    /// Its host at a domain; `None` for what is no domain.
    pub fn at(self, domain: &str) -> Option<BareJid> {
        BareJid::parse(&format!("{}.{domain}", self.label())).ok()
    }

    /// Who it is: category, type and name.
    pub fn identity(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Rooms => ("conference", "text", "Rooms"),
            Self::Pubsub => ("pubsub", "service", "Publish-Subscribe"),
            Self::Upload => ("store", "file", "HTTP File Upload"),
            // XEP-0357 §3 wants a service of pubsub that can push.
            Self::Push => ("pubsub", "push", "Web Push"),
            Self::People => ("directory", "user", "People"),
        }
    }
}

impl Service {
    /// What it announces.
    pub(crate) fn features(self) -> impl Iterator<Item = &'static str> {
        let of = ALL.iter().flat_map(|feature| feature.services);
        let of = of.filter(move |(announced_by, _)| *announced_by == self);
        of.flat_map(|(_, features)| features.iter().copied())
    }
}

/// A rule for a get.
pub const fn get(
    scope: Scope,
    namespace: &'static str,
    name: &'static str,
    handle: IqHandler,
) -> IqRule {
    IqRule {
        kind: IqKind::Get,
        namespace,
        name,
        scope,
        handle,
    }
}

/// A rule for a set.
pub const fn set(
    scope: Scope,
    namespace: &'static str,
    name: &'static str,
    handle: IqHandler,
) -> IqRule {
    IqRule {
        kind: IqKind::Set,
        namespace,
        name,
        scope,
        handle,
    }
}

/// Every feature, in the order the table of specifications shows them.
pub const ALL: &[&Feature] = &[
    &roster::FEATURE,
    &subscription::FEATURE,
    &presence::FEATURE,
    &session::FEATURE,
    &disco::FEATURE,
    &data_forms::FEATURE,
    &rsm::FEATURE,
    &version::FEATURE,
    &caps::FEATURE,
    &offline::FEATURE,
    &blocking::FEATURE,
    &reporting::FEATURE,
    &ping::FEATURE,
    &time::FEATURE,
    &last_activity::FEATURE,
    &delay::FEATURE,
    &carbons::FEATURE,
    &chat::FEATURE,
    &mam::FEATURE,
    &fulltext::FEATURE,
    &archive_preferences::FEATURE,
    &hints::FEATURE,
    &csi::FEATURE,
    &attention::FEATURE,
    &push::FEATURE,
    &web_push::FEATURE,
    &web_push::IDENTIFICATION,
    &notification_settings::FEATURE,
    &jingle::FEATURE,
    &stanza_id::FEATURE,
    &muc::FEATURE,
    &muc::DIRECT_INVITATIONS,
    &muc::hats::FEATURE,
    &muc::relay::FEATURE,
    &muc::occupant_id::FEATURE,
    &muc::moderation::FEATURE,
    &muc::moderation::RETRACTION,
    &muc::search::FEATURE,
    &muc::avatar::FEATURE,
    &pubsub::FEATURE,
    &pubsub::pep::FEATURE,
    &pubsub::pep::public_data::FEATURE,
    &pubsub::pep::private_data::FEATURE,
    &pubsub::pep::nickname::FEATURE,
    &pubsub::pep::vcard4::FEATURE,
    &bookmarks::FEATURE,
    &bookmarks::legacy::FEATURE,
    &private_xml::FEATURE,
    &vcard::FEATURE,
    &people_search::FEATURE,
    &avatar::FEATURE,
    &avatar::user_avatar::FEATURE,
    &avatar::vcard_avatar::FEATURE,
    &mds::FEATURE,
    &upload::FEATURE,
    &external_services::FEATURE,
    &contact_addresses::FEATURE,
    &registration::FEATURE,
    &invitation::FEATURE,
    &invitation::REGISTRATION,
    &invitation::CONTACTS,
    &adhoc::FEATURE,
    &admin::FEATURE,
    &component::FEATURE,
];

/// Answers a request that the server itself has to answer: the first matching rule decides.
///
/// RFC 6120 §8.4: a request nobody understands is answered with service-unavailable.
pub fn decide_request(iq: &Iq, scope: Scope, facts: &Facts<'_>) -> Vec<Effect> {
    match find_rule(iq, scope) {
        Some(rule) => (rule.handle)(iq, facts),
        None => refuse(iq, StanzaError::service_unavailable()),
    }
}

fn find_rule(iq: &Iq, scope: Scope) -> Option<&'static IqRule> {
    let payload = iq.payload()?;
    let asked = |rule: &&IqRule| {
        rule.kind == iq.kind
            && rule.name == payload.name()
            && rule.namespace == payload.namespace()
            && (rule.scope == scope || (scope == Scope::Own && rule.scope == Scope::Account))
    };
    ALL.iter().flat_map(|feature| feature.iq).find(asked)
}

/// The answer to a request that is refused.
pub fn refuse(iq: &Iq, error: StanzaError) -> Vec<Effect> {
    match crate::stanza::Stanza::Iq(iq.clone()).error_reply(&error) {
        Some(reply) => vec![Effect::Reply(reply)],
        None => Vec::new(),
    }
}
