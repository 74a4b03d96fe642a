//! Rooms as files, in our own namespace: XEP-0227 has no place for them.
//!
//! What is remembered of a room comes first, then its log with the ids that clients know.
//! Taking in the same twice changes nothing the second time; a room of the same name that is
//! another one is left alone. Leaves out who is inside.

use klatsch_protocol::archive::Entry;
use klatsch_protocol::features::muc::affiliation::{Affiliate, Affiliation};
use klatsch_protocol::features::muc::hats::Hat;
use klatsch_protocol::features::muc::record::{RoomChange, RoomRecord, Subject};
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::sasl::encoding;
use klatsch_protocol::stanza::{Stanza, framed};
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;
use klatsch_store::{Dedup, RoomAppend, RoomAppended, Store, StoreError};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::import::payload;
use super::{ID_MAX, NS_OWN, Piece, Taken, message_of};

/// Entries read at a time.
const READ_MAX: u32 = 100;

/// A page ends behind this many bytes.
const PAGE_BYTES: usize = 1024 * 1024;

fn element(name: &'static str) -> Element {
    Element::new(name, NS_OWN)
}

/// Writes a room from after an entry on; `None`: from its beginning. Answers where it goes on,
/// unless that was all.
///
/// # Errors
/// What the store says.
pub async fn page(
    store: &Store,
    room: &BareJid,
    after: Option<u64>,
) -> Result<(Vec<u8>, Option<u64>), StoreError> {
    let mut out = Vec::new();
    let Some(after) = after else {
        let record = store.room(room).await?.ok_or(StoreError::NoSuchRoom)?;
        write(&mut out, &written(&record)?);
        out.extend_from_slice(b"<log>\n");
        return Ok((out, Some(0)));
    };
    let entries = store.room_entries(room, after, READ_MAX).await?;
    for entry in &entries {
        write(&mut out, &entry_element(entry));
        if out.len() > PAGE_BYTES {
            return Ok((out, Some(entry.id)));
        }
    }
    if let Some(last) = entries.last() {
        return Ok((out, Some(last.id)));
    }
    let head = store.room_head(room).await?;
    write(&mut out, &element("end").attr("id", head.to_string()));
    out.extend_from_slice(b"</log>\n");
    Ok((out, None))
}

fn write(out: &mut Vec<u8>, element: &Element) {
    element.write(out, NS_OWN);
    out.push(b'\n');
}

fn entry_element(entry: &Entry) -> Element {
    element("entry")
        .attr("id", entry.id.to_string())
        .attr("stamp", entry.stamp.to_xep0082())
        .attr("with", entry.with.as_str())
        .raw_child(framed(&entry.stanza))
}

/// What is remembered of a room.
fn written(record: &RoomRecord) -> Result<Element, StoreError> {
    let config = serde_json::to_string(&record.config);
    let config = config.map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let mut out = element("record")
        .attr("creator", record.creator.as_str())
        .attr("created", record.created.to_xep0082())
        .attr("secret", encoding::encode(&record.secret))
        .child(element("config").text(config));
    for (jid, affiliate) in &record.affiliations {
        let said = element("affiliation")
            .attr("jid", jid.as_str())
            .attr("affiliation", affiliate.affiliation.as_str())
            .attr_opt("nick", affiliate.nick.as_deref())
            .attr_opt("reason", affiliate.reason.as_deref());
        out = out.child(said);
    }
    for (uri, hat) in &record.hats.defined {
        let said = element("hat")
            .attr("uri", &**uri)
            .attr("title", &*hat.title)
            .attr_opt("hue", hat.hue.as_deref())
            .attr_opt("lang", hat.lang.as_deref());
        out = out.child(said);
    }
    for (jid, uris) in &record.hats.worn {
        for uri in uris {
            let said = element("worn").attr("jid", jid.as_str());
            out = out.child(said.attr("uri", &**uri));
        }
    }
    if let Some(subject) = &record.subject {
        let message = Stanza::Message(subject.message.clone()).to_bytes();
        let said = element("subject").attr("stamp", subject.stamp.to_xep0082());
        out = out.child(said.raw_child(framed(&message)));
    }
    if let Some(vcard) = &record.vcard {
        out = out.child(element("vcard").raw_child(vcard.clone()));
    }
    Ok(out)
}

/// Takes pieces of a room in. What cannot be taken is noted.
///
/// # Errors
/// `Conflict` when there is another room of this name; what the store says.
pub async fn take(store: &Store, room: &BareJid, pieces: &[Piece]) -> Result<Taken, StoreError> {
    let mut importer = Importer {
        store,
        room,
        taken: Taken::default(),
        entries: Vec::new(),
    };
    for piece in pieces {
        match Element::parse(piece.xml.as_bytes()) {
            Ok(element) => importer.take(piece, &element).await?,
            Err(error) => importer.note(format!("not read: {error}")),
        }
    }
    importer.append().await?;
    Ok(importer.taken)
}

struct Importer<'a> {
    store: &'a Store,
    room: &'a BareJid,
    taken: Taken,
    /// With the ids they had.
    entries: Vec<(u64, RoomAppend)>,
}

impl Importer<'_> {
    fn note(&mut self, text: impl Into<String>) {
        self.taken.notes.push(text.into());
    }

    async fn take(&mut self, piece: &Piece, element: &Element) -> Result<(), StoreError> {
        let of = (element.name(), element.namespace());
        match (piece.parent.as_str(), of) {
            ("", ("record", NS_OWN)) => self.make(element).await,
            ("log", ("entry", NS_OWN)) => {
                match self.read_entry(element) {
                    Some(entry) => self.entries.push(entry),
                    None => self.note("an entry that is none"),
                }
                Ok(())
            }
            ("log", ("end", NS_OWN)) => {
                self.append().await?;
                match read_id(element) {
                    Some(head) => self.store.skip_room_ids(self.room, head).await,
                    None => Ok(()),
                }
            }
            (_, (name, namespace)) => {
                self.note(format!("passed over: {name} of {namespace} in a room"));
                Ok(())
            }
        }
    }

    async fn make(&mut self, element: &Element) -> Result<(), StoreError> {
        let Some(record) = self.read_record(element) else {
            self.note("what is remembered of it is not whole");
            return Err(StoreError::NoSuchRoom);
        };
        let (secret, created) = (record.secret, record.created);
        let create = vec![RoomChange::Create(Box::new(record))];
        match self.store.save_room(self.room, 0, create).await {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict) => {
                // The same one, of an import that was cut off.
                let known = self.store.room(self.room).await?;
                let is_same = |it: &RoomRecord| (it.secret, it.created) == (secret, created);
                match known.as_ref().is_some_and(is_same) {
                    true => Ok(()),
                    false => Err(StoreError::Conflict),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// `None`: without it nobody could say what the room is.
    fn read_record(&mut self, from: &Element) -> Option<RoomRecord> {
        let creator = BareJid::parse(from.get("creator")?).ok()?;
        let created = Timestamp::parse_xep0082(from.get("created")?)?;
        let secret = encoding::decode(from.get("secret")?).ok()?;
        let mut record = RoomRecord::new(&creator, secret.try_into().ok()?, created);
        record.affiliations.clear();
        let config = from.find("config", NS_OWN)?.text_content();
        record.config = serde_json::from_str(&config).ok()?;
        for said in from.children() {
            let is_read = match said.name() {
                "affiliation" => read_affiliation(&mut record, said),
                "hat" => read_hat(&mut record, said),
                "worn" => read_worn(&mut record, said),
                "subject" => read_subject(&mut record, said),
                "vcard" => {
                    let card = said.children().next().map(|card| payload(card).into());
                    record.vcard = card;
                    Some(())
                }
                _ => Some(()),
            };
            if is_read.is_none() {
                self.note(format!("not read: {} of the room", said.name()));
            }
        }
        Some(record)
    }

    fn read_entry(&self, from: &Element) -> Option<(u64, RoomAppend)> {
        let with = BareJid::parse(from.get("with")?).ok()?;
        let stamp = Timestamp::parse_xep0082(from.get("stamp")?)?;
        let message = message_of(&from.children().next()?.to_bytes())?;
        let message = Stanza::Message(message).to_bytes();
        let id = read_id(from)?;
        // Two messages may say the same at one time; they have different ids.
        let mut text = format!("restored\0{id}\0{stamp}\0", stamp = stamp.0).into_bytes();
        text.extend_from_slice(&message);
        let dedup = Dedup {
            key: xxh3_128(&text).to_be_bytes(),
            payload: xxh3_64(&message),
        };
        let append = RoomAppend {
            room: self.room.clone(),
            sender: Jid::from(with),
            message,
            dedup: Some(dedup),
            now: stamp,
            subject: None,
            tombstone: None,
        };
        Some((id, append))
    }

    /// Puts what has come into the log. Where ids are missing, nothing gets them here either:
    /// messages name others by their ids.
    async fn append(&mut self) -> Result<(), StoreError> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let mut head = self.store.room_head(self.room).await?;
        let mut batch = Vec::new();
        for (id, append) in std::mem::take(&mut self.entries) {
            if id > head + 1 {
                self.append_batch(std::mem::take(&mut batch)).await?;
                self.store.skip_room_ids(self.room, id - 1).await?;
            }
            head = head.max(id);
            batch.push(append);
        }
        self.append_batch(batch).await
    }

    async fn append_batch(&mut self, batch: Vec<RoomAppend>) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        for answer in self.store.append_room(batch).await? {
            if !matches!(answer, RoomAppended::Stored(_) | RoomAppended::Replay(_)) {
                self.note("a message could not be put into the log");
            }
        }
        Ok(())
    }
}

fn read_id(from: &Element) -> Option<u64> {
    let id: u64 = from.get("id")?.parse().ok()?;
    (id < ID_MAX).then_some(id)
}

fn read_affiliation(record: &mut RoomRecord, said: &Element) -> Option<()> {
    let jid = BareJid::parse(said.get("jid")?).ok()?;
    let affiliate = Affiliate {
        affiliation: Affiliation::parse(said.get("affiliation")?)?,
        nick: said.get("nick").map(Into::into),
        reason: said.get("reason").map(Into::into),
    };
    record.affiliations.insert(jid, affiliate);
    Some(())
}

fn read_hat(record: &mut RoomRecord, said: &Element) -> Option<()> {
    let hat = Hat {
        title: said.get("title")?.into(),
        hue: said.get("hue").map(Into::into),
        lang: said.get("lang").map(Into::into),
    };
    record.hats.defined.insert(said.get("uri")?.into(), hat);
    Some(())
}

fn read_worn(record: &mut RoomRecord, said: &Element) -> Option<()> {
    let jid = BareJid::parse(said.get("jid")?).ok()?;
    let worn = record.hats.worn.entry(jid).or_default();
    worn.insert(said.get("uri")?.into());
    Some(())
}

fn read_subject(record: &mut RoomRecord, said: &Element) -> Option<()> {
    let stamp = Timestamp::parse_xep0082(said.get("stamp")?)?;
    let message = message_of(&said.children().next()?.to_bytes())?;
    record.subject = Some(Subject { message, stamp });
    Some(())
}
