//! In-Band Registration: XEP-0077 version 2.4,
//! <https://xmpp.org/extensions/xep-0077.html>
//!
//! Here: what somebody who is logged in does with their account, and what both sides of the login
//! share. Registration itself comes before the login, in `stream/register.rs`.
//! Leaves out: forms in place of the plain fields (§4, an option), and e-mail addresses.

pub mod name;

use crate::account::{AccountAct, AccountChange};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::features::{Feature, Scope, Spec, get, invitation, refuse, set};
use crate::sasl::Secret;
use crate::stanza::{Iq, Stanza, StanzaError, StreamCondition, StreamError};
use crate::xml::Element;

/// The namespace.
pub const NS: &str = "jabber:iq:register";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "registration",
    title: "In-Band Registration",
    spec: Spec::Xep {
        number: 77,
        version: "2.4",
    },
    // §8: also where nobody may register, for passwords are changed in band.
    disco: &[NS],
    iq: &[
        get(Scope::Own, NS, "query", show),
        get(Scope::Server, NS, "query", show),
        set(Scope::Own, NS, "query", change),
        set(Scope::Server, NS, "query", change),
    ],
    ..Feature::NONE
};

/// Who may register.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Anybody.
    pub is_open: bool,
    /// Who is invited.
    pub invitations: invitation::Settings,
}

/// NIST SP 800-63B §5.1.1.2 asks for eight characters and no rules of composition.
pub const PASSWORD_CHARACTERS_MIN: usize = 8;

/// Bytes of a password: passphrases fit, work for nothing does not.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Tells whether a password that somebody chooses for themselves will do.
///
/// # Errors
/// What is wrong with it, for people.
pub fn check_password(password: &str, localpart: &str) -> Result<(), &'static str> {
    let mut characters = password.chars();
    let first = characters.next();
    if password.chars().count() < PASSWORD_CHARACTERS_MIN {
        return Err("a password has at least 8 characters");
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err("the password is too long");
    }
    if characters.all(|character| Some(character) == first) {
        return Err("a password is more than one character repeated");
    }
    if password.eq_ignore_ascii_case(localpart) {
        return Err("a password is not the name it is for");
    }
    Ok(())
}

/// What the two fields say (§3.1, §3.3); an empty one counts as missing.
pub(crate) struct Fields {
    pub(crate) username: Option<String>,
    pub(crate) password: Option<Secret>,
}

impl Fields {
    pub(crate) fn read(query: &Element) -> Self {
        let field = |name| {
            let text = query.find(name, NS).map(Element::text_content);
            text.filter(|text| !text.is_empty())
        };
        Self {
            username: field("username"),
            password: field("password").map(Secret::new),
        }
    }
}

/// A query with these fields asked for.
pub(crate) fn form(instructions: &str, username: Option<&str>) -> Element {
    let text = |name, text: &str| Element::new(name, NS).text(text);
    Element::new("query", NS)
        .child(text("instructions", instructions))
        .child(text("username", username.unwrap_or_default()))
        .child(Element::new("password", NS))
}

/// §3.1: what is on file.
fn show(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let instructions = "You have an account. Send a new password to change it.";
    let query = form(instructions, facts.account.localpart());
    let query = query.child(Element::new("registered", NS));
    vec![Effect::Reply(Stanza::Iq(iq.result(Some(query))))]
}

/// §3.2 and §3.3.
fn change(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(query) = iq.payloads.element("query", NS) else {
        return refuse(iq, StanzaError::bad_request());
    };
    let decided = match query.find("remove", NS) {
        // §3.2: alone.
        Some(_) if query.children().count() > 1 => Err(StanzaError::bad_request()),
        Some(_) => Ok((AccountAct::Remove, true)),
        None => another_password(&query, facts).map(|act| (act, false)),
    };
    let (act, is_end) = match decided {
        Ok(decided) => decided,
        Err(error) => return refuse(iq, error),
    };
    let account = facts.account.clone();
    let change = AccountChange { account, act };
    let mut effects = vec![
        Effect::ChangeAccount(Box::new(change)),
        Effect::Reply(Stanza::Iq(iq.result(None))),
    ];
    if is_end {
        // §3.2: the session goes with the account.
        effects.push(Effect::Close(StreamError::new(
            StreamCondition::NotAuthorized,
        )));
    }
    effects
}

fn another_password(query: &Element, facts: &Facts<'_>) -> Result<AccountAct, StanzaError> {
    let Fields { username, password } = Fields::read(query);
    let own = facts.account.localpart().unwrap_or_default();
    let is_own = |name: &str| crate::jid::prepare_localpart(name).is_ok_and(|it| it == own);
    if username.is_some_and(|name| !is_own(&name)) {
        return Err(StanzaError::not_allowed().with_text("this is not your account"));
    }
    // §3.3: the password is never set to nothing.
    let password = password.ok_or_else(StanzaError::bad_request)?;
    check_password(password.expose(), own)
        .map_err(|why| StanzaError::not_acceptable().with_text(why))?;
    Ok(AccountAct::Password(password))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::*;

    fn set(inside: &str) -> String {
        format!("<iq type='set' id='s'><query xmlns='{NS}'>{inside}</query></iq>")
    }

    fn act(effects: &[Effect]) -> &AccountAct {
        let [Effect::ChangeAccount(change), ..] = effects else {
            panic!("{effects:?}")
        };
        assert_eq!(change.account.as_str(), "romeo@example.org");
        &change.act
    }

    #[test]
    fn whoever_is_logged_in_is_registered() {
        let get = format!("<iq type='get' id='g'><query xmlns='{NS}'/></iq>");
        for get in [&get, &get.replace("id=", "to='example.org' id=")] {
            let [Effect::Reply(Stanza::Iq(answer))] = &*facts().sends(get) else {
                panic!("no answer")
            };
            let query = answer.payloads.element("query", NS).unwrap();
            assert!(query.find("registered", NS).is_some());
            let name = query.find("username", NS).unwrap();
            assert_eq!(name.text_content(), "romeo");
        }
    }

    #[test]
    fn another_password_is_set_before_the_answer() {
        let fields = "<username>Romeo</username><password>a new balcony</password>";
        let effects = facts().sends(&set(fields));
        let password = AccountAct::Password(Secret::new("a new balcony"));
        assert_eq!(*act(&effects), password);
        same(
            &effects[1..],
            &[reply(&format!("<iq type='result' id='s' to='{ME}'/>"))],
        );
    }

    #[test]
    fn removal_ends_the_session_that_asks_last() {
        let effects = facts().sends(&set("<remove/>"));
        assert_eq!(*act(&effects), AccountAct::Remove);
        assert!(matches!(
            &effects[1..],
            [Effect::Reply(_), Effect::Close(_)]
        ));
    }

    #[test]
    fn bad_requests_have_named_outcomes_and_change_nothing() {
        let name = |name| format!("<username>{name}</username><password>long enough</password>");
        for (inside, condition) in [
            (
                "<remove/><username>romeo</username>".to_owned(),
                "bad-request",
            ),
            ("<username>romeo</username>".to_owned(), "bad-request"),
            ("<password/>".to_owned(), "bad-request"),
            (name("juliet"), "not-allowed"),
            (name("a b"), "not-allowed"),
            ("<password>short</password>".to_owned(), "not-acceptable"),
            (
                "<password>aaaaaaaaaaaa</password>".to_owned(),
                "not-acceptable",
            ),
        ] {
            assert_eq!(
                refusal(&facts().sends(&set(&inside))),
                condition,
                "{inside}"
            );
        }
    }

    #[test]
    fn refusals_do_not_repeat_the_password() {
        let effects = facts().sends(&set("<password>short</password>"));
        assert!(!format!("{effects:?}").contains("short"), "{effects:?}");
    }

    #[test]
    fn nobody_registers_for_somebody_else() {
        let other = set("<remove/>").replace("id=", "to='juliet@example.org' id=");
        assert!(matches!(&*facts().sends(&other), [Effect::Route(_)]));
        let other = other.replace("<iq", "<iq from='romeo@example.org/o'");
        assert_eq!(
            refusal(&facts().account_gets(&other)),
            "service-unavailable"
        );
    }
}
