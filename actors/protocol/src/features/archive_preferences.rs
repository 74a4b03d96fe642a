//! Message Archive Management Preferences: XEP-0441 version 0.2.0,
//! <https://xmpp.org/extensions/xep-0441.html>
//!
//! What an account wants to find in its archive later. The log takes every message all the
//! same, since deliveries come from it: an entry that is not wanted is hidden from queries at
//! once, and purged after it has been delivered. A change holds for messages from then on.
//!
//! Leaves out advanced configuration by commands (§2.2).

use std::collections::BTreeSet;

use super::{Feature, Scope, Spec, get, mam, refuse, set};
use crate::effect::{Answer, Change, Effect, Query};
use crate::facts::Facts;
use crate::features::roster::Roster;
use crate::jid::{BareJid, Jid};
use crate::stanza::{Iq, Stanza, StanzaError};
use crate::xml::Element;

/// Addresses in both lists together: they are looked through with every message.
pub const EXCEPTIONS_MAX: usize = 500;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "archive_preferences",
    title: "Message Archive Management Preferences",
    spec: Spec::Xep {
        number: 441,
        version: "0.2.0",
    },
    iq: &[
        get(Scope::Own, mam::NS, "prefs", tell),
        set(Scope::Own, mam::NS, "prefs", change),
    ],
    ..Feature::NONE
};

/// What an account wants to find in its archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preferences {
    /// Of whoever is in neither list.
    pub otherwise: Otherwise,
    /// Whose messages are wanted (§2.1.2).
    pub always: BTreeSet<Jid>,
    /// Whose messages are not (§2.1.3).
    pub never: BTreeSet<Jid>,
}

/// What holds for those in neither list (§2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Otherwise {
    /// Their messages are wanted.
    #[default]
    Always,
    /// They are not.
    Never,
    /// Those of contacts are.
    Roster,
}

impl Otherwise {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Always, Self::Never, Self::Roster];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Never => "never",
            Self::Roster => "roster",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

impl Preferences {
    /// Tells whether a message to or from this address is to be found later (§2.3).
    ///
    /// What an account writes to itself, it wants unless it says otherwise: it is no contact
    /// of its own, and needs to be none. A colleague is a contact without being an item of the
    /// account's own.
    pub fn wants(
        &self,
        account: &BareJid,
        target: &Jid,
        roster: &Roster,
        is_colleague: bool,
    ) -> bool {
        // The more exact address counts.
        for listed in [target.clone(), Jid::from(target.bare())] {
            if self.always.contains(&listed) || self.never.contains(&listed) {
                return self.always.contains(&listed);
            }
        }
        match self.otherwise {
            Otherwise::Always => true,
            Otherwise::Never => false,
            Otherwise::Roster => {
                let contact = roster.items.get(target.bare_str());
                let is_contact = is_colleague || contact.is_some_and(|it| it.listed);
                target.bare_str() == account.as_str() || is_contact
            }
        }
    }

    /// As an element (§2.1).
    pub fn to_element(&self) -> Element {
        let list = |name: &'static str, jids: &BTreeSet<Jid>| {
            let jid = |jid: &Jid| Element::new("jid", mam::NS).text(jid.as_str());
            Element::new(name, mam::NS).children_from(jids.iter().map(jid))
        };
        Element::new("prefs", mam::NS)
            .attr("default", self.otherwise.as_str())
            .child(list("always", &self.always))
            .child(list("never", &self.never))
    }

    /// Reads them.
    ///
    /// # Errors
    /// `bad-request` without a default, or with an address in both lists; `jid-malformed`;
    /// `policy-violation` for too many addresses.
    pub fn read(prefs: &Element) -> Result<Self, StanzaError> {
        let otherwise = prefs.get("default").and_then(Otherwise::parse);
        let otherwise = otherwise.ok_or_else(|| {
            StanzaError::bad_request().with_text("default is always, never or roster")
        })?;
        let (always, never) = (read_list(prefs, "always")?, read_list(prefs, "never")?);
        if always.len() + never.len() > EXCEPTIONS_MAX {
            return Err(StanzaError::policy_violation().with_text("too many addresses"));
        }
        if always.intersection(&never).next().is_some() {
            return Err(StanzaError::bad_request().with_text("an address is in both lists"));
        }
        Ok(Self {
            otherwise,
            always,
            never,
        })
    }
}

fn read_list(prefs: &Element, name: &str) -> Result<BTreeSet<Jid>, StanzaError> {
    // §2.1.2: a list that is missing is empty.
    let list = prefs.find(name, mam::NS);
    let jids = list.into_iter().flat_map(Element::children);
    jids.filter(|jid| jid.is("jid", mam::NS))
        .map(|jid| Jid::parse(jid.text_content().trim()).map_err(|_| StanzaError::jid_malformed()))
        .collect()
}

fn tell(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    if !facts.host.archive {
        return refuse(iq, StanzaError::feature_not_implemented());
    }
    vec![Effect::Load(Query::ArchivePreferences, answer)]
}

fn answer(stanza: &Stanza, answer: Answer, _facts: &Facts<'_>) -> Vec<Effect> {
    let Stanza::Iq(iq) = stanza else {
        return Vec::new();
    };
    match answer {
        Answer::ArchivePreferences(preferences) => {
            let result = iq.result(Some(preferences.to_element()));
            vec![Effect::Reply(Stanza::Iq(result))]
        }
        Answer::Failed(error) => refuse(iq, error),
        _ => refuse(iq, StanzaError::internal_server_error()),
    }
}

fn change(iq: &Iq, facts: &Facts<'_>) -> Vec<Effect> {
    if !facts.host.archive {
        return refuse(iq, StanzaError::feature_not_implemented());
    }
    let prefs = iq.payloads.element("prefs", mam::NS);
    let read = prefs.ok_or_else(StanzaError::bad_request);
    match read.and_then(|prefs| Preferences::read(&prefs)) {
        Ok(preferences) => {
            // §2.1: the answer says what holds now.
            let result = iq.result(Some(preferences.to_element()));
            vec![
                Effect::Change(Change::ArchivePreferences(Box::new(preferences))),
                Effect::Reply(Stanza::Iq(result)),
            ]
        }
        Err(error) => refuse(iq, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::roster::RosterItem;
    use crate::testkit::facts;

    fn jid(text: &str) -> Jid {
        Jid::parse(text).unwrap()
    }

    fn asks(kind: &str, inner: &str) -> Vec<Effect> {
        facts().sends(&format!("<iq type='{kind}' id='p'>{inner}</iq>"))
    }

    fn refusal(inner: &str) -> String {
        let effects = asks("set", inner);
        let [Effect::Reply(stanza)] = effects.as_slice() else {
            panic!("{effects:?}")
        };
        String::from_utf8(stanza.to_bytes().to_vec()).unwrap()
    }

    #[test]
    fn preferences_are_set_and_the_answer_says_which() {
        let prefs = format!(
            "<prefs xmlns='{}' default='roster'><always><jid>romeo@montague.lit</jid></always>\
             <never><jid>montague@montague.lit/home</jid></never></prefs>",
            mam::NS
        );
        let effects = asks("set", &prefs);
        let [
            Effect::Change(Change::ArchivePreferences(set)),
            Effect::Reply(reply),
        ] = effects.as_slice()
        else {
            panic!("{effects:?}")
        };
        assert_eq!(set.otherwise, Otherwise::Roster);
        assert!(set.always.contains(&jid("romeo@montague.lit")));
        assert!(set.never.contains(&jid("montague@montague.lit/home")));
        let reply = String::from_utf8(reply.to_bytes().to_vec()).unwrap();
        assert!(
            reply.contains("default='roster'><always><jid>romeo"),
            "{reply}"
        );
    }

    #[test]
    fn lists_are_there_even_when_they_are_empty() {
        let element = Preferences::default().to_element();
        assert_eq!(element.get("default"), Some("always"));
        assert!(element.find("always", mam::NS).is_some());
        assert!(element.find("never", mam::NS).is_some());
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let prefs = |attributes: &str, inner: &str| {
            format!("<prefs xmlns='{}' {attributes}>{inner}</prefs>", mam::NS)
        };
        assert!(refusal(&prefs("", "")).contains("bad-request"));
        assert!(refusal(&prefs("default='often'", "")).contains("bad-request"));
        let both = "<always><jid>a@b.c</jid></always><never><jid>a@b.c</jid></never>";
        assert!(refusal(&prefs("default='never'", both)).contains("bad-request"));
        let bad = "<always><jid>@</jid></always>";
        assert!(refusal(&prefs("default='never'", bad)).contains("jid-malformed"));
        let jids: String = (0..=EXCEPTIONS_MAX)
            .map(|n| format!("<jid>u{n}@b.c</jid>"))
            .collect();
        let many = format!("<never>{jids}</never>");
        assert!(refusal(&prefs("default='never'", &many)).contains("policy-violation"));
    }

    #[test]
    fn exact_address_counts_before_the_account_and_that_before_the_default() {
        let me = BareJid::parse("me@example.org").unwrap();
        let mut roster = Roster::default();
        let contact = BareJid::parse("friend@example.org").unwrap();
        let item = RosterItem {
            listed: true,
            ..RosterItem::new(contact.clone())
        };
        roster.items.insert(contact, item);
        let preferences = Preferences {
            otherwise: Otherwise::Roster,
            always: [jid("boss@example.org/work")].into(),
            never: [jid("boss@example.org"), jid("friend@example.org/old")].into(),
        };
        let wants = |target: &str| preferences.wants(&me, &jid(target), &roster, false);
        assert!(wants("boss@example.org/work"));
        assert!(!wants("boss@example.org/home"));
        assert!(wants("friend@example.org/phone"));
        assert!(!wants("friend@example.org/old"));
        assert!(!wants("stranger@example.org"));
        assert!(wants("me@example.org"));
        let wants = |colleague: &str| preferences.wants(&me, &jid(colleague), &roster, true);
        assert!(wants("stranger@example.org"));
        assert!(!wants("friend@example.org/old"), "a list goes before");
    }

    #[test]
    fn message_between_colleagues_is_kept_as_one() {
        let given = facts().group("Office", &["romeo", "juliet"]);
        for (to, expected) in [("juliet", true), ("mercutio", false), ("romeo", false)] {
            let message = format!("<message to='{to}@example.org'><body>hi</body></message>");
            let effects = given.sends(&message);
            let [Effect::Keep(keep)] = effects.as_slice() else {
                panic!("{effects:?}")
            };
            assert_eq!(keep.are_colleagues, expected, "{to}");
        }
    }
}
