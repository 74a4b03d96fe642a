//! The accounts of a run, as a file that every node's command line reads (XEP-0227 version 1.1):
//! who will talk to each other are contacts already.

use std::fmt::Write;

use crate::options::Target;
use crate::scenario::fleet::circle::Circle;

/// Portable import and export (§4).
const NS: &str = "urn:xmpp:pie:0";

/// Writes the file.
pub(super) fn file(target: &Target, circle: &Circle) -> String {
    let (domain, password) = (&target.domain, &target.password);
    let mut text = format!("<server-data xmlns='{NS}'><host jid='{domain}'>\n");
    for number in 1..=circle.clients {
        let name = target.localpart(number as usize);
        let _ = write!(
            text,
            "<user name='{name}' password='{password}'><query xmlns='jabber:iq:roster'>"
        );
        for contact in circle.contacts(number) {
            let jid = target.account(contact as usize);
            let _ = write!(text, "<item jid='{jid}' subscription='both'/>");
        }
        text.push_str("</query></user>\n");
    }
    text.push_str("</host></server-data>\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::test_target;

    #[test]
    fn contacts_stand_in_each_others_rosters() {
        let circle = Circle {
            clients: 4,
            ..Circle::default()
        };
        let text = file(&test_target(), &circle);
        let line = |name: &str| {
            let wanted = format!("<user name='{name}' ");
            let line = text.lines().find(|line| line.starts_with(&wanted));
            line.expect("it is there").to_owned()
        };
        assert!(line("user1").contains("jid='user2@example.org' subscription='both'"));
        assert!(line("user2").contains("jid='user1@example.org' subscription='both'"));
        assert!(!line("user1").contains("user1@"));
    }
}
