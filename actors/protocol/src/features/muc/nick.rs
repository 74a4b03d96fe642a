//! Nicks: XEP-0045 §17.1 and RFC 8266.
//!
//! What a client writes has passed resource preparation with its address. Here spaces are
//! tidied and compatibility forms folded as the Nickname profile asks, and nicks are compared
//! by that profile, so that `Oldhag`, `oldhag` and `ＯＬＤＨＡＧ` are one nick. Left out: letters
//! of other scripts that look alike; `precis-profiles` has no tables for them.

use std::sync::Arc;

use precis_profiles::Nickname;
use precis_profiles::precis_core::profile::{PrecisFastInvocation, Rules};

use super::settings::Settings;
use crate::jid::prepare_resource;
use crate::stanza::StanzaError;

/// A nick as the room shows it. A clone shares the text.
pub type Nick = Arc<str>;

/// RFC 8266 §2.4: rules are applied again until nothing changes, and three times suffice.
const ROUNDS_MAX: usize = 4;

/// The nick somebody gets who asks for this one.
///
/// # Errors
/// `jid-malformed` for a nick that is empty, invisible or none; `policy-violation` for one
/// that is too long.
pub fn prepare(wanted: &str, settings: &Settings) -> Result<Nick, StanzaError> {
    // §17.1: neither empty nor invisible.
    let nick = Nickname::enforce(wanted).map_err(|_| no_nick())?;
    let nick = prepare_resource(&nick).map_err(|_| no_nick())?;
    if nick.len() > settings.nick_bytes_max {
        return Err(StanzaError::policy_violation().with_text("the nick is too long"));
    }
    Ok(nick.into())
}

fn no_nick() -> StanzaError {
    StanzaError::jid_malformed().with_text("not a nick")
}

/// What nicks are compared by: the comparison of RFC 8266 §2.4 as a key.
pub fn key(nick: &str) -> Box<str> {
    let profile = Nickname::new();
    let mut current = nick.to_owned();
    for _ in 0..ROUNDS_MAX {
        let spaced = profile.additional_mapping_rule(current.as_str());
        let lowered = spaced.and_then(|text| profile.case_mapping_rule(text));
        let Ok(next) = lowered.and_then(|text| profile.normalization_rule(text)) else {
            break;
        };
        if next == current {
            break;
        }
        current = next.into_owned();
    }
    current.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m04_nicks_that_differ_in_case_width_or_spaces_are_the_same() {
        for (one, other) in [
            ("Old Hag", "old hag"),
            ("oldhag", "ＯＬＤＨＡＧ"),
            ("Straße", "STRAßE"),
            ("Δημήτρης", "ΔΗΜΉΤΡΗΣ"),
            ("oldhag", " oldhag "),
            ("old hag", "old  hag"),
            ("old hag", "old\u{a0}hag"),
            ("ﬁsh", "fish"),
        ] {
            let same = Nickname::compare(one, other).unwrap();
            assert_eq!(key(one) == key(other), same, "{one} {other}");
        }
        assert_eq!(key("Old Hag"), key("OLD HAG"));
        assert_ne!(key("oldhag"), key("oldhag2"));
    }

    #[test]
    fn m04_what_cannot_be_seen_is_no_nick() {
        let settings = Settings::default();
        for nick in [
            "",
            " ",
            "\u{3000}",
            "\u{200b}",
            "a\u{200b}b",
            "a\u{202e}b",
            "a\u{0}",
        ] {
            let error = prepare(nick, &settings).expect_err(nick);
            assert_eq!(error.condition.as_str(), "jid-malformed", "{nick:?}");
        }
    }

    #[test]
    fn m04_a_nick_is_tidied_and_has_a_length() {
        let settings = Settings::default();
        assert_eq!(&*prepare(" old   hag ", &settings).unwrap(), "old hag");
        let long = "x".repeat(settings.nick_bytes_max + 1);
        let error = prepare(&long, &settings).unwrap_err();
        assert_eq!(error.condition.as_str(), "policy-violation");
    }
}
