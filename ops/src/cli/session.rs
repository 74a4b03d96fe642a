//! `klatsch session`: who is connected to the running server.

use super::talk::Talk;
use super::{Common, table};
use crate::admin::{Answer, Request};
use crate::error::Error;
use clap::Subcommand;

/// Who is connected.
#[derive(Debug, Subcommand)]
pub(super) enum Session {
    /// List sessions
    List {
        /// Only those of this account
        jid: Option<String>,
    },
    /// End a session by its full JID, or all of an account by its bare JID
    Kick {
        /// Whose
        jid: String,
    },
}

impl Session {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        let mut talk = Talk::with_server(common)?;
        match self {
            Self::List { jid } => Ok(shown(talk.ask(Request::SessionList { jid })?)),
            Self::Kick { jid } => match talk.ask(Request::SessionKick { jid })? {
                Answer::Done(1) => Ok("1 session ended".to_owned()),
                Answer::Done(count) => Ok(format!("{count} sessions ended")),
                answer => Err(Error::Refused(format!("unexpected answer: {answer:?}"))),
            },
        }
    }
}

fn shown(answer: Answer) -> String {
    let Answer::Sessions(sessions) = answer else {
        return String::new();
    };
    let row = |session: crate::admin::Session| {
        let peer = session.peer.unwrap_or_else(|| "detached".to_owned());
        vec![session.jid, peer, session.transport, session.since]
    };
    table(&sessions.into_iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_is_one_line_and_a_detached_one_says_so() {
        let session = crate::admin::Session {
            jid: "a@b/c".to_owned(),
            peer: None,
            transport: "tls".to_owned(),
            since: "2026-01-01T00:00:00Z".to_owned(),
        };
        let text = shown(Answer::Sessions(vec![session]));
        assert_eq!(text, "a@b/c  detached  tls  2026-01-01T00:00:00Z");
    }
}
