//! Jabber Component Protocol: XEP-0114 version 1.6,
//! <https://xmpp.org/extensions/xep-0114.html>
//!
//! A program of its own serves a host of its own: a gateway, a bot, an app server. Here: what
//! such a component may say. Its handshake is in [`crate::stream::component`]; what comes of its
//! stanzas is decided as of those of another server ([`crate::pipeline::decide_arrived`]).

use super::{Feature, Spec};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Head, StreamCondition};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "component",
    title: "Jabber Component Protocol",
    spec: Spec::Xep {
        number: 114,
        version: "1.6",
    },
    ..Feature::NONE
};

/// §3: both addresses are there, and the sender's is at the component's host (rows R01, R02).
///
/// # Errors
/// With what the stream ends.
pub fn check_addresses(head: &Head, host: &BareJid) -> Result<(), StreamCondition> {
    let Some(from) = &head.from else {
        return Err(StreamCondition::ImproperAddressing);
    };
    if !is_at(from, host) {
        return Err(StreamCondition::InvalidFrom);
    }
    match &head.to {
        Some(_) => Ok(()),
        None => Err(StreamCondition::ImproperAddressing),
    }
}

/// An address at the very host: a domain below it is somebody else's (§3).
fn is_at(from: &Jid, host: &BareJid) -> bool {
    from.domain() == host.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(from: Option<&str>, to: Option<&str>) -> Result<(), StreamCondition> {
        let jid = |text: &str| Jid::parse(text).unwrap();
        let head = Head {
            from: from.map(jid),
            to: to.map(jid),
            ..Head::default()
        };
        check_addresses(&head, &BareJid::parse("bot.example.org").unwrap())
    }

    #[test]
    fn r01_r02_component_speaks_for_its_own_host_alone() {
        let to = Some("alice@example.org");
        for own in [
            "bot.example.org",
            "bot.example.org/x",
            "a@bot.example.org",
            "a@BOT.example.org/x",
        ] {
            assert_eq!(checked(Some(own), to), Ok(()), "{own}");
        }
        for other in [
            "example.org",
            "alice@example.org",
            "a@evil.bot.example.org",
            "a@xbot.example.org",
            "bot.example.org@example.org",
            "conference.example.org",
        ] {
            let refused = Err(StreamCondition::InvalidFrom);
            assert_eq!(checked(Some(other), to), refused, "{other}");
        }
    }

    #[test]
    fn both_addresses_are_obligatory() {
        let refused = Err(StreamCondition::ImproperAddressing);
        assert_eq!(checked(None, Some("alice@example.org")), refused);
        assert_eq!(checked(Some("bot.example.org"), None), refused);
    }
}
