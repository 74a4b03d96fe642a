//! Takes an account in, a piece at a time.
//!
//! Taking in the same twice changes nothing the second time: what is there stays, and entries of
//! archives are recognised. While an account comes, nobody can log into it, and it carries a
//! mark; an import that was cut off is gone on with by the next.

mod archive;
mod nodes;
mod read;

use klatsch_protocol::features::archive_preferences::Preferences;
use klatsch_protocol::features::push::{PushChange, Registration};
use klatsch_protocol::features::roster::{self, RosterChange, RosterItem};
use klatsch_protocol::features::{bookmarks, mam, pubsub};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::sasl::Hash;
use klatsch_protocol::stanza::Stanza;
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;
use klatsch_store::{Credentials, Store, StoreError};

use self::archive::Coming;
pub(super) use self::read::payload;
use self::read::{read_contact, read_scram};
use super::{NS_OWN, NS_PRIVACY, NS_PRIVATE, NS_SCRAM, Piece, Taken, devices, files};

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

/// The account is there: what is not waiting counts as delivered, and its people may log in. Of
/// one that was there before, [`take`] has seen to that: what waited before waits on.
///
/// # Errors
/// What the store says.
pub async fn finish(
    store: &Store,
    account: &BareJid,
    waiting_from: Option<u64>,
) -> Result<Taken, StoreError> {
    let mut taken = Taken::default();
    let Some(mark) = store.kept(account, MARK).await?.value else {
        return Ok(taken);
    };
    let delivered = waiting_from.map_or(u64::MAX, |first| first.saturating_sub(1));
    store
        .set_cursors(vec![(account.clone(), delivered)])
        .await?;
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
    restored: Vec<Coming>,
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
            ("", ("device", NS_OWN)) => self.device(element).await,
            ("", ("file", NS_OWN)) => {
                let wrong = files::take(self.store, self.account, element, self.now).await?;
                wrong.into_iter().for_each(|wrong| self.note(wrong));
                Ok(())
            }
            ("pubsub", (_, pubsub::NS_OWNER)) => self.node(element).await,
            ("items", ("item", _)) => {
                let node = piece.node.clone().unwrap_or_default();
                self.item(&node, element).await
            }
            ("offline-messages", ("message", _)) => {
                self.message(&piece.xml, None, None, true);
                Ok(())
            }
            ("archive", ("result", _)) => {
                self.result(element);
                Ok(())
            }
            ("archive", ("end", NS_OWN)) => {
                self.restore().await?;
                match self.read_id(element) {
                    Some(head) => self.store.skip_ids(self.account, head).await,
                    None => Ok(()),
                }
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
        let shows = roster.shows(from.as_str());
        let item = known.unwrap_or_else(|| RosterItem::new(from));
        if item.pending_in.is_some() || shows {
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

    /// A device that is told already stays as it is.
    async fn device(&mut self, element: &Element) -> Result<(), StoreError> {
        let Some(device) = devices::read(element, self.account) else {
            self.note("a device that cannot be told");
            return Ok(());
        };
        let known = self.store.registrations(self.account).await?;
        let is_it =
            |known: &Registration| (&known.service, &known.node) == (&device.service, &device.node);
        if known.iter().any(is_it) {
            return Ok(());
        }
        let change = PushChange::Enable(device);
        self.store.change_push(self.account, change).await
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use klatsch_store::Append;

    const ROMEO: &str = "romeo@example.org";
    const JULIET: &str = "juliet@example.org";

    fn bare(text: &str) -> BareJid {
        BareJid::parse(text).unwrap()
    }

    async fn store() -> Store {
        let store = Store::open("memory:").await.unwrap();
        for account in [ROMEO, JULIET] {
            let none = Credentials::default();
            let account = bare(account);
            let made = store.create_account(&account, &none, false, Timestamp(1));
            made.await.unwrap();
        }
        store
    }

    /// Juliet writes to Romeo, or the other way round.
    async fn write(store: &Store, from: &str, to: &str, kind: &str) {
        let stanza = format!("<message from='{from}' to='{to}'{kind}><body>hi</body></message>");
        let append = Append {
            sender: Jid::parse(from).unwrap(),
            recipient: Some(bare(to)),
            are_colleagues: false,
            with: Jid::parse(to).unwrap(),
            dedup: None,
            stanza: stanza.into(),
            flags: 0,
            now: Timestamp(10),
        };
        store.append(vec![append]).await.unwrap();
    }

    /// A message that came in another life, and was delivered there.
    fn old(n: u32) -> Piece {
        Piece {
            parent: "archive".to_owned(),
            node: None,
            xml: format!(
                "<result xmlns='urn:xmpp:mam:2' id='{n}'><forwarded xmlns='urn:xmpp:forward:0'>\
                 <delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:0{n}Z'/>\
                 <message xmlns='jabber:client' from='{JULIET}' to='{ROMEO}' id='old{n}'>\
                 <body>old</body></message></forwarded></result>"
            ),
        }
    }

    /// Adds to Romeo's account in two steps; how far it counts as delivered then.
    async fn merged(store: &Store) -> u64 {
        let romeo = bare(ROMEO);
        let begun = begin(store, &romeo, Credentials::default(), Timestamp(20)).await;
        assert_eq!(begun, Ok(Begun::Existing));
        let mut waiting_from: Option<u64> = None;
        for n in 1..3 {
            let taken = take(store, &romeo, Begun::Existing, &[old(n)], Timestamp(20)).await;
            let taken = taken.unwrap();
            assert!(taken.notes.is_empty(), "{:?}", taken.notes);
            waiting_from = waiting_from.into_iter().chain(taken.waiting_from).min();
        }
        finish(store, &romeo, waiting_from).await.unwrap();
        store.cursor(&romeo).await.unwrap()
    }

    #[tokio::test]
    async fn d4_what_waits_for_an_account_waits_on_when_something_is_added_to_it() {
        let store = store().await;
        write(&store, JULIET, ROMEO, "").await;
        store.set_cursors(vec![(bare(ROMEO), 1)]).await.unwrap();
        write(&store, JULIET, ROMEO, "").await;
        assert_eq!(merged(&store).await, 1);
    }

    #[tokio::test]
    async fn what_is_added_to_an_account_for_which_nothing_waits_is_not_delivered_again() {
        let store = store().await;
        write(&store, JULIET, ROMEO, "").await;
        store.set_cursors(vec![(bare(ROMEO), 1)]).await.unwrap();
        // What it sent itself waits for nobody, and a headline is for the moment.
        write(&store, ROMEO, JULIET, "").await;
        write(&store, JULIET, ROMEO, " type='headline'").await;
        let delivered = merged(&store).await;
        assert_eq!(delivered, store.head(&bare(ROMEO)).await.unwrap());
        assert_eq!(delivered, 5);
    }

    #[tokio::test]
    async fn d4_an_import_of_nothing_delivers_nothing() {
        let store = store().await;
        write(&store, JULIET, ROMEO, "").await;
        finish(&store, &bare(ROMEO), None).await.unwrap();
        assert_eq!(store.cursor(&bare(ROMEO)).await, Ok(0));
    }
}
