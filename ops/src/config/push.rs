//! What notifications tell app servers (XEP-0357).

use super::settings::settings;
use klatsch_actors::push::Settings;

settings! {
    /// Push notifications: what app servers are told besides that there is something.
    pub struct Push {
        /// Who has written.
        sender: bool = Settings::default().sender;
        /// What, unless it is encrypted: app servers are mostly somebody else's.
        body: bool = Settings::default().body;
    }
}

impl Push {
    /// The same as the actors take it.
    pub fn told(&self) -> Settings {
        Settings {
            sender: self.sender,
            body: self.body,
        }
    }
}
