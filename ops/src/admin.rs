//! The Unix socket in the data directory through which commands reach the running server.
//!
//! A line of JSON each way: a [`Request`], an [`Answer`]. Who may open the socket may do everything:
//! it is readable by its owner alone. What commands do is the [`AdminHandler`]'s.

mod client;
mod server;

pub use client::Client;
pub use server::{bind, serve};

use crate::cluster::drain::DrainStatus;
use crate::cluster::status::ClusterStatus;
use crate::directory::DirectoryStatus;
use crate::error::Error;
use crate::password::Password;
use crate::transfer::{Piece, Position, Taken};
use klatsch_protocol::channels::AppRule;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::future::Future;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;

/// The socket's name in the data directory.
const SOCKET: &str = "admin.sock";

/// Bytes of one request: an imported piece of the largest size, escaped.
const REQUEST_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of one answer.
const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What one answer lists at most; who wants more asks again from there.
pub const PAGE_MAX: usize = 1000;

/// What somebody at the command line wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Makes an account.
    UserAdd {
        /// Whose.
        jid: String,
        /// What its client logs in with.
        password: Password,
        /// May it do what administrators may?
        admin: bool,
    },
    /// Lists accounts in order.
    UserList {
        /// Only those of one domain.
        domain: Option<String>,
        /// Those behind this one.
        after: Option<String>,
    },
    /// Removes an account with all it kept, and ends its sessions.
    UserRemove {
        /// Whose.
        jid: String,
    },
    /// Sets another password and ends the account's sessions.
    UserPasswd {
        /// Whose.
        jid: String,
        /// The new one.
        password: Password,
    },
    /// Makes an invitation.
    Invite {
        /// The domain of the account; the first one served when none is said.
        domain: Option<String>,
        /// The name the account is to have.
        name: Option<String>,
    },
    /// Makes a token for a program.
    TokenCreate {
        /// Whose.
        jid: String,
        /// What it is called.
        name: String,
        /// Days that it works.
        days: u64,
        /// The apps it is for, and nothing else; for the whole account when there are none.
        #[serde(default)]
        apps: Vec<AppRule>,
    },
    /// Takes a token away.
    TokenRevoke {
        /// Whose.
        jid: String,
        /// What it is called.
        name: String,
    },
    /// Lists sessions.
    SessionList {
        /// Only those of one account.
        jid: Option<String>,
    },
    /// Ends sessions: one by its full JID, all of an account by its bare JID.
    SessionKick {
        /// Whose.
        jid: String,
    },
    /// Lists rooms in order.
    RoomList {
        /// Only those of one domain.
        domain: Option<String>,
        /// Those behind this one.
        after: Option<String>,
    },
    /// Shows what is known of a room.
    RoomShow {
        /// Which.
        jid: String,
    },
    /// Ends a room; everybody inside is told.
    RoomDestroy {
        /// Which.
        jid: String,
        /// Why.
        reason: Option<String>,
    },
    /// Writes an account, a page at a time (XEP-0227).
    Export {
        /// Whose.
        jid: String,
        /// Where the page begins.
        from: Position,
    },
    /// Writes a room, a page at a time.
    RoomExport {
        /// Which.
        jid: String,
        /// The entry that the page begins behind; `None`: the first page.
        after: Option<u64>,
    },
    /// Takes pieces of a room in.
    RoomImport {
        /// Which.
        jid: String,
        /// What is taken in.
        pieces: Vec<Piece>,
    },
    /// Lists the services that have nodes.
    ServiceList,
    /// Writes the nodes of a service, a page at a time.
    ServiceExport {
        /// Which.
        jid: String,
        /// Where the page begins.
        from: Position,
    },
    /// Takes pieces of a service's nodes in.
    ServiceImport {
        /// Which.
        jid: String,
        /// What is taken in.
        pieces: Vec<Piece>,
    },
    /// Makes an account for what is imported into it.
    ImportBegin {
        /// Whose.
        jid: String,
        /// What its client logs in with, if the file says so.
        password: Option<Password>,
        /// Is what an account lacks added that is there already?
        merge: bool,
    },
    /// Takes pieces of an account in.
    Import {
        /// Whose.
        jid: String,
        /// Has this import made it?
        is_new: bool,
        /// What is taken in.
        pieces: Vec<Piece>,
    },
    /// An account has been imported.
    ImportEnd {
        /// Whose.
        jid: String,
        /// The first entry of its log that is still to be delivered.
        waiting_from: Option<u64>,
    },
    /// Asks how the cluster looks from here.
    ClusterStatus,
    /// Makes a join token.
    ClusterToken {
        /// For how many nodes.
        uses: u32,
        /// For how many seconds.
        seconds: u64,
    },
    /// Has this node leave; said again, it tells how far that is.
    ClusterDrain {
        /// Does the server stop then?
        stop: bool,
    },
    /// Asks how it stands with the directory.
    DirectoryStatus,
    /// Has the directory read now.
    DirectorySync {
        /// Also where that takes most people away?
        force: bool,
    },
    /// Asks whether anybody is there.
    Ping,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", content = "with", rename_all = "snake_case")]
pub enum Answer {
    /// It is done; how many things it touched.
    Done(u64),
    /// Accounts, at most [`PAGE_MAX`].
    Users(Vec<User>),
    /// Sessions.
    Sessions(Vec<Session>),
    /// Rooms, at most [`PAGE_MAX`].
    Rooms(Vec<ListedRoom>),
    /// A room.
    Room(Box<ShownRoom>),
    /// Addresses of services.
    Services(Vec<String>),
    /// A page of an account or a service, and where the next one begins.
    Exported(String, Option<Position>),
    /// A page of a room, and the entry that the next one begins behind.
    RoomExported(String, Option<u64>),
    /// What became of imported pieces.
    Taken(Taken),
    /// An invitation.
    Invited {
        /// What is passed on: a secret.
        link: String,
        /// Until when it works.
        until: String,
    },
    /// What a program logs in with.
    ApiToken {
        /// The token: a secret.
        token: String,
        /// Until when it works.
        until: String,
    },
    /// The cluster.
    Cluster(Box<ClusterStatus>),
    /// A join token: a secret.
    JoinToken(String),
    /// How it stands with the directory.
    Directory(Box<DirectoryStatus>),
    /// How far this node has left.
    Drain(DrainStatus),
    /// It is not done, for this reason.
    Refused(String),
}

/// An account as `user list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its bare JID.
    pub jid: String,
    /// An administrator's?
    pub admin: bool,
    /// May it not log in?
    pub disabled: bool,
}

/// A room as `room list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRoom {
    /// Its address.
    pub jid: String,
    /// How many sessions are inside; `None`: no server runs.
    pub sessions: Option<u32>,
}

/// A room as `room show` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownRoom {
    /// Its address.
    pub jid: String,
    /// What it is called.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// When it was made.
    pub created: String,
    /// Who made it.
    pub creator: String,
    /// What is particular about it.
    pub marks: Vec<String>,
    /// Who is what: address and affiliation.
    pub affiliations: Vec<(String, String)>,
    /// Who is inside: nick, account and role.
    pub occupants: Vec<(String, String, String)>,
}

/// A session as `session list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its full JID.
    pub jid: String,
    /// Has it sent presence?
    pub available: bool,
    /// Is its client in the background (XEP-0352)?
    pub inactive: bool,
    /// Can it be gone on with after a lost connection (XEP-0198)?
    pub resumable: bool,
}

/// An answer that is still being worked out.
pub type Pending<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Carries requests out.
pub trait AdminHandler: Send + Sync + 'static {
    /// Carries one out; a refusal is an answer.
    fn handle(&self, request: Request) -> Pending<'_>;
}

/// A path by which the socket can be bound and reached, with what keeps the path alive.
///
/// `sockaddr_un` has room for 107 bytes; through an open directory any depth can be reached.
fn socket_path(data: &Path) -> Result<(PathBuf, Option<File>), Error> {
    let plain = data.join(SOCKET);
    if plain.as_os_str().len() < 100 {
        return Ok((plain, None));
    }
    let directory = File::open(data).map_err(Error::io("cannot open", data))?;
    let short = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd()));
    Ok((short, Some(directory)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    struct Echo;

    impl AdminHandler for Echo {
        fn handle(&self, request: Request) -> Pending<'_> {
            Box::pin(async move {
                match request {
                    Request::UserAdd { jid, .. } => Answer::Refused(jid),
                    _ => Answer::Done(7),
                }
            })
        }
    }

    /// Runs `ask` beside a server on `data`.
    fn beside_a_server(data: &Path, ask: impl FnOnce(&Path) + Send + 'static) {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let listener = {
            let _context = runtime.enter();
            server::bind(data).unwrap()
        };
        runtime.spawn(serve(listener, std::sync::Arc::new(Echo)));
        ask(data);
    }

    #[test]
    fn request_is_answered_and_another_on_the_same_connection() {
        let folder = tempfile::tempdir().unwrap();
        beside_a_server(folder.path(), |data| {
            let mut client = Client::connect(data).unwrap().unwrap();
            assert_eq!(client.ask(&Request::Ping).unwrap(), Answer::Done(7));
            let password = Password::new("p");
            let request = Request::UserAdd {
                jid: "a@b".to_owned(),
                password,
                admin: false,
            };
            assert_eq!(
                client.ask(&request).unwrap(),
                Answer::Refused("a@b".to_owned())
            );
        });
    }

    #[test]
    fn socket_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        beside_a_server(folder.path(), |data| {
            let mode = std::fs::metadata(data.join(SOCKET))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        });
    }

    #[test]
    fn data_directory_may_lie_deep() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("d".repeat(60)).join("e".repeat(60));
        std::fs::create_dir_all(&deep).unwrap();
        beside_a_server(&deep, |data| {
            let mut client = Client::connect(data).unwrap().unwrap();
            assert_eq!(client.ask(&Request::Ping).unwrap(), Answer::Done(7));
        });
    }

    #[test]
    fn nonsense_and_endless_lines_are_refused_and_the_server_goes_on() {
        use std::io::{Read, Write};
        let folder = tempfile::tempdir().unwrap();
        beside_a_server(folder.path(), |data| {
            let (path, _keep) = socket_path(data).unwrap();
            let mut raw = std::os::unix::net::UnixStream::connect(&path).unwrap();
            raw.write_all(b"{\"command\":\"fly\"}\n").unwrap();
            raw.shutdown(std::net::Shutdown::Write).unwrap();
            let mut answer = String::new();
            raw.read_to_string(&mut answer).unwrap();
            assert!(answer.contains("refused"), "{answer}");

            let mut raw = std::os::unix::net::UnixStream::connect(&path).unwrap();
            let endless = vec![b' '; REQUEST_BYTES_MAX as usize + 1];
            // The server may close before all is written.
            let _ = raw.write_all(&endless);
            let mut answer = String::new();
            let _ = raw.read_to_string(&mut answer);
            assert!(!answer.contains("done"), "{answer}");

            let mut client = Client::connect(data).unwrap().unwrap();
            assert_eq!(client.ask(&Request::Ping).unwrap(), Answer::Done(7));
        });
    }

    #[test]
    fn nobody_there_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Client::connect(folder.path()).unwrap().is_none());
        // A socket that a killed server left behind.
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(SOCKET)).unwrap());
        assert!(Client::connect(folder.path()).unwrap().is_none());
    }
}
