//! Tokens of programs as operators make them: for the JSON channels.

use crate::admin::{Answer, Request};
use klatsch_actors::world::now;
use klatsch_gateways::auth::{ApiTokenName, Tokens};
use klatsch_protocol::channels::Grant;
use klatsch_protocol::jid::BareJid;
use klatsch_store::StoreError;
use std::time::Duration;

/// Ten years: who wants a token for longer has forgotten about it.
const DAYS_MAX: u64 = 3650;

/// Makes tokens and takes them away.
pub struct ApiTokens {
    tokens: Tokens,
}

/// Why something is not done, for the person who asked.
type Refusal = String;

impl ApiTokens {
    /// Tokens made with the server's key, kept in its store.
    pub fn new(tokens: Tokens) -> Self {
        Self { tokens }
    }

    /// Carries out what concerns tokens; anything else is given back.
    pub async fn handle(&self, request: Request) -> Result<Answer, Request> {
        let outcome = match request {
            Request::TokenCreate {
                jid,
                name,
                days,
                apps,
            } => self.create(&jid, &name, days, Grant::of(apps)).await,
            Request::TokenRevoke { jid, name } => self.revoke(&jid, &name).await,
            other => return Err(other),
        };
        Ok(outcome.unwrap_or_else(Answer::Refused))
    }

    async fn create(
        &self,
        jid: &str,
        name: &str,
        days: u64,
        grant: Grant,
    ) -> Result<Answer, Refusal> {
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(format!("a token works for 1 to {DAYS_MAX} days"));
        }
        let lifetime = Duration::from_secs(days * 24 * 3600);
        let (now, known) = (now(), read(jid, name)?);
        let made = self.tokens.issue_api(&known, &grant, now, lifetime).await;
        let token = made.map_err(|error| refusal(jid, &error))?;
        tracing::info!(target: "audit", %jid, name, act = "make a token");
        Ok(Answer::ApiToken {
            token: token.expose().to_owned(),
            until: now.plus(lifetime).to_xep0082(),
        })
    }

    async fn revoke(&self, jid: &str, name: &str) -> Result<Answer, Refusal> {
        let revoked = self.tokens.revoke_api(&read(jid, name)?).await;
        revoked.map_err(|error| refusal(jid, &error))?;
        tracing::info!(target: "audit", %jid, name, act = "revoke a token");
        Ok(Answer::Done(1))
    }
}

fn read(jid: &str, name: &str) -> Result<ApiTokenName, Refusal> {
    let account = BareJid::parse(jid).map_err(|error| format!("\"{jid}\": {error}"))?;
    ApiTokenName::new(account, name).ok_or_else(|| format!("\"{name}\" is no name for a token"))
}

fn refusal(jid: &str, error: &StoreError) -> Refusal {
    match error {
        StoreError::NoSuchAccount => format!("there is no account {jid}"),
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use klatsch_gateways::auth::ApiVerdict;
    use klatsch_protocol::sasl::Secret;
    use klatsch_store::{Credentials, Store};

    async fn tokens() -> (ApiTokens, Tokens) {
        let store = Store::open("memory:").await.unwrap();
        let anna = BareJid::parse("anna@x.test").unwrap();
        let nothing = Credentials::default();
        store
            .create_account(&anna, &nothing, false, now())
            .await
            .unwrap();
        let tokens = || Tokens::new(store.clone(), [1; 32]);
        (ApiTokens::new(tokens()), tokens())
    }

    async fn create(commands: &ApiTokens, jid: &str, name: &str, days: u64) -> Option<String> {
        let (jid, name) = (jid.to_owned(), name.to_owned());
        let request = Request::TokenCreate {
            jid,
            name,
            days,
            apps: Vec::new(),
        };
        match commands.handle(request).await.unwrap() {
            Answer::ApiToken { token, .. } => Some(token),
            Answer::Refused(_) => None,
            other => panic!("{other:?}"),
        }
    }

    async fn check(tokens: &Tokens, token: &str) -> ApiVerdict {
        let name = ApiTokenName::of(token).unwrap();
        tokens.check_api(&name, &Secret::new(token), now()).await
    }

    #[tokio::test]
    async fn token_works_until_another_takes_its_place_or_it_is_revoked() {
        let (commands, tokens) = tokens().await;
        let first = create(&commands, "anna@x.test", "page", 1).await.unwrap();
        let other = create(&commands, "anna@x.test", "other", 1).await.unwrap();
        assert_eq!(
            check(&tokens, &first).await,
            ApiVerdict::Right(Grant::Account)
        );
        let second = create(&commands, "anna@x.test", "page", 1).await.unwrap();
        assert_eq!(check(&tokens, &first).await, ApiVerdict::Wrong);
        assert_eq!(
            check(&tokens, &second).await,
            ApiVerdict::Right(Grant::Account)
        );
        let (jid, name) = ("anna@x.test".to_owned(), "page".to_owned());
        let revoked = commands.handle(Request::TokenRevoke { jid, name }).await;
        assert_eq!(revoked.unwrap(), Answer::Done(1));
        assert_eq!(check(&tokens, &second).await, ApiVerdict::Wrong);
        assert_eq!(
            check(&tokens, &other).await,
            ApiVerdict::Right(Grant::Account)
        );
    }

    #[tokio::test]
    async fn token_for_apps_is_for_nothing_else() {
        let (commands, tokens) = tokens().await;
        let apps = vec!["shop".parse().unwrap(), "news:listen".parse().unwrap()];
        let request = Request::TokenCreate {
            jid: "anna@x.test".to_owned(),
            name: "page".to_owned(),
            days: 1,
            apps: apps.clone(),
        };
        let Answer::ApiToken { token, .. } = commands.handle(request).await.unwrap() else {
            panic!("a token");
        };
        let grant = Grant::of(apps);
        assert_eq!(check(&tokens, &token).await, ApiVerdict::Right(grant));
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused() {
        let (commands, _) = tokens().await;
        for (jid, name, days) in [
            ("bert@x.test", "page", 1),
            ("@", "page", 1),
            ("anna@x.test", "", 1),
            ("anna@x.test", "page", 0),
            ("anna@x.test", "page", 100_000),
        ] {
            assert_eq!(
                create(&commands, jid, name, days).await,
                None,
                "{jid} {name} {days}"
            );
        }
    }
}
