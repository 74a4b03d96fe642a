//! Pictures of the people of a directory: made anew where they have changed, and kept.

use std::sync::Arc;

use klatsch_protocol::colleagues::{Book, Entry, EntryId, Photo};
use klatsch_protocol::time::Timestamp;
use klatsch_store::Store;

use super::reader::{PictureError, Pictures};
use crate::photo;

/// What the book has of pictures, and where they are kept.
pub(super) struct Album {
    pub(super) book: Arc<Book>,
    pub(super) store: Store,
    pub(super) now: Timestamp,
}

impl Album {
    /// The picture somebody has in the book, if it was made of this.
    fn known(&self, of: &EntryId, source: &str) -> Option<Photo> {
        match &**self.book.entry(of)? {
            Entry::Person(person) => {
                let photo = person.photo.as_ref()?;
                (*photo.source == *source).then(|| photo.clone())
            }
            Entry::Group(_) => None,
        }
    }
}

impl Pictures for Album {
    async fn take(&self, of: &EntryId, bytes: Vec<u8>) -> Result<Photo, PictureError> {
        if bytes.len() > photo::SOURCE_BYTES_MAX {
            return Err(PictureError::Bad);
        }
        if let Some(photo) = self.known(of, &photo::source(&bytes)) {
            return Ok(photo);
        }
        let Ok((photo, made)) = photo::rewrite(bytes).await else {
            return Err(PictureError::Bad);
        };
        match self.store.keep_photo(&photo.hash, made, self.now).await {
            Ok(()) => Ok(photo),
            Err(error) => Err(PictureError::Unavailable(error.to_string())),
        }
    }
}
