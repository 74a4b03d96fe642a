//! Logins by token (XEP-0484), which came with a login by password: `tokens.rs` knows whether a
//! token is right, the backends whether what it came with still is.

use std::net::IpAddr;

use klatsch_actors::world::now;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{HtMechanism, Login};
use klatsch_protocol::stream::fast::{Issued, TokenLogin, TokenVerdict};
use klatsch_protocol::time::Timestamp;

use super::standing::is_outdated;
use super::{Authenticator, Standing};

impl Authenticator {
    /// Checks a token.
    pub async fn check_token(&self, peer: IpAddr, login: &TokenLogin) -> TokenVerdict {
        if !self.has_leave(peer, login.account.as_str()).await {
            return TokenVerdict::Unavailable;
        }
        let (verdict, issued) = match self.tokens.check(login, now()).await {
            (TokenVerdict::Wrong, _) => self.check_token_of_another_name(login).await,
            checked => checked,
        };
        match verdict {
            TokenVerdict::Right {
                account,
                answer,
                is_old,
            } => match self.standing_of_token(&account, &login.agent, issued).await {
                Err(verdict) => verdict,
                Ok(is_sure) => TokenVerdict::Right {
                    account,
                    answer,
                    // A new one would be younger than a change of the password that cannot be
                    // seen now.
                    is_old: is_old && is_sure,
                },
            },
            other => other,
        }
    }

    /// A token outlives a login by months: whether its owner is still there, and the password
    /// still the same, the directory knows. One that is down does not end what it has allowed
    /// (row L06); false: it is.
    async fn standing_of_token(
        &self,
        account: &BareJid,
        agent: &str,
        issued: Timestamp,
    ) -> Result<bool, TokenVerdict> {
        // Whom this server alone lets in has no tokens any more when it does not.
        if !self.backends.iter().any(|it| it.is_external()) {
            return Ok(true);
        }
        match self.standing(account).await {
            Standing::Barred => {
                self.tokens.forget(account).await;
                Err(TokenVerdict::Wrong)
            }
            Standing::GoodSince(changed) if is_outdated(issued, changed, now()) => {
                self.tokens.forget_client(account, agent).await;
                Err(TokenVerdict::Expired)
            }
            // Where nobody can tell without the password, that is how it stays.
            Standing::Good | Standing::GoodSince(_) | Standing::Silent => Ok(true),
            Standing::Unknown | Standing::Unavailable => Ok(false),
        }
    }

    /// The client may know its account by another name only; the token is the account's.
    async fn check_token_of_another_name(&self, login: &TokenLogin) -> (TokenVerdict, Timestamp) {
        let wrong = (TokenVerdict::Wrong, Timestamp::default());
        let Some(typed) = Login::of(&login.account) else {
            return wrong;
        };
        match self.resolve(&typed).await {
            Some(account) if account != login.account => {
                let login = TokenLogin {
                    account,
                    ..login.clone()
                };
                self.tokens.check(&login, now()).await
            }
            _ => wrong,
        }
    }

    /// Makes a token for a client that has logged in; none when that cannot be done now.
    pub async fn issue_token(
        &self,
        account: &BareJid,
        agent: &str,
        mechanism: HtMechanism,
    ) -> Option<Issued> {
        // It is as old as the proof that it comes with.
        let ages = self.backends.iter().filter_map(|it| it.age(account));
        let age = ages.max().unwrap_or_default();
        self.tokens
            .issue(account, agent, mechanism, (now(), age))
            .await
    }
}
