//! `klatsch invite`: a link with which somebody makes an account.

use super::Common;
use super::talk::Talk;
use crate::admin::{Answer, Request};
use crate::error::Error;
use clap::Args;

/// A link with which somebody makes an account, once
#[derive(Debug, Args)]
pub(super) struct Invite {
    /// The domain of the account; without it the first one served
    #[arg(long, value_name = "D")]
    domain: Option<String>,
    /// The name the account is to have; without it who is invited chooses
    #[arg(long)]
    name: Option<String>,
}

impl Invite {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        let Self { domain, name } = self;
        let mut talk = Talk::begin(common)?;
        match talk.ask(Request::Invite { domain, name })? {
            Answer::Invited { link, until } => Ok(format!("{link}\nworks once, until {until}")),
            _ => Err(Error::Refused("not an answer to this".to_owned())),
        }
    }
}
