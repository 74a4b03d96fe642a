//! What operators ask a node about its cluster.

use super::desk::{Desk, LASTING_MAX};
use super::drain::Drain;
use super::status::{ClusterStatus, NodeStatus, PresenceStatus};
use crate::admin::{Answer, Request};
use klatsch_actors::sessions::Sessions;
use std::sync::Arc;
use std::time::Duration;

/// Nodes that one token takes in: a rack.
const USES_MAX: u32 = 100;

/// What commands need of the link and of the replicas.
pub trait Nodes: Send + Sync {
    /// This node first, then the others by number.
    fn nodes(&self) -> Vec<NodeStatus>;

    /// How presence is replicated; `None` where it is not.
    fn presence(&self) -> Option<PresenceStatus>;

    /// Tells the others that this node stops.
    fn leave(&self);
}

/// Carries out what concerns the cluster.
pub struct ClusterCommands {
    part: Option<Part>,
}

/// What a node of a cluster has.
pub struct Part {
    /// The other nodes.
    pub nodes: Arc<dyn Nodes>,
    /// Where new nodes are taken in.
    pub desk: Desk,
    /// How this one leaves.
    pub drain: Drain,
    /// Its sessions.
    pub sessions: Sessions,
}

impl ClusterCommands {
    /// Of a node; `None` for a server that is alone.
    pub fn new(part: Option<Part>) -> Self {
        Self { part }
    }

    /// Carries out what concerns the cluster; anything else is given back.
    ///
    /// # Errors
    /// The request is another one.
    pub fn handle(&self, request: Request) -> Result<Answer, Request> {
        if !is_ours(&request) {
            return Err(request);
        }
        Ok(match &self.part {
            Some(part) => part.carry_out(&request),
            None => Answer::Refused(
                "this server is no part of a cluster: set cluster.listen for the first node, \
                 and say `klatsch cluster join TOKEN` on the others"
                    .to_owned(),
            ),
        })
    }
}

fn is_ours(request: &Request) -> bool {
    matches!(
        request,
        Request::ClusterStatus | Request::ClusterToken { .. } | Request::ClusterDrain { .. }
    )
}

impl Part {
    fn carry_out(&self, request: &Request) -> Answer {
        match *request {
            Request::ClusterToken { uses, seconds } => self.token(uses, seconds),
            Request::ClusterDrain { stop } => Answer::Drain(self.drain.go_on(stop)),
            _ => Answer::Cluster(Box::new(self.status())),
        }
    }

    fn status(&self) -> ClusterStatus {
        ClusterStatus {
            nodes: self.nodes.nodes(),
            sessions: self.sessions.count_here() as u64,
            rooms: self.sessions.world().directory.rooms().len() as u64,
            presence: self.nodes.presence(),
        }
    }

    fn token(&self, uses: u32, seconds: u64) -> Answer {
        let lasting = Duration::from_secs(seconds);
        if !(1..=USES_MAX).contains(&uses) {
            return Answer::Refused(format!("a token is for 1 to {USES_MAX} nodes"));
        }
        if lasting.is_zero() || lasting > LASTING_MAX {
            let hours = LASTING_MAX.as_secs() / 3600;
            return Answer::Refused(format!("a token is good for {hours} hours at most"));
        }
        match self.desk.issue(uses, lasting) {
            Ok(token) => Answer::JoinToken(token.to_string()),
            Err(error) => Answer::Refused(error.to_string()),
        }
    }
}
