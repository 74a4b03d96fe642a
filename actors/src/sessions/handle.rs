//! What a connection has in its hands of its session.

use std::sync::Arc;

use klatsch_protocol::xml::Fragment;
use ractor::ActorRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::session::{Detach, SessionMsg};
use crate::strain::{Charge, Queue, Strain};

/// What a client may have sent and not yet seen dealt with: this many units, a stanza costing
/// one and another for each 4 KiB. While it has none left its socket is not read.
const CREDIT: u32 = 64;

/// What a stanza takes besides its content, about.
pub(crate) const STANZA_BYTES: usize = 256;

/// A connection's hold on its session.
#[derive(Clone)]
pub struct SessionHandle {
    actor: ActorRef<SessionMsg>,
    connection: u32,
    credit: Arc<Semaphore>,
    strain: Arc<Strain>,
}

/// What a stanza of the client costs until it has been dealt with.
pub struct Credit {
    _units: OwnedSemaphorePermit,
    _bytes: Charge,
}

impl SessionHandle {
    pub(super) fn new(actor: ActorRef<SessionMsg>, connection: u32, strain: Arc<Strain>) -> Self {
        Self {
            strain,
            actor,
            connection,
            credit: Arc::new(Semaphore::new(CREDIT as usize)),
        }
    }

    /// Hands over what the client has sent, if the session can take it now; false: the session
    /// is gone.
    ///
    /// # Errors
    /// The fragment, when the session has enough to deal with: [`SessionHandle::inbound`] waits.
    #[allow(
        clippy::result_large_err,
        reason = "the fragment comes back to wait where it was, and a box would cost each one"
    )]
    pub fn try_inbound(&self, fragment: Fragment) -> Result<bool, Fragment> {
        match self
            .credit
            .clone()
            .try_acquire_many_owned(units_of(&fragment))
        {
            Ok(credit) => Ok(self.hand_over(fragment, credit)),
            Err(TryAcquireError::NoPermits) => Err(fragment),
            Err(TryAcquireError::Closed) => Ok(false),
        }
    }

    /// Hands over what the client has sent; waits while the session has much of it to deal
    /// with. False: the session is gone.
    pub async fn inbound(&self, fragment: Fragment) -> bool {
        let credit = self.credit.clone();
        let Ok(units) = credit.acquire_many_owned(units_of(&fragment)).await else {
            return false;
        };
        self.hand_over(fragment, units)
    }

    fn hand_over(&self, fragment: Fragment, units: OwnedSemaphorePermit) -> bool {
        let mut waiting = Charge::new(Arc::clone(&self.strain), Queue::Inbound);
        waiting.set(STANZA_BYTES + fragment.payloads().bytes().len());
        let credit = Credit {
            _units: units,
            _bytes: waiting,
        };
        let message = SessionMsg::Inbound(Box::new(fragment), credit, self.connection);
        self.actor.cast(message).is_ok()
    }

    /// The connection has taken everything that was queued.
    pub fn writable(&self) {
        // A session that is gone has nothing to write.
        let _ = self.actor.cast(SessionMsg::Writable);
    }

    /// The client has been told that it is bound or resumed.
    pub fn start(&self) {
        let _ = self.actor.cast(SessionMsg::Start(self.connection));
    }

    /// The connection is gone.
    pub fn detach(&self, how: Detach) {
        let _ = self.actor.cast(SessionMsg::Detach(how, self.connection));
    }
}

/// A large stanza counts for more than one.
fn units_of(fragment: &Fragment) -> u32 {
    let size = fragment.payloads().bytes().len() as u32;
    (1 + size / 4096).min(CREDIT)
}
