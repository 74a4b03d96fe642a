//! How a file is read.

use klatsch_protocol::features::upload::slot::Id;
use klatsch_protocol::time::Timestamp;

use super::unsigned;
use crate::error::{Result, StoreError};
use crate::uploads::{ContentHash, Upload};

/// A file that is there.
#[derive(sqlx::FromRow)]
pub(crate) struct UploadRow {
    id: Vec<u8>,
    domain: String,
    name: String,
    content_type: Option<String>,
    size: i64,
    content: Vec<u8>,
    stamp: i64,
    ends: Option<i64>,
}

/// The file of a row.
pub(crate) fn upload_of(row: UploadRow) -> Result<(Id, Upload)> {
    let wrong = || StoreError::Corrupt("a file's id has 16 bytes".into());
    let upload = Upload {
        domain: row.domain,
        name: row.name,
        content_type: row.content_type,
        size: unsigned(row.size)?,
        content: content_hash(row.content)?,
        stamp: Timestamp(row.stamp),
        ends: row.ends.map(Timestamp),
    };
    Ok((row.id.try_into().map_err(|_| wrong())?, upload))
}

/// The hash of a content.
pub(crate) fn content_hash(bytes: Vec<u8>) -> Result<ContentHash> {
    let wrong = || StoreError::Corrupt("a content's hash has 32 bytes".into());
    bytes.try_into().map_err(|_| wrong())
}
