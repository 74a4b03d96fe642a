//! SASL Upgrade Tasks: XEP-0480 version 0.2.0, <https://xmpp.org/extensions/xep-0480.html>
//!
//! An account that has come from elsewhere may have keys of one hash alone. A client that has
//! logged in by its password derives the missing ones, without the password crossing the
//! network again, so that the next login can be by a stronger mechanism.
//!
//! The features tell everybody of all upgrades, whatever an account has: what it has is for
//! nobody to know who has not logged in (row A11). So a client may ask for what is there
//! already; then there is no task, and the login goes on. Keys that are there are never
//! replaced, and a login by token adds none: who has stolen a token must not make a password
//! of it.

use std::collections::VecDeque;

use super::features::Offer;
use super::sasl2::Finish;
use super::{Action, Phase, Stream};
use crate::ns;
use crate::sasl::credentials::{DEFAULT_ITERATIONS, ScramCredentials};
use crate::sasl::{Failure, FailureCondition, Hash, Mechanism, encoding};
use crate::xml::{Element, Fragment};

/// Names of tasks, in the features and in a login (§2.1).
pub const NS: &str = "urn:xmpp:sasl:upgrade:0";
/// What the tasks of SCRAM say (§3).
pub const NS_SCRAM: &str = "urn:xmpp:scram-upgrade:0";

/// §2.1: before the name of the mechanism, which is the one without channel binding.
const PREFIX: &str = "UPGR-SCRAM-";

/// A login that waits for its tasks.
pub(super) struct Upgrade {
    finish: Finish,
    /// The hashes whose turn has not come.
    left: VecDeque<Hash>,
    step: Step,
}

/// How far a task is.
enum Step {
    /// It is asked what the account lacks, or keys are being stored: the caller's answer is due.
    Waiting,
    /// The client is to begin with this one.
    Offered(Hash),
    /// The client is to derive from this salt.
    Salted(Hash, [u8; 16]),
}

impl Upgrade {
    pub(super) const fn is_waiting(&self) -> bool {
        matches!(self.step, Step::Waiting)
    }
}

/// The upgrades there are: to each mechanism that is offered but the weakest, to which nobody
/// goes up.
fn offered(offer: &Offer) -> impl Iterator<Item = Hash> {
    let hashes = offer
        .mechanisms
        .iter()
        .filter_map(|mechanism| match mechanism {
            Mechanism::Scram(hash) => Some(*hash),
            Mechanism::ScramPlus(_) | Mechanism::Plain | Mechanism::OauthBearer => None,
        });
    hashes.filter(|hash| *hash != Hash::Sha1)
}

/// What the features say (§2.1).
pub(super) fn features(offer: &Offer) -> impl Iterator<Item = Element> {
    offered(offer).map(|hash| Element::new("upgrade", NS).text(task_of(hash)))
}

/// The upgrades that a client wants (§2.2), each once.
pub(super) fn wanted(authenticate: &Element, offer: &Offer) -> Vec<Hash> {
    let mut wanted = Vec::new();
    for upgrade in authenticate.children().filter(|it| it.is("upgrade", NS)) {
        let name = upgrade.text_content();
        let hash = offered(offer).find(|hash| task_of(*hash) == name.trim());
        wanted.extend(hash.filter(|hash| !wanted.contains(hash)));
    }
    wanted
}

fn task_of(hash: Hash) -> String {
    format!("{PREFIX}{}", hash.name())
}

impl Stream {
    /// Asks which of these the account lacks, before it is told that it is logged in.
    pub(super) fn begin_upgrade(
        &mut self,
        finish: Finish,
        hashes: Vec<Hash>,
        actions: &mut Vec<Action>,
    ) {
        actions.push(Action::FindLackingKeys {
            account: finish.account.clone(),
            hashes,
        });
        // Failures are said in the words of SASL2 until this is over.
        self.sasl2 = Some(Box::default());
        self.phase = Phase::Upgrading(Box::new(Upgrade {
            finish,
            left: VecDeque::new(),
            step: Step::Waiting,
        }));
    }

    /// The account lacks keys of these hashes.
    pub(super) fn take_lacking_keys(&mut self, lacking: Vec<Hash>, actions: &mut Vec<Action>) {
        if let Some(mut upgrade) = self.take_upgrade_that(Upgrade::is_waiting) {
            upgrade.left = lacking.into();
            self.next_task(upgrade, actions);
        }
    }

    /// Keys were stored, or could not be: then the account goes on with those it has.
    pub(super) fn take_keys_added(&mut self, actions: &mut Vec<Action>) {
        if let Some(upgrade) = self.take_upgrade_that(Upgrade::is_waiting) {
            self.next_task(upgrade, actions);
        }
    }

    fn next_task(&mut self, mut upgrade: Box<Upgrade>, actions: &mut Vec<Action>) {
        let Some(hash) = upgrade.left.pop_front() else {
            self.sasl2 = None;
            return self.conclude(upgrade.finish, actions);
        };
        let task = Element::new("task", ns::SASL2).text(task_of(hash));
        // XEP-0388 §2.6.3: the mechanism's last message, once.
        let data = upgrade.finish.data.take();
        let data = data
            .map(|data| Element::new("additional-data", ns::SASL2).text(encoding::encode(&data)));
        let proceed = Element::new("continue", ns::SASL2)
            .children_from(data)
            .child(Element::new("tasks", ns::SASL2).child(task));
        upgrade.step = Step::Offered(hash);
        self.phase = Phase::Upgrading(upgrade);
        self.write_element(&proceed, actions);
    }

    /// `<next/>`, `<task-data/>` or `<abort/>`.
    pub(super) fn continue_upgrade(&mut self, fragment: &Fragment, actions: &mut Vec<Action>) {
        let Some(upgrade) = self.take_upgrade_that(|_| true) else {
            return;
        };
        let account = upgrade.finish.account.clone();
        let taken = match (fragment.name(), &upgrade.step) {
            ("next", Step::Offered(hash)) => self.begin_task(fragment, *hash, upgrade, actions),
            ("task-data", Step::Salted(hash, salt)) => {
                let (hash, salt) = (*hash, *salt);
                self.end_task(fragment, hash, &salt, upgrade, actions)
            }
            ("abort", _) => Err(Failure::of(FailureCondition::Aborted)),
            _ => Err(Failure::malformed(
                "this is not what the task is waiting for",
            )),
        };
        if let Err(failure) = taken {
            self.fail_login(Some(account), failure, actions);
        }
    }

    /// §3: salt and iterations.
    fn begin_task(
        &mut self,
        next: &Fragment,
        hash: Hash,
        mut upgrade: Box<Upgrade>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Failure> {
        if next.attr("task") != Some(&task_of(hash)) {
            return Err(Failure::malformed("this task was not asked for"));
        }
        let salt = (self.entropy)();
        let element = Element::new("salt", NS_SCRAM)
            .attr("iterations", DEFAULT_ITERATIONS.to_string())
            .text(encoding::encode(&salt));
        upgrade.step = Step::Salted(hash, salt);
        self.phase = Phase::Upgrading(upgrade);
        let data = Element::new("task-data", ns::SASL2).child(element);
        self.write_element(&data, actions);
        Ok(())
    }

    /// §3: what the client has derived.
    fn end_task(
        &mut self,
        data: &Fragment,
        hash: Hash,
        salt: &[u8],
        mut upgrade: Box<Upgrade>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Failure> {
        let salted = data.payloads().text_of("hash", NS_SCRAM);
        let salted = salted.ok_or(Failure::malformed("the hash is missing"))?;
        let salted = encoding::decode(salted.trim())?;
        if salted.len() != hash.output_bytes() {
            return Err(Failure::malformed("the hash has another length"));
        }
        actions.push(Action::AddKeys {
            account: upgrade.finish.account.clone(),
            keys: ScramCredentials::of_salted(hash, &salted, salt, DEFAULT_ITERATIONS),
        });
        upgrade.step = Step::Waiting;
        self.phase = Phase::Upgrading(upgrade);
        Ok(())
    }

    fn take_upgrade_that(&mut self, is_meant: impl Fn(&Upgrade) -> bool) -> Option<Box<Upgrade>> {
        match std::mem::replace(&mut self.phase, Phase::Negotiating) {
            Phase::Upgrading(upgrade) if is_meant(&upgrade) => Some(upgrade),
            other => {
                self.phase = other;
                None
            }
        }
    }
}
