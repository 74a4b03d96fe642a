//! Budgets of nodes (XEP-0060): of every account's own, and of those it makes at `pubsub.D`.

use super::settings::settings;
use klatsch_protocol::features::pubsub::Settings;

settings! {
    /// Publish-subscribe: what an account may keep in its own nodes, and as much again in those it makes at pubsub.DOMAIN.
    pub struct Pubsub {
        /// Nodes.
        nodes_max: u64 = Settings::default().nodes_max;
        /// Items of one node; what clients call max.
        items_max: u32 = Settings::default().items_max;
        /// Bytes of one item.
        item_bytes_max: usize = Settings::default().item_bytes_max;
        /// Bytes of all items together, and of who is subscribed and affiliated.
        bytes_max: u64 = Settings::default().bytes_max;
        /// Subscriptions of one node.
        subscriptions_max: usize = Settings::default().subscriptions_max;
    }
}

impl Pubsub {
    /// The budgets as decisions take them.
    pub fn limits(&self) -> Settings {
        Settings {
            nodes_max: self.nodes_max,
            items_max: self.items_max,
            item_bytes_max: self.item_bytes_max,
            bytes_max: self.bytes_max,
            subscriptions_max: self.subscriptions_max,
        }
    }
}
