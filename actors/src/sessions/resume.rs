//! How a session goes on with another connection.

use std::sync::Arc;

use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stream::NotResumed;
use ractor::ActorRef;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::{SessionHandle, Sessions};
use crate::claims;
use crate::session::{Resumption, SessionMsg, Sink};
use crate::slot::Slot;

/// A session goes on.
pub struct Resumed {
    /// Its address.
    pub jid: FullJid,
    /// The connection's hold on it.
    pub session: SessionHandle,
    /// What has been handled of the client's stanzas.
    pub h: u32,
}

impl Sessions {
    /// Goes on with a session (XEP-0198 §5). Nothing is written to the connection until
    /// [`SessionHandle::start`].
    ///
    /// # Errors
    /// There is nothing to resume by this id for this account, or the client counts wrongly.
    pub async fn resume(
        &self,
        account: &BareJid,
        previd: &str,
        h: u32,
        sink: Arc<dyn Sink>,
    ) -> Result<Resumed, NotResumed> {
        if claims::may_come(&self.world) {
            claims::answer(self).await;
        }
        let here = self.world.resumables.slot(previd);
        let actor = match here {
            Some(slot) if self.owns(account, slot) => self.world.directory.slots.get(slot),
            Some(_) => None,
            None => self.take_over(account, previd, h).await,
        };
        let actor = actor.ok_or(NotResumed::Gone(None))?;
        let outcome = self.resume_by(actor, h, Arc::clone(&sink)).await;
        let has_left = here.is_some() && self.world.resumables.slot(previd).is_none();
        if !has_left || !matches!(outcome, Err(NotResumed::Gone(_))) {
            return outcome;
        }
        // It was just being handed over.
        let actor = self.take_over(account, previd, h).await;
        let actor = actor.ok_or(NotResumed::Gone(None))?;
        self.resume_by(actor, h, sink).await
    }

    async fn resume_by(
        &self,
        actor: ActorRef<SessionMsg>,
        h: u32,
        sink: Arc<dyn Sink>,
    ) -> Result<Resumed, NotResumed> {
        let (reply, answer) = oneshot::channel();
        let resumption = Resumption { h, sink, reply };
        actor
            .cast(SessionMsg::Resume(Box::new(resumption)))
            .map_err(|_| NotResumed::Gone(None))?;
        let answer = timeout(crate::world::STORE_PATIENCE * 4, answer).await;
        let answer = match answer {
            Ok(Ok(Ok(answer))) => answer,
            Ok(Ok(Err(Some(too_high)))) => return Err(NotResumed::TooHigh(too_high)),
            _ => return Err(NotResumed::Gone(None)),
        };
        let session = SessionHandle::new(actor, answer.connection, self.strain());
        tracing::info!(jid = %answer.jid, "session resumed");
        Ok(Resumed {
            jid: answer.jid,
            session,
            h: answer.h,
        })
    }

    /// Row A13: an id opens only its own account's session.
    pub(super) fn owns(&self, account: &BareJid, slot: Slot) -> bool {
        let published = self.world.directory.published(account.as_str());
        published.is_some_and(|published| published.has(slot))
    }
}
