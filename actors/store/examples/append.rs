//! How many messages a second the store takes: two entries each, committed to disk.
//!
//! `cargo run --release -p klatsch-store --example append -- STORE ACCOUNTS BATCH SECONDS NODES`
//!
//! STORE is a directory for a SQLite file, or the address of a PostgreSQL, which several nodes
//! may fill at once.

#![expect(clippy::print_stdout, reason = "its output is what it is for")]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use klatsch_protocol::jid::{BareJid, FullJid};
use klatsch_protocol::time::Timestamp;
use klatsch_store::{Append, Appended, Credentials, Dedup, Result, Store};

/// Two batches in flight keep the writer busy while the next one is made.
const TASKS: u64 = 2;

/// Numbers that look random and are the same in every run.
fn mix(number: u64) -> u64 {
    let mixed = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(since.as_micros() as i64)
}

fn message(accounts: &[FullJid], number: u64) -> Append {
    let count = accounts.len() as u64;
    let from = mix(number) % count;
    // Everybody has 20 contacts.
    let to = (from + 1 + mix(number ^ 0xabcd) % 20) % count;
    let (sender, with) = (&accounts[from as usize], accounts[to as usize].bare());
    let body = "Wherefore art thou ".repeat(8 + (mix(number) >> 40) as usize % 16);
    let stanza = format!(
        "<message from='{sender}' to='{with}' type='chat' id='{number}'><body>{body}</body></message>"
    );
    let key = (u128::from(mix(number)) << 64 | u128::from(mix(!number))).to_be_bytes();
    Append {
        sender: sender.clone().into(),
        recipient: Some(with.clone()),
        are_colleagues: false,
        with: with.into(),
        dedup: Some(Dedup {
            key,
            payload: number,
        }),
        stanza: Bytes::from(stanza),
        flags: 0,
        now: now(),
    }
}

async fn accounts(store: &Store, count: usize) -> Result<Vec<FullJid>> {
    let names = (0..count).map(|number| format!("user{number}@example.org/phone.12345678"));
    let names: Vec<FullJid> = names
        .filter_map(|name| FullJid::parse(&name).ok())
        .collect();
    for name in &names {
        let account: BareJid = name.bare();
        if store.credentials(&account).await?.is_none() {
            store
                .create_account(&account, &Credentials::default(), false, now())
                .await?;
        }
    }
    Ok(names)
}

/// Appends batches until the time is up; answers how long each took.
async fn run(
    store: Store,
    names: Vec<FullJid>,
    batch: u64,
    first: u64,
    until: Instant,
) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut number = first;
    while Instant::now() < until {
        let messages = (number..number + batch)
            .map(|number| message(&names, number))
            .collect();
        number += batch;
        let begun = Instant::now();
        match store.append(messages).await {
            Ok(answers) => {
                let stored = |answer: &Appended| matches!(answer, Appended::Stored { .. });
                assert!(answers.iter().all(stored), "{answers:?}");
            }
            Err(error) => println!("{error}"),
        }
        took.push(begun.elapsed());
    }
    took
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, default| {
        arguments
            .get(place)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let place = arguments.first().map_or(".", String::as_str);
    let (count, batch, seconds) = (number(1, 1000), number(2, 100), number(3, 10));
    let url = match place.contains("://") {
        true => place.to_owned(),
        false => format!("sqlite:{place}/append.db"),
    };
    let mut nodes = Vec::new();
    for _ in 0..number(4, 1).max(1) {
        nodes.push(Store::open(&url).await?);
    }
    let names = accounts(&nodes[0], count as usize).await?;
    let begun = Instant::now();
    let until = begun + Duration::from_secs(seconds);
    let start = now().0 as u64;
    let tasks: Vec<_> = (0..TASKS * nodes.len() as u64)
        .map(|task| {
            tokio::spawn(run(
                nodes[(task / TASKS) as usize].clone(),
                names.clone(),
                batch,
                start + (task << 40),
                until,
            ))
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap_or_default());
    }
    let elapsed = begun.elapsed().as_secs_f64();
    took.sort_unstable();
    let messages = took.len() as f64 * batch as f64;
    println!(
        "{:.0} messages/s, {} batches of {batch}; p50 {:?} p99 {:?} max {:?}",
        messages / elapsed,
        took.len(),
        took.get(took.len() / 2).copied().unwrap_or_default(),
        took.get(took.len() * 99 / 100).copied().unwrap_or_default(),
        took.last().copied().unwrap_or_default(),
    );
    Ok(())
}
