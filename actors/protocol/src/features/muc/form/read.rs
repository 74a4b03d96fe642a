//! Reading the owner's form.

use super::{Filled, NS_FORM, SWITCHES};
use crate::features::data_forms::Submitted;
use crate::features::muc::affiliation::{Affiliation, AffiliationChange};
use crate::features::muc::config::{Config, PrivateMessages};
use crate::features::muc::facts::RoomFacts;
use crate::features::muc::role::Role;
use crate::features::muc::room::Room;
use crate::jid::{BareJid, Jid};
use crate::stanza::StanzaError;
use crate::xml::Element;

/// Reads a form filled in. An empty one accepts what is (§10.1.2).
pub(in crate::features::muc) fn read(
    room: &Room,
    form: &Element,
    facts: &RoomFacts<'_>,
) -> Result<Filled, StanzaError> {
    let form = Submitted::read(form).ok_or_else(StanzaError::bad_request)?;
    let mut config = room.record.config.clone();
    if form.names().next().is_none() {
        return Ok(Filled {
            config,
            affiliations: Vec::new(),
        });
    }
    if form.form_type() != Some(NS_FORM) {
        return Err(StanzaError::bad_request().with_text("the form is for something else"));
    }
    let settings = facts.settings;
    read_text(
        &form,
        "muc#roomconfig_roomname",
        &mut config.name,
        settings.text_bytes_max,
    )?;
    read_text(
        &form,
        "muc#roomconfig_roomdesc",
        &mut config.description,
        settings.description_bytes_max,
    )?;
    read_text(
        &form,
        "muc#roomconfig_lang",
        &mut config.lang,
        settings.text_bytes_max,
    )?;
    for (name, _, place) in SWITCHES {
        if let Some(value) = read_switch(&form, name)? {
            *place(&mut config) = value;
        }
    }
    read_choices(&form, &mut config)?;
    read_password(&form, &mut config, facts)?;
    read_numbers(&form, &mut config, facts)?;
    let affiliations = read_people(room, &form, facts)?;
    Ok(Filled {
        config,
        affiliations,
    })
}

fn bad_value(name: &str) -> StanzaError {
    StanzaError::bad_request().with_text(format!("not a value of {name}"))
}

fn read_text(
    form: &Submitted,
    name: &str,
    place: &mut Box<str>,
    bytes_max: usize,
) -> Result<(), StanzaError> {
    let [value, ..] = form.values(name) else {
        return Ok(());
    };
    if value.len() > bytes_max {
        return Err(StanzaError::policy_violation().with_text(format!("{name} is too long")));
    }
    *place = value.as_str().into();
    Ok(())
}

/// XEP-0004 §3.3: four ways to say it.
pub(in crate::features::muc) fn read_switch(
    form: &Submitted,
    name: &str,
) -> Result<Option<bool>, StanzaError> {
    match form.value(name) {
        None => Ok(None),
        Some("1" | "true") => Ok(Some(true)),
        Some("0" | "false") => Ok(Some(false)),
        Some(_) => Err(bad_value(name)),
    }
}

fn read_choices(form: &Submitted, config: &mut Config) -> Result<(), StanzaError> {
    match form.value("muc#roomconfig_whois") {
        None => {}
        Some("anyone") => config.non_anonymous = true,
        Some("moderators") => config.non_anonymous = false,
        Some(_) => return Err(bad_value("muc#roomconfig_whois")),
    }
    if let Some(value) = form.value("muc#roomconfig_allowpm") {
        let known = PrivateMessages::ALL
            .into_iter()
            .find(|it| it.as_str() == value);
        config.private_messages = known.ok_or_else(|| bad_value("muc#roomconfig_allowpm"))?;
    }
    read_roles(
        form,
        "muc#roomconfig_presencebroadcast",
        &mut config.presence_broadcast,
    )?;
    read_roles(
        form,
        "muc#roomconfig_getmemberlist",
        &mut config.member_list,
    )
}

fn read_roles(form: &Submitted, name: &str, place: &mut Vec<Role>) -> Result<(), StanzaError> {
    if !form.names().any(|known| known == name) {
        return Ok(());
    }
    let values = form.values(name).iter().filter(|value| !value.is_empty());
    let role = |value: &String| {
        let role = Role::parse(value).filter(|role| *role != Role::None);
        role.ok_or_else(|| bad_value(name))
    };
    let mut roles = values.map(role).collect::<Result<Vec<_>, _>>()?;
    roles.sort_unstable_by(|one, other| other.cmp(one));
    roles.dedup();
    *place = roles;
    Ok(())
}

/// A password without the switch protects too; the switch without a password is a mistake
/// that would lock everybody out, or nobody.
fn read_password(
    form: &Submitted,
    config: &mut Config,
    facts: &RoomFacts<'_>,
) -> Result<(), StanzaError> {
    let is_wanted = read_switch(form, "muc#roomconfig_passwordprotectedroom")?;
    let secret = form.value("muc#roomconfig_roomsecret");
    if secret.is_some_and(|secret| secret.len() > facts.settings.text_bytes_max) {
        return Err(StanzaError::policy_violation().with_text("the password is too long"));
    }
    match (is_wanted, secret) {
        (Some(false), _) => config.password = None,
        (_, Some(secret)) => config.password = Some(secret.into()),
        (Some(true), None) if config.password.is_none() => {
            return Err(StanzaError::not_acceptable().with_text("a password is needed"));
        }
        _ => {}
    }
    Ok(())
}

fn read_numbers(
    form: &Submitted,
    config: &mut Config,
    facts: &RoomFacts<'_>,
) -> Result<(), StanzaError> {
    match form.value("muc#roomconfig_maxusers") {
        None => {}
        Some("none") => config.occupants_max = None,
        Some(value) => {
            let most: u32 = value
                .parse()
                .map_err(|_| bad_value("muc#roomconfig_maxusers"))?;
            // Nobody at all is what some clients call no limit.
            config.occupants_max = (most > 0).then_some(most);
        }
    }
    let names = ["muc#maxhistoryfetch", "muc#roomconfig_historylength"];
    if let Some(value) = names.into_iter().find_map(|name| form.value(name)) {
        let most: u32 = value
            .parse()
            .map_err(|_| bad_value("muc#maxhistoryfetch"))?;
        config.history_max = most.min(facts.settings.history_max);
    }
    Ok(())
}

/// §10.5, note: unlike requests for changes, the form has the whole lists.
fn read_people(
    room: &Room,
    form: &Submitted,
    facts: &RoomFacts<'_>,
) -> Result<Vec<AffiliationChange>, StanzaError> {
    const OWNERS: &str = "muc#roomconfig_roomowners";
    let mut changes: Vec<AffiliationChange> = Vec::new();
    let owners: Vec<BareJid> = match form.names().any(|known| known == OWNERS) {
        true => read_jids(form.values(OWNERS))?,
        false => room
            .record
            .affiliates(Affiliation::Owner)
            .map(|it| it.0.clone())
            .collect(),
    };
    for (name, affiliation) in [
        ("muc#roomconfig_roomadmins", Affiliation::Admin),
        (OWNERS, Affiliation::Owner),
    ] {
        if !form.names().any(|known| known == name) {
            continue;
        }
        let named = read_jids(form.values(name))?;
        if named.len() > facts.settings.items_max {
            return Err(StanzaError::policy_violation().with_text("too many people"));
        }
        let change = |jid: &BareJid, affiliation| {
            let nick = room.record.reserved_nick(jid).map(Into::into);
            room.affiliation_change(jid.clone(), affiliation, nick, None)
        };
        let known: Vec<&BareJid> = room.record.affiliates(affiliation).map(|it| it.0).collect();
        // §10.2: an owner who is struck off is an admin still, an admin a member.
        let lower = match affiliation {
            Affiliation::Owner => Affiliation::Admin,
            _ => Affiliation::Member,
        };
        let lost = known.iter().filter(|jid| !named.contains(jid));
        let lost: Vec<_> = lost.map(|jid| change(jid, lower)).collect();
        let won = named.iter().filter(|jid| !known.contains(jid));
        // Whoever is in both lists is an owner.
        let won = won.filter(|jid| affiliation == Affiliation::Owner || !owners.contains(jid));
        changes.extend(
            lost.into_iter()
                .chain(won.map(|jid| change(jid, affiliation))),
        );
    }
    // Who leaves one list for the other is named twice: the higher word counts.
    changes.sort_by_key(|change| change.after.affiliation);
    let mut last: Vec<AffiliationChange> = Vec::with_capacity(changes.len());
    for change in changes {
        last.retain(|known| known.jid != change.jid);
        last.push(change);
    }
    Ok(last)
}

fn read_jids(values: &[String]) -> Result<Vec<BareJid>, StanzaError> {
    let values = values
        .iter()
        .map(|value| value.trim())
        .filter(|it| !it.is_empty());
    let jid = |text: &str| Jid::parse(text).map(|jid| jid.bare());
    let jids = values.map(jid).collect::<Result<Vec<_>, _>>();
    jids.map_err(|_| StanzaError::jid_malformed())
}
