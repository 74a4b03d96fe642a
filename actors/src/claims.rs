//! Sessions that go on without the node that has them: it is not heard, and may live behind a
//! cut. What stands in the store settles who has a session, for most cuts have it on both sides.
//!
//! Without this a node would go on from what it heard last, and tell the client less than the
//! other has acknowledged since; and the other would keep what is no longer its own, and show it
//! to the people it has.

use std::time::Duration;

use klatsch_cluster::node_id::NodeId;
use klatsch_protocol::jid::FullJid;
use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_store::claims::Standing;
use klatsch_store::{Claim, StoreError};
use ractor::ActorRef;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use crate::router::patiently;
use crate::session::{Departing, Left, SessionMsg, Waiting};
use crate::sessions::Sessions;
use crate::world::{STORE_PATIENCE, World};

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

/// What the store has not said it is asked again after this.
const AGAIN: Duration = Duration::from_secs(1);

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
    patiently(world.store.claim_session(claim, world.now())).await?;
    for pause in LOOKS {
        sleep(pause).await;
        if let Some(actor) = look(sessions, claim).await {
            return Ok(Claimed::Here(actor));
        }
    }
    if press(world, claim).await? {
        return Ok(Claimed::Unanswered);
    }
    let deadline = Instant::now() + ON_ITS_WAY;
    while Instant::now() < deadline {
        if let Some(actor) = look(sessions, claim).await {
            return Ok(Claimed::Here(actor));
        }
        sleep(LOOKS[0]).await;
    }
    Ok(Claimed::Denied)
}

/// Looks for a claimed session: in the store, at its node, should that be heard again, and at
/// whichever node shows it by now, for others may have taken it up.
async fn look(sessions: &Sessions, claim: &Claim) -> Option<ActorRef<SessionMsg>> {
    let account = claim.session.bare();
    let put_away = sessions.take_up_put_away(&account, &claim.previd).await;
    if put_away.is_some() {
        return put_away;
    }
    let mut nodes = vec![NodeId(claim.node)];
    nodes.extend(sessions.holder(&claim.session, &claim.previd));
    nodes.dedup();
    for node in nodes {
        let answer = sessions.ask_again(node, &account, &claim.previd).await;
        match answer {
            // It is not to be answered any more.
            Some(_) if node.0 == claim.node => end(sessions.world(), claim).await,
            // What its node may still have is to be let go.
            Some(_) => drop(patiently(sessions.world().store.press_claim(&claim.previd)).await),
            None => continue,
        }
        return answer;
    }
    None
}

/// Says that nobody waits any longer, until it is known whether that has come in time.
async fn press(world: &World, claim: &Claim) -> Result<bool, StoreError> {
    let deadline = Instant::now() + ON_ITS_WAY;
    loop {
        match patiently(world.store.press_claim(&claim.previd)).await {
            Err(_) if Instant::now() < deadline => sleep(AGAIN).await,
            pressed => return pressed,
        }
    }
}

/// Ends a claim that has nothing to wait for any more. One that stays is ended by the node it is
/// made to, when that looks.
async fn end(world: &World, claim: &Claim) {
    let ended = patiently(world.store.answer_claim(&claim.previd, world.now())).await;
    if let Err(error) = ended {
        tracing::debug!(session = %claim.session, %error, "a claim is not ended yet");
    }
}

/// Answers the claims on this node: the sessions that it has are put away in the store, where
/// whoever claims them finds them; claims on others mean nothing. False: the store does not say in
/// time which claims there are; they are asked for again.
pub(crate) async fn answer(sessions: &Sessions) -> bool {
    let world = sessions.world();
    let Some(peers) = world.directory.peers() else {
        return true;
    };
    let me = peers.members().me.node;
    let Ok(Ok(open)) = timeout(PATIENCE, world.store.claims_on(me.0, world.now())).await else {
        return false;
    };
    for claim in open {
        match sessions.slot_of(&claim.session.bare(), &claim.previd) {
            Some(slot) => {
                let leaving = sessions.ask_for(slot, moved());
                tokio::spawn(hand_over(sessions.clone(), claim, leaving));
            }
            None => end(world, &claim).await,
        }
    }
    true
}

/// Ends the claims on what this node had, before it takes a session that it may have had: they
/// concern lives of it that are over, and would end the new one. It is done before and not while
/// the session is on its way, when nobody has it.
pub(crate) async fn end_older(sessions: &Sessions) {
    if !answer(sessions).await {
        tracing::debug!("sessions begin that may have been claimed before");
    }
}

/// Hands a session over once all that its client has sent is dealt with. One for which that takes
/// too long stays, and its claim: it is asked for again.
async fn hand_over(sessions: Sessions, claim: Claim, leaving: oneshot::Receiver<Box<Departing>>) {
    let Some(departing) = Departing::by(Instant::now() + HANDING_OVER, leaving).await else {
        return;
    };
    let left = give(&sessions, &claim, &departing.waiting).await;
    if left == Left::Across {
        tracing::info!(jid = %claim.session, "a session goes to another node by way of the store");
    }
    sessions.tell(departing.slot, left);
}

/// Gives a session to whoever claims it. Where it may stand in the store it may be taken up any
/// moment, so it does not go on here before the store has said that it is not there.
async fn give(sessions: &Sessions, claim: &Claim, waiting: &Waiting) -> Left {
    let mut may_be_there = false;
    loop {
        let giving = sessions.put_away_for(claim, waiting);
        match timeout(STORE_PATIENCE, giving).await {
            // Whoever has claimed it has it from elsewhere, or claims it elsewhere.
            Ok(Ok(Standing::Gone)) if !may_be_there => return Left::Nowhere,
            // It waits there, it has been there before, or somebody has gone on without it.
            Ok(Ok(_)) => return Left::Across,
            Ok(Err(error)) if !may_be_there && !matches!(error, StoreError::Uncertain(_)) => {
                tracing::warn!(session = %claim.session, %error, "a claimed session stays");
                return Left::Nowhere;
            }
            Ok(Err(_)) | Err(_) => may_be_there = true,
        }
        sleep(AGAIN).await;
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

/// Whether a node may live behind a cut, or did until a moment ago: what it says may be lost, and
/// sessions may be on either side.
pub(crate) fn are_around_cut(world: &World) -> bool {
    let peers = world.directory.peers();
    may_have_come(world) || peers.is_some_and(|peers| peers.were_cut_lately())
}
