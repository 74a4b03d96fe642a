//! `klatsch export` and `klatsch import`: accounts as files (XEP-0227), beside the running
//! server or on the store.

use super::Common;
use super::talk::Talk;
use crate::admin::{Answer, PAGE_MAX, Request};
use crate::error::Error;
use crate::password::Password;
use crate::transfer::reader::{Part, read};
use crate::transfer::{NS, Piece, Position, Taken};
use clap::Args;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::xml::Element;
use std::io::{BufWriter, Write, stdout};
use std::path::{Path, PathBuf};

/// Writes accounts.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Export {
    /// This account: name@domain
    #[arg(long, value_name = "JID")]
    account: Option<String>,
    /// Every account of every domain served
    #[arg(long)]
    store: bool,
}

/// Reads accounts.
#[derive(Debug, Args)]
pub(super) struct Import {
    /// The file
    file: PathBuf,
    /// Add what accounts lack that are there already; without it they are passed over
    #[arg(long)]
    merge: bool,
}

impl Export {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        let mut out = BufWriter::new(stdout().lock());
        write_file(common, self.account.as_deref(), &mut out)?;
        Ok(String::new())
    }
}

fn written(result: std::io::Result<()>) -> Result<(), Error> {
    result.map_err(Error::io("cannot write", Path::new("the standard output")))
}

/// Writes a file of one account, or of all.
fn write_file(common: &Common, account: Option<&str>, out: &mut dyn Write) -> Result<(), Error> {
    let mut talk = Talk::begin(common)?;
    written(writeln!(
        out,
        "<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='{NS}'>"
    ))?;
    let mut host = None;
    match account {
        Some(jid) => write_user(&mut talk, jid, &mut host, out)?,
        None => write_users(&mut talk, &mut host, out)?,
    }
    if host.is_some() {
        written(writeln!(out, "</host>"))?;
    }
    written(writeln!(out, "</server-data>"))?;
    written(out.flush())
}

fn write_users(
    talk: &mut Talk,
    host: &mut Option<String>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut after = None;
    loop {
        let request = Request::UserList {
            domain: None,
            after,
        };
        let Answer::Users(users) = talk.ask(request)? else {
            return Err(unexpected());
        };
        let is_last = users.len() < PAGE_MAX;
        after = users.last().map(|user| user.jid.clone());
        for user in &users {
            write_user(talk, &user.jid, host, out)?;
        }
        if is_last {
            return Ok(());
        }
    }
}

fn unexpected() -> Error {
    Error::Refused("unexpected answer".to_owned())
}

fn write_user(
    talk: &mut Talk,
    jid: &str,
    host: &mut Option<String>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let account =
        BareJid::parse(jid).map_err(|error| Error::Refused(format!("\"{jid}\": {error}")))?;
    let mut position = Position::Start;
    loop {
        let is_start = position == Position::Start;
        let request = Request::Export {
            jid: account.to_string(),
            from: position,
        };
        // What is refused at the start has left no trace in the file.
        let Answer::Exported(xml, next) = talk.ask(request)? else {
            return Err(unexpected());
        };
        if is_start {
            begin_user(&account, host, out)?;
        }
        written(out.write_all(xml.as_bytes()))?;
        match next {
            Some(next) => position = next,
            None => return written(writeln!(out, "</user>")),
        }
    }
}

fn begin_user(
    account: &BareJid,
    host: &mut Option<String>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let open = |element: Element| {
        let text = String::from_utf8_lossy(&element.to_bytes()).into_owned();
        text.replace("/>", ">")
            .replace(&format!(" xmlns='{NS}'"), "")
    };
    if host.as_deref() != Some(account.domain()) {
        if host.is_some() {
            written(writeln!(out, "</host>"))?;
        }
        let element = Element::new("host", NS).attr("jid", account.domain());
        written(writeln!(out, "{}", open(element)))?;
        *host = Some(account.domain().to_owned());
    }
    let name = account.localpart().unwrap_or_default();
    let element = Element::new("user", NS).attr("name", name);
    written(writeln!(out, "{}", open(element)))
}

/// Pieces sent at a time, and their bytes.
const PIECES_MAX: usize = 200;
const PIECES_BYTES_MAX: usize = 512 * 1024;

/// Bytes of messages that wait for their account's archive to come first.
const WAITING_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Notes shown; more are counted.
const NOTES_MAX: usize = 100;

impl Import {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        let mut importing = Importing {
            talk: Talk::begin(common)?,
            merge: self.merge,
            user: None,
            done: 0,
            merged: 0,
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
    done: usize,
    merged: usize,
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

impl Importing {
    fn take(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::User { jid, password } => self.begin(jid, password),
            Part::Piece(piece) => self.piece(piece),
            Part::UserEnd => self.end(),
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
        self.tell(taken);
        Ok(())
    }

    fn tell(&mut self, taken: Taken) {
        let jid = self.user.as_ref().map(|user| user.jid.clone());
        for note in taken.notes {
            self.note(format!("{}: {note}", jid.as_deref().unwrap_or_default()));
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
        let request = Request::ImportEnd { jid, waiting_from };
        let Answer::Taken(taken) = self.talk.ask(request)? else {
            return Err(unexpected());
        };
        self.tell(taken);
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
        lines.push(format!("{} imported{merged}{refused}", self.done));
        Ok(lines.join("\n"))
    }
}

#[cfg(test)]
mod tests;
