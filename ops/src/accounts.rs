//! Accounts as operators change them: on the running server, where their sessions end with them
//! (row A14), and on a store at rest.

use crate::admin::{Answer, PAGE_MAX, Request, User};
use crate::password::Password;
use crate::transfer::import::{self, Begun};
use crate::transfer::{Piece, Position, export};
use klatsch_actors::account_change::AccountError;
use klatsch_actors::derivation::{KeysError, keys_of};
use klatsch_actors::sessions::Sessions;
use klatsch_protocol::account::{AccountAct, AccountChange};
use klatsch_protocol::features::Service;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::Secret;
use klatsch_protocol::time::Timestamp;
use klatsch_store::{Account, Credentials, Store};
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes and changes accounts of the domains served.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    domains: Vec<BareJid>,
    /// The running server's, if one runs.
    sessions: Option<Sessions>,
}

/// Why something is not done, for the person who asked.
type Refusal = String;

impl Accounts {
    /// Accounts of these domains in a store at rest.
    pub fn new(store: Store, domains: Vec<BareJid>) -> Self {
        let sessions = None;
        Self {
            store,
            domains,
            sessions,
        }
    }

    /// Accounts of the running server, in its store.
    pub fn of_server(store: Store, domains: Vec<BareJid>, sessions: Sessions) -> Self {
        let sessions = Some(sessions);
        Self {
            store,
            domains,
            sessions,
        }
    }

    /// Carries out what concerns accounts; anything else is given back.
    pub async fn handle(&self, request: Request) -> Result<Answer, Request> {
        let outcome = match request {
            Request::UserAdd {
                jid,
                password,
                admin,
            } => self.add(&jid, password, admin).await,
            Request::UserList { domain, after } => self.list(domain, after).await,
            Request::UserRemove { jid } => self.remove(&jid).await,
            Request::UserPasswd { jid, password } => self.set_password(&jid, password).await,
            Request::Export { jid, from } => self.export(&jid, from).await,
            Request::ServiceList => self.services().await,
            Request::ServiceExport { jid, from } => self.export_service(&jid, from).await,
            Request::ServiceImport { jid, pieces } => self.import_service(&jid, pieces).await,
            Request::ImportBegin {
                jid,
                password,
                merge,
            } => self.import_begin(&jid, password, merge).await,
            Request::Import {
                jid,
                is_new,
                pieces,
            } => self.import(&jid, is_new, &pieces).await,
            Request::ImportEnd { jid, waiting_from } => self.import_end(&jid, waiting_from).await,
            other => return Err(other),
        };
        Ok(outcome.unwrap_or_else(Answer::Refused))
    }

    /// Makes an account.
    pub async fn add(&self, jid: &str, password: Password, admin: bool) -> Result<Answer, Refusal> {
        let act = AccountAct::Create {
            password: Secret::new(password.expose()),
            is_admin: admin,
        };
        self.change(jid, act).await
    }

    async fn set_password(&self, jid: &str, password: Password) -> Result<Answer, Refusal> {
        let password = Secret::new(password.expose());
        self.change(jid, AccountAct::Password(password)).await
    }

    async fn remove(&self, jid: &str) -> Result<Answer, Refusal> {
        self.change(jid, AccountAct::Remove).await
    }

    async fn change(&self, jid: &str, act: AccountAct) -> Result<Answer, Refusal> {
        let account = self.account(jid)?;
        let jid = account.clone();
        let change = AccountChange { account, act };
        let changed = match &self.sessions {
            Some(sessions) => sessions.change_account(change).await,
            None => self.change_at_rest(change).await,
        };
        changed.map_err(|error| about(&jid, &error))?;
        Ok(Answer::Done(1))
    }

    async fn export(&self, jid: &str, from: Position) -> Result<Answer, Refusal> {
        let jid = self.account(jid)?;
        let page = export::page(&self.store, &jid, from, now()).await;
        let (xml, next) = page.map_err(|error| about(&jid, &error.into()))?;
        let xml = String::from_utf8(xml).map_err(|error| error.to_string())?;
        Ok(Answer::Exported(xml, next))
    }

    async fn import_begin(
        &self,
        jid: &str,
        password: Option<Password>,
        merge: bool,
    ) -> Result<Answer, Refusal> {
        let jid = self.account(jid)?;
        let credentials = match password {
            Some(password) => {
                let derived = derive(Secret::new(password.expose())).await;
                derived.map_err(|error| error.to_string())?
            }
            None => Credentials::default(),
        };
        let begun = import::begin(&self.store, &jid, credentials, now()).await;
        match begun.map_err(|error| about(&jid, &error.into()))? {
            Begun::New => Ok(Answer::Done(1)),
            Begun::Existing if merge => Ok(Answer::Done(0)),
            Begun::Existing => Err(format!(
                "there is an account {jid} already; --merge adds what it lacks"
            )),
        }
    }

    async fn import(&self, jid: &str, is_new: bool, pieces: &[Piece]) -> Result<Answer, Refusal> {
        let jid = self.account(jid)?;
        let begun = if is_new { Begun::New } else { Begun::Existing };
        let taken = import::take(&self.store, &jid, begun, pieces, now()).await;
        Ok(Answer::Taken(
            taken.map_err(|error| about(&jid, &error.into()))?,
        ))
    }

    async fn import_end(&self, jid: &str, waiting_from: Option<u64>) -> Result<Answer, Refusal> {
        let jid = self.account(jid)?;
        let taken = import::finish(&self.store, &jid, waiting_from).await;
        tracing::info!(%jid, "account imported");
        Ok(Answer::Taken(
            taken.map_err(|error| about(&jid, &error.into()))?,
        ))
    }

    /// Services of the domains served that have nodes.
    async fn services(&self) -> Result<Answer, Refusal> {
        let mut found = Vec::new();
        for domain in &self.domains {
            let Some(service) = Service::Pubsub.at(domain.as_str()) else {
                continue;
            };
            let has_nodes = export::has_nodes(&self.store, &service, now()).await;
            if has_nodes.map_err(|error| error.to_string())? {
                found.push(service.to_string());
            }
        }
        Ok(Answer::Services(found))
    }

    async fn export_service(&self, jid: &str, from: Position) -> Result<Answer, Refusal> {
        let service = self.service(jid)?;
        let page = export::service_page(&self.store, &service, from, now()).await;
        let (xml, next) = page.map_err(|error| error.to_string())?;
        let xml = String::from_utf8(xml).map_err(|error| error.to_string())?;
        Ok(Answer::Exported(xml, next))
    }

    /// Takes nodes in; a service has nothing else.
    async fn import_service(&self, jid: &str, pieces: Vec<Piece>) -> Result<Answer, Refusal> {
        let service = self.service(jid)?;
        let is_of_node = |piece: &Piece| matches!(piece.parent.as_str(), "pubsub" | "items");
        let (pieces, others): (Vec<Piece>, Vec<Piece>) = pieces.into_iter().partition(is_of_node);
        let taken = import::take(&self.store, &service, Begun::New, &pieces, now()).await;
        let mut taken = taken.map_err(|error| error.to_string())?;
        let note = format!("{} passed over: a service has nodes alone", others.len());
        taken.notes.extend((!others.is_empty()).then_some(note));
        Ok(Answer::Taken(taken))
    }

    /// The address of a service with nodes of a domain that is served here.
    fn service(&self, text: &str) -> Result<BareJid, Refusal> {
        let mut domains = self.domains.iter();
        let service = domains.find_map(|domain| {
            let service = Service::Pubsub.at(domain.as_str())?;
            (service.as_str() == text).then_some(service)
        });
        service.ok_or_else(|| format!("{text} is not served here"))
    }

    async fn change_at_rest(&self, change: AccountChange) -> Result<(), AccountError> {
        let AccountChange { account, act } = change;
        let store = &self.store;
        match act {
            AccountAct::Create { password, is_admin } => {
                let credentials = derive(password).await?;
                store
                    .create_account(&account, &credentials, is_admin, now())
                    .await?;
            }
            AccountAct::Password(password) => {
                let credentials = derive(password).await?;
                store.set_credentials(&account, &credentials).await?;
            }
            AccountAct::Remove => store.remove_account(&account, now()).await?,
            AccountAct::Disable(is_disabled) => store.set_disabled(&account, is_disabled).await?,
            AccountAct::Administrator(is_admin) => store.set_admin(&account, is_admin).await?,
        }
        Ok(())
    }

    /// A page of accounts: domain by domain in the order served, each in order of its addresses.
    async fn list(&self, domain: Option<String>, after: Option<String>) -> Result<Answer, Refusal> {
        let wrong = |text: &str| format!("\"{text}\" is no address");
        let parse = |text: String| BareJid::parse(&text).map_err(|_| wrong(&text));
        let mut after = after.map(parse).transpose()?;
        let domains = match domain.map(parse).transpose()? {
            Some(domain) => vec![domain],
            None => self.domains.clone(),
        };
        let reached = after.as_ref().and_then(|after| {
            domains
                .iter()
                .position(|domain| domain.as_str() == after.domain())
        });
        let mut users = Vec::new();
        for domain in &domains[reached.unwrap_or(0)..] {
            let wanted = u32::try_from(PAGE_MAX - users.len()).unwrap_or(u32::MAX);
            let page = self
                .store
                .list_accounts(domain.as_str(), after.as_ref(), wanted)
                .await;
            users.extend(
                page.map_err(|error| error.to_string())?
                    .into_iter()
                    .map(user),
            );
            after = None;
            if users.len() >= PAGE_MAX {
                break;
            }
        }
        Ok(Answer::Users(users))
    }

    /// An account's address of a domain that is served here.
    fn account(&self, text: &str) -> Result<BareJid, Refusal> {
        let jid = BareJid::parse(text).map_err(|error| format!("\"{text}\": {error}"))?;
        if jid.localpart().is_none() {
            return Err(format!("\"{text}\" names no account: name@domain"));
        }
        if !self
            .domains
            .iter()
            .any(|domain| domain.as_str() == jid.domain())
        {
            return Err(format!("{} is not served here", jid.domain()));
        }
        Ok(jid)
    }
}

/// What the account keeps instead of the password: slow by intent, so on a thread of its own.
async fn derive(password: Secret) -> Result<Credentials, KeysError> {
    let derived = tokio::task::spawn_blocking(move || keys_of(&password)).await;
    // A thread that ends without an answer has been stopped with the process.
    let scram = derived.unwrap_or(Err(KeysError::Busy))?;
    Ok(Credentials {
        scram,
        ..Credentials::default()
    })
}

fn about(jid: &BareJid, error: &AccountError) -> Refusal {
    match error {
        AccountError::Exists => format!("there is an account {jid} already"),
        AccountError::Nobody => format!("there is no account {jid}"),
        error => error.to_string(),
    }
}

fn user(account: Account) -> User {
    User {
        jid: account.jid.to_string(),
        admin: account.admin,
        disabled: account.disabled,
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use klatsch_protocol::sasl::Hash;

    async fn accounts() -> Accounts {
        let store = Store::open("memory:").await.unwrap();
        let domains = ["a.example", "b.example"].map(|domain| BareJid::parse(domain).unwrap());
        Accounts::new(store, domains.to_vec())
    }

    async fn add(accounts: &Accounts, jid: &str) -> Answer {
        let password = Password::new("pencil");
        let request = Request::UserAdd {
            jid: jid.to_owned(),
            password,
            admin: false,
        };
        accounts.handle(request).await.unwrap()
    }

    async fn listed(accounts: &Accounts, domain: Option<&str>, after: Option<&str>) -> Vec<String> {
        let (domain, after) = (domain.map(str::to_owned), after.map(str::to_owned));
        let answer = accounts
            .handle(Request::UserList { domain, after })
            .await
            .unwrap();
        let Answer::Users(users) = answer else {
            panic!("{answer:?}")
        };
        users.into_iter().map(|user| user.jid).collect()
    }

    #[tokio::test]
    async fn account_is_made_with_every_hash_and_its_address_prepared() {
        let accounts = accounts().await;
        assert_eq!(add(&accounts, "Alice@A.example").await, Answer::Done(1));
        let jid = BareJid::parse("alice@a.example").unwrap();
        let credentials = accounts.store.credentials(&jid).await.unwrap().unwrap();
        assert_eq!(credentials.scram.len(), Hash::ALL.len());
        assert!(
            credentials
                .scram
                .iter()
                .all(|one| one.verify_password("pencil"))
        );
    }

    #[tokio::test]
    async fn account_that_is_there_stays_as_it_is() {
        let accounts = accounts().await;
        add(&accounts, "alice@a.example").await;
        let again = add(&accounts, "alice@a.example").await;
        assert_eq!(
            again,
            Answer::Refused("there is an account alice@a.example already".to_owned())
        );
    }

    #[tokio::test]
    async fn only_accounts_of_served_domains_are_made() {
        let accounts = accounts().await;
        for wrong in [
            "a.example",
            "alice@c.example",
            "@a.example",
            "a b@a.example",
            "alice@a.example/r",
        ] {
            assert!(
                matches!(add(&accounts, wrong).await, Answer::Refused(_)),
                "{wrong}"
            );
        }
        assert!(listed(&accounts, None, None).await.is_empty());
    }

    #[tokio::test]
    async fn list_goes_through_the_domains_in_order_and_on_from_anywhere() {
        let accounts = accounts().await;
        for jid in ["b@a.example", "a@a.example", "a@b.example"] {
            add(&accounts, jid).await;
        }
        let all = ["a@a.example", "b@a.example", "a@b.example"];
        assert_eq!(listed(&accounts, None, None).await, all);
        assert_eq!(listed(&accounts, None, Some(all[0])).await, all[1..]);
        assert_eq!(listed(&accounts, None, Some(all[2])).await, [""; 0]);
        assert_eq!(listed(&accounts, Some("b.example"), None).await, all[2..]);
    }

    #[tokio::test]
    async fn password_is_changed_and_account_removed_only_where_there_is_one() {
        let accounts = accounts().await;
        add(&accounts, "alice@a.example").await;
        let passwd = |jid: &str| Request::UserPasswd {
            jid: jid.to_owned(),
            password: Password::new("other"),
        };
        assert_eq!(
            accounts.handle(passwd("alice@a.example")).await,
            Ok(Answer::Done(1))
        );
        let jid = BareJid::parse("alice@a.example").unwrap();
        let credentials = accounts.store.credentials(&jid).await.unwrap().unwrap();
        assert!(
            credentials
                .scram
                .iter()
                .all(|one| one.verify_password("other"))
        );
        let nobody = Answer::Refused("there is no account bob@a.example".to_owned());
        assert_eq!(accounts.handle(passwd("bob@a.example")).await, Ok(nobody));
        let remove = || Request::UserRemove {
            jid: "alice@a.example".to_owned(),
        };
        assert_eq!(accounts.handle(remove()).await, Ok(Answer::Done(1)));
        assert!(matches!(
            accounts.handle(remove()).await,
            Ok(Answer::Refused(_))
        ));
    }

    #[tokio::test]
    async fn emoji_password_is_refused_with_advice() {
        let accounts = accounts().await;
        let jid = "alice@a.example";
        let password = Password::new("pencil \u{1f512}");
        let refusal = accounts.add(jid, password, false).await.unwrap_err();
        assert!(
            refusal.contains("emoji") && refusal.contains("letters"),
            "{refusal}"
        );
        assert!(listed(&accounts, None, None).await.is_empty());
    }

    #[tokio::test]
    async fn empty_or_forbidden_password_is_refused() {
        let accounts = accounts().await;
        for wrong in ["", "bell\u{7}"] {
            let jid = "alice@a.example";
            assert!(
                accounts
                    .add(jid, Password::new(wrong), false)
                    .await
                    .is_err()
            );
        }
    }
}
