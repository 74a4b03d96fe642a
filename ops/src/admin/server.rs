//! The server's end of the admin socket.

use super::{AdminHandler, Answer, REQUEST_BYTES_MAX, Request, SOCKET, socket_path};
use crate::error::Error;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Commands at once; the next ones wait in the kernel.
const CONNECTIONS_MAX: usize = 16;

/// A command that says nothing for so long is dead; an import takes its time between two lines.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How long to wait when the process is out of descriptors.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(200);

/// Opens the socket. Whoever calls holds the data directory's lock: a socket that is there is a dead one's.
pub fn bind(data: &Path) -> Result<UnixListener, Error> {
    let (path, _keep) = socket_path(data)?;
    let _ = std::fs::remove_file(&path);
    let shown = data.join(SOCKET);
    let listener = UnixListener::bind(&path).map_err(Error::io("cannot listen on", &shown))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o600))
        .map_err(Error::io("cannot protect", &shown))?;
    Ok(listener)
}

/// Answers commands for as long as it is polled.
pub async fn serve(listener: UnixListener, handler: Arc<dyn AdminHandler>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(EXHAUSTED_PAUSE).await;
            continue;
        };
        let handler = Arc::clone(&handler);
        tokio::spawn(async move {
            if let Err(error) = converse(stream, handler.as_ref()).await {
                tracing::debug!(%error, "admin connection ended");
            }
            drop(place);
        });
    }
}

async fn converse(stream: UnixStream, handler: &dyn AdminHandler) -> std::io::Result<()> {
    let (input, mut output) = stream.into_split();
    let mut input = BufReader::new(input);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut input).take(REQUEST_BYTES_MAX);
        let taken = timeout(SILENCE_MAX, limited.read_until(b'\n', &mut line)).await??;
        if taken == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_slice::<Request>(&line) {
            Ok(request) => handler.handle(request).await,
            Err(error) => Answer::Refused(format!("not a request: {error}")),
        };
        let mut bytes = serde_json::to_vec(&answer)?;
        bytes.push(b'\n');
        timeout(SILENCE_MAX, output.write_all(&bytes)).await??;
        // What is left of a line that was cut would be read as another request.
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
    }
}
