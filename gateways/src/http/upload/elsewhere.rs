//! Contents that lie on another node: they are brought here when somebody asks for them.

use std::io::SeekFrom;
use std::sync::Arc;

use bytes::Bytes;
use klatsch_actors::files::{self, Files, Holder, PIECE_BYTES, Piece};
use klatsch_store::{ContentHash, Store, Upload};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::Refusal;
use super::contents::{Contents, Incoming};

impl files::Contents for Contents {
    fn piece(&self, content: ContentHash, offset: u64) -> Piece<'_> {
        Box::pin(async move {
            let mut file = File::open(self.path(&content)).await.ok()?;
            file.seek(SeekFrom::Start(offset)).await.ok()?;
            let mut piece = Vec::with_capacity(PIECE_BYTES);
            let max = u64::try_from(PIECE_BYTES).unwrap_or(u64::MAX);
            file.take(max).read_to_end(&mut piece).await.ok()?;
            Some(Bytes::from(piece))
        })
    }
}

/// Brings a content here from a node that has it; what is not what it is called is not kept.
pub(super) async fn bring(
    contents: &Contents,
    files: &Files,
    store: &Store,
    upload: &Upload,
) -> Result<(), Refusal> {
    for holder in files.holders() {
        let mut incoming = contents.begin().await?;
        if copy(files, holder, upload, &mut incoming).await? {
            let is_right = |content| async move {
                Ok(content == upload.content && store.is_content_wanted(content).await?)
            };
            contents.keep(incoming, is_right).await??;
            return Ok(());
        }
    }
    Err(Refusal::NotFound)
}

/// False: the node does not have it, or not all of it.
async fn copy(
    files: &Files,
    holder: Holder,
    upload: &Upload,
    incoming: &mut Incoming,
) -> Result<bool, Refusal> {
    let mut offset = 0;
    while offset < upload.size {
        match files.piece(holder, upload.content, offset).await {
            Some(piece) if !piece.is_empty() => {
                incoming.write(&piece).await?;
                offset += piece.len() as u64;
            }
            _ => return Ok(false),
        }
    }
    Ok(offset == upload.size)
}

/// Lets other nodes have what lies here.
pub fn offer(contents: &Arc<Contents>, files: &Files) {
    files.offer(Arc::clone(contents) as _);
}
