//! `klatsch import`: reads a file and hands it over a piece at a time.

use super::unexpected;
use crate::admin::{Answer, Request};
use crate::cli::Common;
use crate::cli::talk::Talk;
use crate::error::Error;
use crate::password::Password;
use crate::transfer::reader::{Part, read};
use crate::transfer::{Piece, Taken};
use clap::Args;
use std::path::PathBuf;

/// Reads accounts.
#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// The file
    pub(super) file: PathBuf,
    /// Add what accounts lack that are there already; without it they are passed over
    #[arg(long)]
    pub(super) merge: bool,
}

/// Pieces sent at a time, and their bytes.
const PIECES_MAX: usize = 200;
const PIECES_BYTES_MAX: usize = 512 * 1024;

/// Bytes of messages that wait for their account's archive to come first.
const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Notes shown; more are counted.
const NOTES_MAX: usize = 100;

impl Import {
    pub(in crate::cli) fn run(self, common: &Common) -> Result<String, Error> {
        let mut importing = Importing {
            talk: Talk::begin(common)?,
            merge: self.merge,
            user: None,
            room: None,
            done: 0,
            merged: 0,
            rooms: 0,
            refused: 0,
            notes: Vec::new(),
            notes_left_off: 0,
        };
        read(&self.file, &mut |part| importing.take(part))?;
        importing.report()
    }
}

/// An import under way.
struct Importing {
    talk: Talk,
    merge: bool,
    user: Option<User>,
    room: Option<Room>,
    done: usize,
    merged: usize,
    rooms: usize,
    refused: usize,
    notes: Vec<String>,
    notes_left_off: usize,
}

/// The account that comes.
struct User {
    jid: String,
    is_new: bool,
    pieces: Vec<Piece>,
    bytes: usize,
    /// Messages to be delivered: they come behind the archive, wherever the file has them.
    waiting: Vec<Piece>,
    waiting_bytes: usize,
    waiting_from: Option<u64>,
}

/// The room that comes, or the service.
struct Room {
    jid: String,
    is_service: bool,
    pieces: Vec<Piece>,
    bytes: usize,
}

impl Importing {
    fn take(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::User { jid, password } => self.begin(jid, password),
            Part::Room(jid) => {
                self.begin_room(jid, false);
                Ok(())
            }
            Part::Service(jid) => {
                self.begin_room(jid, true);
                Ok(())
            }
            Part::Piece(piece) if self.room.is_some() => self.piece_of_room(piece),
            Part::Piece(piece) => self.piece(piece),
            Part::UserEnd => self.end(),
            Part::RoomEnd => {
                self.send_room()?;
                let is_room = self.room.take().is_some_and(|room| !room.is_service);
                self.rooms += usize::from(is_room);
                Ok(())
            }
            Part::Note(note) => {
                self.note(note);
                Ok(())
            }
        }
    }

    fn note(&mut self, note: String) {
        match self.notes.len() < NOTES_MAX {
            true => self.notes.push(note),
            false => self.notes_left_off += 1,
        }
    }

    /// A refusal concerns this account alone; anything else ends the import.
    fn begin(&mut self, jid: String, password: Option<String>) -> Result<(), Error> {
        let request = Request::ImportBegin {
            jid: jid.clone(),
            password: password.map(Password::new),
            merge: self.merge,
        };
        self.user = None;
        let is_new = match self.talk.ask(request) {
            Ok(answer) => answer == Answer::Done(1),
            Err(Error::Refused(why)) => {
                self.refused += 1;
                self.note(format!("{jid}: passed over: {why}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.user = Some(User {
            jid,
            is_new,
            pieces: Vec::new(),
            bytes: 0,
            waiting: Vec::new(),
            waiting_bytes: 0,
            waiting_from: None,
        });
        Ok(())
    }

    fn piece(&mut self, piece: Piece) -> Result<(), Error> {
        let Some(user) = &mut self.user else {
            return Ok(());
        };
        if piece.parent == "offline-messages" {
            user.waiting_bytes += piece.xml.len();
            match user.waiting_bytes <= WAITING_BYTES_MAX {
                true => user.waiting.push(piece),
                false => {
                    let note = format!("{}: too many messages wait; one is left out", user.jid);
                    self.note(note);
                }
            }
            return Ok(());
        }
        user.bytes += piece.xml.len();
        user.pieces.push(piece);
        match user.pieces.len() >= PIECES_MAX || user.bytes >= PIECES_BYTES_MAX {
            true => self.send(),
            false => Ok(()),
        }
    }

    fn begin_room(&mut self, jid: String, is_service: bool) {
        self.user = None;
        self.room = Some(Room {
            jid,
            is_service,
            pieces: Vec::new(),
            bytes: 0,
        });
    }

    fn piece_of_room(&mut self, piece: Piece) -> Result<(), Error> {
        let Some(room) = &mut self.room else {
            return Ok(());
        };
        room.bytes += piece.xml.len();
        room.pieces.push(piece);
        match room.pieces.len() >= PIECES_MAX || room.bytes >= PIECES_BYTES_MAX {
            true => self.send_room(),
            false => Ok(()),
        }
    }

    /// A refusal concerns this room or service alone; anything else ends the import.
    fn send_room(&mut self) -> Result<(), Error> {
        let Some(room) = self.room.as_mut().filter(|room| !room.pieces.is_empty()) else {
            return Ok(());
        };
        room.bytes = 0;
        let jid = room.jid.clone();
        let pieces = std::mem::take(&mut room.pieces);
        let request = match room.is_service {
            true => Request::ServiceImport {
                jid: jid.clone(),
                pieces,
            },
            false => Request::RoomImport {
                jid: jid.clone(),
                pieces,
            },
        };
        match self.talk.ask(request) {
            Ok(Answer::Taken(taken)) => {
                self.tell(&jid, taken);
                Ok(())
            }
            Ok(_) => Err(unexpected()),
            Err(Error::Refused(why)) => {
                self.room = None;
                self.refused += 1;
                self.note(format!("{jid}: passed over: {why}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn send(&mut self) -> Result<(), Error> {
        let Some(user) = &mut self.user else {
            return Ok(());
        };
        user.bytes = 0;
        let request = Request::Import {
            jid: user.jid.clone(),
            is_new: user.is_new,
            pieces: std::mem::take(&mut user.pieces),
        };
        let Answer::Taken(taken) = self.talk.ask(request)? else {
            return Err(unexpected());
        };
        let before = user.waiting_from.into_iter();
        user.waiting_from = before.chain(taken.waiting_from).min();
        let jid = user.jid.clone();
        self.tell(&jid, taken);
        Ok(())
    }

    fn tell(&mut self, jid: &str, taken: Taken) {
        for note in taken.notes {
            self.note(format!("{jid}: {note}"));
        }
    }

    fn end(&mut self) -> Result<(), Error> {
        self.send()?;
        let waiting = match &mut self.user {
            Some(user) => std::mem::take(&mut user.waiting),
            None => return Ok(()),
        };
        let mut waiting = waiting.into_iter().peekable();
        while waiting.peek().is_some() {
            if let Some(user) = &mut self.user {
                user.pieces = waiting.by_ref().take(PIECES_MAX).collect();
            }
            self.send()?;
        }
        let Some(user) = &self.user else {
            return Ok(());
        };
        let (jid, waiting_from, is_new) = (user.jid.clone(), user.waiting_from, user.is_new);
        let request = Request::ImportEnd {
            jid: jid.clone(),
            waiting_from,
        };
        let Answer::Taken(taken) = self.talk.ask(request)? else {
            return Err(unexpected());
        };
        self.tell(&jid, taken);
        self.user = None;
        match is_new {
            true => self.done += 1,
            false => self.merged += 1,
        }
        Ok(())
    }

    fn report(mut self) -> Result<String, Error> {
        let mut lines = std::mem::take(&mut self.notes);
        if self.notes_left_off > 0 {
            lines.push(format!("and {} notes more", self.notes_left_off));
        }
        let merged = match self.merged {
            0 => String::new(),
            merged => format!(", {merged} merged"),
        };
        let refused = match self.refused {
            0 => String::new(),
            refused => format!(", {refused} passed over"),
        };
        let rooms = match self.rooms {
            0 => String::new(),
            rooms => format!(", {rooms} rooms"),
        };
        lines.push(format!("{} imported{rooms}{merged}{refused}", self.done));
        Ok(lines.join("\n"))
    }
}
