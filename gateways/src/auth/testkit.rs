//! A web service for tests: what it answers, and what it has heard.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Login, Secret};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::Attempt;

/// What a service answers to a request.
type Answers = Box<dyn Fn(&str) -> String + Send>;

/// A running service.
pub(crate) struct WebService {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    /// What is answered to requests that begin so, besides.
    particular: Arc<Mutex<Vec<(&'static str, String)>>>,
    serving: JoinHandle<()>,
}

impl WebService {
    pub(crate) async fn start(answer: &'static str) -> Self {
        Self::start_with(move |_| answer.to_owned()).await
    }

    /// One that answers as the request wants it.
    pub(crate) async fn start_with(answers: impl Fn(&str) -> String + Send + 'static) -> Self {
        let answers: Answers = Box::new(answers);
        let particular: Arc<Mutex<Vec<(&'static str, String)>>> = Arc::default();
        let known = Arc::clone(&particular);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let hears = Arc::clone(&heard);
        let serving = tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let mut request = Vec::new();
                let mut bytes = [0; 4096];
                while !request.windows(4).any(|it| it == b"\r\n\r\n") {
                    match tcp.read(&mut bytes).await {
                        Ok(0) | Err(_) => break,
                        Ok(count) => request.extend_from_slice(&bytes[..count]),
                    }
                }
                let text = String::from_utf8_lossy(&request).into_owned();
                let answer = {
                    let known = known.lock().unwrap();
                    let found = known.iter().find(|(begin, _)| text.starts_with(begin));
                    found.map_or_else(|| answers(&text), |(_, answer)| answer.clone())
                };
                hears.lock().unwrap().push(text);
                let _ = tcp.write_all(answer.as_bytes()).await;
                let _ = tcp.shutdown().await;
            }
        });
        Self {
            address,
            heard,
            particular,
            serving,
        }
    }

    /// Requests that begin so get this.
    pub(crate) fn answers(&self, begin: &'static str, answer: String) {
        self.particular.lock().unwrap().push((begin, answer));
    }

    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

impl Drop for WebService {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Somebody at 192.0.2.1 who logs in at `example.org`.
pub(crate) fn attempt(name: &str, password: &str) -> Attempt {
    let domain = BareJid::parse("example.org").unwrap();
    Attempt {
        login: Login::new(name, &domain).unwrap(),
        password: Secret::new(password),
        peer: [192, 0, 2, 1].into(),
    }
}
