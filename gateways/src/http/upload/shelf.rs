//! The folder of contents: each stands once, under its hash.
//!
//! A content is written to a file without a name anybody knows, synced, then renamed: what has
//! a hash for its name is whole, whatever happened in between. A lock keeps whoever takes a
//! content away from somebody who is just putting the same one there.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use klatsch_store::ContentHash;
use sha2::{Digest, Sha256};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Where files are that are not whole yet.
const ARRIVING: &str = "arriving";

/// Folders that contents are spread over, by the first byte of the hash.
pub(super) const FOLDERS: u16 = 256;

/// The folder of contents.
pub(super) struct Shelf {
    folder: PathBuf,
    /// Read by those who put a content there and refer to it; written by who takes it away.
    lock: RwLock<()>,
}

/// A content that is arriving; dropped before it is whole, it goes.
pub(super) struct Arriving {
    file: File,
    path: PathBuf,
    hash: Sha256,
    is_kept: bool,
}

impl Shelf {
    /// Opens the folder. What was arriving when the server last stopped goes.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        let arriving = folder.join(ARRIVING);
        match std::fs::remove_dir_all(&arriving) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(&arriving)?,
        }
        Ok(Self {
            folder: folder.to_owned(),
            lock: RwLock::default(),
        })
    }

    /// Begins a content; the name is nobody else's.
    pub(super) async fn begin(&self) -> io::Result<Arriving> {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|error| io::Error::other(error.to_string()))?;
        let path = self.folder.join(ARRIVING).join(hex(&name));
        let file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .await?;
        Ok(Arriving {
            file,
            path,
            hash: Sha256::new(),
            is_kept: false,
        })
    }

    /// Held while a content is put on the shelf, until the store refers to it.
    pub(super) async fn putting(&self) -> RwLockReadGuard<'_, ()> {
        self.lock.read().await
    }

    /// Held while it is found out that nobody refers to a content, and that is taken away.
    pub(super) async fn taking(&self) -> RwLockWriteGuard<'_, ()> {
        self.lock.write().await
    }

    /// Puts a whole content on the shelf. The same content that is there is the same file.
    pub(super) async fn put(&self, mut arriving: Arriving) -> io::Result<ContentHash> {
        arriving.file.sync_all().await?;
        let hash: ContentHash = std::mem::take(&mut arriving.hash).finalize().into();
        let path = self.path(&hash);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).await?;
        fs::rename(&arriving.path, &path).await?;
        arriving.is_kept = true;
        // The names too: of the file, and of its folder, should that be new.
        File::open(folder).await?.sync_all().await?;
        File::open(&self.folder).await?.sync_all().await?;
        Ok(hash)
    }

    /// Opens a content.
    pub(super) async fn get(&self, hash: &ContentHash) -> io::Result<File> {
        File::open(self.path(hash)).await
    }

    /// Takes a content away; one that is not there is no error.
    pub(super) async fn take(&self, hash: &ContentHash) -> io::Result<()> {
        match fs::remove_file(self.path(hash)).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// The contents in one of the folders.
    pub(super) async fn list(&self, folder: u8) -> io::Result<Vec<ContentHash>> {
        let mut entries = match fs::read_dir(self.folder.join(hex(&[folder]))).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            found.extend(entry.file_name().to_str().and_then(parse_hash));
        }
        Ok(found)
    }

    fn path(&self, hash: &ContentHash) -> PathBuf {
        self.folder.join(hex(&hash[..1])).join(hex(hash))
    }
}

impl Arriving {
    /// Writes the next piece.
    pub(super) async fn write(&mut self, piece: &Bytes) -> io::Result<()> {
        self.hash.update(piece);
        self.file.write_all(piece).await
    }

    /// Waits until everything has been handed to the system.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        self.file.flush().await
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        if !self.is_kept {
            // What cannot be removed now goes with the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// As hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn parse_hash(name: &str) -> Option<ContentHash> {
    let mut hash = ContentHash::default();
    if name.len() != 2 * hash.len() || !name.is_ascii() {
        return None;
    }
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&name[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn put(shelf: &Shelf, content: &'static [u8]) -> ContentHash {
        let mut arriving = shelf.begin().await.unwrap();
        arriving.write(&Bytes::from_static(content)).await.unwrap();
        arriving.flush().await.unwrap();
        shelf.put(arriving).await.unwrap()
    }

    fn files(folder: &Path) -> usize {
        let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
        let count = |path: PathBuf| if path.is_dir() { files(&path) } else { 1 };
        entries.map(|entry| count(entry.path())).sum()
    }

    #[tokio::test]
    async fn the_same_content_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path()).unwrap();
        let hash = put(&shelf, b"abc").await;
        assert!(hex(&hash).starts_with("ba7816bf"), "SHA-256 of abc");
        assert_eq!(put(&shelf, b"abc").await, hash);
        assert_eq!(files(folder.path()), 1);
        assert_eq!(shelf.list(hash[0]).await.unwrap(), [hash]);
        shelf.take(&hash).await.unwrap();
        shelf.take(&hash).await.unwrap();
        assert_eq!(files(folder.path()), 0);
    }

    #[tokio::test]
    async fn what_does_not_arrive_whole_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path()).unwrap();
        let mut arriving = shelf.begin().await.unwrap();
        arriving.write(&Bytes::from_static(b"ab")).await.unwrap();
        arriving.flush().await.unwrap();
        drop(arriving);
        assert_eq!(files(folder.path()), 0);
    }

    #[tokio::test]
    async fn a_start_removes_what_a_crash_has_left() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(ARRIVING)).unwrap();
        std::fs::write(folder.path().join(ARRIVING).join("half"), "ha").unwrap();
        Shelf::open(folder.path()).unwrap();
        assert_eq!(files(folder.path()), 0);
    }
}
