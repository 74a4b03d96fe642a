//! JSON channels: what a connection costs that rests, bare and with a channel, and what is said
//! on a topic costs for each of those who hear it.
//!
//! The topic is an app's (`app:load:…`, without presence), or a room. Memory is read when it
//! holds still. The one who speaks says the next thing when it has heard the last, as in `room`.
//! The server needs `[channels] apps = ["load"]`, and `app_pushes_per_second` far above what is
//! said.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::{ask_version, crowd, provide_accounts};
use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::options::{Provision, ReportOptions, Target, require_open_files};
use crate::proc::{Usage, settled};
use crate::random::Random;
use crate::report::{Report, provision_note, say, usage_of};

/// How long memory may take to hold still, and a step of a client.
const PATIENCE: Duration = Duration::from_secs(90);

/// Clients speak twice in the time after which silence ends a connection.
const HEARTBEAT: Duration = Duration::from_secs(25);

/// Until a busy server is asked again.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// `channels`
#[derive(Args, Clone, Debug)]
pub(crate) struct ChannelsOptions {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    provision: Provision,
    #[command(flatten)]
    report: ReportOptions,
    /// Port of plain HTTP
    #[arg(long, default_value_t = 5280)]
    http_port: u16,
    /// Connections, each of an account of its own
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// Logins under way at the same time
    #[arg(long, default_value_t = 16)]
    concurrency: usize,
    /// Messages under way
    #[arg(long, default_value_t = 2)]
    window: usize,
    /// Seconds of talk
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Bytes of a message's text
    #[arg(long, default_value_t = 300)]
    size: usize,
    /// Where they meet
    #[arg(long, value_enum, default_value_t = Meeting::App)]
    meet: Meeting,
}

/// What the connections join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Meeting {
    /// A topic of an app
    App,
    /// A room
    Room,
}

impl Meeting {
    fn name(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Room => "room",
        }
    }

    /// What is pushed, and the event that everybody hears.
    fn events(self) -> (&'static str, &'static str) {
        match self {
            Self::App => ("say", "say"),
            Self::Room => ("send", "message"),
        }
    }
}

type Socket = WebSocketStream<TcpStream>;

/// What all clients share.
struct Hall {
    options: ChannelsOptions,
    topic: String,
    talking: watch::Sender<bool>,
    said: AtomicU64,
    heard: AtomicU64,
}

/// Runs the scenario.
pub(crate) async fn run(options: ChannelsOptions) -> Result<()> {
    require_open_files(options.connections)?;
    let target = Arc::new(options.target.clone());
    provide_accounts(&target, &options.provision, options.connections).await?;
    let mut report = Report::new("channels", &target, &options.report);
    report.setting("connections", options.connections);
    report.setting("window", options.window);
    report.setting("text_bytes", options.size);
    report.setting("meet", options.meet.name());
    report.setting("accounts_by", provision_note(&options.provision));
    let run = format!("{:x}", Random::fresh_seed() & 0xff_ffff);
    let hall = Arc::new(Hall {
        topic: match options.meet {
            Meeting::App => format!("app:load:{run}"),
            Meeting::Room => format!("room:c{run}@conference.{}", options.target.domain),
        },
        talking: watch::Sender::new(false),
        said: AtomicU64::new(0),
        heard: AtomicU64::new(0),
        options,
    });
    // By its own protocol, and before anything is measured.
    let (mut asking, _) = Connection::login(&target, 1).await?;
    ask_version(&mut asking, &mut report).await;
    drop(asking);
    let empty = still(&hall.options).await?;
    let sockets = connect_all(&hall).await?;
    let bare = still(&hall.options).await?;
    figure_memory(&mut report, "kib_per_bare_connection", empty, bare, &hall);
    // Whoever is inside a room is told of all who come: that is measured apart.
    let topic = match hall.options.meet {
        Meeting::App => |hall: &Hall, _| hall.topic.clone(),
        Meeting::Room => user_topic,
    };
    let sockets = join_all(&hall, sockets, topic).await?;
    let joined = still(&hall.options).await?;
    figure_memory(&mut report, "kib_with_one_channel", empty, joined, &hall);
    talk(&hall, sockets, &mut report).await?;
    report.publish(&hall.options.report)
}

fn figure_memory(
    report: &mut Report,
    name: &str,
    before: Option<Usage>,
    after: Option<Usage>,
    hall: &Hall,
) {
    if let (Some(before), Some(after)) = (before, after) {
        let grown = after.resident_kib.saturating_sub(before.resident_kib);
        report.figure(name, grown as f64 / hall.options.connections as f64);
    }
}

/// The server's usage when it has come to rest, where a process was named.
async fn still(options: &ChannelsOptions) -> Result<Option<Usage>> {
    match options.report.pid {
        Some(pid) => Ok(Some(settled(pid, PATIENCE).await?.0)),
        None => Ok(None),
    }
}

async fn connect_all(hall: &Arc<Hall>) -> Result<Vec<(usize, Socket)>> {
    let options = &hall.options;
    say(&format!("connecting {} clients", options.connections));
    let shared = Arc::clone(hall);
    let one = move |number| {
        let hall = Arc::clone(&shared);
        async move { Ok((number, connect(&hall.options, number).await?)) }
    };
    crowd(options.connections, options.concurrency, one).await
}

/// Connects; a server that has enough passwords to check says so (503), and is asked again.
async fn connect(options: &ChannelsOptions, number: usize) -> Result<Socket> {
    let until = Instant::now() + PATIENCE;
    loop {
        match try_connect(options, number).await? {
            Some(socket) => return Ok(socket),
            None if Instant::now() < until => tokio::time::sleep(BUSY_PAUSE).await,
            None => return Err(LoadError::protocol("the server stays busy".to_owned())),
        }
    }
}

/// `None`: the server is busy.
async fn try_connect(options: &ChannelsOptions, number: usize) -> Result<Option<Socket>> {
    let target = &options.target;
    let tcp = TcpStream::connect((&*target.host, options.http_port)).await?;
    let (jid, password) = (target.account(number), &target.password);
    let (host, port) = (&target.host, options.http_port);
    let url =
        format!("ws://{host}:{port}/channels/websocket?vsn=2.0.0&jid={jid}&password={password}");
    let config = WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(0);
    let shaken = client_async_with_config(url, tcp, Some(config));
    let shaken = timeout(target.patience(), shaken).await;
    let shaken = shaken.map_err(|_| LoadError::protocol("no handshake".to_owned()))?;
    match shaken {
        Ok((socket, _)) => Ok(Some(socket)),
        Err(Error::Http(answer)) if answer.status().as_u16() == 503 => Ok(None),
        Err(error) => Err(broken(error)),
    }
}

fn user_topic(hall: &Hall, number: usize) -> String {
    format!("user:{}", hall.options.target.account(number))
}

/// Everybody joins a topic.
async fn join_all(
    hall: &Arc<Hall>,
    sockets: Vec<(usize, Socket)>,
    topic: fn(&Hall, usize) -> String,
) -> Result<Vec<(usize, Socket)>> {
    say("joining");
    let mut joined = Vec::with_capacity(sockets.len());
    for (number, mut socket) in sockets {
        join(&mut socket, &topic(hall, number)).await?;
        joined.push((number, socket));
    }
    Ok(joined)
}

async fn join(socket: &mut Socket, topic: &str) -> Result<()> {
    let frame = format!(r#"["j","j","{topic}","phx_join",{{"history":0,"presence":false}}]"#);
    socket.send(Message::text(frame)).await.map_err(broken)?;
    let answered = async {
        loop {
            let text = text_of(socket).await?;
            if text.starts_with(r#"["j","j","#) {
                return match text.contains(r#""status":"ok""#) {
                    true => Ok(()),
                    false => Err(LoadError::protocol(format!("{topic}: {text}"))),
                };
            }
        }
    };
    let answered = timeout(PATIENCE, answered).await;
    answered.map_err(|_| LoadError::protocol(format!("{topic} is not answered")))?
}

async fn text_of(socket: &mut Socket) -> Result<String> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Err(error)) => return Err(broken(error)),
            Some(Ok(_)) | None => return Err(LoadError::protocol("it has closed".to_owned())),
        }
    }
}

fn broken(error: Error) -> LoadError {
    LoadError::protocol(error.to_string())
}

/// All are on one topic, and the first speaks.
async fn talk(hall: &Arc<Hall>, sockets: Vec<(usize, Socket)>, report: &mut Report) -> Result<()> {
    let pid = hall.options.report.pid;
    let mut clients = JoinSet::new();
    let entering = Instant::now();
    for (at, (_, mut socket)) in sockets.into_iter().enumerate() {
        if hall.options.meet == Meeting::Room {
            join(&mut socket, &hall.topic).await?;
        }
        // Who is inside reads on, or it would be told of all who follow in vain.
        clients.spawn(take_part(Arc::clone(hall), socket, at == 0));
    }
    if hall.options.meet == Meeting::Room {
        report.figure("join_seconds", entering.elapsed().as_secs_f64());
    }
    let before = usage_of(pid);
    say("talking");
    let started = Instant::now();
    hall.talking.send_replace(true);
    tokio::time::sleep(Duration::from_secs(hall.options.seconds)).await;
    hall.talking.send_replace(false);
    all_heard(hall).await;
    let elapsed = started.elapsed().as_secs_f64();
    let after = usage_of(pid);
    let mut lost = 0;
    while let Some(ended) = clients.try_join_next() {
        lost += 1;
        if let Ok(Err(error)) = ended {
            say(&format!("lost: {error}"));
        }
    }
    clients.abort_all();
    let (said, heard) = (
        hall.said.load(Ordering::Relaxed),
        hall.heard.load(Ordering::Relaxed),
    );
    let wanted = said * hall.options.connections as u64;
    report.figure("messages", said);
    report.figure("deliveries", heard);
    report.figure("deliveries_missing", wanted.saturating_sub(heard));
    report.figure("deliveries_per_second", heard as f64 / elapsed);
    report.figure("lost", lost as u64);
    report.usage(before, after, heard, "delivery");
    Ok(())
}

/// Hears what is said, and speaks if it is the one to do so.
async fn take_part(hall: Arc<Hall>, mut socket: Socket, speaks: bool) -> Result<()> {
    let mut talking = hall.talking.subscribe();
    let mut beat = tokio::time::interval(HEARTBEAT);
    let topic = &hall.topic;
    let (pushed, heard) = hall.options.meet.events();
    let said = format!(r#"[null,null,"{topic}","{heard}","#);
    let push = format!(
        r#"[null,"s","{topic}","{pushed}",{{"body":"{:x<size$}"}}]"#,
        "",
        size = hall.options.size
    );
    loop {
        let next = tokio::select! {
            text = text_of(&mut socket) => {
                let text = text?;
                match text.starts_with(&said) {
                    true => {
                        hall.heard.fetch_add(1, Ordering::Relaxed);
                        1
                    }
                    false => is_no_refusal(&text)?,
                }
            }
            _ = talking.changed() => hall.options.window.max(1),
            _ = beat.tick() => {
                let heartbeat = r#"[null,"h","phoenix","heartbeat",{}]"#;
                socket.send(Message::text(heartbeat)).await.map_err(broken)?;
                0
            }
        };
        if speaks && *hall.talking.borrow() {
            for _ in 0..next {
                hall.said.fetch_add(1, Ordering::Relaxed);
                socket
                    .send(Message::text(push.clone()))
                    .await
                    .map_err(broken)?;
            }
        }
    }
}

/// A server that refuses is not measured.
fn is_no_refusal(text: &str) -> Result<usize> {
    match text.contains(r#""phx_reply""#) && text.contains(r#""status":"error""#) {
        true => Err(LoadError::protocol(text.to_owned())),
        false => Ok(0),
    }
}

/// Waits until everybody has heard everything, or nobody hears anything any more.
async fn all_heard(hall: &Hall) {
    let mut last = (0, Instant::now());
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let heard = hall.heard.load(Ordering::Relaxed);
        let wanted = hall.said.load(Ordering::Relaxed) * hall.options.connections as u64;
        if heard >= wanted {
            return;
        }
        if heard != last.0 {
            last = (heard, Instant::now());
        } else if last.1.elapsed() > Duration::from_secs(10) {
            return;
        }
    }
}
