//! What a book of people and groups costs a node: its place in the store and in memory, the whole
//! of it read at a start, and one person's change.
//!
//! `cargo run --release -p klatsch-store --example book -- STORE PEOPLE GROUPS`
//!
//! STORE is a directory for a SQLite file, or the address of a PostgreSQL that has no book yet.
//! Everybody is in two groups.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use klatsch_protocol::colleagues::{Book, Card, Change, Entry, Group, Person, Photo};
use klatsch_protocol::jid::BareJid;
use klatsch_store::{Result, Store};

/// So many entries are changed at once, as by whoever reads a directory.
const CHANGES_MAX: usize = 2000;

/// Each thing is measured so often; the median is told.
const TIMES: usize = 21;

/// Somebody as Kolab's directories have them: a card and a picture, and an alias.
fn person(number: usize, title: &str) -> Option<Change> {
    let person = Person {
        account: BareJid::parse(&format!("given{number}.family{number}@example.org")).ok()?,
        aliases: vec![BareJid::parse(&format!("g.family{number}@example.org")).ok()?],
        name: format!("Given{number} Family{number}").into(),
        tenant: "example.org".into(),
        is_disabled: false,
        is_admin: false,
        card: Card {
            given: Some(format!("Given{number}").into()),
            family: Some(format!("Family{number}").into()),
            organisation: Some("Example".into()),
            unit: Some(format!("Unit {}", number % 100).into()),
            title: Some(title.into()),
            phone: Some(format!("+49 30 {number:06}").into()),
            mobile: None,
            language: Some("de".into()),
        },
        photo: Some(Photo {
            hash: format!("{number:040x}").into(),
            media_type: "image/jpeg".into(),
            bytes: 6000,
            width: 192,
            height: 192,
            source: format!("{number:064x}").into(),
        }),
    };
    Some(Change {
        id: id(number),
        entry: Some(Entry::Person(person)),
    })
}

/// As long as a `nsUniqueId`.
fn id(number: usize) -> Box<str> {
    format!("{number:08x}-1dd211b2-8000e9d6-00000000").into()
}

/// A group with everybody whose number says so, and one more if wanted.
fn group(number: usize, people: usize, groups: usize, guest: Option<usize>) -> Change {
    let is_in = |person: &usize| person % groups == number || (person * 7 + 3) % groups == number;
    let members = (0..people).filter(is_in).chain(guest);
    let mut members: Vec<_> = members.map(id).collect();
    members.sort_unstable();
    let group = Group {
        name: format!("Group {number}").into(),
        address: BareJid::parse(&format!("group{number}@example.org")).ok(),
        tenant: "example.org".into(),
        members,
        is_shown: true,
    };
    Change {
        id: format!("group-{number:08x}").into(),
        entry: Some(Entry::Group(group)),
    }
}

/// The memory of this process, bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse::<u64>().ok());
    pages.unwrap_or_default() * 4096
}

fn median(mut took: Vec<Duration>) -> Duration {
    took.sort_unstable();
    took.get(took.len() / 2).copied().unwrap_or_default()
}

/// A change in the store and in the book of a node that has made it, and in that of a node that
/// reads it.
async fn change(store: &Store, book: &Book, change: Change) -> Result<(Book, [Duration; 3])> {
    let begun = Instant::now();
    let version = store
        .change_colleagues(book.version, vec![change.clone()])
        .await?;
    let kept = begun.elapsed();
    let begun = Instant::now();
    let read = store.colleagues_since(book.version).await?;
    let read_after = begun.elapsed();
    let begun = Instant::now();
    let next = book.after(version, read.changes);
    // Whoever is there is told: everybody.
    let step = next.step();
    let concerned = step.map(|step| {
        let concerned = step.concerned(|_| true);
        concerned
            .iter()
            .map(|account| step.shifts(account).len())
            .sum::<usize>()
    });
    black_box(concerned);
    Ok((next, [kept, read_after, begun.elapsed()]))
}

async fn changes(
    store: &Store,
    mut book: Book,
    what: &str,
    make: impl Fn(usize) -> Option<Change>,
) -> Result<Book> {
    let mut all: [Vec<Duration>; 3] = Default::default();
    for time in 0..TIMES {
        let Some(made) = make(time) else { continue };
        let (next, took) = change(store, &book, made).await?;
        book = next;
        for (all, took) in all.iter_mut().zip(took) {
            all.push(took);
        }
    }
    let [kept, read, laid] = all.map(median);
    println!("{what}: kept in {kept:?}, read by another node in {read:?}, in the book {laid:?}");
    Ok(book)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, default| {
        let given = arguments.get(place).and_then(|text| text.parse().ok());
        given.unwrap_or(default)
    };
    let place = arguments.first().map_or(".", String::as_str);
    let (people, groups) = (number(1, 20_000), number(2, 500).max(1));
    let url = match place.contains("://") {
        true => place.to_owned(),
        false => format!("sqlite:{place}/book.db"),
    };
    let store = Store::open(&url).await?;
    let all = (0..people).filter_map(|it| person(it, "Clerk"));
    let all = all.chain((0..groups).map(|it| group(it, people, groups, None)));
    let all: Vec<Change> = all.collect();
    let bytes = all
        .iter()
        .filter_map(|it| Some(it.entry.as_ref()?.to_bytes().len()));
    println!(
        "{people} people, {groups} groups: {} bytes of records",
        bytes.sum::<usize>()
    );
    let begun = Instant::now();
    let mut version = store.colleagues_since(0).await?.version;
    for some in all.chunks(CHANGES_MAX) {
        version = store.change_colleagues(version, some.to_vec()).await?;
    }
    println!("written in {:?}", begun.elapsed());
    drop(all);
    let (before, begun) = (resident(), Instant::now());
    let read = store.colleagues_since(0).await?;
    let read_after = begun.elapsed();
    let book = Book::default().replaced_by(read.version, read.changes);
    println!(
        "the whole of it: read in {read_after:?}, in memory after {:?}, {} MiB",
        begun.elapsed(),
        resident().saturating_sub(before) >> 20
    );
    let title = |time: usize| person(7, &format!("Clerk {time}"));
    let book = changes(&store, book, "one person's title", title).await?;
    let joins = |time: usize| {
        Some(group(
            7,
            people,
            groups,
            time.is_multiple_of(2).then_some(9),
        ))
    };
    let book = changes(&store, book, "one member comes or goes", joins).await?;
    let begun = Instant::now();
    let seen = BareJid::parse("given7.family7@example.org").map(|it| book.colleagues(&it).len());
    println!(
        "one person's colleagues, {}: {:?}",
        seen.unwrap_or_default(),
        begun.elapsed()
    );
    Ok(())
}
