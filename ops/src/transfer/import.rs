//! Takes an account in, a piece at a time.
//!
//! Taking in the same twice changes nothing the second time: what is there stays, and entries of
//! archives are recognised. While an account comes, nobody can log into it, and it carries a
//! mark; an import that was cut off is gone on with by the next.

mod nodes;
mod read;

use klatsch_protocol::features::archive_preferences::Preferences;
use klatsch_protocol::features::roster::{self, RosterChange, RosterItem};
use klatsch_protocol::features::{bookmarks, carbons, delay, mam, pubsub};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::sasl::Hash;
use klatsch_protocol::stanza::Stanza;
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;
use klatsch_store::{Appended, Credentials, Restore, Store, StoreError};

use self::read::{payload, read_contact, read_scram, restore_of};
use super::{NS_OWN, NS_PRIVACY, NS_PRIVATE, NS_SCRAM, Piece, Taken, message_of, without_delay};

/// The name under which an account that is coming carries its mark.
const MARK: &str = "import";

/// Whether an account can be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It has been made, or an import that was cut off has made it.
    New,
    /// It was there before.
    Existing,
}

/// Makes the account, which nobody may log into before [`finish`].
///
/// # Errors
/// What the store says.
pub async fn begin(
    store: &Store,
    account: &BareJid,
    keys: Credentials,
    now: Timestamp,
) -> Result<Begun, StoreError> {
    let keys = Credentials {
        disabled: true,
        ..keys
    };
    match store.create_account(account, &keys, false, now).await {
        Ok(()) => {
            let mark = Element::new("import", NS_OWN).to_bytes();
            store.keep(account, MARK, Some(mark)).await?;
            Ok(Begun::New)
        }
        Err(StoreError::Conflict) => match store.kept(account, MARK).await?.value {
            Some(_) => Ok(Begun::New),
            None => Ok(Begun::Existing),
        },
        Err(error) => Err(error),
    }
}

/// The account is there: what is not waiting counts as delivered, and its people may log in.
///
/// # Errors
/// What the store says.
pub async fn finish(
    store: &Store,
    account: &BareJid,
    waiting_from: Option<u64>,
) -> Result<Taken, StoreError> {
    let mut taken = Taken::default();
    let delivered = waiting_from.map_or(u64::MAX, |first| first.saturating_sub(1));
    store
        .set_cursors(vec![(account.clone(), delivered)])
        .await?;
    let Some(mark) = store.kept(account, MARK).await?.value else {
        return Ok(taken);
    };
    let is_disabled = Element::parse(&mark).is_ok_and(|mark| mark.get("disabled").is_some());
    store.set_disabled(account, is_disabled).await?;
    store.keep(account, MARK, None).await?;
    let keys = store.credentials(account).await?.unwrap_or_default();
    if keys.scram.is_empty() {
        taken
            .notes
            .push("no password: klatsch user passwd sets one".to_owned());
    }
    Ok(taken)
}

/// Takes pieces in. What cannot be taken is noted.
///
/// # Errors
/// What the store says.
pub async fn take(
    store: &Store,
    account: &BareJid,
    begun: Begun,
    pieces: &[Piece],
    now: Timestamp,
) -> Result<Taken, StoreError> {
    let mut importer = Importer {
        store,
        account,
        begun,
        now,
        taken: Taken::default(),
        restored: Vec::new(),
    };
    for piece in pieces {
        match Element::parse(piece.xml.as_bytes()) {
            Ok(element) => importer.take(piece, &element).await?,
            Err(error) => importer.note(format!("not read: {error}")),
        }
    }
    importer.restore().await?;
    Ok(importer.taken)
}

struct Importer<'a> {
    store: &'a Store,
    account: &'a BareJid,
    begun: Begun,
    now: Timestamp,
    taken: Taken,
    /// With whether they wait to be delivered.
    restored: Vec<(Restore, bool)>,
}

impl Importer<'_> {
    fn note(&mut self, text: impl Into<String>) {
        self.taken.notes.push(text.into());
    }

    async fn take(&mut self, piece: &Piece, element: &Element) -> Result<(), StoreError> {
        let of = (element.name(), element.namespace());
        match (piece.parent.as_str(), of) {
            ("", ("scram-credentials", NS_SCRAM)) => self.scram(element).await,
            ("", ("account", NS_OWN)) => self.standing(element).await,
            ("", ("query", roster::NS)) => self.contacts(element).await,
            ("", ("query", NS_PRIVATE)) => self.private(element).await,
            ("", ("query", NS_PRIVACY)) => self.privacy(element).await,
            ("", ("vCard", "vcard-temp")) => self.keep_if_none("vcard", element).await,
            ("", ("prefs", mam::NS)) => self.preferences(element).await,
            ("", ("presence", _)) => self.request(piece).await,
            ("pubsub", (_, pubsub::NS_OWNER)) => self.node(element).await,
            ("items", ("item", _)) => {
                let node = piece.node.clone().unwrap_or_default();
                self.item(&node, element).await
            }
            ("offline-messages", ("message", _)) => {
                self.message(&piece.xml, None, true);
                Ok(())
            }
            ("archive", ("result", _)) => {
                self.result(element);
                Ok(())
            }
            (parent, (name, namespace)) => {
                let parent = if parent.is_empty() { "user" } else { parent };
                self.note(format!("passed over: {name} of {namespace} in {parent}"));
                Ok(())
            }
        }
    }

    /// §4.3. Those of an account that was there stay.
    async fn scram(&mut self, element: &Element) -> Result<(), StoreError> {
        if self.begun == Begun::Existing {
            return Ok(());
        }
        let Some(key) = read_scram(element) else {
            let mechanism = element.get("mechanism").unwrap_or("none").to_owned();
            self.note(format!("keys of {mechanism} are not usable"));
            return Ok(());
        };
        let mut keys = self
            .store
            .credentials(self.account)
            .await?
            .unwrap_or_default();
        if keys.scram.iter().any(|known| known.hash == key.hash) {
            return Ok(());
        }
        keys.scram.push(key);
        keys.scram
            .sort_by_key(|key| Hash::ALL.iter().position(|hash| *hash == key.hash));
        keys.disabled = true;
        self.store.set_credentials(self.account, &keys).await?;
        self.store.set_disabled(self.account, true).await
    }

    async fn standing(&mut self, element: &Element) -> Result<(), StoreError> {
        if self.begun == Begun::Existing {
            return Ok(());
        }
        if element.get("admin") == Some("true") {
            self.store.set_admin(self.account, true).await?;
        }
        if element.get("disabled") == Some("true") {
            let mark = Element::new("import", NS_OWN).attr("disabled", "true");
            self.store
                .keep(self.account, MARK, Some(mark.to_bytes()))
                .await?;
        }
        Ok(())
    }

    /// §4.4: contacts that are not there yet.
    async fn contacts(&mut self, query: &Element) -> Result<(), StoreError> {
        let roster = self.store.roster(self.account).await?;
        let mut changes = Vec::new();
        for element in query.children().filter(|it| it.is("item", roster::NS)) {
            let Some(item) = read_contact(element) else {
                self.note(format!(
                    "no contact: {:?}",
                    element.get("jid").unwrap_or_default()
                ));
                continue;
            };
            match roster.items.get(&item.jid) {
                Some(known) if known.listed => {}
                known => {
                    let pending_in = known.and_then(|known| known.pending_in.clone());
                    changes.push(RosterChange::Put(RosterItem { pending_in, ..item }));
                }
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let changed = self
            .store
            .change_roster(self.account, roster.version, changes);
        changed.await.map(drop)
    }

    /// §4.9.
    async fn request(&mut self, piece: &Piece) -> Result<(), StoreError> {
        let parsed = Stanza::parse(piece.xml.as_bytes());
        let from = match &parsed {
            Ok(stanza @ Stanza::Presence(_)) if stanza.type_name() == Some("subscribe") => {
                stanza.from().map(Jid::bare)
            }
            _ => None,
        };
        let (Ok(stanza), Some(from)) = (parsed, from) else {
            self.note("a presence that is no request to subscribe");
            return Ok(());
        };
        let roster = self.store.roster(self.account).await?;
        let known = roster.items.get(&from).cloned();
        let item = known.unwrap_or_else(|| RosterItem::new(from));
        if item.pending_in.is_some() || item.subscription.shows() {
            return Ok(());
        }
        let change = RosterChange::Put(RosterItem {
            pending_in: Some(stanza.to_bytes()),
            ..item
        });
        let changed = self
            .store
            .change_roster(self.account, roster.version, vec![change]);
        changed.await.map(drop)
    }

    async fn keep_if_none(&mut self, name: &str, element: &Element) -> Result<(), StoreError> {
        if self.store.kept(self.account, name).await?.value.is_some() {
            return Ok(());
        }
        let value = payload(element);
        let value = Some(value.into());
        self.store.keep(self.account, name, value).await
    }

    /// §4.6. Bookmarks of old become those of today (XEP-0402).
    async fn private(&mut self, query: &Element) -> Result<(), StoreError> {
        for element in query.children() {
            if element.is("storage", bookmarks::NS_LEGACY) {
                self.bookmarks(element).await?;
                continue;
            }
            let name = format!("private {} {}", element.name(), element.namespace());
            if element.namespace().is_empty() || name.len() > 1000 {
                self.note("private data without a name of its own");
                continue;
            }
            self.keep_if_none(&name, element).await?;
        }
        Ok(())
    }

    async fn bookmarks(&mut self, storage: &Element) -> Result<(), StoreError> {
        let mut rest = Element::new("storage", bookmarks::NS_LEGACY);
        let mut has_rest = false;
        for child in storage.children() {
            match bookmarks::convert::of_legacy(child, self.account, self.now) {
                Some(item) => self.publish(bookmarks::NS, item).await?,
                None => {
                    rest = rest.child(child.clone());
                    has_rest = true;
                }
            }
        }
        match has_rest {
            true => self.keep_if_none("bookmarks", &rest).await,
            false => Ok(()),
        }
    }

    /// §4.8: whom the list that holds by itself denies everything. What else such lists say has
    /// no counterpart here.
    async fn privacy(&mut self, query: &Element) -> Result<(), StoreError> {
        let default = query
            .find("default", NS_PRIVACY)
            .and_then(|it| it.get("name"));
        let lists = query.children().filter(|it| it.is("list", NS_PRIVACY));
        let list = lists.into_iter().find(|list| list.get("name") == default);
        let items = list.into_iter().flat_map(Element::children);
        let mut add = Vec::new();
        let mut passed_over = 0;
        for item in items.filter(|it| it.is("item", NS_PRIVACY)) {
            let is_all = ["message", "iq", "presence-in"]
                .iter()
                .all(|it| item.find(it, NS_PRIVACY).is_some());
            let is_block = item.get("type") == Some("jid")
                && item.get("action") == Some("deny")
                && (item.children().next().is_none() || is_all);
            match item.get("value").map(Jid::parse) {
                Some(Ok(jid)) if is_block => add.push(jid),
                // The end of such lists: everything else passes.
                None if item.get("action") == Some("allow") => {}
                _ => passed_over += 1,
            }
        }
        if passed_over > 0 {
            self.note(format!(
                "{passed_over} rules of privacy lists have no counterpart"
            ));
        }
        let before = self.store.blocklist(self.account).await?;
        add.retain(|jid| !before.jids.contains(jid));
        let change = self
            .store
            .change_blocklist(self.account, before.version, add, Vec::new());
        change.await.map(drop)
    }

    async fn preferences(&mut self, element: &Element) -> Result<(), StoreError> {
        if self.begun == Begun::Existing {
            return Ok(());
        }
        match Preferences::read(element) {
            Ok(preferences) => self.store.prefer(self.account, preferences).await,
            Err(_) => {
                self.note("preferences of the archive are not usable");
                Ok(())
            }
        }
    }

    /// §4.11.
    fn result(&mut self, result: &Element) {
        let forwarded = result.find("forwarded", carbons::NS_FORWARD);
        let stamp = forwarded
            .and_then(|it| it.find("delay", delay::NS))
            .and_then(|delay| Timestamp::parse_xep0082(delay.get("stamp")?));
        let message = forwarded.and_then(|it| it.children().find(|it| it.name() == "message"));
        match (stamp, message) {
            (Some(stamp), Some(message)) => {
                let xml = String::from_utf8_lossy(&message.to_bytes()).into_owned();
                self.message(&xml, Some(stamp), false);
            }
            _ => self.note("an entry of the archive without time or message"),
        }
    }

    /// A message for the log.
    fn message(&mut self, xml: &str, stamp: Option<Timestamp>, is_waiting: bool) {
        let Some(read) = message_of(xml.as_bytes()) else {
            return self.note("a message that is none");
        };
        let said = read
            .payloads
            .elements()
            .find(|it| it.is("delay", delay::NS));
        let said = said.and_then(|it| Timestamp::parse_xep0082(it.get("stamp")?));
        let stamp = stamp.or(said).unwrap_or(self.now);
        let message = match is_waiting {
            true => without_delay(&read, self.account.domain()),
            false => read,
        };
        let restore = restore_of(self.account, &message, stamp);
        self.restored.push((restore, is_waiting));
    }

    async fn restore(&mut self) -> Result<(), StoreError> {
        let (batch, waiting): (Vec<Restore>, Vec<bool>) =
            std::mem::take(&mut self.restored).into_iter().unzip();
        let answers = self.store.restore(batch).await?;
        for (answer, is_waiting) in answers.into_iter().zip(waiting) {
            match answer {
                Appended::Stored { sender, .. } | Appended::Replay { sender, .. } => {
                    if is_waiting {
                        let before = self.taken.waiting_from.unwrap_or(u64::MAX);
                        self.taken.waiting_from = Some(before.min(sender.id));
                    }
                }
                _ => self.note("a message could not be put into the archive"),
            }
        }
        Ok(())
    }
}
