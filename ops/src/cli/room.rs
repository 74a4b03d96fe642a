//! `klatsch room`: which rooms there are, and the end of one.

use super::talk::Talk;
use super::{Common, table};
use crate::admin::{Answer, ListedRoom, PAGE_MAX, Request, ShownRoom};
use crate::error::Error;
use clap::Subcommand;

/// Rooms.
#[derive(Debug, Subcommand)]
pub(super) enum Room {
    /// List rooms, and how many sessions are inside
    List {
        /// Only those of this domain
        #[arg(long)]
        domain: Option<String>,
    },
    /// Show a room, who is what in it, and who is inside
    Show {
        /// Its address, as in tea@conference.example.org
        jid: String,
    },
    /// End a room with its archive; whoever is inside is told
    Destroy {
        /// Its address
        jid: String,
        /// What they are told
        #[arg(long)]
        reason: Option<String>,
    },
}

impl Room {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        let mut talk = Talk::begin(common)?;
        match self {
            Self::List { domain } => list(&mut talk, domain.as_deref()),
            Self::Show { jid } => match talk.ask(Request::RoomShow { jid })? {
                Answer::Room(room) => Ok(shown(&room)),
                _ => Err(unexpected()),
            },
            Self::Destroy { jid, reason } => {
                let destroyed = format!("destroyed {jid}");
                talk.ask(Request::RoomDestroy { jid, reason })?;
                Ok(destroyed)
            }
        }
    }
}

fn list(talk: &mut Talk, domain: Option<&str>) -> Result<String, Error> {
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let domain = domain.map(str::to_owned);
        let Answer::Rooms(rooms) = talk.ask(Request::RoomList { domain, after })? else {
            return Err(unexpected());
        };
        let is_last = rooms.len() < PAGE_MAX;
        after = rooms.last().map(|room| room.jid.clone());
        rows.extend(rooms.into_iter().map(row));
        if is_last {
            return Ok(table(&rows));
        }
    }
}

fn row(room: ListedRoom) -> Vec<String> {
    let inside = room.sessions.map(|sessions| sessions.to_string());
    vec![room.jid, inside.unwrap_or_default()]
}

fn shown(room: &ShownRoom) -> String {
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let mut rows = vec![
        row(["address", &room.jid, ""]),
        row(["name", &room.name, ""]),
        row(["description", &room.description, ""]),
        row(["created", &room.created, &room.creator]),
    ];
    rows.retain(|row| !row[1].is_empty());
    let people = room.affiliations.iter();
    rows.extend(people.map(|(jid, affiliation)| row([affiliation, jid, ""])));
    let inside = room.occupants.iter();
    rows.extend(inside.map(|(nick, account, role)| row([role, account, nick])));
    format!("{}\n{}", table(&rows), room.marks.join(", "))
}

fn unexpected() -> Error {
    Error::Refused("unexpected answer".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_shown_with_its_people_and_what_is_particular() {
        let room = ShownRoom {
            jid: "tea@conference.b".to_owned(),
            name: "Tea".to_owned(),
            description: String::new(),
            created: "2026-01-01T00:00:00Z".to_owned(),
            creator: "a@b".to_owned(),
            marks: vec!["persistent".to_owned(), "public".to_owned()],
            affiliations: vec![("a@b".to_owned(), "owner".to_owned())],
            occupants: vec![("Al".to_owned(), "a@b".to_owned(), "moderator".to_owned())],
        };
        assert_eq!(
            shown(&room),
            "address    tea@conference.b\n\
             name       Tea\n\
             created    2026-01-01T00:00:00Z  a@b\n\
             owner      a@b\n\
             moderator  a@b                   Al\n\
             persistent, public"
        );
    }

    #[test]
    fn without_a_server_nobody_is_counted() {
        let room = |sessions| ListedRoom {
            jid: "r@c.b".to_owned(),
            sessions,
        };
        assert_eq!(row(room(Some(2))), ["r@c.b", "2"]);
        assert_eq!(row(room(None)), ["r@c.b", ""]);
    }
}
