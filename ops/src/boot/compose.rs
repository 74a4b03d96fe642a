//! The one place that knows gateways, actors and the store: starts them on the foundation, in order.
//!
//! Commands that work without a server open the same store here.

use super::Foundation;
use super::certificate::Certificate;
use crate::admin::{AdminHandler, Answer, Pending, Request};
use crate::config::Config;
use crate::error::Error;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// Takes another certificate; on an error the present one stays.
type Reload = Box<dyn Fn(&Certificate) -> Result<(), Error> + Send + Sync>;

/// What was started, with its handles.
pub(super) struct Running {
    /// Carries out what comes over the admin socket.
    pub(super) admin: Arc<dyn AdminHandler>,
    /// The token with which the first administrator signs up, unless there is one.
    pub(super) sign_up: Option<String>,
    /// Takes a new certificate for new handshakes.
    pub(super) reload: Reload,
    /// Stops listening, ends sessions and streams, writes what is left; pending until all is done.
    pub(super) stop: Pin<Box<dyn Future<Output = ()> + Send>>,
}

// ==== INTEGRATION POINT ==========================================================================
// Here the store is opened, the actors are started and the gateways bind their listeners; nothing
// else in this crate has to change for it.
// ==================================================================================================

/// Starts everything that serves users.
pub(super) async fn compose(foundation: &Foundation) -> Result<Running, Error> {
    let _ = (
        &foundation.secrets.fake_salt_key,
        &foundation.health,
        &foundation.certificate,
    );
    Ok(Running {
        admin: Arc::new(Nobody),
        sign_up: None,
        reload: Box::new(|_| Ok(())),
        stop: Box::pin(async {}),
    })
}

/// What commands work on while no server runs: the store alone. The caller holds the data directory.
pub async fn offline(_config: &Config, _data: &Path) -> Result<Arc<dyn AdminHandler>, Error> {
    Ok(Arc::new(Nobody))
}

/// Refuses everything but a ping.
struct Nobody;

impl AdminHandler for Nobody {
    fn handle(&self, request: Request) -> Pending<'_> {
        let answer = match request {
            Request::Ping => Answer::Done(0),
            _ => Answer::Refused("there is no store yet".to_owned()),
        };
        Box::pin(async { answer })
    }
}
