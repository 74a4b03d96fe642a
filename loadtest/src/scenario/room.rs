//! Group chat: rooms are made and filled, then one occupant of each speaks and all hear it.
//!
//! What costs is the delivery: one message in a room of a thousand is a thousand of them. The
//! one who speaks says the next thing when the room has reflected the last ones, so that the
//! room is as busy as it can be and nothing piles up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use klatsch_protocol::xml::Fragment;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::{answer_request, ask_version, crowd, provide_accounts};
use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::options::{Provision, ReportOptions, Target, require_open_files};
use crate::random::Random;
use crate::report::{Report, provision_note, say, usage_of};

/// Entering a room (XEP-0045 §7.2), without what was said before.
const ENTER: &str = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>";

/// A room as its server makes it (§10.1.2).
const INSTANT: &str = "<query xmlns='http://jabber.org/protocol/muc#owner'>\
                       <x xmlns='jabber:x:data' type='submit'/></query>";

/// How long what is under way may take when nothing new is said.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long entering one room may take; it grows with those inside.
const ENTRY_PATIENCE: Duration = Duration::from_secs(120);

/// `room`
#[derive(Args, Clone, Debug)]
pub(crate) struct RoomOptions {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    provision: Provision,
    #[command(flatten)]
    report: ReportOptions,
    /// Rooms
    #[arg(long, default_value_t = 1)]
    rooms: usize,
    /// Occupants of each, every one an account of its own
    #[arg(long, default_value_t = 1000)]
    occupants: usize,
    /// Messages under way in each room
    #[arg(long, default_value_t = 2)]
    window: usize,
    /// Seconds of talk
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Bytes of a message's text
    #[arg(long, default_value_t = 300)]
    size: usize,
    /// Occupants entering at the same time
    #[arg(long, default_value_t = 16)]
    concurrency: usize,
    /// The service that hosts the rooms; `conference.` and the domain when none is named
    #[arg(long)]
    service: Option<String>,
}

/// What all occupants share.
struct Hall {
    options: RoomOptions,
    service: String,
    /// Names of this run's rooms begin with it.
    run: String,
    /// Whether the ones who speak go on.
    talking: watch::Sender<bool>,
    said: AtomicU64,
    heard: AtomicU64,
    inside: AtomicUsize,
}

impl Hall {
    fn room(&self, room: usize) -> String {
        format!("r{}-{room}@{}", self.run, self.service)
    }

    fn message(&self, room: usize, number: u64) -> String {
        let (to, run, size) = (self.room(room), &self.run, self.options.size);
        format!(
            "<message to='{to}' type='groupchat' id='m{run}-{room}-{number}'>\
             <body>{:x<size$}</body></message>",
            ""
        )
    }
}

/// Runs the scenario.
pub(crate) async fn run(options: RoomOptions) -> Result<()> {
    let accounts = options.rooms * options.occupants;
    require_open_files(accounts)?;
    let target = Arc::new(options.target.clone());
    provide_accounts(&target, &options.provision, accounts).await?;
    let mut report = Report::new("room", &target, &options.report);
    report.setting("rooms", options.rooms);
    report.setting("occupants", options.occupants);
    report.setting("window", options.window);
    report.setting("stanza_bytes", options.size);
    report.setting("accounts_by", provision_note(&options.provision));
    let mut connections = log_in(&target, accounts).await?;
    ask_version(&mut connections[0], &mut report).await;
    let hall = Arc::new(hall(&options));
    measure(&hall, connections, &mut report).await?;
    report.publish(&options.report)
}

fn hall(options: &RoomOptions) -> Hall {
    let service = options.service.clone();
    Hall {
        service: service.unwrap_or_else(|| format!("conference.{}", options.target.domain)),
        run: format!("{:x}", Random::fresh_seed() & 0xff_ffff),
        talking: watch::Sender::new(false),
        said: AtomicU64::new(0),
        heard: AtomicU64::new(0),
        inside: AtomicUsize::new(0),
        options: options.clone(),
    }
}

async fn log_in(target: &Arc<Target>, accounts: usize) -> Result<Vec<Connection>> {
    say(&format!("logging {accounts} clients in"));
    let target = Arc::clone(target);
    let one = move |number| {
        let target = Arc::clone(&target);
        async move { Ok(Connection::login(&target, number).await?.0) }
    };
    crowd(accounts, 32, one).await
}

async fn measure(
    hall: &Arc<Hall>,
    connections: Vec<Connection>,
    report: &mut Report,
) -> Result<()> {
    let pid = hall.options.report.pid;
    let mut occupants = JoinSet::new();
    let empty = usage_of(pid);
    let entering = Instant::now();
    enter_all(hall, connections, &mut occupants).await?;
    report.figure("join_seconds", entering.elapsed().as_secs_f64());
    let before = usage_of(pid);
    if let (Some(empty), Some(before)) = (empty, before) {
        let cpu = before.cpu.saturating_sub(empty.cpu);
        report.figure("join_cpu_ms", cpu.as_secs_f64() * 1000.0);
    }
    say("talking");
    let started = Instant::now();
    hall.talking.send_replace(true);
    tokio::time::sleep(Duration::from_secs(hall.options.seconds)).await;
    hall.talking.send_replace(false);
    all_heard(hall).await;
    let elapsed = started.elapsed().as_secs_f64();
    let after = usage_of(pid);
    occupants.abort_all();

    let heard = hall.heard.load(Ordering::Relaxed);
    let said = hall.said.load(Ordering::Relaxed);
    report.figure("messages", said);
    report.figure("deliveries", heard);
    let wanted = said * hall.options.occupants as u64;
    report.figure("deliveries_missing", wanted.saturating_sub(heard));
    report.figure("deliveries_per_second", heard as f64 / elapsed);
    report.usage(before, after, heard, "delivery");
    Ok(())
}

/// Makes the rooms and fills them; the first one in each will speak.
async fn enter_all(
    hall: &Arc<Hall>,
    connections: Vec<Connection>,
    occupants: &mut JoinSet<Result<()>>,
) -> Result<()> {
    say("entering");
    let rooms = hall.options.rooms;
    let turns = Arc::new(Semaphore::new(hall.options.concurrency.max(1)));
    for (number, mut connection) in connections.into_iter().enumerate() {
        let room = number % rooms;
        if number < rooms {
            make(hall, &mut connection, room).await?;
            occupants.spawn(speak(Arc::clone(hall), connection, room));
        } else {
            let turn = Arc::clone(&turns).acquire_owned().await;
            let turn = turn.map_err(|error| LoadError::protocol(error.to_string()))?;
            let hall = Arc::clone(hall);
            occupants.spawn(async move {
                enter(&hall, &mut connection, room, number).await?;
                drop(turn);
                listen(&hall, connection).await
            });
        }
    }
    let wanted = hall.options.rooms * hall.options.occupants;
    let all_in = async {
        while hall.inside.load(Ordering::Relaxed) < wanted {
            // Whoever ends now has failed.
            if let Some(ended) = occupants.try_join_next() {
                ended.map_err(|error| LoadError::protocol(error.to_string()))??;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    };
    let all_in = timeout(ENTRY_PATIENCE, all_in).await;
    all_in.map_err(|_| LoadError::protocol("not all got in".to_owned()))?
}

async fn make(hall: &Hall, connection: &mut Connection, room: usize) -> Result<()> {
    enter(hall, connection, room, room).await?;
    let to = hall.room(room);
    let form = format!("<iq type='set' id='make' to='{to}'>{INSTANT}</iq>");
    let answer = connection.request("make", &form).await?;
    match answer.attr("type") {
        Some("result") => Ok(()),
        _ => Err(LoadError::protocol(format!("no room {to}"))),
    }
}

async fn enter(hall: &Hall, connection: &mut Connection, room: usize, number: usize) -> Result<()> {
    let me = format!("{}/n{number}", hall.room(room));
    connection
        .send(&format!("<presence to='{me}'>{ENTER}</presence>"))
        .await?;
    let entered = async {
        loop {
            let element = connection.element().await?;
            if element.name() == "presence" && element.attr("from") == Some(&me) {
                return match element.attr("type") {
                    None => Ok(()),
                    Some(_) => Err(LoadError::protocol(format!("{me} is not let in"))),
                };
            }
        }
    };
    let entered = timeout(ENTRY_PATIENCE, entered).await;
    entered.map_err(|_| LoadError::protocol(format!("{me} does not get in")))??;
    hall.inside.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// Tells whether this is something said in this run.
fn is_said(hall: &Hall, element: &Fragment) -> bool {
    let is_ours = |id: &str| {
        let rest = id
            .strip_prefix('m')
            .and_then(|id| id.strip_prefix(&*hall.run));
        rest.is_some_and(|rest| rest.starts_with('-'))
    };
    element.name() == "message"
        && element.attr("type") == Some("groupchat")
        && element.attr("id").is_some_and(is_ours)
}

/// Hears what is said until the run ends.
async fn listen(hall: &Hall, mut connection: Connection) -> Result<()> {
    loop {
        let element = connection.element().await?;
        if is_said(hall, &element) {
            hall.heard.fetch_add(1, Ordering::Relaxed);
        } else {
            answer_request(&element, &mut connection);
        }
    }
}

/// Says something whenever the room has told what was said before.
async fn speak(hall: Arc<Hall>, mut connection: Connection, room: usize) -> Result<()> {
    let mut talking = hall.talking.subscribe();
    let mut number = 0;
    loop {
        let element = tokio::select! {
            element = connection.element() => Some(element?),
            _ = talking.changed() => None,
        };
        let next = match &element {
            // It begins: as much as may be under way.
            None => hall.options.window.max(1),
            Some(element) if is_said(&hall, element) => {
                hall.heard.fetch_add(1, Ordering::Relaxed);
                1
            }
            Some(element) => {
                answer_request(element, &mut connection);
                0
            }
        };
        if *hall.talking.borrow() {
            for _ in 0..next {
                number += 1;
                hall.said.fetch_add(1, Ordering::Relaxed);
                connection.queue(&hall.message(room, number));
            }
        }
        connection.flush().await?;
    }
}

/// Waits until everybody has heard everything, or nobody hears anything any more.
async fn all_heard(hall: &Hall) {
    let mut looks = interval(Duration::from_millis(50));
    let mut last = (0, Instant::now());
    loop {
        looks.tick().await;
        let heard = hall.heard.load(Ordering::Relaxed);
        let wanted = hall.said.load(Ordering::Relaxed) * hall.options.occupants as u64;
        if heard >= wanted {
            return;
        }
        if heard != last.0 {
            last = (heard, Instant::now());
        } else if last.1.elapsed() > PATIENCE {
            return;
        }
    }
}
