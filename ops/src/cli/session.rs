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
        let words = [
            (session.available, "available"),
            (session.inactive, "inactive"),
            (session.resumable, "resumable"),
        ];
        let words = words
            .iter()
            .filter(|(is_so, _)| *is_so)
            .map(|(_, word)| *word);
        vec![session.jid, words.collect::<Vec<_>>().join(" ")]
    };
    table(&sessions.into_iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_is_one_line_with_what_is_true_of_it() {
        let session = crate::admin::Session {
            jid: "a@b/c".to_owned(),
            available: true,
            inactive: false,
            resumable: true,
        };
        assert_eq!(
            shown(Answer::Sessions(vec![session])),
            "a@b/c  available resumable"
        );
    }
}
