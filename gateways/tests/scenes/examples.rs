//! Examples of specifications, as scripts: stanzas in, stanzas out.
//!
//! A script under `examples/` begins with the examples it shows (`examples XEP-0060: 7-9 11`).
//! Then steps follow: `anna is online as balcony`, `anna connects` (over TLS; the features of the
//! stream are the first thing to receive), `anna opens a stream`, `anna logs in`, `anna binds
//! balcony`, `anna sends` and `anna receives` with XML in the lines below, `anna hears nothing`
//! (no message since the last step), `anna is gone` without a word, `anna has a key of SHA-1 alone`, `anna salts the password`. What stands after `#` is for
//! people. `anna-phone` and `anna-laptop` are two clients of one account.
//!
//! What is received must have the attributes of the pattern and its children in their order,
//! no other ones unless the text `...` allows them. `*` stands for any value; `{word}` for one
//! that has to be the same wherever it occurs, and that is filled in when sending; an empty
//! attribute for one that is not there. Everybody in a script has an account. `anna receives next`
//! is for what must come before all else, `nobody receives more` for the end: whatever a room has
//! sent and no step has asked for fails it. More steps about rooms: `examples/rooms.rs`.

use std::collections::{BTreeMap, BTreeSet};

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Hash, encoding};
use klatsch_protocol::xml::{Element, Token};

use crate::client::{Client, Stream};
use crate::server::{DOMAIN, PASSWORD, Server, Setup};

/// The text that allows more children than the pattern has.
const MORE: &str = "...";

struct Step<'a> {
    line: usize,
    who: &'a str,
    does: &'a str,
    xml: String,
}

/// The steps of a script.
fn steps(script: &str) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    for (number, line) in script.lines().enumerate() {
        let is_comment = line.trim_start().starts_with('#');
        if line.trim().is_empty() || is_comment || line.starts_with("examples ") {
            continue;
        }
        match (line.starts_with(' '), steps.last_mut()) {
            (true, Some(step)) => {
                step.xml.push_str(line.trim());
                step.xml.push('\n');
            }
            _ => {
                let (who, does) = line.split_once(' ').expect("somebody does something");
                steps.push(Step {
                    line: number + 1,
                    who,
                    does,
                    xml: String::new(),
                });
            }
        }
    }
    steps
}

/// Words and what they stand for.
type Words = BTreeMap<String, String>;

fn filled_in(text: &str, words: &Words) -> String {
    words.iter().fold(text.to_owned(), |text, (word, value)| {
        text.replace(&format!("{{{word}}}"), value)
    })
}

/// Tells whether a text is what a pattern says, and learns what its word stands for.
fn fits_text(pattern: &str, text: &str, words: &mut Words) -> bool {
    let word = pattern
        .strip_prefix('{')
        .and_then(|it| it.strip_suffix('}'));
    match word {
        _ if pattern == "*" => true,
        None => pattern == text,
        Some(word) => {
            let known = words.entry(word.to_owned()).or_insert(text.to_owned());
            known == text
        }
    }
}

fn fits(pattern: &Element, element: &Element, words: &mut Words) -> bool {
    let is_named = pattern.is(element.name(), element.namespace());
    let mut attributes = pattern.attributes().iter();
    is_named
        && attributes.all(|wanted| {
            let mut all = element.attributes().iter();
            let known = all.find(|it| it.name == wanted.name && it.namespace == wanted.namespace);
            known.map_or(wanted.value.is_empty(), |known| {
                fits_text(&wanted.value, &known.value, words)
            })
        })
        && fits_content(pattern, element, words)
}

fn fits_content(pattern: &Element, element: &Element, words: &mut Words) -> bool {
    let text = pattern.text_content();
    let allows_more = text.contains(MORE);
    let mut children = element.children();
    for wanted in pattern.children() {
        loop {
            let Some(child) = children.next() else {
                return false;
            };
            let mut learned = words.clone();
            if fits(wanted, child, &mut learned) {
                *words = learned;
                break;
            }
            if !allows_more {
                return false;
            }
        }
    }
    let is_all = children.next().is_none();
    match allows_more {
        true => true,
        false => is_all && fits_text(text.trim(), element.text_content().trim(), words),
    }
}

fn account_of(who: &str) -> &str {
    who.split('-').next().unwrap_or(who)
}

/// Everybody in a script.
struct Stage {
    server: Server,
    clients: BTreeMap<String, Actor>,
    words: Words,
    /// The rooms that steps have named.
    rooms: BTreeSet<String>,
}

struct Actor {
    client: Client<Box<dyn Stream>>,
    /// What has come and nobody has asked for.
    waiting: Vec<Element>,
}

impl Actor {
    async fn next(&mut self) -> Element {
        match self.client.token().await {
            Some(Token::Fragment(fragment)) => fragment.to_element(),
            Some(Token::Header(_)) => Element::new("header", ""),
            _ => Element::new("end", ""),
        }
    }

    /// Receives this before anything else.
    async fn receives_next(&mut self, pattern: &Element, words: &mut Words) {
        if self.waiting.is_empty() {
            let next = self.next().await;
            self.waiting.push(next);
        }
        let next = self.waiting.remove(0);
        assert!(fits(pattern, &next, words), "not that, but {}", show(&next));
    }

    async fn receives(&mut self, pattern: &Element, words: &mut Words) {
        let mut checked = 0;
        loop {
            while let Some(element) = self.waiting.get(checked) {
                let mut learned = words.clone();
                if fits(pattern, element, &mut learned) {
                    *words = learned;
                    self.waiting.remove(checked);
                    return;
                }
                note(&format!("passed over: {}", show(element)));
                let is_answer = pattern.name() == "iq" && pattern.get("id") == element.get("id");
                assert!(
                    !is_answer && element.name() != "end",
                    "not that, but {}",
                    show(element)
                );
                checked += 1;
            }
            let next = self.next().await;
            self.waiting.push(next);
        }
    }

    async fn hears_nothing(&mut self) {
        let ping = "<iq type='get' id='quiet' to='klatsch.test'><ping xmlns='urn:xmpp:ping'/></iq>";
        self.client.send(ping).await;
        while self.waiting.last().and_then(|it| it.get("id")) != Some("quiet") {
            let next = self.next().await;
            assert!(next.name() != "end", "the stream has ended");
            self.waiting.push(next);
        }
        let messages = self.waiting.drain(..).filter(|it| it.name() == "message");
        let messages: Vec<String> = messages.map(|it| show(&it)).collect();
        assert!(messages.is_empty(), "{messages:?}");
    }
}

fn show(element: &Element) -> String {
    String::from_utf8_lossy(&element.to_bytes()).into_owned()
}

fn pattern_of(xml: &str) -> Element {
    Element::parse(xml.trim().as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"))
}

impl Stage {
    async fn appear(&mut self, who: &str, resource: Option<&str>) {
        let tls = Client::connect_tls(self.server.c2s_tls).await.stream;
        let mut client = Client::over(Box::new(tls) as Box<dyn Stream>);
        let mut waiting = Vec::new();
        match resource {
            Some(resource) => {
                client.session(account_of(who), resource).await;
                client.send("<presence/>").await;
                client.ping().await;
            }
            None => waiting.push(client.open().await.to_element()),
        }
        let actor = Actor { client, waiting };
        self.clients.insert(who.to_owned(), actor);
    }

    /// As an account that came from elsewhere.
    async fn weaken(&mut self, who: &str) {
        let store = &self.server.gateways.clients.sessions.world().store;
        let account = BareJid::new(Some(account_of(who)), DOMAIN).unwrap();
        let mut found = store.credentials(&account).await.unwrap().unwrap();
        found.scram.retain(|keys| keys.hash == Hash::Sha1);
        store.set_credentials(&account, &found).await.unwrap();
    }

    /// What a client derives from `{salt}` and `{iterations}` for SCRAM-SHA-256: `{hash}`.
    fn salt_password(&mut self) {
        let salt = encoding::decode(&self.words["salt"]).unwrap();
        let iterations = self.words["iterations"].parse().unwrap();
        let salted = Hash::Sha256.salted_password(PASSWORD.as_bytes(), &salt, iterations);
        let hash = encoding::encode(&salted);
        self.words.insert("hash".to_owned(), hash);
    }

    async fn perform(&mut self, step: &Step<'_>) {
        if self.perform_in_rooms(step).await {
            return;
        }
        if let Some(resource) = step.does.strip_prefix("is online as ") {
            return self.appear(step.who, Some(resource)).await;
        }
        match step.does {
            "has a key of SHA-1 alone" => return self.weaken(step.who).await,
            "salts the password" => return self.salt_password(),
            "connects" => return self.appear(step.who, None).await,
            "is gone" => return drop(self.clients.remove(step.who)),
            _ => {}
        }
        let actor = self
            .clients
            .get_mut(step.who)
            .expect("somebody who is there");
        if let Some(resource) = step.does.strip_prefix("binds ") {
            return drop(actor.client.bind(resource).await);
        }
        match step.does {
            "opens a stream" => actor.waiting.push(actor.client.open().await.to_element()),
            "logs in" => actor.client.login(account_of(step.who)).await,
            "sends" => {
                let xml = filled_in(&step.xml, &self.words);
                actor.client.send(&xml).await;
            }
            "receives" => {
                let pattern = pattern_of(&step.xml);
                actor.receives(&pattern, &mut self.words).await;
            }
            "receives next" => {
                let pattern = pattern_of(&step.xml);
                actor.receives_next(&pattern, &mut self.words).await;
            }
            "hears nothing" => actor.hears_nothing().await,
            other => panic!("nobody knows how {other:?} is done"),
        }
    }
}

#[expect(clippy::print_stderr, reason = "shown with a test that fails")]
fn note(text: &str) {
    eprintln!("{text}");
}

/// Plays a script against a server of its own.
async fn play(script: &str) {
    let steps = steps(script);
    let accounts: BTreeSet<&str> = steps.iter().map(|step| account_of(step.who)).collect();
    let mut setup = Setup {
        accounts: accounts.into_iter().map(str::to_owned).collect(),
        ..Setup::default()
    };
    steps
        .iter()
        .for_each(|step| rooms::set_up(&mut setup, step));
    let mut stage = Stage {
        server: Server::start_with(setup).await,
        clients: BTreeMap::new(),
        words: Words::new(),
        rooms: BTreeSet::new(),
    };
    for step in steps {
        note(&format!("line {}: {} {}", step.line, step.who, step.does));
        stage.perform(&step).await;
    }
}

/// The examples of a specification that a script shows.
fn shown(script: &str, specification: &str) -> BTreeSet<u32> {
    let prefix = format!("examples {specification}:");
    let lines = script.lines().filter_map(|line| line.strip_prefix(&prefix));
    lines.flat_map(numbers).collect()
}

/// `3 5-7` as numbers.
fn numbers(text: &str) -> Vec<u32> {
    let number = |text: &str| text.parse::<u32>().expect("a number");
    let ranges = text
        .split_whitespace()
        .map(|range| match range.split_once('-') {
            Some((first, last)) => number(first)..=number(last),
            None => number(range)..=number(range),
        });
    ranges.flatten().collect()
}

/// Examples that no script shows, and why.
struct Elsewhere {
    examples: &'static str,
    why: &'static str,
}

/// Every example is shown by a script or stands in the list with a reason, and not in both.
#[track_caller]
fn assert_complete(
    specification: &str,
    all: std::ops::RangeInclusive<u32>,
    scripts: &[(&str, &str)],
    elsewhere: &[Elsewhere],
) {
    let shown: BTreeSet<u32> = scripts
        .iter()
        .flat_map(|(_, script)| shown(script, specification))
        .collect();
    let mut excused = BTreeSet::new();
    for it in elsewhere {
        assert!(it.why.len() > 10, "{}: {:?}", it.examples, it.why);
        excused.extend(numbers(it.examples));
    }
    let both: Vec<&u32> = shown.intersection(&excused).collect();
    assert!(both.is_empty(), "{specification}: {both:?} are shown");
    let missing = all.filter(|it| !shown.contains(it) && !excused.contains(it));
    let missing: Vec<u32> = missing.collect();
    assert!(
        missing.is_empty(),
        "{specification}: nobody shows {missing:?}"
    );
}

/// A test for each script of a specification, and its name and text for the count.
macro_rules! scripts {
    ($folder:literal: $($name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                super::play(include_str!(concat!($folder, "/", stringify!($name), ".scene"))).await;
            }
        )*

        const SCRIPTS: &[(&str, &str)] = &[$((
            stringify!($name),
            include_str!(concat!($folder, "/", stringify!($name), ".scene")),
        )),*];
    };
}

#[path = "examples/archive.rs"]
mod archive;
#[path = "examples/logins.rs"]
mod logins;
#[path = "examples/pubsub.rs"]
mod pubsub;
#[path = "examples/room_extensions.rs"]
mod room_extensions;
#[path = "examples/rooms.rs"]
mod rooms;
#[path = "examples/stream_management.rs"]
mod stream_management;
#[path = "examples/upload.rs"]
mod upload;

#[test]
fn patterns_fit_what_they_say_and_nothing_else() {
    let cases = [
        ("<a x='1'/>", "<a x='1' y='2'/>", true),
        ("<a x='1'/>", "<a x='2'/>", false),
        ("<a/>", "<a><b/></a>", false),
        ("<a>...</a>", "<a><b/></a>", true),
        ("<a><c/>...</a>", "<a><b/><c/></a>", true),
        ("<a><c/></a>", "<a><b/><c/></a>", false),
        ("<a><b/><b/></a>", "<a><b/></a>", false),
        ("<a x='{w}' y='{w}'/>", "<a x='1' y='1'/>", true),
        ("<a x='{w}' y='{w}'/>", "<a x='1' y='2'/>", false),
        ("<a>*</a>", "<a>text</a>", true),
        ("<a>text</a>", "<a>other</a>", false),
        ("<a xmlns='b'/>", "<a/>", false),
        ("<a x=''/>", "<a/>", true),
        ("<a x=''/>", "<a x='1'/>", false),
    ];
    for (pattern, element, expected) in cases {
        let fits = fits(
            &pattern_of(pattern),
            &pattern_of(element),
            &mut Words::new(),
        );
        assert_eq!(fits, expected, "{pattern} {element}");
    }
}
