//! A room's configuration: XEP-0045 §4.2 and §16.5.3. Its form: [`super::form`].

use serde::{Deserialize, Serialize};

use super::role::Role;
use crate::jid::BareJid;

/// How a room is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
// What an older version has stored lacks what came later.
#[serde(default)]
pub struct Config {
    /// What people call it; empty: its address.
    pub name: Box<str>,
    /// What it is for.
    pub description: Box<str>,
    /// The language spoken there.
    pub lang: Box<str>,
    /// It stays when the last one leaves.
    pub persistent: bool,
    /// It is in the service's list, and found by search.
    pub public: bool,
    /// Members alone enter.
    pub members_only: bool,
    /// Who enters without affiliation has no voice.
    pub moderated: bool,
    /// Nobody speaks but those who manage it: what it was for is over.
    pub read_only: bool,
    /// What is asked of those who enter.
    pub password: Option<Box<str>>,
    /// Everybody sees everybody's address; else moderators alone do.
    pub non_anonymous: bool,
    /// Participants may change the subject.
    pub change_subject: bool,
    /// Members may invite; in an open room, everybody with voice.
    pub allow_invites: bool,
    /// Who may send private messages.
    pub private_messages: PrivateMessages,
    /// Roles whose presence others see.
    pub presence_broadcast: Vec<Role>,
    /// Roles that may read the list of members.
    pub member_list: Vec<Role>,
    /// Occupants at most; `None`: as many as the service lets in.
    pub occupants_max: Option<u32>,
    /// Messages of history on entry at most.
    pub history_max: u32,
    /// What is said is kept, and can be read by those who may enter.
    pub archived: bool,
    /// People may register, which makes them members and reserves their nick.
    pub registration: bool,
}

/// Who may send private messages (`muc#roomconfig_allowpm`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrivateMessages {
    /// Everybody in the room.
    Anyone,
    /// Those with voice.
    Participants,
    /// Moderators.
    Moderators,
    /// Nobody.
    Nobody,
}

impl PrivateMessages {
    /// All of them, as forms list them.
    pub const ALL: [Self; 4] = [
        Self::Anyone,
        Self::Participants,
        Self::Moderators,
        Self::Nobody,
    ];

    /// The value in forms.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Participants => "participants",
            Self::Moderators => "moderators",
            Self::Nobody => "none",
        }
    }

    /// Whether somebody with this role may send them.
    pub fn allows(self, role: Role) -> bool {
        match self {
            Self::Anyone => role >= Role::Visitor,
            Self::Participants => role >= Role::Participant,
            Self::Moderators => role == Role::Moderator,
            Self::Nobody => false,
        }
    }
}

impl Config {
    /// What people read where the room is named.
    pub(super) fn title<'a>(&'a self, room: &'a BareJid) -> &'a str {
        match &*self.name {
            "" => room.localpart().unwrap_or_else(|| room.domain()),
            name => name,
        }
    }
}

impl Default for Config {
    /// What suits the rooms of an organisation.
    fn default() -> Self {
        let everybody = vec![Role::Moderator, Role::Participant, Role::Visitor];
        Self {
            name: "".into(),
            description: "".into(),
            lang: "".into(),
            // A team's room and what was said in it are not over when the last one goes home.
            persistent: true,
            // What is not listed can be listed later; what was listed has been seen. Clients
            // that create channels for everybody say so in their form.
            public: false,
            // Whoever was told the address may come in; to close it is the owner's choice.
            members_only: false,
            moderated: false,
            read_only: false,
            password: None,
            // Addresses that were not shown can be shown later, not the other way round.
            // Conversations and Gajim ask for them themselves when they create groups, whose
            // encryption needs them.
            non_anonymous: false,
            // Colleagues need no one's leave to say what a room is about, or to bring a guest.
            change_subject: true,
            allow_invites: true,
            private_messages: PrivateMessages::Anyone,
            presence_broadcast: everybody.clone(),
            member_list: everybody,
            occupants_max: None,
            // A screenful. Who has an archive asks for none and reads on from where it was.
            history_max: 20,
            archived: true,
            registration: true,
        }
    }
}
