//! The command's end of the admin socket; it waits, for it has nothing else to do.

use super::{ANSWER_BYTES_MAX, Answer, Request, SOCKET, socket_path};
use crate::error::Error;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than any command takes; a server that is stuck should not hold a script for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection to the running server.
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl Client {
    /// Connects to the server of a data directory; `None` when none runs there.
    pub fn connect(data: &Path) -> Result<Option<Self>, Error> {
        let path = data.join(SOCKET);
        if !path.exists() {
            return Ok(None);
        }
        let (reachable, _keep) = socket_path(data)?;
        let stream = match UnixStream::connect(&reachable) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(None),
            Err(error) => return Err(Error::io("cannot reach the server at", &path)(error)),
        };
        let patient = stream.set_read_timeout(Some(PATIENCE));
        patient.map_err(Error::io("cannot use", &path))?;
        Ok(Some(Self {
            stream: BufReader::new(stream),
            path,
        }))
    }

    /// Asks and waits for the answer.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, Error> {
        let broken = |error| Error::io("no answer from", &self.path)(error);
        let mut line = serde_json::to_vec(request).map_err(|error| broken(error.into()))?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).map_err(broken)?;
        let mut answer = Vec::new();
        let mut limited = (&mut self.stream).take(ANSWER_BYTES_MAX);
        limited.read_until(b'\n', &mut answer).map_err(broken)?;
        serde_json::from_slice(&answer).map_err(|error| broken(error.into()))
    }
}
