//! `klatsch export` and `klatsch import`: accounts, rooms and nodes of services as files
//! (XEP-0227), beside the running server or on the store.

mod import;

pub(super) use import::Import;

use super::Common;
use super::talk::Talk;
use crate::admin::{Answer, PAGE_MAX, Request};
use crate::error::Error;
use crate::transfer::{NS, NS_OWN, Position};
use clap::Args;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::xml::Element;
use std::io::{BufWriter, Write, stdout};
use std::path::Path;

/// Writes accounts.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Export {
    /// This account: name@domain
    #[arg(long, value_name = "JID")]
    account: Option<String>,
    /// Every account, room and node of every domain served
    #[arg(long)]
    store: bool,
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

/// Writes a file of one account, or of all with all rooms and services.
fn write_file(common: &Common, account: Option<&str>, out: &mut dyn Write) -> Result<(), Error> {
    let mut talk = Talk::begin(common)?;
    written(writeln!(
        out,
        "<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='{NS}'>"
    ))?;
    let mut host = None;
    match account {
        Some(jid) => write_user(&mut talk, jid, &mut host, out)?,
        None => {
            write_users(&mut talk, &mut host, out)?;
            write_rooms(&mut talk, &mut host, out)?;
            write_services(&mut talk, &mut host, out)?;
        }
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
    let account = parse(jid)?;
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
            begin(&account, Element::new("user", NS), host, out)?;
        }
        written(out.write_all(xml.as_bytes()))?;
        match next {
            Some(next) => position = next,
            None => return written(writeln!(out, "</user>")),
        }
    }
}

fn write_rooms(
    talk: &mut Talk,
    host: &mut Option<String>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let mut after = None;
    loop {
        let request = Request::RoomList {
            domain: None,
            after,
        };
        let Answer::Rooms(rooms) = talk.ask(request)? else {
            return Err(unexpected());
        };
        let is_last = rooms.len() < PAGE_MAX;
        after = rooms.last().map(|room| room.jid.clone());
        for room in &rooms {
            write_room(talk, &room.jid, host, out)?;
        }
        if is_last {
            return Ok(());
        }
    }
}

fn write_room(
    talk: &mut Talk,
    jid: &str,
    host: &mut Option<String>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let room = parse(jid)?;
    let mut after = None;
    loop {
        let request = Request::RoomExport {
            jid: room.to_string(),
            after,
        };
        let Answer::RoomExported(xml, next) = talk.ask(request)? else {
            return Err(unexpected());
        };
        if after.is_none() {
            begin(&room, Element::new("room", NS_OWN), host, out)?;
        }
        written(out.write_all(xml.as_bytes()))?;
        match next {
            Some(next) => after = Some(next),
            None => return written(writeln!(out, "</room>")),
        }
    }
}

fn write_services(
    talk: &mut Talk,
    host: &mut Option<String>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    let Answer::Services(services) = talk.ask(Request::ServiceList)? else {
        return Err(unexpected());
    };
    for jid in services {
        let mut position = Some(Position::Start);
        begin_host(&jid, host, out)?;
        written(writeln!(out, "<service xmlns='{NS_OWN}'>"))?;
        while let Some(from) = position {
            let request = Request::ServiceExport {
                jid: jid.clone(),
                from,
            };
            let Answer::Exported(xml, next) = talk.ask(request)? else {
                return Err(unexpected());
            };
            written(out.write_all(xml.as_bytes()))?;
            position = next;
        }
        written(writeln!(out, "</service>"))?;
    }
    Ok(())
}

fn parse(jid: &str) -> Result<BareJid, Error> {
    BareJid::parse(jid).map_err(|error| Error::Refused(format!("\"{jid}\": {error}")))
}

/// Begins an account or a room, in the element of its host.
fn begin(
    what: &BareJid,
    element: Element,
    host: &mut Option<String>,
    out: &mut dyn Write,
) -> Result<(), Error> {
    begin_host(what.domain(), host, out)?;
    let name = what.localpart().unwrap_or_default();
    written(writeln!(out, "{}", open(&element.attr("name", name))))
}

fn begin_host(domain: &str, host: &mut Option<String>, out: &mut dyn Write) -> Result<(), Error> {
    if host.as_deref() == Some(domain) {
        return Ok(());
    }
    if host.is_some() {
        written(writeln!(out, "</host>"))?;
    }
    let element = Element::new("host", NS).attr("jid", domain);
    written(writeln!(out, "{}", open(&element)))?;
    *host = Some(domain.to_owned());
    Ok(())
}

/// The start tag of an element that has no children yet.
fn open(element: &Element) -> String {
    let text = String::from_utf8_lossy(&element.to_bytes()).into_owned();
    text.replace("/>", ">")
        .replace(&format!(" xmlns='{NS}'"), "")
}

#[cfg(test)]
mod tests;
