//! Who may do what at a node: XEP-0060 §4.1 and §4.5, in one function (row R10).

use super::config::{AccessModel, Config, PublishModel};
use super::errors;
use super::node::{Affiliation, Node};
use crate::facts::Facts;
use crate::jid::Jid;
use crate::stanza::StanzaError;

/// What somebody may want of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Learn that it is there, and what it is for (§5.2, §5.3).
    Discover,
    /// Read its items (§6.5), by whichever request.
    Retrieve,
    /// Get notifications (§6.1).
    Subscribe,
    /// Change what one gets, or end it (§6.2, §6.3).
    ManageOwnSubscription,
    /// Publish (§7.1).
    Publish,
    /// Take an item of one's own back (§7.2).
    RetractOwn,
    /// Take anybody's item away.
    RetractAny,
    /// Take all items away (§8.5).
    Purge,
    /// Read and change its configuration (§8.2).
    Configure,
    /// Delete it (§8.4).
    Delete,
    /// Read and change who is subscribed (§8.8).
    ManageSubscriptions,
    /// Read and change who is affiliated (§8.9).
    ManageAffiliations,
}

/// What somebody is to a node and to its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    /// What the node says of them.
    pub(crate) affiliation: Affiliation,
    /// The account whose node it is lets them see its presence.
    pub(crate) sees_presence: bool,
    /// The groups they are in, in the roster of that account.
    pub(crate) groups: Vec<String>,
    /// They have subscribed, and were let.
    pub(crate) is_subscribed: bool,
}

impl Relation {
    /// What the facts say of somebody at a node of the deciding account or service.
    pub(crate) fn of(who: &Jid, node: &Node, facts: &Facts<'_>) -> Self {
        Self {
            affiliation: affiliation(who, node, facts),
            sees_presence: facts.shows(who.bare_str()),
            groups: facts.groups_of(&who.bare()),
            is_subscribed: node.is_subscribed(who),
        }
    }
}

/// What somebody is to a node. XEP-0163 §3: to its own nodes an account is an owner, whatever
/// happens.
pub(crate) fn affiliation(who: &Jid, node: &Node, facts: &Facts<'_>) -> Affiliation {
    if who.bare_str() == facts.account.as_str() {
        return Affiliation::Owner;
    }
    let known = node.affiliations.get(who.bare_str());
    known.copied().unwrap_or(Affiliation::None)
}

/// Tells whether somebody may do something at a node.
pub(crate) fn allow(
    operation: Operation,
    relation: &Relation,
    config: &Config,
) -> Result<(), StanzaError> {
    // §4.1: an outcast does nothing, whatever the model.
    match relation.affiliation {
        Affiliation::Owner => return Ok(()),
        Affiliation::Outcast => return Err(StanzaError::forbidden()),
        _ => {}
    }
    match operation {
        Operation::Discover | Operation::Retrieve => admit(relation, config),
        Operation::Subscribe => subscribe(relation, config),
        Operation::Publish | Operation::RetractOwn => publish(relation, config),
        // Their own, which they may have had from a time when they were let in.
        Operation::ManageOwnSubscription => Ok(()),
        Operation::RetractAny
        | Operation::Purge
        | Operation::Configure
        | Operation::Delete
        | Operation::ManageSubscriptions
        | Operation::ManageAffiliations => Err(StanzaError::forbidden()),
    }
}

/// §4.5: who may read.
fn admit(relation: &Relation, config: &Config) -> Result<(), StanzaError> {
    match relation.affiliation {
        Affiliation::Owner | Affiliation::Publisher | Affiliation::Member => return Ok(()),
        // §4.1: they publish and see nothing.
        Affiliation::PublishOnly | Affiliation::Outcast => return Err(StanzaError::forbidden()),
        Affiliation::None => {}
    }
    let is_in_group = || {
        let allowed = &config.roster_groups;
        relation.groups.iter().any(|group| allowed.contains(group))
    };
    match config.access_model {
        AccessModel::Open => Ok(()),
        AccessModel::Presence if relation.sees_presence => Ok(()),
        AccessModel::Presence => Err(errors::presence_subscription_required()),
        AccessModel::Roster if is_in_group() => Ok(()),
        AccessModel::Roster => Err(errors::not_in_roster_group()),
        AccessModel::Authorize if relation.is_subscribed => Ok(()),
        AccessModel::Authorize => Err(errors::not_subscribed()),
        AccessModel::Whitelist => Err(errors::closed_node()),
    }
}

/// Who may subscribe: who may read, and at a node that asks its owners everybody may try.
fn subscribe(relation: &Relation, config: &Config) -> Result<(), StanzaError> {
    if !config.subscribe {
        return Err(errors::unsupported("subscribe"));
    }
    match (relation.affiliation, config.access_model) {
        (Affiliation::None, AccessModel::Authorize) => Ok(()),
        _ => admit(relation, config),
    }
}

fn publish(relation: &Relation, config: &Config) -> Result<(), StanzaError> {
    let is_publisher = matches!(
        relation.affiliation,
        Affiliation::Owner | Affiliation::Publisher | Affiliation::PublishOnly
    );
    let may = match config.publish_model {
        PublishModel::Publishers => is_publisher,
        PublishModel::Subscribers => is_publisher || relation.is_subscribed,
        PublishModel::Open => true,
    };
    may.then_some(()).ok_or_else(StanzaError::forbidden)
}

/// Tells whether a subscription has to be approved by an owner first (§6.1.4).
pub(super) fn needs_approval(relation: &Relation, config: &Config) -> bool {
    config.access_model == AccessModel::Authorize && relation.affiliation == Affiliation::None
}

/// Tells whether a stranger must not even learn that a node is there.
///
/// DEVIATION: §6.1.3 names a reason for every refusal. To those who are nothing to an account
/// its nodes that are closed to them are not there at all, because the reason would tell
/// whoever guesses names which accounts exist (row A11).
pub(super) fn is_hidden(
    who: &Jid,
    relation: &Relation,
    config: &Config,
    facts: &Facts<'_>,
) -> bool {
    let is_account = facts.account.localpart().is_some();
    is_account
        && matches!(
            relation.affiliation,
            Affiliation::None | Affiliation::Outcast
        )
        && !facts.data.roster.items.contains_key(who.bare_str())
        && !facts.is_colleague(who.bare_str())
        && !relation.is_subscribed
        && !matches!(
            config.access_model,
            AccessModel::Open | AccessModel::Authorize
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATIONS: [Operation; 12] = [
        Operation::Discover,
        Operation::Retrieve,
        Operation::Subscribe,
        Operation::ManageOwnSubscription,
        Operation::Publish,
        Operation::RetractOwn,
        Operation::RetractAny,
        Operation::Purge,
        Operation::Configure,
        Operation::Delete,
        Operation::ManageSubscriptions,
        Operation::ManageAffiliations,
    ];

    /// What each affiliation may do of [`OPERATIONS`] at a node that lets nobody in: `y` or a
    /// dot, with `a` for what the access model decides.
    const TABLE: [(Affiliation, &str); 6] = [
        (Affiliation::Owner, "yyyyyyyyyyyy"),
        (Affiliation::Publisher, "yyyyyy......"),
        (Affiliation::PublishOnly, "...yyy......"),
        (Affiliation::Member, "yyyy........"),
        (Affiliation::None, "aasy........"),
        (Affiliation::Outcast, "............"),
    ];

    fn relation(affiliation: Affiliation) -> Relation {
        Relation {
            affiliation,
            sees_presence: false,
            groups: Vec::new(),
            is_subscribed: false,
        }
    }

    fn config(access_model: AccessModel) -> Config {
        Config {
            access_model,
            roster_groups: vec!["Friends".into()],
            ..Config::of_service()
        }
    }

    #[test]
    fn r10_every_access_model_affiliation_and_operation_is_decided_as_the_tables_say() {
        for model in AccessModel::ALL {
            for (affiliation, row) in TABLE {
                for (operation, mark) in OPERATIONS.into_iter().zip(row.chars()) {
                    let wanted = match mark {
                        'y' => true,
                        'a' => *model == AccessModel::Open,
                        's' => matches!(model, AccessModel::Open | AccessModel::Authorize),
                        _ => false,
                    };
                    let allowed = allow(operation, &relation(affiliation), &config(*model));
                    assert_eq!(
                        allowed.is_ok(),
                        wanted,
                        "{model:?} {affiliation:?} {operation:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn r10_each_model_lets_in_whom_it_is_for() {
        let nobody = || relation(Affiliation::None);
        let viewer = Relation {
            sees_presence: true,
            ..nobody()
        };
        let friend = Relation {
            groups: vec!["Friends".into()],
            ..nobody()
        };
        let subscriber = Relation {
            is_subscribed: true,
            ..nobody()
        };
        let may = |model, relation: &Relation| {
            allow(Operation::Retrieve, relation, &config(model)).is_ok()
        };
        for (model, let_in) in [
            (AccessModel::Open, [true, true, true]),
            (AccessModel::Presence, [true, false, false]),
            (AccessModel::Roster, [false, true, false]),
            (AccessModel::Authorize, [false, false, true]),
            (AccessModel::Whitelist, [false, false, false]),
        ] {
            let got = [&viewer, &friend, &subscriber].map(|who| may(model, who));
            assert_eq!(got, let_in, "{model:?}");
        }
    }

    #[test]
    fn publish_models_widen_who_may_publish() {
        let subscriber = Relation {
            is_subscribed: true,
            ..relation(Affiliation::None)
        };
        let stranger = relation(Affiliation::None);
        for (model, expected) in [
            (PublishModel::Publishers, [false, false]),
            (PublishModel::Subscribers, [true, false]),
            (PublishModel::Open, [true, true]),
        ] {
            let config = Config {
                publish_model: model,
                ..Config::of_service()
            };
            let may =
                [&subscriber, &stranger].map(|who| allow(Operation::Publish, who, &config).is_ok());
            assert_eq!(may, expected, "{model:?}");
        }
    }
}
