//! The `http` backend: a web service that takes Basic authentication (RFC 7617) knows who
//! somebody is: Kolab's iRony, Kolab 4's `nginx-httpauth`, or whatever else says 200 or 401.
//!
//! The name sent is the address that was typed, completed with the domain; the account is that
//! address, for a status says nothing of aliases, unless the service names the account in a
//! header. An answer that is neither yes nor no is no answer: iRony says 503 when its mail server
//! is down, and a redirect would take the password to somewhere else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::mail_localpart;
use klatsch_protocol::stream::Verdict;

use super::outward::{Said, Service, Unheard, headers_for};
use super::{Answer, Attempt, Source};
use crate::ldap::account_of;

/// The `http` backend.
pub struct HttpBasic {
    service: Service,
    method: Method,
    account_header: Option<HeaderName>,
}

impl HttpBasic {
    /// A backend over a service, asked with this method; where there is such a header in its
    /// answer, it has the account's address.
    pub fn new(service: Service, method: Method, account_header: Option<HeaderName>) -> Self {
        Self {
            service,
            method,
            account_header,
        }
    }

    async fn ask(&self, attempt: &Attempt) -> Verdict {
        let Some(address) = attempt.login.local_address() else {
            return Verdict::Wrong;
        };
        let Some(headers) = headers(&address, attempt) else {
            return Verdict::Wrong;
        };
        let said = self.service.ask(self.method.clone(), headers).await;
        self.judge(said, address)
    }

    fn judge(&self, said: Result<Said, Unheard>, address: BareJid) -> Verdict {
        let said = match said {
            Ok(said) => said,
            Err(error) => {
                tracing::warn!(error = %error, "the web service cannot say who somebody is");
                return Verdict::Unavailable;
            }
        };
        match said.status {
            status if status.is_success() => match self.account_in(&said.headers) {
                Some(Some(account)) => Verdict::Right(account),
                Some(None) => Verdict::Unavailable,
                None => Verdict::Right(address),
            },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Verdict::Wrong,
            status => {
                let status = status.as_u16();
                tracing::warn!(status, "the web service says neither yes nor no");
                Verdict::Unavailable
            }
        }
    }

    /// The account that the service names; `Some(None)` when it cannot be read.
    fn account_in(&self, headers: &HeaderMap) -> Option<Option<BareJid>> {
        let value = headers.get(self.account_header.as_ref()?)?;
        Some(value.to_str().ok().and_then(account_of))
    }
}

/// Row L01: Kolab 4's service says 200 to an empty name.
fn headers(address: &BareJid, attempt: &Attempt) -> Option<HeaderMap> {
    let name = mail_localpart(address).filter(|name| !name.is_empty())?;
    let password = attempt.password.expose();
    // RFC 7617 §2: a colon ends the name.
    if name.contains(':') || password.is_empty() {
        return None;
    }
    let login = format!("{name}@{}:{password}", address.domain());
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(login))).ok()?;
    value.set_sensitive(true);
    let mut headers = headers_for(attempt.peer);
    headers.insert(AUTHORIZATION, value);
    if let Ok(depth) = HeaderValue::from_str("0") {
        // RFC 4918 §10.2: what PROPFIND is to look at, and nothing below.
        headers.insert("depth", depth);
    }
    Some(headers)
}

impl Source for HttpBasic {
    fn name(&self) -> &'static str {
        "http"
    }

    fn check<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Verdict> {
        Box::pin(self.ask(attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::testkit::{WebService, attempt};
    use std::time::Duration;

    async fn ask(answer: &'static str, attempt: Attempt) -> (Verdict, Vec<String>) {
        let web = WebService::start(answer).await;
        let url = format!("http://{}/iRony/", web.address);
        let service = Service::new(&url, &[], Duration::from_secs(2)).unwrap();
        let header = Some(HeaderName::from_static("x-account"));
        let method = Method::from_bytes(b"PROPFIND").unwrap();
        let backend = HttpBasic::new(service, method, header);
        let verdict = backend.check(&attempt).await;
        (verdict, web.heard())
    }

    fn right(account: &str) -> Verdict {
        Verdict::Right(BareJid::parse(account).unwrap())
    }

    #[tokio::test]
    async fn status_is_the_answer_and_whatever_is_none_is_temporary() {
        for (status, expected) in [
            ("200 OK", right("doe@example.org")),
            ("204 No Content", right("doe@example.org")),
            ("207 Multi-Status", right("doe@example.org")),
            ("401 Unauthorized", Verdict::Wrong),
            ("403 Forbidden", Verdict::Wrong),
            ("404 Not Found", Verdict::Unavailable),
            ("429 Too Many Requests", Verdict::Unavailable),
            ("503 Service Unavailable", Verdict::Unavailable),
        ] {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").leak();
            let (verdict, heard) = ask(answer, attempt("doe", "doe:secret")).await;
            assert_eq!(verdict, expected, "{status}");
            assert_eq!(heard.len(), 1);
            let request = heard[0].to_lowercase();
            assert!(
                request.starts_with("propfind /irony/ http/1.1\r\n"),
                "{request}"
            );
            assert!(
                request.contains("\r\nx-real-ip: 192.0.2.1\r\n"),
                "{request}"
            );
            // doe@example.org:doe:secret
            let login = STANDARD.encode("doe@example.org:doe:secret");
            assert!(
                heard[0].contains(&format!("Basic {login}\r\n")),
                "{}",
                heard[0]
            );
        }
    }

    #[tokio::test]
    async fn redirect_is_not_followed() {
        let answer =
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        let (verdict, heard) = ask(answer, attempt("doe", "secret")).await;
        assert_eq!((verdict, heard.len()), (Verdict::Unavailable, 1));
    }

    #[tokio::test]
    async fn account_is_whom_the_service_names() {
        let answer =
            "HTTP/1.1 200 OK\r\nX-Account: John.Doe@example.org\r\nContent-Length: 0\r\n\r\n";
        let (verdict, _) = ask(answer, attempt("doe", "secret")).await;
        assert_eq!(verdict, right("john.doe@example.org"));
        let answer = "HTTP/1.1 200 OK\r\nX-Account: somebody\r\nContent-Length: 0\r\n\r\n";
        let (verdict, _) = ask(answer, attempt("doe", "secret")).await;
        assert_eq!(verdict, Verdict::Unavailable);
    }

    #[tokio::test]
    async fn l01_empty_password_and_names_that_are_none_are_not_asked_about() {
        for attempt in [
            attempt("doe", ""),
            attempt("d:oe", "secret"),
            attempt("doe@elsewhere.example", "secret"),
        ] {
            let (verdict, heard) = ask("HTTP/1.1 200 OK\r\n\r\n", attempt).await;
            assert_eq!((verdict, heard.len()), (Verdict::Wrong, 0));
        }
    }

    #[tokio::test]
    async fn service_that_says_nothing_sensible_is_temporary() {
        for answer in [
            "",
            "nonsense\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort",
        ] {
            let (verdict, _) = ask(answer, attempt("doe", "secret")).await;
            assert_eq!(verdict, Verdict::Unavailable, "{answer}");
        }
    }
}
