//! Nicks: XEP-0045 §17.1 and RFC 8266.
//!
//! What a client writes has passed resource preparation with its address. Here spaces are
//! tidied and compatibility forms folded as the Nickname profile asks, and nicks are compared
//! by that profile, so that `Oldhag`, `oldhag` and `ＯＬＤＨＡＧ` are one nick; and by how they
//! look (UTS 39 §4), so that nobody is `оldhag` beside them, in letters of other scripts.

use std::sync::Arc;

use precis_profiles::Nickname;
use precis_profiles::precis_core::profile::{PrecisFastInvocation, Rules};
use unicode_security::confusable_detection::skeleton;

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

/// What nicks are compared by: two that have one of these in common are the same nick. In small
/// letters, as RFC 8266 §2.4 compares, and as they are written, for large letters look like
/// others than small ones do; both by their skeletons, which those have in common that look
/// alike (row M04). `1` looks like `l`, and `m` like `rn`: that two people cannot have such
/// nicks in one room costs little.
pub fn keys(nick: &str) -> [Box<str>; 2] {
    let small = look(compared(nick));
    let written = look(skeleton(nick).collect());
    [format!("a{small}").into(), format!("b{written}").into()]
}

/// Tells whether two nicks count as the same.
pub fn is_same(one: &str, other: &str) -> bool {
    have_common(&keys(one), other)
}

/// Tells whether a nick counts as the same as the one with these keys.
pub(super) fn have_common(one: &[Box<str>; 2], other: &str) -> bool {
    let other = keys(other);
    one.iter().zip(&other).any(|(one, other)| one == other)
}

/// How a nick looks, whatever its letters.
fn look(mut text: String) -> String {
    for _ in 0..ROUNDS_MAX {
        // Zero looks like a large letter.
        let next = skeleton(&text).collect::<String>().to_lowercase();
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn compared(nick: &str) -> String {
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
    current
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
            assert_eq!(is_same(one, other), same, "{one} {other}");
        }
        assert!(is_same("Old Hag", "OLD HAG"));
        assert!(!is_same("oldhag", "oldhag2"));
    }

    #[test]
    fn m04_r12_nicks_that_look_alike_are_the_same() {
        for (one, other) in [
            ("oldhag", "\u{43e}ldhag"),
            ("paypal", "p\u{430}yp\u{430}l"),
            ("Bob", "b0b"),
            ("Alice", "a1ice"),
            ("modern", "modem"),
            ("ΑΝΝΑ", "anna"),
            ("\u{212a}arl", "karl"),
            ("scope", "ѕсоре"),
        ] {
            assert!(is_same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("user-11", "user-12"),
            ("user-10", "user-18"),
            ("anna", "hanna"),
            ("жук", "жуки"),
            ("王", "玉"),
            ("👾", "👻"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }

    #[test]
    fn m04_r12_large_and_small_letters_are_the_same_in_every_script() {
        for letter in ('A'..='\u{2fff}').filter(|letter| letter.is_uppercase()) {
            let large = letter.to_string();
            let same = Nickname::compare(large.as_str(), large.to_lowercase().as_str());
            if same == Ok(true) {
                assert!(is_same(&large, &large.to_lowercase()), "{letter}");
            }
        }
    }

    #[test]
    fn r12_another_face_of_a_picture_is_no_nick() {
        let settings = Settings::default();
        assert!(prepare("👾", &settings).is_ok());
        for face in ["👾\u{fe0f}", "👾\u{200d}", "\u{202e}👾"] {
            assert!(prepare(face, &settings).is_err(), "{face:?}");
        }
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
