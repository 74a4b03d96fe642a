//! `klatsch token`: what programs log in with on the JSON channels.

use super::Common;
use super::talk::Talk;
use crate::admin::{Answer, Request};
use crate::error::Error;
use clap::Subcommand;
use klatsch_protocol::channels::AppRule;

/// Tokens of programs.
#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make a token, which is shown once and takes the place of one of the same name
    Create {
        /// Whose: name@domain
        jid: String,
        /// What it is called: the page or program it is for
        #[arg(long)]
        name: String,
        /// Days that it works
        #[arg(long, value_name = "N", default_value_t = 365)]
        days: u64,
        /// For the topics of this app and nothing else (again for more): NAME, or NAME:listen
        /// for a token that cannot push
        #[arg(long = "app", value_name = "NAME")]
        apps: Vec<AppRule>,
    },
    /// Take a token away; who is connected with it stays so
    Revoke {
        /// Whose: name@domain
        jid: String,
        /// What it is called
        #[arg(long)]
        name: String,
    },
}

impl Token {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        let mut talk = Talk::begin(common)?;
        match self {
            Self::Create {
                jid,
                name,
                days,
                apps,
            } => {
                let request = Request::TokenCreate {
                    jid,
                    name,
                    days,
                    apps,
                };
                match talk.ask(request)? {
                    Answer::ApiToken { token, until } => {
                        Ok(format!("{token}\nworks until {until}"))
                    }
                    _ => Err(Error::Refused("not an answer to this".to_owned())),
                }
            }
            Self::Revoke { jid, name } => {
                let told = format!("revoked {name} of {jid}");
                talk.ask(Request::TokenRevoke { jid, name })?;
                Ok(told)
            }
        }
    }
}
