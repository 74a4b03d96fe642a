//! The handle by which gateways and operators reach the sessions of this node.

mod bind;
mod handle;
mod moving;
mod restart;
mod resume;
mod taking_over;

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::account::AccountChange;
use klatsch_protocol::facts::{Host, Views};
use klatsch_protocol::features::invitation::{Invitation, TokenHash};
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{StanzaError, StreamError};
use klatsch_protocol::stream::register::NewAccount;
use klatsch_store::StoreError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

pub(crate) use self::handle::STANZA_BYTES;
pub use self::handle::{Credit, SessionHandle};
pub use self::resume::Resumed;
use crate::account_change::{self, AccountError, change_account};
use crate::files::Files;
use crate::invitations;
use crate::mail::{Address, Mail};
use crate::people::People;
use crate::rooms::Rooms;
use crate::router::refusal_of;
use crate::session::{Session, SessionMsg};
use crate::strain::Strain;
use crate::web_push::Outgoing;
use crate::world::World;

/// A session that is replaced has this long to tell its contacts.
pub(crate) const REPLACE_PATIENCE: Duration = Duration::from_secs(2);

/// The sessions of this node.
#[derive(Clone)]
pub struct Sessions {
    world: Arc<World>,
}

impl Sessions {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// What the node shares.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The contents of files on other nodes.
    pub fn files(&self) -> Files {
        Files::new(self.world.clone())
    }

    /// What an account may see of others, and shows of itself.
    pub fn people(&self) -> People {
        People::new(self.world.clone())
    }

    /// The rooms.
    pub fn rooms(&self) -> Rooms {
        Rooms::new(self.world.clone())
    }

    /// How strained the node is.
    pub fn strain(&self) -> Arc<Strain> {
        Arc::clone(&self.world.strain)
    }

    /// Lets every client go for whom at least so many bytes wait: those who read too slowly
    /// lose their connection and may resume, those who acknowledge too little their session.
    pub fn let_go(&self, bytes: usize) {
        let slots = &self.world.directory.slots;
        slots.send_all(|| SessionMsg::LetGo(bytes));
    }

    /// What browsers are to be told from now on, for whoever sends it; until somebody takes this,
    /// nothing is.
    pub fn web_pushes(&self) -> mpsc::Receiver<Outgoing> {
        self.world.web_push.open()
    }

    /// The server as decisions know it.
    pub fn host(&self) -> &Host {
        &self.world.host
    }

    /// The bound resources of an account, or of everybody.
    pub fn list(&self, account: Option<&BareJid>) -> Vec<FullJid> {
        let all = match account {
            Some(account) => vec![self.world.directory.view(account)],
            None => self
                .world
                .directory
                .all(|_| true)
                .into_iter()
                .map(|(_, it)| it.view.clone())
                .collect(),
        };
        let resources = all.iter().flat_map(|view| &view.resources);
        resources.map(|resource| resource.jid.clone()).collect()
    }

    /// A session as data.
    pub async fn inspect(&self, jid: &FullJid) -> Option<Box<Session>> {
        let slot = self.world.directory.slot(jid)?;
        let (reply, session) = oneshot::channel();
        self.world
            .directory
            .slots
            .send(slot, SessionMsg::Inspect(reply));
        timeout(REPLACE_PATIENCE, session).await.ok()?.ok()
    }

    /// Ends a session; tells whether it was there.
    pub fn kick(&self, jid: &FullJid, error: StreamError) -> bool {
        self.world
            .directory
            .send(&Address::Session(jid.clone()), Mail::End(error))
    }

    /// Ends every session of an account.
    pub fn kick_account(&self, account: &BareJid, error: StreamError) -> bool {
        self.world
            .directory
            .send(&Address::Account(account.clone()), Mail::End(error))
    }

    /// Changes an account; its sessions end where the change says so.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn change_account(&self, change: AccountChange) -> Result<(), AccountError> {
        change_account(&self.world, change, None).await
    }

    /// The accounts that have a session on this node.
    pub fn accounts_here(&self) -> Vec<BareJid> {
        let all = self.world.directory.all(|_| true).into_iter();
        all.filter(|(_, published)| published.here().next().is_some())
            .map(|(account, _)| account)
            .collect()
    }

    /// Admits an account that another system vouches for; it is made where there is none.
    /// False: an administrator of this server has disabled it.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn admit_account(&self, account: &BareJid) -> Result<bool, StoreError> {
        account_change::admit(&self.world, account).await
    }

    /// Ends the sessions of an account, on every node, and takes its tokens away.
    ///
    /// # Errors
    /// The store has not taken the tokens away; the sessions have ended all the same.
    pub async fn revoke(&self, account: &BareJid) -> Result<(), StoreError> {
        account_change::revoke(&self.world, account).await
    }

    /// Ends the sessions of an account, on every node, for good; its tokens stay.
    pub fn end_account(&self, account: &BareJid) {
        account_change::end_sessions(&self.world, account, None);
    }

    /// An invitation that is good now.
    ///
    /// # Errors
    /// What whoever asks is told: the store does not answer.
    pub async fn invitation(&self, hash: TokenHash) -> Result<Option<Invitation>, StanzaError> {
        let found = invitations::find(&self.world, hash).await;
        found.map_err(|error| refusal_of(&error))
    }

    /// Makes an account for somebody who asks for it.
    ///
    /// # Errors
    /// [`AccountError`]; an invitation stays good then.
    pub async fn register(&self, new: NewAccount) -> Result<(), AccountError> {
        invitations::register(&self.world, new).await
    }
}

/// 128 random bits, for names nobody may guess.
pub fn random_id() -> String {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
