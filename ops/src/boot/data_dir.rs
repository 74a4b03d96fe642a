//! The directory of all a server keeps, and the lock by which only one server uses it.

use crate::error::Error;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// The file whose lock is held while the directory is used. It is never removed: who waits for the
/// lock of a removed file holds nothing.
const LOCK: &str = "lock";

/// The data directory, ours as long as this lives: the kernel lets go of the lock when we die.
pub struct DataDir {
    path: PathBuf,
    _lock: File,
}

impl DataDir {
    /// Makes the directory where needed, readable by its owner alone, and takes it.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder
            .create(path)
            .map_err(Error::io("cannot make the data directory", path))?;
        // From here on the working directory does not matter.
        let path = fs::canonicalize(path).map_err(Error::io("cannot find", path))?;
        if is_open_to_others(&path) {
            tracing::warn!(data = ?path, "the data directory is open to others: chmod 700");
        }
        let lock = lock(&path)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the admin socket, so that nobody looks for a server behind it.
    pub(super) fn remove_socket(&self) {
        // Gone already is as good.
        let _ = fs::remove_file(self.path.join("admin.sock"));
    }
}

/// Tells whether group or others may look into a directory or file.
pub fn is_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0)
}

/// Writes a file that its owner alone may read; whoever reads it sees all of it or the one before.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let new = path.with_extension("new");
    // A leftover of a start that was cut short could have other permissions.
    let _ = fs::remove_file(&new);
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new);
    let written = file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(Error::io("cannot write", &new))?;
    fs::rename(&new, path).map_err(Error::io("cannot write", path))
}

fn lock(data: &Path) -> Result<File, Error> {
    let path = data.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path);
    let file = file.map_err(Error::io("cannot open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(data.to_owned())),
        Err(TryLockError::Error(error)) => Err(Error::io("cannot lock", &path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_is_made_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(&folder.path().join("a/b")).unwrap();
        let mode = fs::metadata(data.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(!is_open_to_others(data.path()));
    }

    #[test]
    fn second_server_does_not_get_the_directory() {
        let folder = tempfile::tempdir().unwrap();
        let first = DataDir::open(folder.path()).unwrap();
        assert!(matches!(
            DataDir::open(folder.path()),
            Err(Error::Locked(_))
        ));
        drop(first);
        assert!(DataDir::open(folder.path()).is_ok());
    }

    #[test]
    fn secret_is_readable_by_its_owner_alone_and_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        write_secret(&path, b"one").unwrap();
        write_secret(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
