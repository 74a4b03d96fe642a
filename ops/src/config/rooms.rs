//! What an operator may tune of rooms (XEP-0045), and what new ones are like.

use super::settings::settings;
use klatsch_actors::world;
use klatsch_protocol::features::muc::config::Config;
use klatsch_protocol::features::muc::settings::Settings;

settings! {
    /// Rooms at conference.DOMAIN: who makes them, how large they are, what new ones are like until their owners say something else.
    pub struct Rooms {
        /// Only administrators make rooms.
        admins_create_only: bool = Settings::default().restrict_creation;
        /// Rooms an account may have made that still are.
        per_account_max: usize = Settings::default().rooms_per_account_max;
        /// Rooms one client is in at once.
        joined_max: usize = world::Settings::default().rooms_joined_max;
        /// Rooms in memory at once: those somebody is in, or was a minute ago.
        at_hand_max: usize = world::Settings::default().rooms_loaded_max;
        /// Connections in one room; administrators and owners of a room get in a little longer.
        occupants_max: usize = Settings::default().occupants_max;
        /// Members, admins, owners and banned addresses of one room.
        affiliations_max: usize = Settings::default().affiliations_max;
        /// Messages that whoever enters gets at most, whatever the room says.
        history_max: u32 = Settings::default().history_max;
        /// Seconds a new room waits for its owner to configure it; then it is as it is.
        configure_seconds: u32 = Settings::default().lock_seconds;
        /// New rooms stay when the last one leaves.
        persistent: bool = Config::default().persistent;
        /// New rooms are listed, and found by searching.
        public: bool = Config::default().public;
        /// New rooms let members in only.
        members_only: bool = Config::default().members_only;
        /// New rooms show everybody's address to everybody; else to moderators.
        show_addresses: bool = Config::default().non_anonymous;
        /// New rooms keep what is said.
        archived: bool = Config::default().archived;
        /// Messages that whoever enters a new room gets.
        history: u32 = Config::default().history_max;
    }
}

impl Rooms {
    /// The settings as decisions take them.
    pub fn settings(&self) -> Settings {
        Settings {
            restrict_creation: self.admins_create_only,
            rooms_per_account_max: self.per_account_max,
            occupants_max: self.occupants_max,
            affiliations_max: self.affiliations_max,
            history_max: self.history_max,
            lock_seconds: self.configure_seconds,
            new_rooms: Config {
                persistent: self.persistent,
                public: self.public,
                members_only: self.members_only,
                non_anonymous: self.show_addresses,
                archived: self.archived,
                history_max: self.history,
                ..Config::default()
            },
            ..Settings::default()
        }
    }
}
