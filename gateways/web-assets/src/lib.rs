//! The files of the web client, as `gateways/web/build.sh` leaves them in `gateways/web/dist`.
//!
//! They are in the program (a release) or read from the source tree (a debug build), or come
//! from a folder that the operator names. A crate of its own, so that another look of the
//! client builds nothing of the server anew but this.
//!
//! Leaves out HTTP: what browsers are told about a file is said by the gateways.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// The page that is the client; without it a folder is none.
pub const INDEX: &str = "index.html";

/// A client is some hundred files; more is another folder than was meant.
const FILES_MAX: usize = 5_000;

/// A client has some megabytes, and all of a folder is kept in memory.
const BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Folders within folders: also ends a link that leads back to where it stands.
const DEPTH_MAX: usize = 8;

/// No file of ours has a longer name.
const NAME_BYTES_MAX: usize = 255;

#[derive(rust_embed::Embed)]
#[folder = "../web/dist"]
struct Embedded;

/// The files there are.
#[derive(Debug, Default)]
pub struct Assets(Source);

#[derive(Debug, Default)]
enum Source {
    #[default]
    Embedded,
    Folder(BTreeMap<String, File>),
}

/// One file.
#[derive(Debug, Clone)]
pub struct File {
    /// What is in it.
    pub bytes: Bytes,
    /// SHA-256 of that.
    pub hash: [u8; 32],
}

impl File {
    /// A file with this in it.
    pub fn of(bytes: Bytes) -> Self {
        let hash = Sha256::digest(&bytes).into();
        Self { bytes, hash }
    }
}

/// Why a folder is no client.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It, or something in it, cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It lacks the one page.
    #[error("{} has no {INDEX}", .0.display())]
    NoIndex(PathBuf),
    /// It is too large to be one.
    #[error("{} has more than {FILES_MAX} files or {BYTES_MAX} bytes, or too many folders in each other", .0.display())]
    TooLarge(PathBuf),
}

impl Assets {
    /// Reads all files of a folder, those whose names begin with a dot left out. They stay what
    /// they were when it was read.
    ///
    /// # Errors
    /// The folder cannot be read, or is no client.
    pub fn of_folder(folder: &Path) -> Result<Self, FolderError> {
        let mut reading = Reading {
            root: folder,
            bytes_left: BYTES_MAX,
            files: BTreeMap::new(),
        };
        reading.read(folder, "", DEPTH_MAX)?;
        if !reading.files.contains_key(INDEX) {
            return Err(FolderError::NoIndex(folder.to_owned()));
        }
        Ok(Self(Source::Folder(reading.files)))
    }

    /// The file of a name such as `assets/index-BX2k1a9Z.js`.
    pub fn get(&self, name: &str) -> Option<File> {
        if !is_name(name) {
            return None;
        }
        match &self.0 {
            Source::Folder(files) => files.get(name).cloned(),
            Source::Embedded => Embedded::get(name).map(|file| File {
                bytes: match file.data {
                    Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                    Cow::Owned(bytes) => bytes.into(),
                },
                hash: file.metadata.sha256_hash(),
            }),
        }
    }
}

/// Tells whether this can be a file's name: plain words with slashes between them, none of which
/// leads elsewhere or is hidden.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~@+".contains(&byte);
    let is_segment = |segment: &str| {
        !segment.is_empty() && !segment.starts_with('.') && segment.bytes().all(is_plain)
    };
    name.len() <= NAME_BYTES_MAX && name.split('/').all(is_segment)
}

/// A folder as far as it has been read.
struct Reading<'a> {
    root: &'a Path,
    bytes_left: u64,
    files: BTreeMap<String, File>,
}

impl Reading<'_> {
    fn read(&mut self, folder: &Path, prefix: &str, depth: usize) -> Result<(), FolderError> {
        if depth == 0 {
            return Err(self.too_large());
        }
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let entry = entry.map_err(unreadable(folder))?;
            let path = entry.path();
            let Some(name) = entry.file_name().to_str().map(|it| format!("{prefix}{it}")) else {
                continue;
            };
            if !is_name(&name) {
                continue;
            }
            // Follows links: volumes of Kubernetes are made of them.
            let metadata = fs::metadata(&path).map_err(unreadable(&path))?;
            match metadata.is_dir() {
                true => self.read(&path, &format!("{name}/"), depth - 1)?,
                false => self.take(&path, name, metadata.len())?,
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &Path, name: String, size: u64) -> Result<(), FolderError> {
        let left = self.bytes_left.checked_sub(size);
        self.bytes_left = left.ok_or_else(|| self.too_large())?;
        if self.files.len() >= FILES_MAX {
            return Err(self.too_large());
        }
        let bytes = fs::read(path).map_err(unreadable(path))?;
        self.files.insert(name, File::of(bytes.into()));
        Ok(())
    }

    fn too_large(&self) -> FolderError {
        FolderError::TooLarge(self.root.to_owned())
    }
}

fn unreadable(path: &Path) -> impl FnOnce(io::Error) -> FolderError {
    let path = path.to_owned();
    move |source| FolderError::Unreadable { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_has_the_page_that_is_the_client() {
        let page = Assets::default().get(INDEX).unwrap();
        assert!(page.bytes.starts_with(b"<!doctype html>"));
    }

    #[test]
    fn name_that_leads_elsewhere_is_none() {
        let assets = Assets::default();
        for name in [
            "",
            "/index.html",
            "../dist/index.html",
            "assets/../index.html",
            "./index.html",
            "assets//x.js",
            ".vite/manifest.json",
            "..%2findex.html",
            "..\\index.html",
            "index.html\0",
            "../../web-assets/src/lib.rs",
        ] {
            assert!(assets.get(name).is_none(), "{name:?}");
        }
    }

    #[test]
    fn folder_is_read_with_what_is_below_and_without_what_is_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("assets")).unwrap();
        fs::write(at(INDEX), "one").unwrap();
        fs::write(at("assets/a.js"), "two").unwrap();
        fs::write(at(".secret"), "three").unwrap();
        let assets = Assets::of_folder(folder.path()).unwrap();
        assert_eq!(&assets.get("assets/a.js").unwrap().bytes[..], b"two");
        assert_ne!(
            assets.get(INDEX).unwrap().hash,
            assets.get("assets/a.js").unwrap().hash
        );
        assert!(assets.get(".secret").is_none());
        // What it was when the server started is what all nodes of a release serve.
        fs::write(at(INDEX), "another").unwrap();
        assert_eq!(&assets.get(INDEX).unwrap().bytes[..], b"one");
    }

    #[test]
    fn folder_that_is_no_client_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let error = Assets::of_folder(folder.path()).unwrap_err();
        assert!(matches!(error, FolderError::NoIndex(_)), "{error}");
        let error = Assets::of_folder(&folder.path().join("none")).unwrap_err();
        assert!(matches!(error, FolderError::Unreadable { .. }), "{error}");
        std::os::unix::fs::symlink(folder.path(), folder.path().join("round")).unwrap();
        let error = Assets::of_folder(folder.path()).unwrap_err();
        assert!(matches!(error, FolderError::TooLarge(_)), "{error}");
    }
}
