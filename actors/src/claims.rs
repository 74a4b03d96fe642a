//! Sessions that go on without the node that has them: it is not heard, and may live behind a
//! cut. What stands in the store settles who has a session, for most cuts have it on both sides.
//!
//! Without this a node would go on from what it heard last, and tell the client less than the
//! other has acknowledged since; and the other would keep what is no longer its own, and show it
//! to the people it has.

use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_store::claims::Standing;
use klatsch_store::{Claim, StoreError};
use ractor::ActorRef;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::router::patiently;
use crate::session::{Departing, Left, SessionMsg};
use crate::sessions::Sessions;
use crate::slot::Slot;
use crate::world::World;

/// When it is looked for a session that was claimed: the other node looks every second for what
/// is claimed, and what its client has sent it deals with first.
const LOOKS: [Duration; 4] = [
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_millis(900),
    Duration::from_millis(900),
];

/// A claim that has been answered is followed by its session within this time.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// Sessions are handed over within this time, or stay.
const HANDING_OVER: Duration = Duration::from_secs(2);

/// A client that comes back waits no longer for what the store says of claims.
const PATIENCE: Duration = Duration::from_secs(1);

/// What has become of a claim.
pub(crate) enum Claimed {
    /// The session is here.
    Here(ActorRef<SessionMsg>),
    /// Nobody has answered: it may be gone on with from its record.
    Unanswered,
    /// It is not to be had.
    Denied,
}

/// Claims a session of a node that is not heard, and waits for it.
pub(crate) async fn claim(
    sessions: &Sessions,
    node: NodeId,
    session: &FullJid,
    previd: &str,
) -> Claimed {
    let claim = Claim {
        node: node.0,
        session: session.clone(),
        previd: previd.to_owned(),
    };
    match claim_or_press(sessions, &claim).await {
        Ok(claimed) => claimed,
        Err(error) => {
            // Without the store nobody can say whose it is.
            tracing::warn!(%session, node = node.0, %error, "a session was not claimed");
            Claimed::Denied
        }
    }
}

async fn claim_or_press(sessions: &Sessions, claim: &Claim) -> Result<Claimed, StoreError> {
    let world = sessions.world();
    let account = claim.session.bare();
    patiently(world.store.claim_session(claim, world.now())).await?;
    for pause in LOOKS {
        sleep(pause).await;
        if let Some(actor) = put_away(sessions, &account, &claim.previd).await {
            return Ok(Claimed::Here(actor));
        }
        if let Some(actor) = sessions
            .ask_again(NodeId(claim.node), &account, &claim.previd)
            .await
        {
            // It is not to be answered any more.
            patiently(world.store.answer_claim(&claim.previd, world.now())).await?;
            return Ok(Claimed::Here(actor));
        }
    }
    if patiently(world.store.press_claim(&claim.previd)).await? {
        return Ok(Claimed::Unanswered);
    }
    let deadline = Instant::now() + ON_ITS_WAY;
    while Instant::now() < deadline {
        if let Some(actor) = put_away(sessions, &account, &claim.previd).await {
            return Ok(Claimed::Here(actor));
        }
        sleep(LOOKS[0]).await;
    }
    Ok(Claimed::Denied)
}

async fn put_away(
    sessions: &Sessions,
    account: &BareJid,
    previd: &str,
) -> Option<ActorRef<SessionMsg>> {
    sessions.take_up_put_away(account, previd).await
}

/// Answers the claims on sessions of this node: they are put away in the store, where whoever
/// claims them finds them. False: the store does not say in time which there are; they are asked
/// for again.
pub(crate) async fn answer(sessions: &Sessions) -> bool {
    let world = sessions.world();
    let Some(peers) = world.directory.peers() else {
        return true;
    };
    let me = peers.members().me.node;
    let Ok(Ok(open)) = timeout(PATIENCE, world.store.claims_on(me.0, world.now())).await else {
        return false;
    };
    let mut claimed = Vec::new();
    for claim in open {
        claimed.extend(answer_one(sessions, &claim).await);
    }
    hand_over(sessions, claimed).await;
    true
}

/// The session that is to be handed over.
async fn answer_one(sessions: &Sessions, claim: &Claim) -> Option<Slot> {
    let world = sessions.world();
    let standing = patiently(world.store.answer_claim(&claim.previd, world.now())).await;
    let slot = sessions.slot_of(&claim.session.bare(), &claim.previd)?;
    match standing {
        Ok(Standing::Waits) => Some(slot),
        Ok(Standing::Pressed) => {
            world.directory.slots.send(slot, SessionMsg::WentOn);
            None
        }
        // Answered by another look, or not answered yet.
        Ok(Standing::Gone) | Err(_) => None,
    }
}

async fn hand_over(sessions: &Sessions, slots: Vec<Slot>) {
    let deadline = Instant::now() + HANDING_OVER;
    let asked: Vec<_> = slots
        .iter()
        .map(|slot| sessions.ask_for(*slot, moved()))
        .collect();
    let mut departing: Vec<Departing> = Vec::new();
    for session in asked {
        if let Ok(Ok(session)) = timeout_at(deadline, session).await {
            departing.push(*session);
        }
    }
    if departing.is_empty() {
        return;
    }
    let waiting: Vec<_> = departing.iter().map(|it| &it.waiting).collect();
    let put_away = sessions.put_away(&waiting).await;
    if let Err(error) = &put_away {
        tracing::warn!(%error, "sessions that others claim stay");
    }
    for departing in &departing {
        let jid = &departing.waiting.session.facts.jid;
        tracing::info!(%jid, "a session goes to another node by way of the store");
        let left = match put_away {
            Ok(()) => Left::Across,
            Err(_) => Left::Nowhere,
        };
        sessions.tell(departing.slot, left);
    }
}

/// What a connection hears whose client is on another node.
fn moved() -> StreamError {
    StreamError::new(StreamCondition::Conflict)
}

/// Whether somebody may go on with sessions of this node without it.
pub(crate) fn may_come(world: &World) -> bool {
    let peers = world.directory.peers();
    peers.is_some_and(|peers| peers.members().misses_somebody())
}

/// Whether a session that another node has no more may be where neither is heard.
pub(crate) fn may_have_come(world: &World) -> bool {
    let peers = world.directory.peers();
    peers.is_some_and(|peers| peers.members().may_claim())
}
