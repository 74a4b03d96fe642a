//! A full disk (experiment 10): the file system under the server's data gets a
//! file that leaves no room, for a while. What the server cannot keep it has
//! to refuse, and when there is room again it goes on without a restart.
//!
//! Give it a small file system of its own, such as a tmpfs; more than
//! [`FILL_MAX`] is taken for a mistake.

use std::fs::{File, OpenOptions, remove_file};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{LoadError, Result};

/// The file that takes the room.
const NAME: &str = "klatsch-loadtest-fills-the-disk";

/// More than this is never written.
const FILL_MAX: u64 = 1 << 30;

/// Room that the server frees meanwhile is taken again so often.
const AGAIN: Duration = Duration::from_millis(20);

/// Removes the file however the run ends.
struct Filler {
    path: PathBuf,
    file: File,
    written: u64,
}

impl Drop for Filler {
    fn drop(&mut self) {
        // Nothing better is to be done than to leave it to the operator.
        let _ = remove_file(&self.path);
    }
}

/// Keeps the file system full for a while.
pub(super) async fn keep_full(folder: &Path, duration: Duration) -> Result<()> {
    let path = folder.join(NAME);
    let file = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut filler = Filler {
        path,
        file,
        written: 0,
    };
    let until = Instant::now() + duration;
    loop {
        fill(&mut filler)?;
        if Instant::now() >= until {
            return Ok(());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Writes until nothing fits any more: in large blocks first, then byte by byte.
fn fill(filler: &mut Filler) -> Result<()> {
    for block in [1 << 20, 4096, 1] {
        let zeros = vec![0; block];
        while write_all_or_full(&mut filler.file, &zeros)? {
            filler.written += block as u64;
            if filler.written > FILL_MAX {
                let folder = filler.path.parent().unwrap_or(Path::new("."));
                return Err(LoadError::Usage(format!(
                    "{} is too large to be filled",
                    folder.display()
                )));
            }
        }
    }
    Ok(())
}

/// False when there is no room.
fn write_all_or_full(file: &mut File, bytes: &[u8]) -> io::Result<bool> {
    match file.write_all(bytes) {
        Ok(()) => Ok(true),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WriteZero
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
