//! The router: the one actor of a node that others can send to.
//!
//! Owns: nothing. It takes batches off ractor_cluster and hands what is in them on, in order.
//! Does not own: the connections ([`Core`] does). Restarted by: `keeper`, with all connections,
//! so that both ends compare what they have missed.

use std::sync::Arc;

use bytes::Bytes;
use ractor::message::{BoxedDowncastErr, SerializedMessage};
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef};

use super::core::Core;

/// Where a node's router is found: nothing else of ours is in a group that others see.
const GROUP: &str = "klatsch.router";

/// Takes what other nodes send.
pub(crate) struct Router;

/// Mail of the router: a batch. All that nodes say to each other is in it (row C05).
pub(crate) struct RouterMsg(Bytes);

impl ractor::Message for RouterMsg {
    fn serializable() -> bool {
        true
    }

    fn serialize(self) -> Result<SerializedMessage, BoxedDowncastErr> {
        Ok(cast(self.0.into()))
    }

    fn deserialize(message: SerializedMessage) -> Result<Self, BoxedDowncastErr> {
        match message {
            SerializedMessage::Cast { args, .. } => Ok(Self(args.into())),
            // Nobody of ours asks this way; an answer would be waited for without end.
            _ => Err(BoxedDowncastErr),
        }
    }
}

/// A batch as ractor_cluster carries it.
pub(crate) fn cast(batch: Vec<u8>) -> SerializedMessage {
    SerializedMessage::Cast {
        variant: String::new(),
        args: batch,
        metadata: None,
    }
}

/// The router of the node at the other end of a session of ractor_cluster.
pub(crate) fn find(session: ractor_cluster::NodeId) -> Option<ActorCell> {
    let members = ractor::pg::get_members(&GROUP.to_owned());
    members.into_iter().find(
        |member| matches!(member.get_id(), ActorId::Remote { node_id, .. } if node_id == session),
    )
}

impl Actor for Router {
    type Msg = RouterMsg;
    type State = Arc<Core>;
    type Arguments = Arc<Core>;

    async fn pre_start(
        &self,
        me: ActorRef<RouterMsg>,
        core: Arc<Core>,
    ) -> Result<Arc<Core>, ActorProcessingErr> {
        ractor::pg::join(GROUP.to_owned(), vec![me.get_cell()]);
        Ok(core)
    }

    async fn handle(
        &self,
        _me: ActorRef<RouterMsg>,
        RouterMsg(batch): RouterMsg,
        core: &mut Arc<Core>,
    ) -> Result<(), ActorProcessingErr> {
        core.receive(batch);
        Ok(())
    }
}
