//! The owner's form: XEP-0045 §10.1.3, §10.2 and §16.5.3 (`muc#roomconfig`).
//!
//! A field that is missing stays as it is, so that clients may send what they know only.

use super::affiliation::{Affiliation, AffiliationChange};
use super::config::{Config, PrivateMessages};
use super::facts::RoomFacts;
use super::role::Role;
use super::room::Room;
use crate::features::data_forms::{self, Submitted, field};
use crate::jid::{BareJid, Jid};
use crate::stanza::StanzaError;
use crate::xml::Element;

/// The form's purpose (XEP-0068).
pub const NS_FORM: &str = "http://jabber.org/protocol/muc#roomconfig";
/// People may register: a field of ours, for no specification has one.
const REGISTRATION: &str = "{urn:klatsch:muc}registration";

/// A form filled in.
pub(super) struct Filled {
    pub(super) config: Config,
    pub(super) affiliations: Vec<AffiliationChange>,
}

/// The fields that say yes or no: name, label, where it stands.
type Switch = (&'static str, &'static str, fn(&mut Config) -> &mut bool);
const SWITCHES: &[Switch] = &[
    (
        "muc#roomconfig_persistentroom",
        "Make room persistent?",
        |it| &mut it.persistent,
    ),
    (
        "muc#roomconfig_publicroom",
        "Make room publicly searchable?",
        |it| &mut it.public,
    ),
    (
        "muc#roomconfig_membersonly",
        "Make room members-only?",
        |it| &mut it.members_only,
    ),
    (
        "muc#roomconfig_moderatedroom",
        "Make room moderated?",
        |it| &mut it.moderated,
    ),
    (
        "muc#roomconfig_changesubject",
        "Allow participants to change subject?",
        |it| &mut it.change_subject,
    ),
    (
        "muc#roomconfig_allowinvites",
        "Allow members to invite others?",
        |it| &mut it.allow_invites,
    ),
    (
        "muc#roomconfig_enablelogging",
        "Keep what is said, for all who may enter?",
        |it| &mut it.archived,
    ),
    (REGISTRATION, "Allow people to register?", |it| {
        &mut it.registration
    }),
];

/// The form with what holds.
pub(super) fn offer(room: &Room, facts: &RoomFacts<'_>) -> Element {
    let mut config = room.record.config.clone();
    let title = format!("Configuration of {}", room.jid);
    let text = |name, label, value: &str| value_field(name, "text-single", label, [value]);
    let fields = [
        text("muc#roomconfig_roomname", "Name", &config.name),
        text(
            "muc#roomconfig_roomdesc",
            "Description",
            &config.description,
        ),
        text("muc#roomconfig_lang", "Language", &config.lang),
    ];
    let switches: Vec<Element> = SWITCHES
        .iter()
        .map(|(name, label, place)| {
            let value = if *place(&mut config) { "1" } else { "0" };
            value_field(name, "boolean", label, [value])
        })
        .collect();
    let rest = choices(room, &config, facts);
    let form = data_forms::form(NS_FORM);
    form.child(Element::new("title", data_forms::NS).text(title))
        .children_from(fields)
        .children_from(switches)
        .children_from(rest)
}

fn choices(room: &Room, config: &Config, facts: &RoomFacts<'_>) -> Vec<Element> {
    let flag = |is| if is { "1" } else { "0" };
    let whois = if config.non_anonymous {
        "anyone"
    } else {
        "moderators"
    };
    let most = config
        .occupants_max
        .map_or("none".to_owned(), |most| most.to_string());
    let allowpm = PrivateMessages::ALL.map(PrivateMessages::as_str);
    let list = |affiliation| {
        room.record
            .affiliates(affiliation)
            .map(|(jid, _)| jid.as_str())
    };
    let history = config
        .history_max
        .min(facts.settings.history_max)
        .to_string();
    vec![
        value_field(
            "muc#roomconfig_passwordprotectedroom",
            "boolean",
            "Password required to enter?",
            [flag(config.password.is_some())],
        ),
        value_field(
            "muc#roomconfig_roomsecret",
            "text-private",
            "Password",
            [config.password.as_deref().unwrap_or_default()],
        ),
        with_options(
            value_field(
                "muc#roomconfig_whois",
                "list-single",
                "Who may see real addresses?",
                [whois],
            ),
            &["moderators", "anyone"],
        ),
        with_options(
            value_field(
                "muc#roomconfig_allowpm",
                "list-single",
                "Who may send private messages?",
                [config.private_messages.as_str()],
            ),
            &allowpm,
        ),
        with_options(
            value_field(
                "muc#roomconfig_maxusers",
                "list-single",
                "Maximum number of occupants",
                [most.as_str()],
            ),
            &["10", "20", "50", "100", "200", "500", "1000", "none"],
        ),
        role_field(
            "muc#roomconfig_presencebroadcast",
            "Roles whose presence is shown",
            &config.presence_broadcast,
        ),
        role_field(
            "muc#roomconfig_getmemberlist",
            "Roles that may read the list of members",
            &config.member_list,
        ),
        value_field(
            "muc#maxhistoryfetch",
            "text-single",
            "Maximum number of history messages on entry",
            [history.as_str()],
        ),
        value_field(
            "muc#roomconfig_roomadmins",
            "jid-multi",
            "Admins",
            list(Affiliation::Admin),
        ),
        value_field(
            "muc#roomconfig_roomowners",
            "jid-multi",
            "Owners",
            list(Affiliation::Owner),
        ),
    ]
}

fn role_field(name: &'static str, label: &str, roles: &[Role]) -> Element {
    let chosen = roles.iter().map(|role| role.as_str());
    let field = value_field(name, "list-multi", label, chosen);
    with_options(field, &["moderator", "participant", "visitor"])
}

/// A field with its values.
pub(super) fn value_field<'a>(
    name: &'static str,
    kind: &'static str,
    label: &str,
    values: impl IntoIterator<Item = &'a str>,
) -> Element {
    let value = |value: &str| Element::new("value", data_forms::NS).text(value);
    field(name, kind)
        .attr("label", label)
        .children_from(values.into_iter().map(value))
}

fn with_options(field: Element, options: &[&str]) -> Element {
    let option = |text: &&str| {
        let value = Element::new("value", data_forms::NS).text(*text);
        Element::new("option", data_forms::NS).child(value)
    };
    field.children_from(options.iter().map(option))
}

/// Reads a form filled in. An empty one accepts what is (§10.1.2).
pub(super) fn read(
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
pub(super) fn read_switch(form: &Submitted, name: &str) -> Result<Option<bool>, StanzaError> {
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

#[cfg(test)]
mod tests;
