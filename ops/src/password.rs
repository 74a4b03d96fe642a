//! Passwords on their way from a person to the store: read without echo, or made.
//!
//! Never shown by `Debug`, never logged. Leaves out wiping: terminals and pipes keep copies anyway.

use crate::error::Error;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, BufRead, IsTerminal, Read, Stdin, Write};

/// Longer than anybody types, short enough to be read at once.
const BYTES_MAX: u64 = 1024;

/// Letters and digits that nobody mistakes for one another.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";

/// 20 of 32 characters are 100 bits.
const MADE_CHARACTERS: usize = 20;

/// A password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Password(String);

impl Password {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; the name makes uses easy to find.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Makes a password of 100 bits that can be typed.
    pub fn make() -> Result<Self, Error> {
        let mut random = [0u8; MADE_CHARACTERS];
        getrandom::fill(&mut random)
            .map_err(|error| Error::Refused(format!("no randomness: {error}")))?;
        let text = random
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
            .collect();
        Ok(Self(text))
    }

    /// Reads the first line of the standard input.
    pub fn from_stdin() -> Result<Self, Error> {
        Self::read_line(&mut io::stdin().lock())
    }

    /// Asks twice on the terminal, without showing what is typed; nothing typed is nothing asked for.
    pub fn ask() -> Result<Option<Self>, Error> {
        let first = ask_once("Password (empty makes one): ")?;
        if first.0.is_empty() {
            return Ok(None);
        }
        if first != ask_once("Once more: ")? {
            return Err(Error::Refused(
                "these were two different passwords".to_owned(),
            ));
        }
        Ok(Some(first))
    }

    /// Tells whether somebody sits at the standard input.
    pub fn can_ask() -> bool {
        io::stdin().is_terminal()
    }

    fn read_line(input: &mut impl BufRead) -> Result<Self, Error> {
        let unreadable =
            |error: io::Error| Error::Refused(format!("cannot read a password: {error}"));
        let mut line = String::new();
        input
            .take(BYTES_MAX + 2)
            .read_line(&mut line)
            .map_err(unreadable)?;
        let text = line.strip_suffix('\n').unwrap_or(&line);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.len() as u64 > BYTES_MAX {
            return Err(Error::Refused(format!(
                "a password has at most {BYTES_MAX} bytes"
            )));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Password(hidden)")
    }
}

fn ask_once(question: &str) -> Result<Password, Error> {
    let unusable = |error: io::Error| Error::Refused(format!("terminal: {error}"));
    let mut screen = io::stderr();
    screen
        .write_all(question.as_bytes())
        .and_then(|()| screen.flush())
        .map_err(unusable)?;
    let silence = Silence::begin().map_err(unusable)?;
    let answer = Password::read_line(&mut io::stdin().lock());
    drop(silence);
    screen.write_all(b"\n").map_err(unusable)?;
    answer
}

/// The terminal without echo as long as this lives.
struct Silence {
    input: Stdin,
    before: Termios,
}

impl Silence {
    fn begin() -> io::Result<Self> {
        let input = io::stdin();
        let before = tcgetattr(&input)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&input, OptionalActions::Flush, &silent)?;
        Ok(Self { input, before })
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone by now needs no echo.
        let _ = tcsetattr(&self.input, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Password, Error> {
        Password::read_line(&mut text.as_bytes())
    }

    #[test]
    fn line_is_read_without_its_end() {
        assert_eq!(read("secret\nmore\n").unwrap().expose(), "secret");
        assert_eq!(read("secret\r\n").unwrap().expose(), "secret");
        assert_eq!(read(" spaces stay ").unwrap().expose(), " spaces stay ");
        assert_eq!(read("").unwrap().expose(), "");
    }

    #[test]
    fn endless_line_is_refused() {
        assert!(read(&"x".repeat(1024)).is_ok());
        assert!(read(&"x".repeat(1025)).is_err());
        assert!(read(&"x".repeat(1_000_000)).is_err());
    }

    #[test]
    fn made_passwords_are_long_and_differ() {
        let (one, other) = (Password::make().unwrap(), Password::make().unwrap());
        assert_eq!(one.expose().len(), 20);
        assert_ne!(one, other);
    }

    #[test]
    fn debug_hides_the_password() {
        assert_eq!(format!("{:?}", Password::new("pencil")), "Password(hidden)");
    }
}
