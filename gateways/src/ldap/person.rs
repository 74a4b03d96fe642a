//! A person, as a directory describes one.
//!
//! Attributes are those of Kolab's directories (389-DS, OpenLDAP); others have none of them and
//! are read all the same.

use klatsch_protocol::jid::{BareJid, escape};
use klatsch_protocol::time::Timestamp;
use ldap3_proto::proto::LdapSearchResultEntry;

use super::password;

/// What is asked for besides the address.
pub(super) const ATTRIBUTES: [&str; 5] = [
    "nsUniqueId",
    "entryUUID",
    "nsAccountLock",
    "inetUserStatus",
    "pwdAccountLockedTime",
];

/// Kolab 4 writes a bit mask into `inetUserStatus`: suspended, deleted.
const STATUS_BITS_OUT: u32 = 4 | 8;

/// OpenLDAP's password policy: locked by an administrator, until somebody unlocks it.
const LOCKED_FOR_GOOD: &str = "000001010000Z";

/// Somebody who may log in, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Where the entry is: only ever what the directory has said (row L03).
    pub dn: String,
    /// What stays when name and address change.
    pub id: Option<String>,
    /// The primary address.
    pub account: BareJid,
    /// Nobody may log in.
    pub is_disabled: bool,
    /// When the password was changed, where the directory says so.
    pub password_changed: Option<Timestamp>,
}

/// Why an entry is nobody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPerson {
    /// It has no address.
    #[error("the entry has no mail address")]
    NoAddress,
    /// It has one that is no JID.
    #[error("the entry's mail address cannot be a JID")]
    BadAddress,
    /// It is nowhere.
    #[error("the entry has no name")]
    NoName,
}

impl Person {
    /// Reads an entry; `mail` is the attribute with the primary address.
    ///
    /// # Errors
    /// [`NoPerson`].
    pub(super) fn read(entry: &LdapSearchResultEntry, mail: &str) -> Result<Self, NoPerson> {
        if entry.dn.is_empty() {
            return Err(NoPerson::NoName);
        }
        // Values have no order (RFC 4511 §4.1.7): of several, always the same.
        let mail = values(entry, mail).min().ok_or(NoPerson::NoAddress)?;
        let account = account_of(mail).ok_or(NoPerson::BadAddress)?;
        let id = values(entry, "nsUniqueId").chain(values(entry, "entryUUID"));
        Ok(Self {
            dn: entry.dn.clone(),
            id: id.map(str::to_owned).next(),
            account,
            is_disabled: is_disabled(entry),
            password_changed: password::changed(entry),
        })
    }
}

/// The JID of a mail address (XEP-0106), prepared once and for all (row L09).
pub(crate) fn account_of(mail: &str) -> Option<BareJid> {
    let (localpart, domain) = mail.trim().rsplit_once('@')?;
    BareJid::new(Some(&*escape(localpart)?), domain).ok()
}

/// Row L06: who is locked, in the words of each directory.
fn is_disabled(entry: &LdapSearchResultEntry) -> bool {
    let is_locked = values(entry, "nsAccountLock").any(|it| it.eq_ignore_ascii_case("true"));
    let is_out = values(entry, "inetUserStatus").any(is_out);
    let is_locked_for_good = values(entry, "pwdAccountLockedTime").any(|it| it == LOCKED_FOR_GOOD);
    is_locked || is_out || is_locked_for_good
}

/// Netscape's words, or Kolab 4's bits.
fn is_out(status: &str) -> bool {
    match status.trim().parse::<u32>() {
        Ok(bits) => bits & STATUS_BITS_OUT != 0,
        Err(_) => ["inactive", "deleted", "disabled"]
            .iter()
            .any(|word| status.trim().eq_ignore_ascii_case(word)),
    }
}

/// The values of an attribute that are text. Names of attributes have no case (RFC 4512 §2.5).
pub(super) fn values<'a>(
    entry: &'a LdapSearchResultEntry,
    name: &'a str,
) -> impl Iterator<Item = &'a str> + 'a {
    let named = entry
        .attributes
        .iter()
        .filter(move |it| it.atype.eq_ignore_ascii_case(name));
    named
        .flat_map(|it| &it.vals)
        .filter_map(|value| str::from_utf8(value).ok())
        .filter(|value| !value.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ldap3_proto::proto::LdapPartialAttribute;

    fn entry(attributes: &[(&str, &str)]) -> LdapSearchResultEntry {
        let attribute = |(name, value): &(&str, &str)| LdapPartialAttribute {
            atype: (*name).to_owned(),
            vals: vec![value.as_bytes().to_vec()],
        };
        LdapSearchResultEntry {
            dn: "uid=doe,ou=People,dc=example,dc=org".to_owned(),
            attributes: attributes.iter().map(attribute).collect(),
        }
    }

    fn account(mail: &str) -> Result<String, NoPerson> {
        let person = Person::read(&entry(&[("Mail", mail)]), "mail")?;
        Ok(person.account.as_str().to_owned())
    }

    #[test]
    fn l09_address_is_mapped_once_and_in_one_way() {
        for (mail, jid) in [
            ("John.Doe@Example.ORG", "john.doe@example.org"),
            ("o'brien@example.org", "o\\27brien@example.org"),
            ("Mu\u{308}ller@example.org", "müller@example.org"),
            (" doe@example.org ", "doe@example.org"),
            ("a@b@example.org", "a\\40b@example.org"),
        ] {
            assert_eq!(account(mail).as_deref(), Ok(jid), "{mail}");
        }
        for bad in [
            "doe",
            "@example.org",
            "doe@",
            "doe @example.org",
            "d\u{0}@x",
        ] {
            assert_eq!(account(bad), Err(NoPerson::BadAddress), "{bad}");
        }
        assert_eq!(account(""), Err(NoPerson::NoAddress));
    }

    #[test]
    fn l06_locked_accounts_are_known_by_word_and_by_bit() {
        let is_disabled = |name, value| {
            let entry = entry(&[("mail", "doe@example.org"), (name, value)]);
            Person::read(&entry, "mail").unwrap().is_disabled
        };
        for (name, value) in [
            ("nsAccountLock", "TRUE"),
            ("nsaccountlock", "true"),
            ("inetUserStatus", "inactive"),
            ("inetuserstatus", "Deleted"),
            ("inetUserStatus", "4"),
            ("inetUserStatus", "63"),
            ("inetUserStatus", "10"),
            ("pwdAccountLockedTime", "000001010000Z"),
        ] {
            assert!(is_disabled(name, value), "{name}: {value}");
        }
        for (name, value) in [
            ("nsAccountLock", "FALSE"),
            ("inetUserStatus", "active"),
            ("inetUserStatus", "51"),
            ("inetUserStatus", ""),
            ("description", "inactive"),
            // Too many wrong passwords: a stranger could end sessions with these.
            ("pwdAccountLockedTime", "20261129120000Z"),
        ] {
            assert!(!is_disabled(name, value), "{name}: {value}");
        }
    }

    #[test]
    fn values_that_are_no_text_are_passed_over() {
        let mut entry = entry(&[("mail", "doe@example.org")]);
        entry.attributes[0].vals.insert(0, vec![0xff, 0xfe]);
        let person = Person::read(&entry, "mail").unwrap();
        assert_eq!(person.account.as_str(), "doe@example.org");
    }
}
