//! Full Text Search in MAM: XEP-0431 version 0.2.0,
//! <https://xmpp.org/extensions/xep-0431.html>
//!
//! A query's text is words, and nothing in it is a command (rows C08, R10). An entry is found
//! when its bodies have all of them, whatever their case and accents; the last word may be the
//! beginning of one. What words are stands in `words.rs`, for every store alike. Found is what
//! people wrote: not what is encrypted, not the text that stands in for something else
//! (XEP-0428), and nothing that has been retracted in a room.
//!
//! Leaves out phrases, alternatives and an order by relevance: pages are pages of the archive.

pub mod words;

use std::collections::BTreeSet;

use self::words::{Run, runs};
use super::{Feature, Spec};
use crate::ns;
use crate::stanza::{Message, Stanza, StanzaError};
use crate::xml::Child;

/// The namespace.
pub const NS: &str = "urn:xmpp:fulltext:0";

/// The field of the query's form (§3.1).
pub const FIELD: &str = "{urn:xmpp:fulltext:0}fulltext";

/// Bytes of a text: people search for a few words, or paste a line.
const TEXT_BYTES_MAX: usize = 1024;

/// Words of a text, likewise: each costs a walk through its part of the index.
const TERMS_MAX: usize = 16;

/// A beginning shorter than this is a word of its own: nearly everything begins with it.
const BEGINNING_CHARS_MIN: usize = 2;

/// Different words of one message that are found: a long article's, so that the largest
/// stanza of nothing but words costs no more than that.
const WORDS_MAX: usize = 4096;

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "fulltext",
    title: "Full Text Search in MAM",
    spec: Spec::Xep {
        number: 431,
        version: "0.2.0",
    },
    disco_account: &[NS],
    ..Feature::NONE
};

/// The words somebody searches for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// Words that are there whole.
    pub words: Vec<String>,
    /// Words that begin so.
    pub beginnings: Vec<String>,
}

impl Search {
    /// Reads a query's text. A text without any word finds nothing.
    ///
    /// # Errors
    /// `not-acceptable` for a text that is too long or of too many words.
    pub fn parse(text: &str) -> Result<Self, StanzaError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(StanzaError::not_acceptable().with_text("too long a text to search for"));
        }
        let mut search = Self::default();
        let runs: Vec<Run> = runs(text).collect();
        let last = runs.len().saturating_sub(1);
        for (at, run) in runs.into_iter().enumerate() {
            search.add(run, at == last);
        }
        for terms in [&mut search.words, &mut search.beginnings] {
            terms.sort_unstable();
            terms.dedup();
        }
        if search.words.len() + search.beginnings.len() > TERMS_MAX {
            return Err(StanzaError::not_acceptable().with_text("too many words to search for"));
        }
        Ok(search)
    }

    fn add(&mut self, run: Run, is_last: bool) {
        match run {
            Run::Word(word) if is_last && word.chars().count() >= BEGINNING_CHARS_MIN => {
                self.beginnings.push(word);
            }
            Run::Word(word) => self.words.push(word),
            // One sign begins every pair it stands first in.
            Run::Signs(signs) if signs.len() == 1 => self.beginnings.extend(words::pairs(&signs)),
            Run::Signs(signs) => {
                let mut pairs: Vec<String> = words::pairs(&signs).collect();
                // The last sign alone is part of the last pair.
                pairs.pop();
                self.words.extend(pairs);
            }
        }
    }

    /// Tells whether nothing is searched for, which nothing matches.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.beginnings.is_empty()
    }

    /// Tells whether a stanza has all the words.
    pub fn matches(&self, stanza: &[u8]) -> bool {
        if self.is_empty() {
            return false;
        }
        let found = words_of(stanza);
        let begins = |beginning: &String| {
            let mut after = found.range(beginning.clone()..);
            after.next().is_some_and(|it| it.starts_with(beginning))
        };
        self.words.iter().all(|word| found.contains(word)) && self.beginnings.iter().all(begins)
    }
}

/// The words by which a stanza is found.
pub fn words_of(stanza: &[u8]) -> BTreeSet<String> {
    let Ok(Stanza::Message(message)) = Stanza::parse(stanza) else {
        return BTreeSet::new();
    };
    if !is_found(&message) {
        return BTreeSet::new();
    }
    let mut found = BTreeSet::new();
    let bodies = message.payloads.iter();
    for body in bodies.filter(|child| child.is("body", ns::CLIENT)) {
        let text = body.text().unwrap_or_default();
        for word in runs(&text).flat_map(Run::into_words) {
            if found.len() == WORDS_MAX {
                return found;
            }
            found.insert(word);
        }
    }
    found
}

/// What a message says to whoever can read it as it stands; `None` where its body stands in for
/// something else.
pub fn open_text(message: &Message) -> Option<String> {
    let body = message.body().filter(|_| is_found(message))?;
    Some(body.into_owned())
}

/// What says that the body is not what somebody wrote: it is encrypted elsewhere in the stanza
/// (XEP-0380, XEP-0384, XEP-0373, XEP-0027), or tells old clients of a retraction (XEP-0424).
const STAND_INS: &[(&str, &str)] = &[
    ("encryption", "urn:xmpp:eme:0"),
    ("encrypted", "eu.siacs.conversations.axolotl"),
    ("encrypted", "urn:xmpp:omemo:1"),
    ("encrypted", "urn:xmpp:omemo:2"),
    ("openpgp", "urn:xmpp:openpgp:0"),
    ("x", "jabber:x:encrypted"),
    ("retract", "urn:xmpp:message-retract:0"),
    ("retract", "urn:xmpp:message-retract:1"),
    ("apply-to", "urn:xmpp:fasten:0"),
];

fn is_found(message: &Message) -> bool {
    let is_stand_in = |child: Child<'_>| {
        let known = STAND_INS.iter();
        let mut known = known.filter(|(name, namespace)| child.is(name, namespace));
        known.next().is_some() || is_whole_fallback(&child)
    };
    message.has_body() && !message.payloads.iter().any(is_stand_in)
}

/// XEP-0428 §2: a fallback that names no part of the body is all of it.
fn is_whole_fallback(child: &Child<'_>) -> bool {
    if !child.is("fallback", "urn:xmpp:fallback:0") {
        return false;
    }
    let Some(fallback) = child.element() else {
        return false;
    };
    let mut bodies = fallback.children().filter(|it| it.name() == "body");
    match bodies.next() {
        Some(body) => body.get("start").is_none() && body.get("end").is_none(),
        None => fallback.children().next().is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(body: &str) -> String {
        format!("<message type='chat'><body>{body}</body></message>")
    }

    fn finds(text: &str, body: &str) -> bool {
        Search::parse(text).unwrap().matches(says(body).as_bytes())
    }

    #[test]
    fn all_words_are_there_whatever_their_case_accents_and_order() {
        assert!(finds("ROMEO wherefore", "Wherefore art thou Roméo?"));
        assert!(!finds("romeo juliet", "Wherefore art thou Romeo?"));
        assert!(finds("strasse ZÜRICH", "Zurich, Strasse 4"));
    }

    #[test]
    fn last_word_may_be_a_beginning_and_the_others_may_not() {
        assert!(finds("balc", "on the balcony"));
        assert!(!finds("balc on", "on the balcony"));
        assert!(!finds("b", "on the balcony"));
        assert!(finds("4", "4 apples"));
    }

    #[test]
    fn scripts_without_spaces_are_found_in_the_middle() {
        assert!(finds("会議", "明日の会議は中止です"));
        assert!(finds("議", "明日の会議は中止です"));
        assert!(!finds("会中", "明日の会議は中止です"));
    }

    #[test]
    fn c08_r10_text_is_words_and_never_a_command() {
        for text in [
            "night\" OR \"day",
            "night NEAR(day, 5)",
            "words : night",
            "night* ^day",
            "night'); DROP TABLE entry; --",
        ] {
            let search = Search::parse(text).unwrap();
            let plain = |word: &String| word.chars().all(char::is_alphanumeric);
            assert!(
                search.words.iter().chain(&search.beginnings).all(plain),
                "{text}"
            );
            assert!(!search.matches(says("day").as_bytes()), "{text}");
        }
        assert!(finds("good AND night", "and a good night"));
    }

    #[test]
    fn c08_text_has_a_bound_in_bytes_and_in_words() {
        assert!(Search::parse(&"x".repeat(1025)).is_err());
        let many: Vec<String> = (10..27).map(|n| format!("w{n}")).collect();
        assert!(Search::parse(&many.join(" ")).is_err());
        assert!(Search::parse(&many[1..].join(" ")).is_ok());
    }

    #[test]
    fn text_without_words_finds_nothing() {
        for text in ["?!", "\"\"", "* ^ -"] {
            assert!(!finds(text, "anything ?! * at all"), "{text}");
        }
    }

    #[test]
    fn what_is_encrypted_or_stands_in_is_not_found() {
        for payload in [
            "<encrypted xmlns='eu.siacs.conversations.axolotl'/>",
            "<encryption xmlns='urn:xmpp:eme:0' namespace='any'/>",
            "<retract xmlns='urn:xmpp:message-retract:1' id='1'/>",
            "<fallback xmlns='urn:xmpp:fallback:0' for='any'/>",
            "<fallback xmlns='urn:xmpp:fallback:0' for='any'><body/></fallback>",
        ] {
            let stanza = format!("<message><body>secret</body>{payload}</message>");
            assert!(words_of(stanza.as_bytes()).is_empty(), "{payload}");
        }
        let quoted = "<message><body>secret</body><fallback xmlns='urn:xmpp:fallback:0' \
            for='urn:xmpp:reply:0'><body start='0' end='2'/></fallback></message>";
        assert!(!words_of(quoted.as_bytes()).is_empty());
    }

    #[test]
    fn only_so_many_words_of_a_message_are_found() {
        let body: Vec<String> = (0..WORDS_MAX + 50).map(|n| n.to_string()).collect();
        assert_eq!(words_of(says(&body.join(" ")).as_bytes()).len(), WORDS_MAX);
    }
}
