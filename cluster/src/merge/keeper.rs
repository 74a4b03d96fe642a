//! The keeper of merge actors.
//!
//! Owns: nothing. Restarted by: nobody; when a merge actor fails it ends and the others with
//! it, and whoever started them hears of that ([`super::Presences::ended`]).

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tracing::error;

/// The actor.
pub(super) struct Keeper;

/// What it is started with.
pub(super) struct KeeperArguments;

impl Actor for Keeper {
    type Msg = ();
    type State = ();
    type Arguments = KeeperArguments;

    async fn pre_start(
        &self,
        _me: ActorRef<()>,
        _arguments: KeeperArguments,
    ) -> Result<(), ActorProcessingErr> {
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<()>,
        event: SupervisionEvent,
        _state: &mut (),
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(_, error) => {
                error!(%error, "merge actor failed");
                me.stop(None);
            }
            SupervisionEvent::ActorTerminated(..) => me.stop(None),
            _ => {}
        }
        Ok(())
    }
}
