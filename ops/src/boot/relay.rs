//! STUN and TURN at the start. Calls are not worth a server that does not come up: where they
//! cannot be had, everything else runs, and it is said.

use super::Foundation;
use klatsch_gateways::metrics;
use klatsch_gateways::turn::TurnServer;

/// Binds the built-in server, if it is to run and can.
pub(super) fn bind(foundation: &Foundation) -> Option<TurnServer> {
    let config = &foundation.config;
    metrics::turn_is_down(false);
    if !config.has_own_turn() {
        return None;
    }
    let settings = config.own_turn(foundation.secrets.turn_key);
    match TurnServer::bind(&config.listen.stun.addresses(), settings) {
        Ok(server) => {
            server.iter().for_each(tell);
            server
        }
        Err(error) => {
            let problem = format!("no STUN and TURN: listen.stun = {error}");
            tracing::warn!(
                "{problem}. Calls between networks may fail. Free the port, name another one, or \
                 set listen.stun = \"off\""
            );
            foundation.health.note("turn", &problem);
            metrics::turn_is_down(true);
            None
        }
    }
}

fn tell(server: &TurnServer) {
    let (listening, told) = (server.addresses(), server.told());
    let hosts: Vec<&str> = told.services.iter().map(|it| it.host.as_str()).collect();
    tracing::info!(?listening, ?hosts, "STUN and TURN for calls");
    if !server.is_public() {
        tracing::info!(
            "relays for calls are reached from this network alone: if others come through a \
             router, name its address in turn.addresses and let it pass UDP"
        );
    }
}
