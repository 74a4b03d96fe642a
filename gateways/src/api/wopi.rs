//! Documents as the editors of offices know them: WOPI, of whose operations `CheckFileInfo` alone
//! is asked, <https://learn.microsoft.com/microsoft-365/cloud-storage-partner-program/rest/files/checkfileinfo>.
//!
//! A page names the document that it shows and shows the token it has for it; the host of the
//! document says who may open it with that. Whoever may belongs to the document's room: to know
//! its address is not enough, and neither is to know its token, for it has to be the account's
//! own.
//!
//! Where documents are, the operator has said: nothing is asked of another host, no redirect is
//! followed, and a host that is slow is not waited for.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode, Uri};
use klatsch_protocol::jid::BareJid;
use serde::Deserialize;

use super::answer::Refusal;
use super::chats::escaped;
use super::presence::address;
use crate::auth::outward::{BadService, Service};

/// Whoever opens a document waits for this beside it.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Tokens of hosts are signed claims, of some kilobytes.
const TOKEN_BYTES_MAX: usize = 8 * 1024;

/// What every address of a document has before its id.
const FILES: &str = "/wopi/files/";

/// The hosts whose documents have rooms.
#[derive(Default)]
pub struct DocumentHosts {
    hosts: Vec<(Origin, Service)>,
    /// Whose people's ids have no domain.
    domain: Option<BareJid>,
}

/// A scheme, a host and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

/// Where a document is.
#[derive(Debug, PartialEq, Eq)]
struct Document {
    origin: Origin,
    path: String,
}

/// What a host says of a document to whoever has a token for it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FileInfo {
    user_id: String,
    #[serde(default)]
    base_file_name: String,
    #[serde(default)]
    user_can_write: bool,
}

/// A document that an account may open.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// The same for everybody who opens it.
    pub(super) id: String,
    /// What it is called.
    pub(super) name: String,
    /// Whether the account may change it.
    pub(super) can_write: bool,
}

impl DocumentHosts {
    /// Hosts at these origins; people without a domain in their ids are of `domain`.
    ///
    /// # Errors
    /// [`BadService`]: one of them is no origin.
    pub fn new(
        origins: &[String],
        domain: Option<BareJid>,
        authorities: &[u8],
    ) -> Result<Self, BadService> {
        let host = |text: &String| {
            let bad = || BadService::Url(text.clone());
            let uri: Uri = text.parse().map_err(|_| bad())?;
            let origin = Origin::of(&uri).filter(|_| uri.path() == "/" && uri.query().is_none());
            let service = Service::new(text, authorities, PATIENCE)?;
            Ok((origin.ok_or_else(bad)?, service))
        };
        Ok(Self {
            hosts: origins
                .iter()
                .map(host)
                .collect::<Result<_, BadService>>()?,
            domain,
        })
    }

    /// Whether the account may open a document with a token.
    pub(super) async fn open(
        &self,
        account: &BareJid,
        source: &str,
        token: &str,
    ) -> Result<Opened, Refusal> {
        let document = Document::read(source).ok_or(Refusal::BadRequest)?;
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX || token.contains(char::is_control) {
            return Err(Refusal::BadRequest);
        }
        let known = self.hosts.iter().find(|(it, _)| *it == document.origin);
        let (_, service) = known.ok_or(Refusal::Forbidden)?;
        let info = ask(service, &document, token).await?;
        if self.person(&info.user_id).as_ref() != Some(account) {
            tracing::info!(jid = %account, "the document was opened by somebody else");
            return Err(Refusal::Forbidden);
        }
        Ok(Opened {
            id: document.id(),
            name: info.base_file_name,
            can_write: info.user_can_write,
        })
    }

    /// Who is meant by an id of the host's.
    fn person(&self, id: &str) -> Option<BareJid> {
        match (&self.domain, id.contains('@')) {
            (_, true) => address(id),
            (Some(domain), false) => address(&format!("{id}@{domain}")),
            (None, false) => None,
        }
    }
}

async fn ask(service: &Service, document: &Document, token: &str) -> Result<FileInfo, Refusal> {
    let question = format!("{}?access_token={}", document.path, escaped(token));
    let asked = service.ask_at(&question, Method::GET, HeaderMap::new());
    let said = asked.await.map_err(|error| {
        tracing::warn!(error = %error, "a host of documents does not answer");
        Refusal::Unavailable
    })?;
    match said.status {
        StatusCode::OK => serde_json::from_slice(&said.body).map_err(|_| {
            tracing::warn!("a host of documents answers what is no CheckFileInfo");
            Refusal::Unavailable
        }),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
            Err(Refusal::Forbidden)
        }
        status => {
            let status = status.as_u16();
            tracing::warn!(status, "a host of documents says neither yes nor no");
            Err(Refusal::Unavailable)
        }
    }
}

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let default = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return None,
        };
        let authority = uri.authority()?;
        // A login before the host would be one for it, or have one host look like another.
        if authority.as_str().contains('@') || authority.host().is_empty() {
            return None;
        }
        Some(Self {
            host: authority.host().to_ascii_lowercase(),
            port: authority.port_u16().unwrap_or(default),
            scheme,
        })
    }
}

impl Document {
    /// A document's address (`WOPISrc`), if it is one and leads nowhere else.
    fn read(source: &str) -> Option<Self> {
        let uri: Uri = source.parse().ok()?;
        let (path, name) = uri.path().rsplit_once('/')?;
        let is_file = format!("{path}/").ends_with(FILES) && !name.is_empty();
        let is_plain = |segment: &str| !matches!(segment, "." | "..");
        // What a server may take for a step elsewhere, or for another part.
        let lower = source.to_ascii_lowercase();
        let is_direct = ["%2e", "%2f", "%5c", "%00", "//", "\\"]
            .iter()
            .all(|it| !lower.get(8..).is_some_and(|rest| rest.contains(it)));
        let is_whole = uri.query().is_none() && !source.contains('#');
        let is_fit = is_file && is_whole && is_direct && uri.path().split('/').all(is_plain);
        is_fit.then_some(Self {
            origin: Origin::of(&uri)?,
            path: uri.path().to_owned(),
        })
    }

    /// The same however its address is written.
    fn id(&self) -> String {
        let Origin { scheme, host, port } = &self.origin;
        format!("{scheme}://{host}:{port}{}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::testkit::WebService;

    #[test]
    fn h07_address_of_a_document_is_one_and_leads_nowhere_else() {
        for good in [
            "https://files.example.org/wopi/files/4711",
            "http://127.0.0.1:9980/chwala/api/wopi/files/a-b_c~d.1",
            "https://cloud.example.org/index.php/apps/richdocuments/wopi/files/12_oc%20x",
        ] {
            assert!(Document::read(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "4711",
            "/wopi/files/4711",
            "ftp://files.example.org/wopi/files/4711",
            "file:///wopi/files/4711",
            "https://files.example.org/",
            "https://files.example.org/wopi/files/",
            "https://files.example.org/wopi/files/1/contents",
            "https://files.example.org/wopi/files/1?access_token=x",
            "https://files.example.org/wopi/files/1#x",
            "https://files.example.org/wopi/files/..",
            "https://files.example.org/wopi/files/../../admin",
            "https://files.example.org/../wopi/files/1",
            "https://files.example.org/wopi/files/%2e%2E",
            "https://files.example.org/wopi/files/a%2fb",
            "https://files.example.org//wopi/files/1",
            "https://files.example.org\\@evil.example/wopi/files/1",
            "https://files.example.org@evil.example/wopi/files/1",
            "https://u:p@files.example.org/wopi/files/1",
        ] {
            assert_eq!(Document::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn document_is_the_same_however_its_host_is_written() {
        let id = |source: &str| Document::read(source).unwrap().id();
        let one = id("https://files.example.org/wopi/files/1");
        assert_eq!(id("HTTPS://Files.Example.org:443/wopi/files/1"), one);
        for other in [
            "https://files.example.org/wopi/files/2",
            "http://files.example.org/wopi/files/1",
            "https://files.example.org:8443/wopi/files/1",
            "https://other.example.org/wopi/files/1",
            "https://files.example.org/b/wopi/files/1",
        ] {
            assert_ne!(id(other), one, "{other}");
        }
    }

    fn account(jid: &str) -> BareJid {
        BareJid::parse(jid).unwrap()
    }

    async fn open(status: &str, info: &str) -> (Result<Opened, Refusal>, Vec<String>) {
        let length = info.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{info}");
        let web = WebService::start(answer.leak()).await;
        let origin = format!("http://{}", web.address);
        let domain = Some(account("x.test"));
        let hosts = DocumentHosts::new(std::slice::from_ref(&origin), domain, &[]).unwrap();
        let source = format!("{origin}/wopi/files/7");
        let opened = hosts.open(&account("anna@x.test"), &source, "a&b=ü").await;
        (opened, web.heard())
    }

    #[tokio::test]
    async fn host_says_who_may_open_a_document() {
        let info =
            r#"{"UserId":"Anna@x.test","BaseFileName":"Plan.odt","UserCanWrite":true,"Size":1}"#;
        let (opened, heard) = open("200 OK", info).await;
        let opened = opened.unwrap();
        assert_eq!((&*opened.name, opened.can_write), ("Plan.odt", true));
        let asked = "GET /wopi/files/7?access_token=a%26b%3D%C3%BC HTTP/1.1\r\n";
        assert!(heard[0].starts_with(asked), "{heard:?}");
        // Without a domain the id is of the one that the operator has named.
        let (opened, _) = open("200 OK", r#"{"UserId":"anna"}"#).await;
        assert!(!opened.unwrap().can_write);
    }

    #[tokio::test]
    async fn token_of_somebody_else_opens_nothing() {
        for user in [
            "bert@x.test",
            "anna@y.test",
            "bert",
            "",
            "anna@x.test@x.test",
        ] {
            let info = format!(r#"{{"UserId":"{user}","UserCanWrite":true}}"#);
            let (opened, _) = open("200 OK", &info).await;
            assert_eq!(opened, Err(Refusal::Forbidden), "{user}");
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_opens_nothing() {
        for (status, info, expected) in [
            ("401 Unauthorized", "", Refusal::Forbidden),
            ("404 Not Found", "", Refusal::Forbidden),
            ("302 Found", "", Refusal::Unavailable),
            ("500 Internal Server Error", "", Refusal::Unavailable),
            ("200 OK", "<html>", Refusal::Unavailable),
            ("200 OK", "{}", Refusal::Unavailable),
        ] {
            assert_eq!(open(status, info).await.0, Err(expected), "{status} {info}");
        }
    }

    #[tokio::test]
    async fn h07_host_that_the_operator_does_not_know_is_not_asked() {
        let web = WebService::start("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await;
        let port = web.address.port();
        let known = [format!("http://127.0.0.1:{port}")];
        let hosts = DocumentHosts::new(&known, None, &[]).unwrap();
        let anna = account("anna@x.test");
        for source in [
            format!("http://localhost:{port}/wopi/files/1"),
            format!("http://[::ffff:127.0.0.1]:{port}/wopi/files/1"),
            format!("http://0x7f.1:{port}/wopi/files/1"),
            format!("https://127.0.0.1:{port}/wopi/files/1"),
            "http://169.254.169.254/wopi/files/1".to_owned(),
        ] {
            let refused = hosts.open(&anna, &source, "t").await;
            assert_eq!(refused, Err(Refusal::Forbidden), "{source}");
        }
        let source = format!("http://127.0.0.1:{port}/wopi/files/1");
        for token in ["", "a\r\nb", &"a".repeat(TOKEN_BYTES_MAX + 1)] {
            let refused = hosts.open(&anna, &source, token).await;
            assert_eq!(refused, Err(Refusal::BadRequest), "{token}");
        }
        assert!(web.heard().is_empty());
    }

    #[test]
    fn only_origins_are_hosts() {
        let new = |text: &str| DocumentHosts::new(&[text.to_owned()], None, &[]).is_ok();
        for good in ["https://files.example.org", "http://127.0.0.1:9980/"] {
            assert!(new(good), "{good}");
        }
        for bad in [
            "files.example.org",
            "https://a/b",
            "https://a?b",
            "ftp://a",
            "*",
            "https://u@a",
        ] {
            assert!(!new(bad), "{bad}");
        }
    }
}
