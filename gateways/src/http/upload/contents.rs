//! Contents on disk, each once, called by its hash.
//!
//! A content is written beside the others, made durable, and only then gets its name; what a
//! crash interrupts is removed at the next start. Keeping and removing take turns, so that a
//! content that comes again while its last file goes is not lost.

use std::fs;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};

use klatsch_store::{ContentHash, StoreError};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// Where contents lie until they are whole.
const INCOMING: &str = "incoming";

/// A folder of contents.
pub struct Contents {
    folder: PathBuf,
    turns: Mutex<()>,
}

/// A content that is being written; without a name it goes when it is dropped.
pub(super) struct Incoming {
    path: PathBuf,
    file: File,
    hash: Sha256,
}

impl Contents {
    /// Opens the folder, makes it if need be, and removes what is not whole.
    ///
    /// # Errors
    /// The folder cannot be made or read.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        let incoming = folder.join(INCOMING);
        fs::create_dir_all(&incoming)?;
        for entry in fs::read_dir(incoming)? {
            fs::remove_file(entry?.path())?;
        }
        let turns = Mutex::new(());
        Ok(Self { folder, turns })
    }

    /// The file with this content.
    pub(super) fn path(&self, content: &ContentHash) -> PathBuf {
        let name: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
        // 256 folders: a file system is asked for short lists only.
        self.folder.join(&name[..2]).join(name)
    }

    /// Begins a content.
    pub(super) async fn begin(&self) -> io::Result<Incoming> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let name = format!("{:032x}", u128::from_be_bytes(random));
        let path = self.folder.join(INCOMING).join(name);
        let file = File::create_new(&path).await?;
        let hash = Sha256::new();
        Ok(Incoming { path, file, hash })
    }

    /// Tells whether a content is here.
    pub(super) async fn has(&self, content: &ContentHash) -> bool {
        tokio::fs::try_exists(self.path(content))
            .await
            .unwrap_or(false)
    }

    /// Gives a whole content its name and says so; what is not wanted then goes again.
    pub(super) async fn keep<C, F>(
        &self,
        mut incoming: Incoming,
        complete: C,
    ) -> io::Result<Result<bool, StoreError>>
    where
        C: FnOnce(ContentHash) -> F,
        F: Future<Output = Result<bool, StoreError>>,
    {
        incoming.file.flush().await?;
        incoming.file.sync_all().await?;
        let content: ContentHash = incoming.hash.clone().finalize().into();
        let path = self.path(&content);
        let from = incoming.path.clone();
        let _turn = self.turns.lock().await;
        spawn_blocking(move || rename(&from, &path))
            .await
            .map_err(io::Error::other)??;
        // One that nobody wants goes with the next start: it may be another file's as well.
        Ok(complete(content).await)
    }

    /// Removes a content unless it is wanted.
    pub(super) async fn remove(
        &self,
        content: &ContentHash,
        is_wanted: impl Future<Output = Result<bool, StoreError>>,
    ) -> Result<(), StoreError> {
        let _turn = self.turns.lock().await;
        if is_wanted.await? {
            return Ok(());
        }
        match tokio::fs::remove_file(self.path(content)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "a content was not removed");
            }
            _ => {}
        }
        Ok(())
    }

    /// Removes all contents that no file has.
    pub(super) async fn remove_unwanted<C, F>(&self, is_wanted: C) -> io::Result<()>
    where
        C: Fn(ContentHash) -> F,
        F: Future<Output = Result<bool, StoreError>>,
    {
        let mut folders = tokio::fs::read_dir(&self.folder).await?;
        while let Some(folder) = folders.next_entry().await? {
            let name = folder.file_name();
            if name == INCOMING || !folder.file_type().await?.is_dir() {
                continue;
            }
            let mut files = tokio::fs::read_dir(folder.path()).await?;
            while let Some(file) = files.next_entry().await? {
                if let Some(content) = file.file_name().to_str().and_then(parse) {
                    let wanted = is_wanted(content);
                    let removed = self.remove(&content, wanted).await;
                    removed.map_err(io::Error::other)?;
                }
            }
        }
        Ok(())
    }
}

impl Incoming {
    /// Takes the next bytes.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.file.write_all(bytes).await
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // It has another name by now, or nobody needs it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Renames durably: the name is lost with a crash unless its folder is written as well.
fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let folder = to.parent().unwrap_or(to);
    if !folder.exists() {
        fs::create_dir_all(folder)?;
        if let Some(parent) = folder.parent() {
            fs::File::open(parent)?.sync_all()?;
        }
    }
    fs::rename(from, to)?;
    fs::File::open(folder)?.sync_all()
}

fn parse(name: &str) -> Option<ContentHash> {
    let is_hash = name.len() == 64 && name.is_ascii();
    let byte = |index: usize| u8::from_str_radix(&name[2 * index..2 * index + 2], 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).filter(|_| is_hash).map(byte).collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn kept(contents: &Contents, bytes: &[u8]) -> ContentHash {
        let mut incoming = contents.begin().await.unwrap();
        incoming.write(bytes).await.unwrap();
        let mut hash = None;
        let complete = |content| {
            hash = Some(content);
            async { Ok(true) }
        };
        let kept = contents.keep(incoming, complete).await.unwrap();
        assert_eq!(kept, Ok(true));
        hash.unwrap()
    }

    #[tokio::test]
    async fn content_lies_once_under_its_hash() {
        let folder = tempfile::tempdir().unwrap();
        let contents = Contents::open(folder.path().to_owned()).unwrap();
        let first = kept(&contents, b"hello").await;
        assert_eq!(kept(&contents, b"hello").await, first);
        let bytes = fs::read(contents.path(&first)).unwrap();
        assert_eq!(bytes, b"hello");
        let left = fs::read_dir(folder.path().join(INCOMING)).unwrap();
        assert_eq!(left.count(), 0);
    }

    #[tokio::test]
    async fn what_is_not_whole_is_gone_at_once_or_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let contents = Contents::open(folder.path().to_owned()).unwrap();
        let incoming = contents.begin().await.unwrap();
        let path = incoming.path.clone();
        drop(incoming);
        assert!(!path.exists());
        fs::write(&path, b"half").unwrap();
        Contents::open(folder.path().to_owned()).unwrap();
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn content_goes_when_nobody_wants_it() {
        let folder = tempfile::tempdir().unwrap();
        let contents = Contents::open(folder.path().to_owned()).unwrap();
        let (wanted, unwanted) = (kept(&contents, b"a").await, kept(&contents, b"b").await);
        let is_wanted = |content| async move { Ok(content == wanted) };
        contents.remove_unwanted(is_wanted).await.unwrap();
        assert!(contents.path(&wanted).exists());
        assert!(!contents.path(&unwanted).exists());
    }

    #[test]
    fn only_hashes_are_names_of_contents() {
        assert_eq!(parse(&"ab".repeat(32)), Some([0xab; 32]));
        for name in ["", "ab", "notes.txt", &"zz".repeat(32), &"ä".repeat(32)] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
