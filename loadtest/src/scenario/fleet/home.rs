//! Which node a client talks to: its own one as long as that answers, the next when it does not.

use std::sync::Arc;

use crate::error::LoadError;
use crate::options::Target;
use crate::random::Random;

/// The nodes as one client sees them.
#[derive(Clone, Debug)]
pub(super) struct Home {
    nodes: Arc<[Arc<Target>]>,
    current: usize,
}

/// Where a server has sent a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It has not.
    Nowhere,
    /// To a host that is no node.
    Away,
    /// To this node.
    To(u32),
}

impl Home {
    /// Clients are dealt out to the nodes by their numbers.
    pub(super) fn new(nodes: Arc<[Arc<Target>]>, client: u32) -> Self {
        let current = (client.max(1) as usize - 1) % nodes.len();
        Self { nodes, current }
    }

    /// Where to connect.
    pub(super) fn target(&self) -> Arc<Target> {
        Arc::clone(&self.nodes[self.current])
    }

    /// The node's number, counted from 1.
    pub(super) fn number(&self) -> u32 {
        u32::try_from(self.current + 1).unwrap_or(u32::MAX)
    }

    /// The next node.
    pub(super) fn move_on(&mut self) {
        self.current = (self.current + 1) % self.nodes.len();
    }

    /// Any node: who comes back by itself may come from elsewhere.
    pub(super) fn move_anywhere(&mut self, random: &mut Random) {
        self.current = random.below(self.nodes.len() as u64) as usize;
    }

    /// A connection has ended: where the server sends the client (RFC 6120 §4.9.3.19), or on to
    /// the next node where this one has been silent. One that was cut off is tried again first.
    pub(super) fn ended(&mut self, error: &LoadError) -> Sent {
        let text = error.to_string();
        if !text.contains("see-other-host") {
            if let LoadError::Timeout(_) = error {
                self.move_on();
            }
            return Sent::Nowhere;
        }
        let named = |node: &Arc<Target>| is_in(&text, &node.host);
        match self.nodes.iter().position(named) {
            Some(node) => {
                self.current = node;
                Sent::To(self.number())
            }
            None => {
                self.move_on();
                Sent::Away
            }
        }
    }
}

/// Whether a text names an address, and not one that begins with it.
fn is_in(text: &str, host: &str) -> bool {
    text.match_indices(host).any(|(at, _)| {
        let behind = text[at + host.len()..].chars().next();
        !behind.is_some_and(|next| next.is_ascii_alphanumeric())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::test_target;

    fn home(client: u32) -> Home {
        let node = |last: u32| {
            Arc::new(Target {
                host: format!("10.0.0.{last}"),
                ..test_target()
            })
        };
        Home::new([1, 2, 13].map(node).into(), client)
    }

    #[test]
    fn clients_are_dealt_out_and_go_on_to_the_next_node() {
        assert_eq!(
            [1, 2, 3, 4].map(|client| home(client).number()),
            [1, 2, 3, 1]
        );
        let mut last = home(3);
        last.move_on();
        assert_eq!(last.number(), 1);
    }

    #[test]
    fn a_client_follows_where_it_is_sent() {
        let mut home = home(2);
        let sent = |host: &str| LoadError::Closed(format!(" with <see-other-host/> {host}"));
        assert_eq!(home.ended(&sent("10.0.0.13:5223")), Sent::To(3));
        assert_eq!(home.number(), 3);
        assert_eq!(home.ended(&sent("10.0.0.1")), Sent::To(1));
        assert_eq!(home.number(), 1);
        assert_eq!(home.ended(&sent("elsewhere.example")), Sent::Away);
        assert_eq!(home.number(), 2);
    }

    #[test]
    fn a_silent_node_is_left_and_one_that_hangs_up_is_not() {
        let mut home = home(1);
        assert_eq!(home.ended(&LoadError::Closed(String::new())), Sent::Nowhere);
        assert_eq!(home.number(), 1);
        home.ended(&LoadError::Timeout("no acknowledgement"));
        assert_eq!(home.number(), 2);
    }
}
