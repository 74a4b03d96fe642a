//! What is done to accounts: §4.1 to §4.6, §4.23, §4.29.

use super::{account, addresses, announcement, form, lines, required};
use crate::account::{AccountAct, AccountChange};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::features::adhoc::{Command, Request, Who, bad};
use crate::features::data_forms::field;
use crate::jid::{BareJid, FullJid};
use crate::sasl::Secret;
use crate::stanza::{StanzaError, StreamCondition, StreamError};
use crate::xml::Element;

const fn command(
    node: &'static str,
    name: &'static str,
    form: fn(&Facts<'_>) -> Element,
    execute: fn(&Request<'_>, &Facts<'_>) -> Result<Vec<Effect>, StanzaError>,
) -> Command {
    Command {
        node,
        name,
        who: Who::Administrators,
        form: Some(form),
        execute,
    }
}

pub(super) const COMMANDS: &[Command] = &[
    command(
        "http://jabber.org/protocol/admin#add-user",
        "Add a user",
        add_form,
        add,
    ),
    command(
        "http://jabber.org/protocol/admin#delete-user",
        "Delete users",
        accounts_form,
        delete,
    ),
    command(
        "http://jabber.org/protocol/admin#disable-user",
        "Disable users",
        accounts_form,
        disable,
    ),
    command(
        "http://jabber.org/protocol/admin#reenable-user",
        "Enable users again",
        accounts_form,
        enable,
    ),
    command(
        "http://jabber.org/protocol/admin#end-user-session",
        "End sessions of users",
        accounts_form,
        end_sessions,
    ),
    command(
        "http://jabber.org/protocol/admin#change-user-password",
        "Change a user's password",
        password_form,
        change_password,
    ),
    command(
        "http://jabber.org/protocol/admin#edit-admin",
        "Make users administrators",
        admin_form,
        promote,
    ),
    command(
        "http://jabber.org/protocol/admin#announce",
        "Announce something to all who are online",
        announcement_form,
        announce,
    ),
];

fn add_form(_facts: &Facts<'_>) -> Element {
    form([
        required("accountjid", "jid-single", "The address of the account"),
        required("password", "text-private", "The password"),
        required("password-verify", "text-private", "The password again"),
    ])
}

fn accounts_form(_facts: &Facts<'_>) -> Element {
    form([required("accountjids", "jid-multi", "The addresses")])
}

fn password_form(_facts: &Facts<'_>) -> Element {
    form([
        required("accountjid", "jid-single", "The address of the account"),
        required("password", "text-private", "The new password"),
    ])
}

/// DEVIATION: the list of administrators is not in the form. Submitting it adds; whoever wants
/// to take the right back says so with a `-` before the address, so that two administrators who
/// edit at once do not undo each other.
fn admin_form(_facts: &Facts<'_>) -> Element {
    form([required(
        "adminjids",
        "text-multi",
        "Addresses that become administrators; with a - before them, that cease to be",
    )])
}

fn announcement_form(_facts: &Facts<'_>) -> Element {
    form([
        field("subject", "text-single").attr("label", "The subject"),
        required("announcement", "text-multi", "The announcement"),
    ])
}

fn change(account: BareJid, act: AccountAct) -> Effect {
    Effect::ChangeAccount(Box::new(AccountChange { account, act }))
}

/// §4.1.
fn add(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let account = account(request, facts)?;
    let password = request.value("password")?;
    // The second is to find slips of the hand: who sends one only has made none.
    let again = request.values("password-verify");
    if again.iter().any(|again| again != password) {
        return Err(bad("bad-payload").with_text("the passwords differ"));
    }
    let act = AccountAct::Create {
        password: Secret::new(password),
        is_admin: false,
    };
    Ok(vec![change(account, act), request.completed(None)])
}

/// §4.2.
fn delete(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    each(request, facts, || AccountAct::Remove)
}

/// §4.3.
fn disable(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    each(request, facts, || AccountAct::Disable(true))
}

/// §4.4.
fn enable(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    each(request, facts, || AccountAct::Disable(false))
}

fn each(
    request: &Request<'_>,
    facts: &Facts<'_>,
    act: impl Fn() -> AccountAct,
) -> Result<Vec<Effect>, StanzaError> {
    let accounts = addresses(request, facts)?;
    // Whoever locks themselves out cannot undo it.
    if accounts
        .iter()
        .any(|it| it.bare_str() == facts.account.as_str())
    {
        return Err(StanzaError::not_allowed().with_text("this is your own account"));
    }
    let changes = accounts.iter().map(|jid| change(jid.bare(), act()));
    Ok(changes.chain([request.completed(None)]).collect())
}

/// §4.5: those of the accounts, or the very sessions that are named.
fn end_sessions(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let mut ending: Vec<FullJid> = Vec::new();
    for address in addresses(request, facts)? {
        let view = facts.views.view(&address.bare());
        let resources = view.resources.iter().map(|it| &it.jid);
        let meant =
            resources.filter(|it| address.resource().is_none_or(|one| one == it.resource()));
        ending.extend(meant.cloned());
    }
    let error = StreamError::new(StreamCondition::PolicyViolation)
        .with_text("an administrator has ended this session");
    Ok(vec![request.completed(None), Effect::Kick(ending, error)])
}

/// §4.6.
fn change_password(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let account = account(request, facts)?;
    let act = AccountAct::Password(Secret::new(request.value("password")?));
    Ok(vec![change(account, act), request.completed(None)])
}

/// §4.29.
fn promote(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let lines = request.values("adminjids");
    let mut effects = Vec::new();
    for line in lines
        .iter()
        .map(|line| line.trim())
        .filter(|it| !it.is_empty())
    {
        let (is_admin, address) = match line.strip_prefix('-') {
            Some(address) => (false, address.trim()),
            None => (true, line),
        };
        let account = super::ours(address, facts)?.bare();
        if account == *facts.account {
            return Err(StanzaError::not_allowed().with_text("this is your own account"));
        }
        effects.push(change(account, AccountAct::Administrator(is_admin)));
    }
    if effects.is_empty() || effects.len() > super::ACCOUNTS_MAX {
        return Err(bad("bad-payload").with_text("adminjids names nobody, or too many"));
    }
    effects.push(request.completed(None));
    Ok(effects)
}

/// §4.23.
fn announce(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    request.value("announcement")?;
    let text = lines(request, "announcement")?;
    let subject = lines(request, "subject")?;
    let subject = Some(subject.as_str()).filter(|subject| !subject.is_empty());
    let domain = facts.account.domain_jid();
    let message = announcement(&domain, subject, &text);
    Ok(vec![
        Effect::Announce(domain, Box::new(message)),
        request.completed(None),
    ])
}
