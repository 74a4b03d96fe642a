//! People and groups as a directory describes them, read from its entries.
//!
//! Attributes are those of Kolab's directories (389-DS, OpenLDAP): inetOrgPerson (RFC 2798), groups
//! of names (RFC 4519 §3.5, §3.6), Netscape's dynamic groups and roles. Nothing in an entry is
//! trusted: what is no text, too long, or no address is passed over, and says so where it matters.

use klatsch_protocol::colleagues::{Card, EntryId};
use klatsch_protocol::jid::BareJid;
use ldap3_proto::proto::LdapSearchResultEntry;

use super::dn::Dn;
use super::person::{account_of, is_disabled, values};
use super::url::LdapUrl;

/// What every list asks for: what stays of an entry, and when it was changed.
pub(crate) const LISTED: [&str; 3] = ["nsUniqueId", "entryUUID", "modifyTimestamp"];

/// What is asked for of a person, besides addresses.
pub(crate) const OF_PERSON: [&str; 18] = [
    "nsAccountLock",
    "inetUserStatus",
    "pwdAccountLockedTime",
    "nsRole",
    "nsRoleDN",
    "displayName",
    "cn",
    "givenName",
    "sn",
    "o",
    "ou",
    "departmentNumber",
    "title",
    "telephoneNumber",
    "mobile",
    "preferredLanguage",
    "jpegPhoto",
    "uid",
];

/// What is asked for of a group.
pub(crate) const OF_GROUP: [&str; 6] = [
    "cn",
    "displayName",
    "mail",
    "uniqueMember",
    "member",
    "memberURL",
];

/// Kolab's role of those who administrate.
const ADMIN_ROLE: &str = "cn=kolab-admin";

/// Kolab's places of those who are nobody: accounts of services, rooms, cars.
const NOT_PEOPLE: [&str; 3] = ["ou=special users", "ou=resources", "ou=shared folders"];

/// Characters of a name, a title, a telephone number.
const TEXT_CHARS_MAX: usize = 256;

/// Addresses that one person may have.
pub const ALIASES_MAX: usize = 100;

/// Searches that one group may consist of.
const SEARCHES_MAX: usize = 16;

/// Somebody.
#[derive(Debug, Clone, PartialEq)]
pub struct Worker {
    /// The primary address.
    pub account: BareJid,
    /// Further ones, as the entry has them.
    pub aliases: Vec<BareJid>,
    /// The name to show.
    pub name: Box<str>,
    /// Nobody may log in.
    pub is_disabled: bool,
    /// May administrate.
    pub is_admin: bool,
    /// What their card says.
    pub card: Card,
}

/// A group.
#[derive(Debug, Clone, PartialEq)]
pub struct Team {
    /// Its name.
    pub name: Box<str>,
    /// Its address.
    pub address: Option<BareJid>,
    /// Who is in it: people and groups.
    pub members: Vec<Dn>,
    /// Searches that find who else is.
    pub searches: Vec<LdapUrl>,
    /// Members and searches that are none.
    pub unreadable: usize,
}

/// Why an entry of the directory is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unfit {
    /// No address at all.
    #[error("it has no mail address")]
    NoAddress,
    /// An address that is no JID.
    #[error("its mail address cannot be a JID")]
    BadAddress,
    /// No name.
    #[error("it has no name")]
    NoName,
    /// The name of the entry cannot be read.
    #[error("its distinguished name cannot be read")]
    BadDn,
    /// It was there a moment ago.
    #[error("it is not there any more")]
    Gone,
    /// It could not be read.
    #[error("it is too large or cannot be read")]
    Unreadable,
    /// The domain is not served here, or another organisation's.
    #[error("its domain is not served for this organisation")]
    OtherDomain,
    /// Somebody else has the address.
    #[error("somebody else has its mail address")]
    DoubleAddress,
    /// Others have one of its further addresses.
    #[error("somebody else has one of its further addresses")]
    DoubleAlias,
    /// It has too many addresses.
    #[error("it has too many further addresses")]
    ManyAliases,
    /// The group has members that are none.
    #[error("some of its members cannot be read")]
    BadMembers,
    /// The group is in itself.
    #[error("it is a member of itself")]
    Cycle,
    /// Groups in groups in groups.
    #[error("groups in it are nested too deeply")]
    Deep,
    /// A dynamic group that looks outside of its organisation.
    #[error("it searches where its people are not")]
    SearchesElsewhere,
    /// The picture.
    #[error("its picture cannot be used")]
    BadPhoto,
    /// An account stands where it is to have its own.
    #[error("there is another account of its new address")]
    AddressTaken,
}

/// What stays of an entry when its name changes.
pub(crate) fn id_of(entry: &LdapSearchResultEntry) -> EntryId {
    let lasting = values(entry, "nsUniqueId").chain(values(entry, "entryUUID"));
    // What was written with another case is another id, so that it is taken as it stands.
    lasting.map(str::trim).next().unwrap_or(&entry.dn).into()
}

/// When it was changed last, as the directory writes it.
pub(crate) fn stamp_of(entry: &LdapSearchResultEntry) -> Option<&str> {
    values(entry, "modifyTimestamp").next()
}

/// Whether an entry is where Kolab has no people.
pub(crate) fn is_nobody(dn: &Dn) -> bool {
    NOT_PEOPLE.iter().any(|place| dn.has(place))
}

/// Reads a person; `mail` is the attribute with the primary address, `further` are those with
/// others.
pub(crate) fn read_worker(
    entry: &LdapSearchResultEntry,
    mail: &str,
    further: &[String],
) -> Result<Worker, Unfit> {
    // Values have no order (RFC 4511 §4.1.7): of several, always the same.
    let primary = values(entry, mail).min().ok_or(Unfit::NoAddress)?;
    let account = account_of(primary).ok_or(Unfit::BadAddress)?;
    let card = read_card(entry);
    let said = ["displayName", "cn"]
        .iter()
        .find_map(|name| text(entry, name));
    let made = || {
        let parts = [card.given.as_deref(), card.family.as_deref()];
        let name = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        (!name.is_empty()).then(|| name.into())
    };
    let name = said.or_else(made);
    let name = name.or_else(|| account.localpart().map(Into::into));
    let others = values(entry, mail).chain(further.iter().flat_map(|it| values(entry, it)));
    let mut aliases: Vec<BareJid> = others.filter_map(account_of).collect();
    aliases.retain(|alias| *alias != account);
    aliases.sort_unstable();
    aliases.dedup();
    Ok(Worker {
        name: name.ok_or(Unfit::NoName)?,
        aliases,
        is_disabled: is_disabled(entry),
        is_admin: is_admin(entry),
        card,
        account,
    })
}

/// The bytes of a person's picture (RFC 2798 §2.6); of several the first.
pub(crate) fn photo_of(entry: &LdapSearchResultEntry) -> Option<&[u8]> {
    let is_photo = |name: &str| {
        let name = name.split(';').next().unwrap_or_default();
        name.eq_ignore_ascii_case("jpegPhoto")
    };
    let attribute = entry.attributes.iter().find(|it| is_photo(&it.atype))?;
    let photo = attribute.vals.iter().min()?;
    (!photo.is_empty()).then_some(photo)
}

/// Reads a group.
pub(crate) fn read_team(entry: &LdapSearchResultEntry) -> Result<Team, Unfit> {
    let name = ["cn", "displayName"]
        .iter()
        .find_map(|name| text(entry, name));
    let named = values(entry, "uniqueMember").chain(values(entry, "member"));
    let named: Vec<Option<Dn>> = named.map(member).collect();
    let searches: Vec<Option<LdapUrl>> = values(entry, "memberURL").map(LdapUrl::parse).collect();
    let unreadable = named.iter().filter(|it| it.is_none()).count()
        + searches.iter().filter(|it| it.is_none()).count();
    let mut members: Vec<Dn> = named.into_iter().flatten().collect();
    members.sort_unstable();
    members.dedup();
    Ok(Team {
        name: name.ok_or(Unfit::NoName)?,
        address: values(entry, "mail").min().and_then(account_of),
        members,
        unreadable: unreadable + searches.len().saturating_sub(SEARCHES_MAX),
        searches: searches.into_iter().flatten().take(SEARCHES_MAX).collect(),
    })
}

/// A name, perhaps with a bit string behind it (RFC 4517 §3.3.21).
fn member(text: &str) -> Option<Dn> {
    let name = match text.rsplit_once('#') {
        Some((name, bits)) if bits.starts_with('\'') && bits.ends_with("'B") => name,
        _ => text,
    };
    Dn::parse(name).filter(|dn| dn.own().is_some())
}

fn is_admin(entry: &LdapSearchResultEntry) -> bool {
    let roles = values(entry, "nsRole").chain(values(entry, "nsRoleDN"));
    let mut roles = roles.filter_map(Dn::parse);
    roles.any(|role| role.own() == Some(ADMIN_ROLE))
}

fn read_card(entry: &LdapSearchResultEntry) -> Card {
    let unit = text(entry, "ou").or_else(|| text(entry, "departmentNumber"));
    Card {
        given: text(entry, "givenName"),
        family: text(entry, "sn"),
        organisation: text(entry, "o"),
        unit,
        title: text(entry, "title"),
        phone: text(entry, "telephoneNumber"),
        mobile: text(entry, "mobile"),
        language: text(entry, "preferredLanguage").and_then(|it| language(&it)),
    }
}

/// A value that may stand in XML (XML 1.0 §2.2) and is no longer than what people are called.
fn text(entry: &LdapSearchResultEntry, name: &str) -> Option<Box<str>> {
    let fits = |value: &&str| {
        let is_allowed = |it: char| !it.is_control() && !matches!(it, '\u{fffe}' | '\u{ffff}');
        value.chars().count() <= TEXT_CHARS_MAX && value.chars().all(is_allowed)
    };
    values(entry, name)
        .map(str::trim)
        .filter(fits)
        .min()
        .map(Into::into)
}

/// Directories write `de_DE`, and lists of languages with weights (RFC 2798 §2.7).
fn language(text: &str) -> Option<Box<str>> {
    let first = text.split([',', ';']).next()?.trim().replace('_', "-");
    let is_tag = |it: char| it.is_ascii_alphanumeric() || it == '-';
    (!first.is_empty() && first.chars().all(is_tag)).then(|| first.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3_proto::proto::LdapPartialAttribute;

    fn entry(attributes: &[(&str, &[u8])]) -> LdapSearchResultEntry {
        let attribute = |(name, value): &(&str, &[u8])| LdapPartialAttribute {
            atype: (*name).to_owned(),
            vals: vec![value.to_vec()],
        };
        LdapSearchResultEntry {
            dn: "uid=doe,ou=People,dc=example,dc=org".to_owned(),
            attributes: attributes.iter().map(attribute).collect(),
        }
    }

    fn worker(attributes: &[(&str, &[u8])]) -> Result<Worker, Unfit> {
        read_worker(&entry(attributes), "mail", &["alias".to_owned()])
    }

    #[test]
    fn person_has_addresses_name_and_card() {
        let john = worker(&[
            ("Mail", b"John.Doe@example.org"),
            ("alias", b"j.doe@example.org"),
            ("ALIAS", b"john.doe@example.org"),
            ("mailAlternateAddress", b"john@elsewhere.invalid"),
            ("displayName", b"Doe, John"),
            ("givenName", b" John "),
            ("sn", b"Doe"),
            ("title", b"Engineer"),
            ("preferredLanguage", b"de_DE;q=0.5, en"),
            ("nsRole", b"CN=Kolab-Admin,dc=example,dc=org"),
        ]);
        let john = john.unwrap();
        assert_eq!(john.account.as_str(), "john.doe@example.org");
        let aliases: Vec<_> = john.aliases.iter().map(BareJid::as_str).collect();
        assert_eq!(aliases, ["j.doe@example.org"], "never one of elsewhere");
        assert_eq!(&*john.name, "Doe, John");
        assert_eq!(john.card.given.as_deref(), Some("John"));
        assert_eq!(john.card.title.as_deref(), Some("Engineer"));
        assert_eq!(john.card.language.as_deref(), Some("de-DE"));
        assert!(john.is_admin && !john.is_disabled);
    }

    #[test]
    fn person_without_a_usable_address_is_named_by_why() {
        assert_eq!(worker(&[("cn", b"John")]), Err(Unfit::NoAddress));
        assert_eq!(worker(&[("mail", b"\xff@x")]), Err(Unfit::NoAddress));
        assert_eq!(worker(&[("mail", b"john")]), Err(Unfit::BadAddress));
        let named = |attributes: &[(&str, &[u8])]| worker(attributes).unwrap().name;
        let mail: (&str, &[u8]) = ("mail", b"doe@example.org");
        assert_eq!(&*named(&[mail]), "doe");
        assert_eq!(&*named(&[mail, ("givenName", b"J"), ("sn", b"D")]), "J D");
    }

    #[test]
    fn hostile_texts_are_passed_over() {
        let long = "x".repeat(300);
        for bad in [
            &b"a\0b"[..],
            b"\x1b[31m",
            b"\xff\xfe",
            b" ",
            "\u{ffff}".as_bytes(),
            long.as_bytes(),
        ] {
            let john = worker(&[
                ("mail", b"doe@example.org"),
                ("displayName", bad),
                ("cn", b"John"),
                ("title", bad),
                ("preferredLanguage", bad),
                ("alias", bad),
                ("nsRoleDN", bad),
            ]);
            let john = john.unwrap();
            assert_eq!(&*john.name, "John", "{bad:?}");
            assert_eq!((john.card.title, john.card.language), (None, None));
            assert!(john.aliases.is_empty() && !john.is_admin);
        }
    }

    #[test]
    fn id_is_what_lasts_and_the_name_where_nothing_does() {
        let id = |attributes: &[(&str, &[u8])]| id_of(&entry(attributes));
        assert_eq!(&*id(&[("entryUUID", b"u"), ("nsuniqueid", b"n")]), "n");
        assert_eq!(&*id(&[("entryUUID", b"u")]), "u");
        assert_eq!(&*id(&[]), "uid=doe,ou=People,dc=example,dc=org");
        let place = |dn: &str| is_nobody(&Dn::parse(dn).unwrap());
        assert!(place("uid=kolab-service,ou=Special Users,dc=x"));
        assert!(place("cn=car,OU=resources,dc=x"));
        assert!(!place("uid=resources,ou=People,dc=x"));
    }

    #[test]
    fn group_has_members_of_every_kind() {
        let team = read_team(&entry(&[
            ("cn", b"staff"),
            ("mail", b"Staff@example.org"),
            ("uniqueMember", b"UID=Doe, ou=people,dc=example,dc=org"),
            (
                "uniquemember",
                b"uid=poe,ou=People,dc=example,dc=org#'0101'B",
            ),
            ("member", b"uid=doe,ou=People,dc=example,dc=org"),
            ("member", b"nobody"),
            ("uniqueMember", b""),
            ("memberURL", b"ldap:///dc=x??sub?(ou=a)"),
            ("memberURL", b"http://x/"),
        ]));
        let team = team.unwrap();
        assert_eq!((&*team.name, team.members.len()), ("staff", 2));
        assert_eq!(team.address.unwrap().as_str(), "staff@example.org");
        assert_eq!((team.searches.len(), team.unreadable), (1, 2));
        assert_eq!(read_team(&entry(&[])), Err(Unfit::NoName));
    }

    #[test]
    fn photo_is_bytes_and_of_several_always_the_same() {
        let mut person = entry(&[("jpegPhoto;binary", b"\xff\xd8b")]);
        person.attributes[0].vals.push(b"\xff\xd8a".to_vec());
        assert_eq!(photo_of(&person), Some(&b"\xff\xd8a"[..]));
        assert_eq!(photo_of(&entry(&[("jpegPhoto", b"")])), None);
    }
}
