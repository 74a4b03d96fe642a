//! What is asked from outside whether the server is well: `/metrics`, `/health/live`,
//! `/health/ready`.
//!
//! Listens on its own address, by default on this machine only: nothing here asks who is asking.

use crate::metrics::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;

/// The text format's media type.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often observations are sorted away: often enough that few pile up, seldom enough to cost nothing.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// Which parts of the server are not well, each with the reason.
#[derive(Clone, Default)]
pub struct Health {
    problems: Arc<Mutex<BTreeMap<&'static str, String>>>,
    notes: Arc<Mutex<BTreeMap<&'static str, String>>>,
}

impl Health {
    /// A server that is not ready yet.
    pub fn starting() -> Self {
        let health = Self::default();
        health.report("server", Some("starting"));
        health
    }

    /// A part says what is wrong with it, or that it is well.
    pub fn report(&self, part: &'static str, problem: Option<&str>) {
        let mut problems = lock(&self.problems);
        match problem {
            Some(problem) => problems.insert(part, problem.to_owned()),
            None => problems.remove(part),
        };
    }

    /// A part is missing, and the server is ready without it.
    pub fn note(&self, part: &'static str, what: &str) {
        lock(&self.notes).insert(part, what.to_owned());
    }

    /// What is wrong, a line for each part; nothing when the server is ready.
    pub fn problems(&self) -> Vec<String> {
        lines(&self.problems)
    }

    /// What is missing of a server that may well be ready, a line for each part.
    pub fn notes(&self) -> Vec<String> {
        lines(&self.notes)
    }
}

type Lines = Mutex<BTreeMap<&'static str, String>>;

fn lock(lines: &Lines) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
    lines.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lines(of: &Lines) -> Vec<String> {
    let of = lock(of);
    of.iter()
        .map(|(part, what)| format!("{part}: {what}"))
        .collect()
}

/// The pages.
pub fn pages(metrics: Metrics, health: Health) -> Router {
    let render = move || {
        let text = metrics.render();
        async move {
            (
                [(header::CONTENT_TYPE, HeaderValue::from_static(PROMETHEUS))],
                text,
            )
        }
    };
    Router::new()
        .route("/metrics", get(render))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready).with_state(health))
}

/// Serves the pages until `stop` comes.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    health: Health,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let serving =
        axum::serve(listener, pages(metrics.clone(), health)).with_graceful_shutdown(stop);
    let tidying = async {
        loop {
            tokio::time::sleep(TIDY_EVERY).await;
            metrics.tidy_up();
        }
    };
    tokio::select! {
        outcome = serving => outcome,
        () = tidying => Ok(()),
    }
}

/// Alive is who can answer.
async fn live() -> &'static str {
    "alive\n"
}

async fn ready(State(health): State<Health>) -> Response {
    let problems = health.problems();
    if problems.is_empty() {
        let lines = [vec!["ready".to_owned()], health.notes()].concat();
        return (lines.join("\n") + "\n").into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    async fn ask(address: std::net::SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn pages_tell_metrics_and_health() {
        let metrics = Metrics::start().unwrap();
        let health = Health::starting();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let server = tokio::spawn(serve(listener, metrics, health.clone(), stopped));

        assert!(
            ask(address, "/health/live")
                .await
                .starts_with("HTTP/1.1 200")
        );
        let starting = ask(address, "/health/ready").await;
        assert!(starting.starts_with("HTTP/1.1 503") && starting.contains("server: starting"));
        health.report("server", None);
        assert!(
            ask(address, "/health/ready")
                .await
                .starts_with("HTTP/1.1 200")
        );
        health.report("store", Some("does not answer"));
        assert!(
            ask(address, "/health/ready")
                .await
                .contains("store: does not answer")
        );
        assert!(
            ask(address, "/metrics")
                .await
                .contains("klatsch_resident_memory_bytes ")
        );
        assert!(ask(address, "/").await.starts_with("HTTP/1.1 404"));

        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    }
}
