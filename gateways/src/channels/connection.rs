//! One WebSocket from the moment its client has a session: frames in, frames out, until one of
//! them ends.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use klatsch_actors::session::Detach;
use klatsch_protocol::xml::Fragment;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::ChannelsGateway;
use super::client::Client;
use super::frames::{Frames, Heard};
use super::line::{Closing, Next};
use crate::http::Place;
use crate::metrics;

pub(super) const TRANSPORT: &str = "channels";

/// Serves one client until its connection ends.
pub(super) async fn serve(
    gateway: Arc<ChannelsGateway>,
    client: Client,
    place: Place,
    upgrade: OnUpgrade,
) {
    let _place = place;
    let Ok(Ok(stream)) = timeout(gateway.limits.http_header_timeout, upgrade).await else {
        return;
    };
    let _open = metrics::Open::new(TRANSPORT);
    let stream = TokioIo::new(stream);
    let bytes_max = gateway.settings.frame_bytes_max;
    let mut connection = Connection {
        frames: Frames::new(stream, &gateway.limits, bytes_max).await,
        client,
        idle: gateway.settings.idle(),
    };
    let Ok(code) = connection.converse().await else {
        return;
    };
    let Connection {
        mut frames, client, ..
    } = connection;
    let usual = gateway.limits.close_timeout;
    let patience = client.strain.closing_patience(usual);
    // The session ends now, whatever time its connection takes.
    client.line.seal(Closing::GoingAway);
    client.line.leave_topics();
    client.hold.release(Detach::Closed);
    let Some(code) = code else { return };
    let rest = async {
        while let Some(frame) = client.line.next_frame().await {
            frames.send(frame).await?;
        }
        frames.close(code).await
    };
    if !matches!(timeout(patience, rest).await, Ok(Ok(()))) {
        return;
    }
    let mut shutdown = gateway.shutdown.clone();
    tokio::select! {
        () = frames.read_the_rest() => {}
        () = shutdown.closing_is_over(usual) => {}
    }
}

struct Connection<S> {
    frames: Frames<S>,
    client: Client,
    idle: Duration,
}

/// What happens next on a connection.
enum Step {
    Line(Next),
    Client(Heard),
    Silence,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    /// Carries frames and stanzas; tells how the connection is to be closed, if it is still
    /// there.
    async fn converse(&mut self) -> io::Result<Option<CloseCode>> {
        let mut silent_until = Instant::now() + self.idle;
        loop {
            let line = Arc::clone(&self.client.line);
            let step = tokio::select! {
                biased;
                next = line.next() => Step::Line(next),
                heard = self.frames.next() => Step::Client(heard),
                () = sleep_until(silent_until) => Step::Silence,
            };
            match step {
                Step::Line(Next::Frame(frame)) => {
                    self.frames.send(frame).await?;
                    self.go_on_writing();
                }
                Step::Line(Next::Errand(errand)) => {
                    if !self.hand_over(errand).await? {
                        line.seal(Closing::TryAgain);
                    }
                }
                Step::Line(Next::Closing(closing)) => {
                    return Ok(Some(CloseCode::from(closing.code())));
                }
                Step::Silence => line.seal(Closing::GoingAway),
                Step::Client(heard) => {
                    silent_until = Instant::now() + self.idle;
                    match heard {
                        Heard::Text(text) => {
                            line.hear_text(&text);
                            self.keep_pace(text.len()).await?;
                        }
                        Heard::Binary(bytes) => {
                            line.hear_binary(&bytes);
                            self.keep_pace(bytes.len()).await?;
                        }
                        Heard::Alive => {}
                        Heard::End => return Ok(None),
                        Heard::Broken(code) => return Ok(Some(code)),
                    }
                }
            }
        }
    }

    /// The session may have held back for a client that reads slowly.
    fn go_on_writing(&self) {
        if self.client.line.has_drained() {
            self.client.hold.session().writable();
        }
    }

    /// Gives the session a stanza, sending what waits in the meantime; false: it is gone.
    async fn hand_over(&mut self, errand: Fragment) -> io::Result<bool> {
        let session = self.client.hold.session().clone();
        let inbound = session.inbound(errand);
        Ok(self.send_until(inbound).await?.unwrap_or(true))
    }

    /// Waits while the client is too fast, or the node short of memory, sending what waits.
    async fn keep_pace(&mut self, bytes: usize) -> io::Result<()> {
        self.client.count(bytes);
        let now = || Instant::now().into_std();
        while let Some(wait) = self.client.pace.as_mut().and_then(|pace| pace.wait(now)) {
            if self.send_until(sleep(wait)).await?.is_none() {
                return Ok(());
            }
        }
        if let Some(rest) = self.client.strain.reader_rest() {
            self.send_until(sleep(rest)).await?;
        }
        Ok(())
    }

    /// Sends what waits until some work is done; `None`: the line closes before.
    async fn send_until<T>(&mut self, work: impl Future<Output = T>) -> io::Result<Option<T>> {
        let mut work = std::pin::pin!(work);
        let line = Arc::clone(&self.client.line);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(Some(done)),
                frame = line.next_frame() => match frame {
                    Some(frame) => {
                        self.frames.send(frame).await?;
                        self.go_on_writing();
                    }
                    None => return Ok(None),
                }
            }
        }
    }
}
