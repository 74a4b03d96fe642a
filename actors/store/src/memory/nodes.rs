//! Nodes, and what accounts keep, in memory.

use bytes::Bytes;
use klatsch_protocol::effect::Kept;
use klatsch_protocol::features::pubsub::node::{
    Action, Affiliation, Ask, Found, FoundNode, Item, LastItem, Node, NodeChange, ROW_BYTES, Usage,
    Wanted,
};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::time::Timestamp;

use super::renaming::replace;
use super::{Memory, State};
use crate::error::{Result, StoreError};
use crate::kept::Keeping;
use crate::pubsub::{LIST_MAX, Nodes};
use crate::renaming::renamed;

/// A node with its items, in the order in which they were published.
pub(super) struct Held {
    node: Node,
    items: Vec<Item>,
}

impl Nodes for Memory {
    async fn nodes(&self, service: &BareJid, ask: &Ask, now: Timestamp) -> Result<Found> {
        let mut state = self.state();
        state.sweep_items(now);
        Ok(match ask {
            Ask::Node {
                node,
                items,
                creator,
            } => Found::Node(state.find(service, node, items, creator)?),
            Ask::Nodes { after, max } => {
                let after = after.as_deref().unwrap_or("");
                let of = state
                    .of(service)
                    .filter(|held| held.node.name.as_str() > after);
                Found::Nodes(of.take(*max as usize).map(Held::bare).collect())
            }
            Ask::Subscriptions(of) => Found::Subscriptions(state.subscriptions(service, of)),
            Ask::Affiliations(of) => {
                let all = state.of(service).filter_map(|held| {
                    let affiliation = held.node.affiliations.get(of)?;
                    Some((held.node.name.clone(), *affiliation))
                });
                Found::Affiliations(all.take(LIST_MAX as usize).collect())
            }
            Ask::LastItems {
                services,
                nodes,
                bytes_max,
            } => Found::LastItems(state.last_items(services, nodes, *bytes_max)),
        })
    }

    async fn change_node(&self, change: &NodeChange, now: Timestamp) -> Result<()> {
        self.state().change_node(change, now)
    }
}

impl Held {
    fn bytes(&self) -> u64 {
        let subscribed = self.node.subscriptions.iter().map(|it| it.jid.as_str());
        let affiliated = self.node.affiliations.keys().map(BareJid::as_str);
        let addresses = subscribed.chain(affiliated);
        let addresses: u64 = addresses.map(|jid| jid.len() as u64 + ROW_BYTES).sum();
        self.items.iter().map(Item::bytes).sum::<u64>() + addresses
    }

    /// The node without its subscriptions.
    fn bare(&self) -> Node {
        Node {
            subscriptions: Vec::new(),
            ..self.node.clone()
        }
    }

    /// Somebody has got another address.
    pub(super) fn rename(&mut self, from: &BareJid, to: &BareJid) {
        let node = &mut self.node;
        replace(&mut node.creator, from, to);
        let affiliation = node.affiliations.remove(from);
        let mut is_renamed = affiliation.is_some();
        node.affiliations
            .extend(affiliation.map(|it| (to.clone(), it)));
        let subscriptions = &mut node.subscriptions;
        if subscriptions
            .iter()
            .any(|it| it.jid.bare_str() == from.as_str())
        {
            is_renamed = true;
            subscriptions.retain(|it| it.jid.bare_str() != to.as_str());
            for subscription in subscriptions.iter_mut() {
                if let Some(jid) = renamed(&subscription.jid, from, to) {
                    subscription.jid = jid;
                }
            }
            subscriptions.sort_by(|one, other| one.jid.as_str().cmp(other.jid.as_str()));
        }
        node.version += u64::from(is_renamed);
    }

    fn place(&self, id: &str) -> Result<usize> {
        let place = self.items.iter().position(|item| item.id == id);
        place.ok_or(StoreError::NoSuchItem)
    }

    fn wanted(&self, wanted: &Wanted) -> Result<Vec<Item>> {
        let find = |id: &String| self.items.iter().find(|item| item.id == *id).cloned();
        Ok(match wanted {
            Wanted::Nothing => Vec::new(),
            Wanted::Ids(ids) => ids.iter().filter_map(find).collect(),
            Wanted::Replaced(id) => {
                let known = id.as_ref().and_then(find);
                known
                    .or_else(|| self.items.first().cloned())
                    .into_iter()
                    .collect()
            }
            Wanted::After(id, max) => {
                let from = match id {
                    Some(id) => self.place(id)? + 1,
                    None => 0,
                };
                self.items[from..]
                    .iter()
                    .take(*max as usize)
                    .cloned()
                    .collect()
            }
            Wanted::Before(id, max) => {
                let end = id
                    .as_deref()
                    .map_or(Ok(self.items.len()), |id| self.place(id))?;
                self.items[end.saturating_sub(*max as usize)..end].to_vec()
            }
        })
    }

    /// Lets the items go whose time is over.
    fn expire(&mut self, now: Timestamp) {
        if let Some(seconds) = self.node.config.item_expire {
            let life = i64::from(seconds) * 1_000_000;
            let until = |item: &Item| item.stamp.0.saturating_add(life);
            self.items.retain(|item| until(item) > now.0);
        }
    }

    fn act(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Create(..) => return Err(StoreError::Conflict),
            Action::Configure(config) => {
                self.node.config = config.clone();
                self.node.version += 1;
            }
            Action::Affiliate(changes) => {
                for (jid, affiliation) in changes {
                    match affiliation {
                        Affiliation::None => self.node.affiliations.remove(jid),
                        _ => self.node.affiliations.insert(jid.clone(), *affiliation),
                    };
                }
                self.node.version += 1;
            }
            Action::Subscribe(subscription) => {
                let all = &mut self.node.subscriptions;
                all.retain(|known| known.jid != subscription.jid);
                all.push(subscription.clone());
                all.sort_by(|one, other| one.jid.as_str().cmp(other.jid.as_str()));
            }
            Action::Unsubscribe(jid) => self.node.subscriptions.retain(|known| known.jid != *jid),
            Action::Publish(items, keep) => {
                self.items
                    .retain(|known| !items.iter().any(|item| item.id == known.id));
                self.items.extend(items.iter().cloned());
                let gone = self.items.len().saturating_sub(*keep as usize);
                self.items.drain(..gone);
            }
            Action::Retract(ids) => self.items.retain(|known| !ids.contains(&known.id)),
            Action::Purge => self.items.clear(),
            Action::Delete => {}
        }
        Ok(())
    }
}

impl State {
    /// The nodes of a service in order of their names.
    fn of<'a>(&'a self, service: &'a BareJid) -> impl Iterator<Item = &'a Held> {
        let all = self.nodes.iter();
        all.filter(move |((of, _), _)| of == service)
            .map(|(_, held)| held)
    }

    /// Lets the items go whose time is over.
    pub(super) fn sweep_items(&mut self, now: Timestamp) {
        for held in self.nodes.values_mut() {
            held.expire(now);
        }
    }

    fn usage(&self, service: &BareJid, creator: &BareJid) -> Usage {
        let made = self
            .of(service)
            .filter(|held| held.node.creator == *creator);
        made.fold(Usage::default(), |usage, held| Usage {
            nodes: usage.nodes + 1,
            bytes: usage.bytes + held.bytes(),
        })
    }

    fn find(
        &self,
        service: &BareJid,
        name: &str,
        wanted: &Wanted,
        creator: &BareJid,
    ) -> Result<FoundNode> {
        let Some(held) = self.nodes.get(&(service.clone(), name.to_owned())) else {
            return Ok(FoundNode {
                usage: self.usage(service, creator),
                ..FoundNode::default()
            });
        };
        Ok(FoundNode {
            items: held.wanted(wanted)?,
            count: held.items.len() as u64,
            usage: self.usage(service, &held.node.creator),
            node: Some(held.node.clone()),
        })
    }

    fn subscriptions(
        &self,
        service: &BareJid,
        of: &BareJid,
    ) -> Vec<(
        String,
        klatsch_protocol::features::pubsub::node::Subscription,
    )> {
        let all = self.of(service).flat_map(|held| {
            let own = held.node.subscriptions.iter();
            let own = own.filter(|it| it.jid.bare_str() == of.as_str());
            own.map(|it| (held.node.name.clone(), it.clone()))
        });
        all.take(LIST_MAX as usize).collect()
    }

    /// The payload of a node's last item.
    pub(super) fn last_payload(&self, service: &BareJid, node: &str) -> Option<Vec<u8>> {
        let held = self.nodes.get(&(service.clone(), node.to_owned()))?;
        held.items.last().map(|item| item.payload.to_vec())
    }

    fn last_items(
        &self,
        services: &[BareJid],
        names: &[String],
        bytes_max: usize,
    ) -> Vec<LastItem> {
        let mut found = Vec::new();
        let mut bytes = 0;
        for service in services {
            for held in self
                .of(service)
                .filter(|held| names.contains(&held.node.name))
            {
                let item = held.items.last().cloned();
                bytes += item.as_ref().map_or(0, |item| item.payload.len());
                if bytes > bytes_max {
                    return found;
                }
                found.push(LastItem {
                    service: service.clone(),
                    node: held.bare(),
                    item,
                    groups: Vec::new(),
                });
            }
        }
        found
    }

    fn change_node(&mut self, change: &NodeChange, now: Timestamp) -> Result<()> {
        let is_account = change.service.localpart().is_some();
        if is_account && !self.accounts.contains_key(&change.service) {
            return Err(StoreError::NoSuchAccount);
        }
        self.sweep_items(now);
        let key = (change.service.clone(), change.node.clone());
        let known = self.nodes.get(&key).map(|held| held.node.version);
        if known != change.expected {
            return Err(StoreError::Conflict);
        }
        let mut actions = change.actions.iter();
        if known.is_none() {
            let Some(Action::Create(creator, config)) = actions.next() else {
                return Err(StoreError::Conflict);
            };
            self.epoch += 1;
            let node = Node {
                name: change.node.clone(),
                version: self.epoch << 24,
                creator: creator.clone(),
                created: now,
                config: config.clone(),
                affiliations: [(creator.clone(), Affiliation::Owner)].into(),
                subscriptions: Vec::new(),
            };
            let items = Vec::new();
            self.nodes.insert(key.clone(), Held { node, items });
        }
        for action in actions {
            if let Some(held) = self.nodes.get_mut(&key) {
                held.act(action)?;
            }
            if *action == Action::Delete {
                self.nodes.remove(&key);
            }
        }
        Ok(())
    }

    /// What a removed account leaves at nodes goes with it.
    pub(super) fn forget_account(&mut self, account: &BareJid) {
        self.nodes.retain(|(service, _), held| {
            let owned_by_others = held
                .node
                .affiliations
                .iter()
                .any(|(jid, affiliation)| jid != account && *affiliation == Affiliation::Owner);
            service != account && (held.node.creator != *account || owned_by_others)
        });
        for held in self.nodes.values_mut() {
            held.node.affiliations.remove(account);
            let subscriptions = &mut held.node.subscriptions;
            subscriptions.retain(|it| it.jid.bare_str() != account.as_str());
        }
    }
}

impl Keeping for Memory {
    async fn kept_names(&self, account: &BareJid) -> Result<Vec<String>> {
        self.read(account, |life| life.kept.keys().cloned().collect())
    }

    async fn kept(&self, account: &BareJid, name: &str) -> Result<Kept> {
        self.read(account, |life| Kept {
            value: life.kept.get(name).cloned(),
            count: life.kept.len() as u64,
            bytes: life.kept.values().map(|value| value.len() as u64).sum(),
            found: None,
        })
    }

    async fn keep(&self, account: &BareJid, name: &str, value: Option<Bytes>) -> Result<()> {
        self.change(account, |life| {
            match value {
                Some(value) => life.kept.insert(name.to_owned(), value),
                None => life.kept.remove(name),
            };
            Ok(())
        })
    }
}
