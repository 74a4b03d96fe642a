//! The owner's form: XEP-0045 §10.1.3, §10.2 and §16.5.3 (`muc#roomconfig`).
//!
//! A field that is missing stays as it is, so that clients may send what they know only.

mod read;

pub(super) use read::{read, read_switch};

use super::affiliation::{Affiliation, AffiliationChange};
use super::config::{Config, PrivateMessages};
use super::facts::RoomFacts;
use super::role::Role;
use super::room::Room;
use crate::features::data_forms::{self, field};
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

/// The field by which a room is closed for what is said.
pub const READ_ONLY: &str = "klatsch#roomconfig_readonly";

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
    // No form of XEP-0045 has it; clients show fields they do not know by their labels.
    (READ_ONLY, "Let owners and admins alone speak?", |it| {
        &mut it.read_only
    }),
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

#[cfg(test)]
mod tests;
