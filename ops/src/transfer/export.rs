//! Writes an account, a page at a time.
//!
//! The order is that of the specification; entries carry the ids of this archive.

use klatsch_protocol::archive::{ArchiveQuery, Direction, Entry, PageFrom};
use klatsch_protocol::features::archive_preferences::Preferences;
use klatsch_protocol::features::blocking::Blocklist;
use klatsch_protocol::features::pubsub::node::{
    Affiliation, Ask, Found, FoundNode, Item, Node, Wanted,
};
use klatsch_protocol::features::roster::Roster;
use klatsch_protocol::features::upload::slot::{id_text, parse_id};
use klatsch_protocol::features::{carbons, delay, mam, pubsub, roster};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::sasl::{ScramCredentials, encoding};
use klatsch_protocol::stanza::framed;
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;
use klatsch_store::{Credentials, Store, StoreError};

use super::{NS_ARCHIVE, NS_OWN, NS_PRIVACY, NS_PRIVATE, NS_SCRAM, Position, devices, files};

/// Nodes, items or entries read at a time.
const READ_MAX: u32 = 50;

/// A page ends behind this many bytes.
const PAGE_BYTES: usize = 1024 * 1024;

type Page = (Vec<u8>, Option<Position>);

/// Writes what comes at a position; and where it goes on, unless that was all.
///
/// # Errors
/// What the store says.
pub async fn page(
    store: &Store,
    account: &BareJid,
    from: Position,
    now: Timestamp,
) -> Result<Page, StoreError> {
    match from {
        Position::Start => start(store, account).await,
        Position::Files(after) => known_files(store, account, after, now).await,
        Position::Nodes(after) => nodes(store, account, after, now).await,
        Position::NextItems(after) => next_items(store, account, after, now).await,
        Position::Items(node, after) => items(store, account, (node, after), now).await,
        Position::Waiting(after) => waiting(store, account, after).await,
        Position::Archive(after) => archive(store, account, after).await,
    }
}

/// The same for the nodes of a service, which has nothing else.
///
/// # Errors
/// What the store says.
pub async fn service_page(
    store: &Store,
    service: &BareJid,
    from: Position,
    now: Timestamp,
) -> Result<Page, StoreError> {
    if let Position::NextItems(after) = &from {
        let next = names(store, service, after.clone(), 1, now).await?;
        if next.is_empty() {
            return Ok((b"</pubsub>\n".to_vec(), None));
        }
    }
    let from = match from {
        Position::Start => Position::Nodes(None),
        from => from,
    };
    page(store, service, from, now).await
}

/// Tells whether a service has any nodes.
///
/// # Errors
/// What the store says.
pub async fn has_nodes(
    store: &Store,
    service: &BareJid,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let first = names(store, service, None, 1, now).await?;
    Ok(!first.is_empty())
}

fn write(out: &mut Vec<u8>, element: &Element) {
    write_inside(out, "", element);
}

/// Writes an element that stands in another of this namespace.
fn write_inside(out: &mut Vec<u8>, namespace: &str, element: &Element) {
    element.write(out, namespace);
    out.push(b'\n');
}

async fn start(store: &Store, account: &BareJid) -> Result<Page, StoreError> {
    let mut out = Vec::new();
    let keys = store.credentials(account).await?;
    let keys = keys.ok_or(StoreError::NoSuchAccount)?;
    let snapshot = store.snapshot(account).await?;
    keys.scram
        .iter()
        .for_each(|key| write(&mut out, &scram(key)));
    if let Some(element) = standing(&keys) {
        write(&mut out, &element);
    }
    write(&mut out, &contacts(&snapshot.roster));
    for name in store.kept_names(account).await? {
        if name == "vcard"
            && let Some(card) = kept(store, account, &name).await?
        {
            write(&mut out, &card);
        }
    }
    write(&mut out, &private(store, account).await?);
    if !snapshot.blocklist.jids.is_empty() {
        write(&mut out, &privacy(&snapshot.blocklist));
    }
    let preferences = store.archive_preferences(account).await?;
    if preferences != Preferences::default() {
        write(&mut out, &preferences.to_element());
    }
    for item in snapshot.roster.items.values() {
        if let Some(request) = &item.pending_in {
            out.extend_from_slice(&framed(request));
            out.push(b'\n');
        }
    }
    for registration in store.registrations(account).await? {
        write(&mut out, &devices::write(&registration));
    }
    Ok((out, Some(Position::Files(None))))
}

async fn known_files(
    store: &Store,
    account: &BareJid,
    after: Option<String>,
    now: Timestamp,
) -> Result<Page, StoreError> {
    let after = after.as_deref().and_then(parse_id);
    let listed = store.uploads_of(account, after, READ_MAX, now).await?;
    let mut out = Vec::new();
    for (id, upload) in &listed {
        write(&mut out, &files::write(id, upload));
    }
    let is_all = (listed.len() as u32) < READ_MAX;
    let next = match listed.last() {
        Some((last, _)) if !is_all => Position::Files(Some(id_text(last))),
        _ => Position::Nodes(None),
    };
    Ok((out, Some(next)))
}

/// §4.3.
fn scram(key: &ScramCredentials) -> Element {
    let child = |name: &'static str, text: String| Element::new(name, NS_SCRAM).text(text);
    Element::new("scram-credentials", NS_SCRAM)
        .attr("mechanism", format!("SCRAM-{}", key.hash.name()))
        .child(child("iter-count", key.iterations.to_string()))
        .child(child("salt", encoding::encode(&key.salt)))
        .child(child("server-key", encoding::encode(&key.server_key)))
        .child(child("stored-key", encoding::encode(&key.stored_key)))
}

/// Who administrates, and who may not log in.
fn standing(keys: &Credentials) -> Option<Element> {
    let truth = |is: bool| is.then_some("true");
    (keys.admin || keys.disabled).then(|| {
        Element::new("account", NS_OWN)
            .attr_opt("admin", truth(keys.admin))
            .attr_opt("disabled", truth(keys.disabled))
    })
}

/// §4.4: contacts, without those of whom only a request is known.
fn contacts(of: &Roster) -> Element {
    let items = of.listed().map(|item| item.to_element());
    Element::new("query", roster::NS).children_from(items)
}

async fn kept(store: &Store, account: &BareJid, name: &str) -> Result<Option<Element>, StoreError> {
    let value = store.kept(account, name).await?.value;
    Ok(value.and_then(|bytes| Element::parse(&bytes).ok()))
}

/// §4.6.
async fn private(store: &Store, account: &BareJid) -> Result<Element, StoreError> {
    let mut query = Element::new("query", NS_PRIVATE);
    for name in store.kept_names(account).await? {
        let is_private = name.starts_with("private ") || name == "bookmarks";
        if is_private && let Some(element) = kept(store, account, &name).await? {
            query = query.child(element);
        }
    }
    Ok(query)
}

/// §4.8: whom the account blocks, as a list that holds by itself.
fn privacy(of: &Blocklist) -> Element {
    let item = |(at, jid): (usize, &Jid)| {
        Element::new("item", NS_PRIVACY)
            .attr("type", "jid")
            .attr("value", jid.as_str())
            .attr("action", "deny")
            .attr("order", (at + 1).to_string())
    };
    let list = Element::new("list", NS_PRIVACY)
        .attr("name", "blocklist")
        .children_from(of.jids.iter().enumerate().map(item));
    Element::new("query", NS_PRIVACY)
        .child(Element::new("default", NS_PRIVACY).attr("name", "blocklist"))
        .child(list)
}

async fn names(
    store: &Store,
    account: &BareJid,
    after: Option<String>,
    max: u32,
    now: Timestamp,
) -> Result<Vec<Node>, StoreError> {
    match store
        .nodes(account, &Ask::Nodes { after, max }, now)
        .await?
    {
        Found::Nodes(nodes) => Ok(nodes),
        _ => Err(StoreError::Corrupt("not nodes".to_owned())),
    }
}

async fn node(
    store: &Store,
    account: &BareJid,
    node: &str,
    items: Wanted,
    now: Timestamp,
) -> Result<FoundNode, StoreError> {
    let ask = Ask::Node {
        node: node.to_owned(),
        items,
        creator: account.clone(),
    };
    match store.nodes(account, &ask, now).await? {
        Found::Node(found) => Ok(found),
        _ => Err(StoreError::Corrupt("not a node".to_owned())),
    }
}

fn open(name: &str, namespace: &str) -> String {
    format!("<{name} xmlns='{namespace}'>\n")
}

/// §4.10.1.
async fn nodes(
    store: &Store,
    account: &BareJid,
    after: Option<String>,
    now: Timestamp,
) -> Result<Page, StoreError> {
    let mut out = Vec::new();
    if after.is_none() {
        out.extend(open("pubsub", pubsub::NS_OWNER).into_bytes());
    }
    let listed = names(store, account, after, READ_MAX, now).await?;
    for listed in &listed {
        // Those of the list come without their subscriptions.
        let found = node(store, account, &listed.name, Wanted::Nothing, now).await?;
        if let Some(node) = found.node {
            describe(&mut out, account, &node);
        }
    }
    let is_all = (listed.len() as u32) < READ_MAX;
    match listed.last() {
        Some(last) if !is_all => Ok((out, Some(Position::Nodes(Some(last.name.clone()))))),
        _ => {
            out.extend_from_slice(b"</pubsub>\n");
            out.extend(open("pubsub", pubsub::NS).into_bytes());
            Ok((out, Some(Position::NextItems(None))))
        }
    }
}

fn describe(out: &mut Vec<u8>, account: &BareJid, node: &Node) {
    let about =
        |name: &'static str| Element::new(name, pubsub::NS_OWNER).attr("node", node.name.clone());
    write_inside(
        out,
        pubsub::NS_OWNER,
        // Nodes of a service are somebody's.
        &about("configure")
            .attr_opt(
                "creator",
                (node.creator != *account).then(|| node.creator.as_str()),
            )
            .child(node.config.to_values("form")),
    );
    let others = node
        .affiliations
        .iter()
        .filter(|(jid, affiliation)| *jid != account && **affiliation != Affiliation::None);
    let affiliations: Vec<Element> = others
        .map(|(jid, affiliation)| {
            Element::new("affiliation", pubsub::NS_OWNER)
                .attr("jid", jid.as_str())
                .attr("affiliation", affiliation.as_str())
        })
        .collect();
    if !affiliations.is_empty() {
        write_inside(
            out,
            pubsub::NS_OWNER,
            &about("affiliations").children_from(affiliations),
        );
    }
    let subscriptions: Vec<Element> = node
        .subscriptions
        .iter()
        .map(|it| {
            Element::new("subscription", pubsub::NS_OWNER)
                .attr("jid", it.jid.as_str())
                .attr("subscription", it.state.as_str())
        })
        .collect();
    if !subscriptions.is_empty() {
        write_inside(
            out,
            pubsub::NS_OWNER,
            &about("subscriptions").children_from(subscriptions),
        );
    }
}

/// §4.10.2: the next node's items begin.
async fn next_items(
    store: &Store,
    account: &BareJid,
    after: Option<String>,
    now: Timestamp,
) -> Result<Page, StoreError> {
    match names(store, account, after, 1, now).await?.pop() {
        Some(node) => {
            let empty = Element::new("items", pubsub::NS).attr("node", node.name.clone());
            let mut out = Vec::new();
            empty.write(&mut out, pubsub::NS);
            // Its items follow before it ends.
            let end = out.len() - "/>".len();
            out.truncate(end);
            out.extend_from_slice(b">\n");
            Ok((out, Some(Position::Items(node.name, None))))
        }
        None => {
            let mut out = b"</pubsub>\n".to_vec();
            out.extend(open("offline-messages", super::NS).into_bytes());
            let delivered = store.cursor(account).await?;
            Ok((out, Some(Position::Waiting(delivered))))
        }
    }
}

async fn items(
    store: &Store,
    account: &BareJid,
    (name, after): (String, Option<String>),
    now: Timestamp,
) -> Result<Page, StoreError> {
    let mut out = Vec::new();
    let found = node(store, account, &name, Wanted::After(after, READ_MAX), now).await?;
    let is_all = (found.items.len() as u32) < READ_MAX;
    for (at, item) in found.items.iter().enumerate() {
        write_inside(&mut out, pubsub::NS, &item_element(item));
        let is_last = at + 1 == found.items.len();
        if out.len() > PAGE_BYTES && !is_last {
            return Ok((out, Some(Position::Items(name, Some(item.id.clone())))));
        }
    }
    match found.items.last() {
        Some(last) if !is_all => Ok((out, Some(Position::Items(name, Some(last.id.clone()))))),
        _ => {
            out.extend_from_slice(b"</items>\n");
            Ok((out, Some(Position::NextItems(Some(name)))))
        }
    }
}

fn item_element(item: &Item) -> Element {
    let element = Element::new("item", pubsub::NS)
        .attr("id", item.id.clone())
        .attr("publisher", item.publisher.as_str());
    match item.payload.is_empty() {
        true => element,
        false => element.raw_child(item.payload.clone()),
    }
}

/// §4.5: what the account has received and nobody has taken.
async fn waiting(store: &Store, account: &BareJid, after: u64) -> Result<Page, StoreError> {
    let mut out = Vec::new();
    let entries = store.entries(account, after, READ_MAX).await?;
    let is_all = (entries.len() as u32) < READ_MAX;
    let mut reached = after;
    for entry in &entries {
        reached = entry.id;
        if entry.direction == Direction::Received
            && let Some(element) = late(account, entry)
        {
            write(&mut out, &element);
        }
        if out.len() > PAGE_BYTES && entries.last() != Some(entry) {
            return Ok((out, Some(Position::Waiting(reached))));
        }
    }
    if !is_all {
        return Ok((out, Some(Position::Waiting(reached))));
    }
    out.extend_from_slice(b"</offline-messages>\n");
    out.extend(open("archive", NS_ARCHIVE).into_bytes());
    Ok((out, Some(Position::Archive(None))))
}

/// An entry with the time at which it came.
fn late(account: &BareJid, entry: &Entry) -> Option<Element> {
    let host = Jid::from(account.domain_jid());
    let message = Element::parse(&framed(&entry.stanza)).ok()?;
    Some(message.child(delay::delay(Some(&host), entry.stamp)))
}

/// §4.11.
async fn archive(store: &Store, account: &BareJid, after: Option<u64>) -> Result<Page, StoreError> {
    let query = ArchiveQuery {
        page: after.map_or(PageFrom::Start, PageFrom::After),
        max: READ_MAX,
        ..ArchiveQuery::default()
    };
    let page = store.query(account, &query).await?;
    let mut out = Vec::new();
    for (at, entry) in page.entries.iter().enumerate() {
        let forwarded = Element::new("forwarded", carbons::NS_FORWARD)
            .child(delay::delay(None, entry.stamp))
            .raw_child(framed(&entry.stanza));
        let result = Element::new("result", mam::NS).attr("id", entry.id.to_string());
        write(&mut out, &result.child(forwarded));
        if out.len() > PAGE_BYTES && at + 1 < page.entries.len() {
            return Ok((out, Some(Position::Archive(Some(entry.id)))));
        }
    }
    match page.entries.last() {
        Some(last) if !page.complete => Ok((out, Some(Position::Archive(Some(last.id))))),
        _ => {
            // Ids behind it have been somebody's, too.
            let head = store.head(account).await?;
            write(
                &mut out,
                &Element::new("end", NS_OWN).attr("id", head.to_string()),
            );
            out.extend_from_slice(b"</archive>\n");
            Ok((out, None))
        }
    }
}
