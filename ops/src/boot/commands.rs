//! Who carries out what operators ask for: the server with its sessions and rooms, or the store
//! alone.

use crate::accounts::Accounts;
use crate::admin::{AdminHandler, Answer, PAGE_MAX, Pending, Request, Session};
use crate::api_tokens::ApiTokens;
use crate::cluster::commands::ClusterCommands;
use crate::directory;
use crate::invitations::Invitations;
use crate::rooms::RoomCommands;
use klatsch_actors::sessions::Sessions;
use klatsch_gateways::colleagues::Follower;
use klatsch_protocol::jid::{BareJid, FullJid, Jid};
use klatsch_protocol::stanza::{StreamCondition, StreamError};

/// The running server.
pub(super) struct ServerCommands {
    accounts: Accounts,
    invitations: Invitations,
    tokens: ApiTokens,
    sessions: Sessions,
    rooms: RoomCommands,
    cluster: ClusterCommands,
    /// Whoever reads the directory, if there is one.
    follower: Option<Follower>,
}

/// A store at rest.
pub(super) struct OfflineCommands {
    accounts: Accounts,
    invitations: Invitations,
    rooms: RoomCommands,
}

impl AdminHandler for ServerCommands {
    fn handle(&self, request: Request) -> Pending<'_> {
        Box::pin(self.carry_out(request))
    }
}

impl AdminHandler for OfflineCommands {
    fn handle(&self, request: Request) -> Pending<'_> {
        Box::pin(async {
            let request = match self.rooms.handle(request).await {
                Ok(answer) => return answer,
                Err(request) => request,
            };
            let request = match self.invitations.handle(request).await {
                Ok(answer) => return answer,
                Err(request) => request,
            };
            let answer = self.accounts.handle(request).await;
            answer.unwrap_or_else(|_| {
                Answer::Refused("no server runs on this data directory".to_owned())
            })
        })
    }
}

impl OfflineCommands {
    pub(super) fn new(accounts: Accounts, invitations: Invitations, rooms: RoomCommands) -> Self {
        Self {
            accounts,
            invitations,
            rooms,
        }
    }
}

impl ServerCommands {
    pub(super) fn new(
        accounts: Accounts,
        invitations: Invitations,
        tokens: ApiTokens,
        sessions: Sessions,
        rooms: RoomCommands,
        cluster: ClusterCommands,
        follower: Option<Follower>,
    ) -> Self {
        Self {
            accounts,
            invitations,
            tokens,
            sessions,
            rooms,
            cluster,
            follower,
        }
    }

    async fn carry_out(&self, request: Request) -> Answer {
        match request {
            Request::Ping => Answer::Done(0),
            Request::SessionList { jid } => self.list(jid).await.unwrap_or_else(Answer::Refused),
            Request::ImportBegin {
                jid, merge: true, ..
            } if self.is_connected(&jid) => Answer::Refused(format!(
                "{jid} is connected: what is added would be sent to it as new"
            )),
            Request::DirectoryStatus => directory::status(self.follower.as_ref()),
            Request::DirectorySync { force } => {
                directory::sync(self.follower.as_ref(), force).await
            }
            Request::SessionKick { jid } => self.kick(&jid).unwrap_or_else(Answer::Refused),
            request => match self.rooms.handle(request).await {
                Ok(answer) => answer,
                Err(request) => self.change(request).await,
            },
        }
    }

    fn is_connected(&self, jid: &str) -> bool {
        let account = BareJid::parse(jid).ok();
        account.is_some_and(|account| !self.sessions.list(Some(&account)).is_empty())
    }

    async fn change(&self, request: Request) -> Answer {
        let request = match self.cluster.handle(request) {
            Ok(answer) => return answer,
            Err(request) => request,
        };
        let request = match self.invitations.handle(request).await {
            Ok(answer) => return answer,
            Err(request) => request,
        };
        let request = match self.tokens.handle(request).await {
            Ok(answer) => return answer,
            Err(request) => request,
        };
        let answer = self.accounts.handle(request).await;
        answer.unwrap_or_else(|_| Answer::Refused("not a command of the server".to_owned()))
    }

    async fn list(&self, jid: Option<String>) -> Result<Answer, String> {
        let account =
            jid.map(|jid| BareJid::parse(&jid).map_err(|error| format!("\"{jid}\": {error}")));
        let mut found = self.sessions.list(account.transpose()?.as_ref());
        found.sort();
        let mut sessions = Vec::new();
        for jid in found.iter().take(PAGE_MAX) {
            sessions.extend(self.look_at(jid).await);
        }
        Ok(Answer::Sessions(sessions))
    }

    /// A session; nothing when it has ended meanwhile.
    async fn look_at(&self, jid: &FullJid) -> Option<Session> {
        let session = self.sessions.inspect(jid).await?;
        Some(Session {
            jid: jid.to_string(),
            available: session.facts.presence.is_some(),
            inactive: session.facts.inactive,
            resumable: session.sm.is_some(),
        })
    }

    fn kick(&self, jid: &str) -> Result<Answer, String> {
        let parsed = Jid::parse(jid).map_err(|error| format!("\"{jid}\": {error}"))?;
        let ended = match parsed.to_full() {
            Some(full) => usize::from(self.sessions.kick(&full, kicked())),
            None => self.kick_account(&parsed.bare()),
        };
        match ended {
            0 => Err(format!("{jid} has no session")),
            ended => Ok(Answer::Done(ended as u64)),
        }
    }

    fn kick_account(&self, account: &BareJid) -> usize {
        let sessions = self.sessions.list(Some(account)).len();
        self.sessions.kick_account(account, kicked());
        sessions
    }
}

/// RFC 6120 §4.9.3.14: the operator ends it, and nothing says that it may not come back.
fn kicked() -> StreamError {
    StreamError::new(StreamCondition::PolicyViolation).with_text("ended by an administrator")
}
