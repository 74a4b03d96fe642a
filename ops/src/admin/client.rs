//! The command's end of the admin socket; it waits, for it has nothing else to do.

use super::{ANSWER_BYTES_MAX, Answer, Request, SOCKET, socket_path};
use crate::error::Error;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than the server takes to answer anything; one that is stuck should not hold a script for
/// ever.
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
        let broken = |error| no_answer(error, &self.path);
        let mut line = serde_json::to_vec(request).map_err(|error| broken(error.into()))?;
        line.push(b'\n');
        self.stream.get_mut().write_all(&line).map_err(broken)?;
        let mut answer = Vec::new();
        let mut limited = (&mut self.stream).take(ANSWER_BYTES_MAX);
        limited.read_until(b'\n', &mut answer).map_err(broken)?;
        serde_json::from_slice(&answer).map_err(|error| broken(error.into()))
    }
}

fn no_answer(error: std::io::Error, path: &Path) -> Error {
    match error.kind() {
        // What the system says of a time that is over reads like a fault of the machine.
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Refused(format!(
            "no answer in {} seconds: the server may still be at it",
            PATIENCE.as_secs()
        )),
        _ => Error::io("no answer from", path)(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_is_still_at_it_is_no_fault_of_the_machine() {
        let path = Path::new("/data/admin.sock");
        let late = no_answer(ErrorKind::WouldBlock.into(), path).to_string();
        assert_eq!(
            late,
            "no answer in 60 seconds: the server may still be at it"
        );
        let gone = no_answer(ErrorKind::BrokenPipe.into(), path).to_string();
        assert_eq!(gone, "no answer from /data/admin.sock: broken pipe");
    }
}
