//! Nodes of an account that is taken in, or of a service, and their items (§4.10).

use klatsch_protocol::features::data_forms::{self, Submitted};
use klatsch_protocol::features::pubsub::config::{AccessModel, Config};
use klatsch_protocol::features::pubsub::node::{
    Action, Affiliation, Ask, Found, FoundNode, Item, Node, NodeChange, Subscription,
    SubscriptionState, Wanted,
};
use klatsch_protocol::features::pubsub::options::Options;
use klatsch_protocol::jid::{BareJid, Jid};
use klatsch_protocol::xml::Element;
use klatsch_store::StoreError;

use super::read::payload;
use super::{Begun, Importer};

/// Items a node keeps at most while it comes: what nodes of accounts may keep.
const ITEMS_MAX: u32 = 10_000;

impl Importer<'_> {
    async fn found(&self, node: &str, items: Wanted) -> Result<FoundNode, StoreError> {
        let ask = Ask::Node {
            node: node.to_owned(),
            items,
            creator: self.account.clone(),
        };
        match self.store.nodes(self.account, &ask, self.now).await? {
            Found::Node(found) => Ok(found),
            _ => Err(StoreError::Corrupt("not a node".to_owned())),
        }
    }

    async fn change(
        &self,
        node: &str,
        expected: Option<u64>,
        actions: Vec<Action>,
    ) -> Result<(), StoreError> {
        let change = NodeChange {
            service: self.account.clone(),
            node: node.to_owned(),
            expected,
            actions,
        };
        self.store.change_node(&change, self.now).await
    }

    /// §4.10.1. The configuration of a node that was there before stays.
    pub(super) async fn node(&mut self, element: &Element) -> Result<(), StoreError> {
        let Some(node) = element.get("node").filter(|it| !it.is_empty()) else {
            self.note("a node without a name");
            return Ok(());
        };
        let before = self.found(node, Wanted::Nothing).await?.node;
        let version = before.as_ref().map(|it| it.version);
        // A service is not made by an import; its nodes are, and then nobody else is there yet.
        let is_new = match (self.account.localpart(), &before) {
            (Some(_), _) => self.begun == Begun::New,
            (None, Some(before)) => {
                before.affiliations.len() <= 1 && before.subscriptions.is_empty()
            }
            (None, None) => false,
        };
        match element.name() {
            "configure" if before.is_none() => {
                let config = self.config(node, element);
                let creator = element
                    .get("creator")
                    .and_then(|it| BareJid::parse(it).ok());
                let creator = creator.unwrap_or_else(|| self.account.clone());
                let create = Action::Create(creator, config);
                self.change(node, None, vec![create]).await
            }
            "affiliations" if is_new && version.is_some() => {
                let listed = element.children().filter_map(|it| {
                    let jid = Jid::parse(it.get("jid")?).ok()?.bare();
                    Some((jid, Affiliation::parse(it.get("affiliation")?)?))
                });
                let others = listed.filter(|(jid, _)| jid != self.account);
                let mut others: Vec<_> = others.collect();
                // Whoever has made a node need not be its owner any more.
                let creator = before.map(|it| it.creator);
                let creator = creator.filter(|creator| creator != self.account);
                if let Some(creator) = creator
                    && !others.iter().any(|(jid, _)| *jid == creator)
                {
                    others.push((creator, Affiliation::None));
                }
                self.change(node, version, vec![Action::Affiliate(others)])
                    .await
            }
            "subscriptions" if version.is_some() && self.has_no_subscriptions(before.as_ref()) => {
                let listed = element.children().filter_map(|it| {
                    Some(Action::Subscribe(Subscription {
                        jid: Jid::parse(it.get("jid")?).ok()?,
                        state: SubscriptionState::parse(it.get("subscription")?)
                            .filter(|state| *state != SubscriptionState::None)?,
                        options: Options::default(),
                    }))
                });
                let actions: Vec<Action> = listed.collect();
                self.change(node, version, actions).await
            }
            _ => Ok(()),
        }
    }

    /// Whether those of a file are taken over.
    fn has_no_subscriptions(&self, node: Option<&Node>) -> bool {
        match self.account.localpart() {
            Some(_) => self.begun == Begun::New,
            None => node.is_some_and(|node| node.subscriptions.is_empty()),
        }
    }

    /// What a node is like of which nothing is said.
    fn defaults(&self) -> Config {
        match self.account.localpart() {
            Some(_) => Config::of_account(),
            None => Config::of_service(),
        }
    }

    fn config(&mut self, node: &str, element: &Element) -> Config {
        let mut config = self.defaults();
        let form = element.find("x", data_forms::NS).cloned();
        let form = form.and_then(|form| Submitted::read(&form.attr("type", "submit")));
        // §4.10.1: what is not known is passed over; what decides who may read is not.
        if let Some(form) = form
            && let Err(field) = config.apply(&form)
        {
            self.note(format!(
                "node {node}: {field} has a value that is none here; whitelisted"
            ));
            config = self.defaults();
            config.access_model = AccessModel::Whitelist;
        }
        config
    }

    /// §4.10.2.
    pub(super) async fn item(&mut self, node: &str, element: &Element) -> Result<(), StoreError> {
        let Some(id) = element
            .get("id")
            .filter(|id| !id.is_empty() && id.len() <= 1024)
        else {
            self.note(format!("node {node}: an item without an id"));
            return Ok(());
        };
        let publisher = element.get("publisher").and_then(|it| Jid::parse(it).ok());
        let item = Item {
            id: id.to_owned(),
            publisher: publisher.unwrap_or_else(|| self.account.clone().into()),
            stamp: self.now,
            payload: element
                .children()
                .next()
                .map(payload)
                .unwrap_or_default()
                .into(),
        };
        self.publish(node, item).await
    }

    /// Publishes an item that is not there yet.
    pub(super) async fn publish(&mut self, node: &str, item: Item) -> Result<(), StoreError> {
        let found = self.found(node, Wanted::Ids(vec![item.id.clone()])).await?;
        let mut actions = Vec::new();
        if found.node.is_none() {
            // §4.10.2 wants a configuration; without one it is for the account alone.
            let mut config = self.defaults();
            config.access_model = AccessModel::Whitelist;
            config.max_items = None;
            actions.push(Action::Create(self.account.clone(), config));
        } else if !found.items.is_empty() {
            return Ok(());
        }
        actions.push(Action::Publish(vec![item], ITEMS_MAX));
        self.change(node, found.node.map(|it| it.version), actions)
            .await
    }
}
