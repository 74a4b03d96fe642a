//! What a directory says, and what the book makes of it.

mod addresses;
mod groups;
mod losses;
mod reading;

use std::collections::HashMap;

use klatsch_protocol::colleagues::{Book, Entry, EntryId, Group, Person, Photo};
use klatsch_protocol::jid::BareJid;

use super::reader::{PictureError, Pictures, Reader, Seen};
use super::wanted::{Former, Measures, Wanted, wanted};
use super::{Tenant, tenants};
use crate::ldap::colleague::Unfit;
use crate::ldap::testkit::{self, BASE, Fake, entry};
use crate::ldap::{Directory, Groups, filter};

const GROUPS: &str = "ou=Groups,dc=example,dc=org";

/// Pictures are what they are called.
struct Names;

impl Pictures for Names {
    async fn take(&self, _of: &EntryId, bytes: Vec<u8>) -> Result<Photo, PictureError> {
        match &*bytes {
            b"broken" => Err(PictureError::Bad),
            b"no room" => Err(PictureError::Unavailable("full".to_owned())),
            _ => Ok(Photo {
                hash: String::from_utf8_lossy(&bytes).into(),
                media_type: "image/jpeg".into(),
                bytes: 1,
                width: 1,
                height: 1,
                source: "source".into(),
            }),
        }
    }
}

fn jid(text: &str) -> BareJid {
    BareJid::parse(text).unwrap()
}

fn domains() -> Vec<BareJid> {
    vec![jid("example.org"), jid("example.net")]
}

/// The directory of the tests, with a place for groups.
fn directory(fake: &Fake) -> std::sync::Arc<Directory> {
    let mut settings = fake.settings();
    settings.base.groups = Some(Groups {
        dn: GROUPS.to_owned(),
        filter: filter::parse("(objectClass=group)").unwrap(),
    });
    Directory::new(settings).unwrap()
}

fn person(uid: &str, attributes: &[(&str, &str)]) -> testkit::Entry {
    entry(&format!("uid={uid},{BASE}"), "", attributes)
}

fn group(name: &str, attributes: &[(&str, &str)]) -> testkit::Entry {
    let mut group = entry(&format!("cn={name},{GROUPS}"), "", attributes);
    group.attributes.retain(|(name, _)| name != "objectClass");
    group
        .attributes
        .push(("objectClass".into(), "group".into()));
    group.attributes.push(("cn".into(), name.into()));
    group
}

async fn serve(entries: Vec<testkit::Entry>) -> Fake {
    let mut all = testkit::people();
    all.truncate(1);
    all.extend(entries);
    Fake::start_at("127.0.0.1:0".parse().unwrap(), all, false).await
}

async fn read_with(reader: &mut Reader, fake: &Fake) -> Seen {
    let directory = directory(fake);
    let tenant = &tenants(&directory, &domains())[0];
    reader.read(&directory, tenant, &Names).await.unwrap()
}

async fn read(fake: &Fake) -> Seen {
    read_with(&mut Reader::default(), fake).await
}

fn tenant() -> Tenant {
    Tenant {
        name: "example.org".into(),
        domains: ["example.org".into(), "example.net".into()].into(),
        base: testkit::base(BASE),
    }
}

fn judge(seen: Seen, book: &Book, former: &Former) -> Wanted {
    wanted(&[(&tenant(), seen)], book, former, &Measures::default())
}

fn book_of(wanted: &Wanted) -> Book {
    Book::default().after(1, wanted.changes(&Book::default()))
}

/// What the book says of everybody: who they are, and their further addresses.
fn people(wanted: &Wanted) -> Vec<String> {
    let people = wanted.entries.values().filter_map(|it| match it {
        Entry::Person(person) => Some(person),
        Entry::Group(_) => None,
    });
    let text = |it: &Person| {
        let aliases = it.aliases.iter().map(|it| format!(" {it}"));
        format!("{}{}", it.account, aliases.collect::<String>())
    };
    let mut people: Vec<String> = people.map(text).collect();
    people.sort_unstable();
    people
}

fn group_of<'a>(wanted: &'a Wanted, name: &str) -> &'a Group {
    let groups = wanted.entries.values().filter_map(|it| match it {
        Entry::Group(group) => Some(group),
        Entry::Person(_) => None,
    });
    let mut named = groups.filter(|it| *it.name == *name);
    named.next().unwrap()
}

/// Who is in a group, by the first parts of their names.
fn members(wanted: &Wanted, name: &str) -> Vec<String> {
    let ids = group_of(wanted, name).members.iter();
    ids.map(|id| id.split(',').next().unwrap().to_owned())
        .collect()
}

fn reasons(wanted: &Wanted) -> HashMap<String, Unfit> {
    let short = |name: &String| name.split(',').next().unwrap().to_owned();
    wanted
        .skipped
        .iter()
        .map(|(it, why)| (short(it), *why))
        .collect()
}

async fn wanted_of(entries: Vec<testkit::Entry>) -> Wanted {
    let fake = serve(entries).await;
    judge(read(&fake).await, &Book::default(), &Former::new())
}
