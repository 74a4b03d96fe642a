//! Browsers that are told while nobody looks (RFC 8030): who has registered, and what goes out.
//!
//! Owns: the bounded queue to whoever sends; what does not fit is refused, and asked again by the
//! account's server (XEP-0357). Does not own: the registrations, which the store has, and the
//! way to push services, which is a gateway's.

use std::sync::Mutex;

use klatsch_protocol::effect::Answer;
use klatsch_protocol::features::web_push::{Ask, Notice, Registration, Told};
use klatsch_protocol::jid::BareJid;
use klatsch_store::StoreError;
use tokio::sync::mpsc;

use crate::router::{patiently, refusal_of};
use crate::world::World;

/// So many notifications wait to be sent: some seconds of a busy server.
const WAITING_MAX: usize = 4_096;

/// A notification on its way to a browser.
#[derive(Debug)]
pub struct Outgoing {
    /// To whom.
    pub registration: Registration,
    /// Of what.
    pub notice: Notice,
}

/// Where notifications go.
#[derive(Default)]
pub struct WebPushes(Mutex<Option<mpsc::Sender<Outgoing>>>);

impl WebPushes {
    pub(crate) fn open(&self) -> mpsc::Receiver<Outgoing> {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        *self.0.lock().expect("no holder panics") = Some(sender);
        receiver
    }

    /// False: too much waits, or nobody sends.
    fn send(&self, outgoing: Outgoing) -> bool {
        let sender = self.0.lock().expect("no holder panics");
        let sender = sender.as_ref();
        sender.is_some_and(|sender| sender.try_send(outgoing).is_ok())
    }
}

/// Does what is asked about registrations.
pub(crate) async fn ask(world: &World, ask: &Ask) -> Answer {
    match answer(world, ask).await {
        Ok(told) => Answer::WebPush(told),
        Err(error) => Answer::Failed(refusal_of(&error)),
    }
}

async fn answer(world: &World, ask: &Ask) -> Result<Told, StoreError> {
    match ask {
        Ask::Register(registration, secret) => {
            patiently(world.store.register_web_push(registration)).await?;
            Ok(Told::Registered(registration.node.clone(), secret.clone()))
        }
        Ask::Unregister(owner, node) => {
            patiently(world.store.forget_web_push(owner, node)).await?;
            Ok(Told::Done)
        }
        Ask::Notify {
            owner,
            node,
            secret,
            notice,
        } => notify(world, owner, node, secret, notice).await,
    }
}

async fn notify(
    world: &World,
    owner: &BareJid,
    node: &str,
    secret: &[u8; 32],
    notice: &Notice,
) -> Result<Told, StoreError> {
    let registration = patiently(world.store.web_push(owner, node)).await?;
    // Hashes of random secrets: to compare them slowly would hide nothing.
    let registration = registration.filter(|it| it.secret == *secret);
    let Some(registration) = registration else {
        return Ok(Told::NoSuchNode);
    };
    let outgoing = Outgoing {
        registration,
        notice: notice.clone(),
    };
    Ok(match world.web_push.send(outgoing) {
        true => Told::Done,
        false => Told::Busy,
    })
}
