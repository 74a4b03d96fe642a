//! Whom to turn to (XEP-0157).

use super::settings::settings;
use klatsch_protocol::features::contact_addresses::Settings;

settings! {
    /// Whom to turn to: clients and other servers are told. Each a URI, as in `mailto:abuse@example.org` or `xmpp:help@example.org`.
    pub struct Contacts {
        /// Against abuse.
        abuse: Vec<String> = Vec::new();
        /// The administrators.
        admin: Vec<String> = Vec::new();
        /// For opinions.
        feedback: Vec<String> = Vec::new();
        /// For buyers.
        sales: Vec<String> = Vec::new();
        /// For those who have found a hole.
        security: Vec<String> = Vec::new();
        /// Where one sees whether everything works.
        status: Vec<String> = Vec::new();
        /// For those who need help.
        support: Vec<String> = Vec::new();
    }
}

impl Contacts {
    /// The addresses as decisions take them.
    pub fn addresses(&self) -> Settings {
        Settings {
            abuse: self.abuse.clone(),
            admin: self.admin.clone(),
            feedback: self.feedback.clone(),
            sales: self.sales.clone(),
            security: self.security.clone(),
            status: self.status.clone(),
            support: self.support.clone(),
        }
    }
}
