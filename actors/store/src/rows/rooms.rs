//! A room as it stands in a database: the rows of one statement, put together.

use std::collections::BTreeMap;

use klatsch_protocol::features::muc::affiliation::{Affiliate, Affiliation};
use klatsch_protocol::features::muc::config::Config;
use klatsch_protocol::features::muc::hats::{Hat, Hats};
use klatsch_protocol::features::muc::record::{RoomRecord, Subject};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::stanza::Stanza;
use klatsch_protocol::time::Timestamp;

use super::{bare, unsigned};
use crate::error::{Result, StoreError};

/// Which part (0 the room itself, 1 an affiliate, 2 a hat, 3 who wears one), four texts, three
/// blobs, three numbers.
pub(crate) type Row = (
    i64,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

/// The room, if it is there.
pub(crate) fn read_record(rows: Vec<Row>) -> Result<Option<RoomRecord>> {
    let mut found = None;
    let mut affiliations = BTreeMap::new();
    let mut hats = Hats::default();
    for row in rows {
        match row.0 {
            0 => found = Some(record(row)?),
            1 => {
                let (jid, affiliate) = affiliate(row)?;
                affiliations.insert(jid, affiliate);
            }
            2 => {
                let (uri, hat) = hat(row)?;
                hats.defined.insert(uri, hat);
            }
            _ => {
                let (jid, uri) = (bare(&text(row.1)?)?, text(row.2)?);
                hats.worn.entry(jid).or_default().insert(uri);
            }
        }
    }
    Ok(found.map(|record| RoomRecord {
        affiliations,
        hats,
        ..record
    }))
}

/// The number of an affiliation is its place among all of them.
pub(crate) fn number_of(affiliation: Affiliation) -> i64 {
    match affiliation {
        Affiliation::Outcast => 0,
        Affiliation::None => 1,
        Affiliation::Member => 2,
        Affiliation::Admin => 3,
        Affiliation::Owner => 4,
    }
}

/// A configuration as it stands in the database.
pub(crate) fn write_config(config: &Config) -> Result<String> {
    serde_json::to_string(config).map_err(|error| StoreError::Unavailable(error.to_string()))
}

fn record(row: Row) -> Result<RoomRecord> {
    let (_, creator, config, .., secret, subject, vcard, version, created, stamp) = row;
    let secret = secret.and_then(|secret| secret.try_into().ok());
    Ok(RoomRecord {
        version: unsigned(number(version)?)?,
        config: read_config(&text(config)?)?,
        affiliations: BTreeMap::new(),
        subject: match (subject, stamp) {
            (Some(message), Some(stamp)) => Some(read_subject(&message, stamp)?),
            _ => None,
        },
        secret: secret.ok_or_else(|| StoreError::Corrupt("a room's secret".to_owned()))?,
        hats: Hats::default(),
        vcard: vcard.map(Into::into),
        creator: bare(&text(creator)?)?,
        created: Timestamp(number(created)?),
    })
}

fn read_subject(message: &[u8], stamp: i64) -> Result<Subject> {
    match Stanza::parse(message) {
        Ok(Stanza::Message(message)) => Ok(Subject {
            message,
            stamp: Timestamp(stamp),
        }),
        _ => Err(StoreError::Corrupt("a room's subject".to_owned())),
    }
}

/// Reads what [`write_config`] has written.
pub(crate) fn read_config(text: &str) -> Result<Config> {
    let broken = |error| StoreError::Corrupt(format!("a room's configuration: {error}"));
    serde_json::from_str(text).map_err(broken)
}

fn affiliate(row: Row) -> Result<(BareJid, Affiliate)> {
    let number = number(row.8)?;
    let affiliation = usize::try_from(number).ok();
    let affiliation = affiliation.and_then(|it| Affiliation::ALL.get(it));
    let affiliation = affiliation.ok_or_else(|| {
        let text = format!("affiliation {number}");
        StoreError::Corrupt(text)
    })?;
    let affiliate = Affiliate {
        affiliation: *affiliation,
        nick: row.2.map(Into::into),
        reason: row.3.map(Into::into),
    };
    Ok((bare(&text(row.1)?)?, affiliate))
}

fn hat(row: Row) -> Result<(Box<str>, Hat)> {
    let hat = Hat {
        title: text(row.2)?,
        hue: row.3.map(Into::into),
        lang: row.4.map(Into::into),
    };
    Ok((text(row.1)?, hat))
}

fn text(column: Option<String>) -> Result<Box<str>> {
    let text = column.ok_or_else(|| StoreError::Corrupt("a row without its text".to_owned()))?;
    Ok(text.into())
}

fn number(column: Option<i64>) -> Result<i64> {
    column.ok_or_else(|| StoreError::Corrupt("a row without its number".to_owned()))
}
