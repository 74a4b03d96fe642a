//! What the store knows of files that people have sent (XEP-0363), in our own namespace:
//!
//! ```xml
//! <file xmlns='urn:klatsch:export:0' id='…' name='cat.jpg' type='image/jpeg' size='9'
//!     sha-256='…' stamp='2026-11-28T22:02:00Z' ends='2027-11-28T22:02:00Z'/>
//! ```
//!
//! Their contents are not in the file: they would make it many times as large. They lie in the
//! data directory under their hashes, and stay there when only the store becomes another.

use klatsch_protocol::features::upload::SlotRequest;
use klatsch_protocol::features::upload::slot::{Id, Slot, id_text, parse_id};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::encoding;
use klatsch_protocol::time::Timestamp;
use klatsch_protocol::xml::Element;
use klatsch_store::{ContentHash, Reserved, Store, StoreError, Upload};
use std::time::Duration;

use super::NS_OWN;

/// A file that comes takes its room for so long, which is until the next statement.
const COMING: Duration = Duration::from_secs(60);

/// A file as the export has it.
pub(super) fn write(id: &Id, of: &Upload) -> Element {
    Element::new("file", NS_OWN)
        .attr("id", id_text(id))
        .attr("name", of.name.clone())
        .attr_opt("type", of.content_type.clone())
        .attr("size", of.size.to_string())
        .attr("sha-256", encoding::encode(&of.content))
        .attr("stamp", of.stamp.to_xep0082())
        .attr_opt("ends", of.ends.map(Timestamp::to_xep0082))
}

struct Read {
    id: Id,
    upload: Upload,
}

fn read(element: &Element, account: &BareJid) -> Option<Read> {
    let time = |text: &str| Timestamp::parse_xep0082(text);
    let content = encoding::decode(element.get("sha-256")?).ok()?;
    let ends = match element.get("ends") {
        Some(text) => Some(time(text)?),
        None => None,
    };
    Some(Read {
        id: parse_id(element.get("id")?)?,
        upload: Upload {
            domain: account.domain().to_owned(),
            name: element.get("name")?.to_owned(),
            content_type: element.get("type").map(str::to_owned),
            size: element.get("size")?.parse().ok()?,
            content: ContentHash::try_from(content.as_slice()).ok()?,
            stamp: time(element.get("stamp")?)?,
            ends,
        },
    })
}

/// Takes a file in, unless it is there or its time is over. Answers what is wrong with it.
///
/// # Errors
/// What the store says.
pub(super) async fn take(
    store: &Store,
    account: &BareJid,
    element: &Element,
    now: Timestamp,
) -> Result<Option<&'static str>, StoreError> {
    let Some(Read { id, upload }) = read(element, account) else {
        return Ok(Some("a file that cannot be read"));
    };
    let is_over = upload.ends.is_some_and(|ends| ends <= now);
    if is_over || store.upload(id, now).await?.is_some() {
        return Ok(None);
    }
    let request = SlotRequest {
        slot: Slot::new(id, upload.name, upload.size, now.plus(COMING)),
        owner: account.clone(),
        content_type: upload.content_type,
        expires: upload.ends,
        // What was there before may stay.
        account_bytes_max: u64::MAX,
        account_files_max: u64::MAX,
    };
    match store.reserve_upload(&request, now).await {
        Ok(Reserved::Granted) => {}
        Ok(Reserved::OverQuota(_)) => return Ok(Some("a file larger than any")),
        // Somebody's slot, or what is left of a file.
        Err(StoreError::Conflict) => return Ok(Some("a file whose place is taken")),
        Err(error) => return Err(error),
    }
    let stamp = upload.stamp.min(now);
    store.complete_upload(id, upload.content, stamp).await?;
    Ok(None)
}
