//! Decisions under test: facts in words, stanzas as XML, effects to compare.
//!
//! ```text
//! check(facts().contact("juliet@example.org", Both).available(),
//!       "<presence type='unavailable'/>",
//!       &[publish_none(), route("<presence type='unavailable' from='…' to='…'/>"), …]);
//! ```
//!
//! The account is `romeo@example.org`, its session `romeo@example.org/balcony`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::colleagues::{self, Book};
use crate::effect::{Change, Effect, Flag, Interest};
use crate::facts::{AccountData, AccountView, Facts, Host, Resource, SessionFacts, Views};
use crate::features::blocking::BlocklistChange;
use crate::features::caps;
use crate::features::roster::{RosterChange, RosterItem, Subscription};
use crate::jid::{BareJid, FullJid, Jid};
use crate::ns;
use crate::pipeline;
use crate::stanza::{Message, Presence, Stanza};
use crate::time::Timestamp;
use crate::xml::Element;

pub(crate) const ACCOUNT: &str = "romeo@example.org";
pub(crate) const ME: &str = "romeo@example.org/balcony";

/// What a decision knows, to be said in words.
pub(crate) struct Given {
    pub(crate) now: Timestamp,
    pub(crate) host: Host,
    pub(crate) account: BareJid,
    pub(crate) data: AccountData,
    pub(crate) session: SessionFacts,
    pub(crate) online: Online,
}

/// Who is connected.
#[derive(Default)]
pub(crate) struct Online(
    BTreeMap<BareJid, AccountView>,
    BTreeMap<Box<str>, Arc<caps::Capabilities>>,
    pub(crate) Arc<Book>,
);

impl Views for Online {
    fn view(&self, account: &BareJid) -> Arc<AccountView> {
        Arc::new(self.0.get(account).cloned().unwrap_or_default())
    }

    fn capabilities(&self, key: &caps::Key) -> Option<Arc<caps::Capabilities>> {
        self.1.get(&key.ver).cloned()
    }

    fn book(&self) -> Arc<Book> {
        self.2.clone()
    }
}

/// A server `example.org` with an account `romeo` whose session `balcony` has just been bound.
pub(crate) fn facts() -> Given {
    facts_of(ME)
}

/// The same with another session of another account.
pub(crate) fn facts_of(session: &str) -> Given {
    let host = Host {
        domains: vec![bare("example.org")],
        version: "test",
        started: Timestamp(0),
        archive: true,
        stanza_bytes_max: 262_144,
        pubsub: Default::default(),
        upload: Default::default(),
        external_services: Default::default(),
        contacts: Default::default(),
        registration: Default::default(),
        web_push: None,
        components: vec![bare("bot.example.org"), bare("irc.example.net")],
        isolated: false,
        people: false,
    };
    let given = Given {
        now: Timestamp(1_000_000),
        host,
        account: full(session).bare(),
        data: AccountData::default(),
        session: SessionFacts::new(full(session)),
        online: Online::default(),
    };
    given.online(session, None)
}

impl Given {
    /// The session has sent this presence.
    pub(crate) fn with_presence(mut self, xml: &str) -> Self {
        let mut presence = parse_presence(xml);
        presence.head.from = Some(self.session.jid.clone().into());
        self.session.presence = Some(Box::new(presence));
        let me = self.session.jid.as_str().to_owned();
        self.online(&me, Some(xml))
    }

    /// The session has sent its initial presence.
    pub(crate) fn available(self) -> Self {
        self.with_presence("<presence/>")
    }

    /// A resource somewhere, with its presence.
    pub(crate) fn online(mut self, address: &str, presence: Option<&str>) -> Self {
        let address = full(address);
        let presence = presence.map(|xml| {
            let mut presence = parse_presence(xml);
            presence.head.from = Some(address.clone().into());
            Arc::new(presence)
        });
        let resource = Resource {
            priority: presence.as_ref().map_or(0, |presence| presence.priority()),
            presence,
            ..Resource::unseen(address.clone())
        };
        let view = self.online.0.entry(address.bare()).or_default();
        match view.resources.iter_mut().find(|known| known.jid == address) {
            Some(known) => *known = resource,
            None => view.resources.push(resource),
        }
        self
    }

    /// This resource has asked for the roster.
    pub(crate) fn interested(mut self, address: &str) -> Self {
        let address = full(address);
        let view = self
            .online
            .0
            .get_mut(&address.bare())
            .expect("it is online");
        let resource = view.resources.iter_mut().find(|known| known.jid == address);
        resource.expect("it is online").roster_interest = true;
        self
    }

    /// A contact with this subscription.
    pub(crate) fn contact(self, jid: &str, subscription: Subscription) -> Self {
        self.item(item(jid, subscription))
    }

    /// A contact in full.
    pub(crate) fn item(mut self, item: RosterItem) -> Self {
        self.data.roster.version = self.data.roster.version.max(item.version);
        self.data.roster.items.insert(item.jid.clone(), item);
        self
    }

    /// A group of the directory: its name, and who is in it by localpart.
    pub(crate) fn group(mut self, name: &str, members: &[&str]) -> Self {
        use colleagues::testkit::{group, person, put};
        let people = members.iter().map(|name| put(name, person(name)));
        let changes = people.chain([put(name, group(name, members))]).collect();
        let book = &self.online.2;
        self.online.2 = Arc::new(book.after(book.version + 1, changes));
        self
    }

    /// What the directory shows the account, in a number.
    pub(crate) fn digest(&self) -> u64 {
        self.online.2.digest(&self.account)
    }

    /// What software with this hash can do is known.
    pub(crate) fn knows(mut self, ver: &str, features: &[&str]) -> Self {
        let features = features.iter().map(ToString::to_string);
        let capabilities = caps::Capabilities::of(features);
        self.online.1.insert(ver.into(), Arc::new(capabilities));
        self
    }

    /// The account blocks this address.
    pub(crate) fn blocks(mut self, address: &str) -> Self {
        self.data.blocklist.jids.insert(jid(address));
        self
    }

    /// The client is in the background.
    pub(crate) fn inactive(mut self) -> Self {
        self.session.inactive = true;
        self
    }

    /// The session has shown itself here.
    pub(crate) fn directed(mut self, address: &str) -> Self {
        self.session.directed.push(jid(address));
        self
    }

    /// The facts for the session.
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            session: Some(&self.session),
            ..self.account_facts()
        }
    }

    /// The facts for the server that acts for the account.
    pub(crate) fn account_facts(&self) -> Facts<'_> {
        Facts {
            now: self.now,
            host: &self.host,
            account: &self.account,
            data: &self.data,
            session: None,
            views: &self.online,
            random: || 7,
        }
    }

    /// What is done when the client sends this.
    pub(crate) fn sends(&self, xml: &str) -> Vec<Effect> {
        let mut stanza = parse(xml);
        stanza.head_mut().from = Some(self.session.jid.clone().into());
        pipeline::decide_sent(&stanza, &self.facts())
    }

    /// What the server does when this comes for the account.
    pub(crate) fn account_gets(&self, xml: &str) -> Vec<Effect> {
        pipeline::decide_account(&parse(xml), &self.account_facts())
    }

    /// What is done when this comes for the session.
    pub(crate) fn session_gets(&self, xml: &str) -> Vec<Effect> {
        pipeline::decide_delivered(&parse(xml), &self.facts())
    }
}

/// The client sends this, and this is done.
#[track_caller]
pub(crate) fn check(given: Given, sent: &str, effects: &[Effect]) {
    same(&given.sends(sent), effects);
}

/// This comes for the account, and this is done.
#[track_caller]
pub(crate) fn check_account(given: Given, received: &str, effects: &[Effect]) {
    same(&given.account_gets(received), effects);
}

/// Compares one by one, so that a difference is found in a long list.
#[track_caller]
pub(crate) fn same(got: &[Effect], wanted: &[Effect]) {
    for (place, (got, wanted)) in got.iter().zip(wanted).enumerate() {
        assert!(
            is_same(got, wanted),
            "effect {place}\n got: {}\nwant: {}",
            show(got),
            show(wanted)
        );
    }
    let list = |effects: &[Effect]| effects.iter().map(show).collect::<Vec<_>>().join("\n  ");
    let (all_got, all_wanted) = (list(got), list(wanted));
    assert_eq!(
        got.len(),
        wanted.len(),
        "\n got:\n  {all_got}\nwant:\n  {all_wanted}"
    );
}

/// A stanza as it is written.
#[track_caller]
pub(crate) fn stanza(xml: &str) -> Stanza {
    parse(xml)
}

/// A message as it is written.
#[track_caller]
pub(crate) fn message(xml: &str) -> Message {
    match parse(xml) {
        Stanza::Message(message) => message,
        other => panic!("no message: {other:?}"),
    }
}

/// Equal, but for the function a query goes on with: those have no dependable addresses.
fn is_same(got: &Effect, wanted: &Effect) -> bool {
    match (got, wanted) {
        (Effect::Load(got, _), Effect::Load(wanted, _)) => got == wanted,
        _ => got == wanted,
    }
}

fn show(effect: &Effect) -> String {
    let text = |stanza: &Stanza| String::from_utf8_lossy(&stanza.to_bytes()).into_owned();
    match effect {
        Effect::Reply(stanza) => format!("reply {}", text(stanza)),
        Effect::Route(stanza) => format!("route {}", text(stanza)),
        other => format!("{other:?}"),
    }
}

/// The stanzas that are routed.
pub(crate) fn routed(effects: &[Effect]) -> Vec<String> {
    let text = |effect: &Effect| match effect {
        Effect::Route(stanza) => Some(String::from_utf8_lossy(&stanza.to_bytes()).into_owned()),
        _ => None,
    };
    effects.iter().filter_map(text).collect()
}

/// The condition of the error that is all that happens.
#[track_caller]
pub(crate) fn refusal(effects: &[Effect]) -> String {
    let [Effect::Reply(stanza) | Effect::Route(stanza)] = effects else {
        panic!("no refusal: {effects:?}")
    };
    let payloads = match stanza {
        Stanza::Message(message) => &message.payloads,
        Stanza::Presence(presence) => &presence.payloads,
        Stanza::Iq(iq) => &iq.payloads,
    };
    let error = payloads
        .element("error", ns::CLIENT)
        .expect("it has an error");
    let mut conditions = error
        .children()
        .filter(|child| child.namespace() == ns::STANZAS);
    conditions
        .next()
        .expect("it has a condition")
        .name()
        .to_owned()
}

pub(crate) fn reply(xml: &str) -> Effect {
    Effect::Reply(parse(xml))
}

pub(crate) fn route(xml: &str) -> Effect {
    Effect::Route(parse(xml))
}

/// Published with the session as its sender.
pub(crate) fn publish(xml: &str) -> Effect {
    let mut presence = parse_presence(xml);
    presence.head.from = Some(jid(ME));
    Effect::Publish(Some(Box::new(presence)))
}

pub(crate) fn push(interest: Interest, xml: &str) -> Effect {
    Effect::Push(interest, element(xml))
}

pub(crate) fn interested(interest: Interest) -> Effect {
    Effect::Flag(Flag::Interested(interest))
}

pub(crate) fn directed(address: &str, on: bool) -> Effect {
    Effect::Flag(Flag::Directed(jid(address), on))
}

pub(crate) fn put_item(item: RosterItem) -> Effect {
    Effect::Change(Change::Roster(vec![RosterChange::Put(item)]))
}

pub(crate) fn remove_item(address: &str) -> Effect {
    Effect::Change(Change::Roster(vec![RosterChange::Remove(bare(address))]))
}

pub(crate) fn block_jids(addresses: &[&str]) -> Effect {
    let add = addresses.iter().map(|address| jid(address)).collect();
    Effect::Change(Change::Blocklist(BlocklistChange {
        add,
        remove: Vec::new(),
    }))
}

pub(crate) fn unblock_jids(addresses: &[&str]) -> Effect {
    let remove = addresses.iter().map(|address| jid(address)).collect();
    Effect::Change(Change::Blocklist(BlocklistChange {
        add: Vec::new(),
        remove,
    }))
}

/// A contact the user has put into the roster.
pub(crate) fn item(address: &str, subscription: Subscription) -> RosterItem {
    RosterItem {
        subscription,
        listed: true,
        ..RosterItem::new(bare(address))
    }
}

#[track_caller]
pub(crate) fn parse(xml: &str) -> Stanza {
    Stanza::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error:?} in {xml}"))
}

#[track_caller]
pub(crate) fn parse_presence(xml: &str) -> Presence {
    match parse(xml) {
        Stanza::Presence(presence) => presence,
        other => panic!("no presence: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn element(xml: &str) -> Element {
    Element::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error:?} in {xml}"))
}

#[track_caller]
pub(crate) fn jid(text: &str) -> Jid {
    Jid::parse(text).unwrap_or_else(|error| panic!("{error:?} in {text}"))
}

#[track_caller]
pub(crate) fn bare(text: &str) -> BareJid {
    BareJid::parse(text).unwrap_or_else(|error| panic!("{error:?} in {text}"))
}

#[track_caller]
pub(crate) fn full(text: &str) -> FullJid {
    FullJid::parse(text).unwrap_or_else(|error| panic!("{error:?} in {text}"))
}
