//! A client that speaks BOSH, one connection a request, so that any of them can be sent again,
//! out of order, or from elsewhere.

use std::collections::VecDeque;
use std::net::SocketAddr;

use klatsch_protocol::ns;
use klatsch_protocol::sasl::scram::{ClientBinding, ScramClient};
use klatsch_protocol::sasl::{Hash, Secret, encoding};
use klatsch_protocol::stream::bosh::{NS, NS_XMPP};
use klatsch_protocol::xml::{Fragment, Limits, Wrapper, WrapperTag};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{PATIENCE, Stream, tls};
use crate::server::{DOMAIN, PASSWORD};

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn tag(&self) -> WrapperTag {
        let mut wrapper = Wrapper::default();
        wrapper.push(self.text.as_bytes());
        wrapper.tag(&Limits::S2S).unwrap().expect("a wrapper")
    }

    pub(crate) fn payloads(&self) -> Vec<Fragment> {
        let mut wrapper = Wrapper::default();
        wrapper.push(self.text.as_bytes());
        wrapper.tag(&Limits::S2S).unwrap();
        wrapper.children(&Limits::S2S, 1000).expect("elements")
    }

    pub(crate) fn attr(&self, name: &str) -> Option<String> {
        self.tag().attr("", name).map(str::to_owned)
    }

    /// How the session ended, if it did.
    pub(crate) fn end(&self) -> Option<String> {
        let has_ended = self.attr("type").as_deref() == Some("terminate");
        has_ended.then(|| self.attr("condition").unwrap_or_default())
    }

    /// The condition of the stream error in it.
    pub(crate) fn stream_error(&self) -> Option<String> {
        let payloads = self.payloads();
        let error = payloads.iter().find(|it| it.is("error", ns::STREAMS))?;
        let first = error.payloads().iter().next()?;
        Some(first.name().to_owned())
    }
}

/// Sends a request and waits for what comes back.
pub(crate) async fn post(address: SocketAddr, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let tcp = TcpStream::connect(address).await.unwrap();
    post_over(tcp, headers, body).await
}

pub(crate) async fn post_over(
    mut stream: impl Stream,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut head = format!(
        "POST /http-bind HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all((head + "\r\n").as_bytes()).await.unwrap();
    // Who is refused early is not read to the end.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("an answer");
    let answer = String::from_utf8(answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
    Reply {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        head: head.to_lowercase(),
        text: text.to_owned(),
    }
}

/// A request for a session.
pub(crate) fn begin(rid: u64, more: &str) -> String {
    format!(
        "<body xmlns='{NS}' xmlns:xmpp='{NS_XMPP}' rid='{rid}' to='{DOMAIN}' ver='1.11' \
         wait='30' hold='1' xml:lang='en' xmpp:version='1.0' {more}/>"
    )
}

/// A client with its session.
pub(crate) struct Requests {
    address: SocketAddr,
    is_encrypted: bool,
    headers: Vec<(&'static str, &'static str)>,
    pub(crate) sid: String,
    /// The id of the request that is sent next.
    pub(crate) rid: u64,
    got: VecDeque<Fragment>,
}

impl Requests {
    pub(crate) async fn begin(address: SocketAddr) -> Self {
        Self::begin_with(address, false, &[]).await
    }

    pub(crate) async fn begin_with(
        address: SocketAddr,
        is_encrypted: bool,
        headers: &[(&'static str, &'static str)],
    ) -> Self {
        let mut it = Self {
            address,
            is_encrypted,
            headers: headers.to_vec(),
            sid: String::new(),
            rid: 1000,
            got: VecDeque::new(),
        };
        let reply = it.deliver(begin(it.rid, "")).await;
        it.sid = reply.attr("sid").unwrap_or_else(|| panic!("{reply:?}"));
        it.rid += 1;
        it.take(&reply);
        it
    }

    /// A request of this session, with these attributes and payloads.
    pub(crate) fn request(&self, rid: u64, attributes: &str, payloads: &str) -> String {
        let sid = &self.sid;
        format!(
            "<body xmlns='{NS}' xmlns:xmpp='{NS_XMPP}' sid='{sid}' rid='{rid}' {attributes}>\
             {payloads}</body>"
        )
    }

    /// Sends exactly this; what comes back is not taken note of.
    pub(crate) async fn deliver(&self, body: impl Into<Vec<u8>>) -> Reply {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let body = body.into();
        match self.is_encrypted {
            true => post_over(tls(tcp, false).await.unwrap(), &self.headers, &body).await,
            false => post_over(tcp, &self.headers, &body).await,
        }
    }

    /// The same without waiting.
    pub(crate) fn park(&self, body: String) -> tokio::task::JoinHandle<Reply> {
        let (address, headers) = (self.address, self.headers.clone());
        tokio::spawn(async move { post(address, &headers, body.as_bytes()).await })
    }

    /// Sends the next request.
    pub(crate) async fn say(&mut self, attributes: &str, payloads: &str) -> Reply {
        let request = self.request(self.rid, attributes, payloads);
        self.rid += 1;
        let reply = self.deliver(request).await;
        self.take(&reply);
        reply
    }

    fn take(&mut self, reply: &Reply) {
        self.got.extend(reply.payloads());
    }

    /// The first element that fits, asking until it comes.
    pub(crate) async fn expect(&mut self, fits: impl Fn(&Fragment) -> bool) -> Fragment {
        loop {
            while let Some(element) = self.got.pop_front() {
                if fits(&element) {
                    return element;
                }
                assert!(!element.is("error", ns::STREAMS), "{element:?}");
            }
            let reply = self.say("", "").await;
            assert_eq!(reply.end(), None, "{reply:?}");
        }
    }

    /// Proves the password.
    pub(crate) async fn login(&mut self, name: &str) {
        self.expect(|it| it.is("features", ns::STREAMS)).await;
        let (password, binding) = (Secret::new(PASSWORD), ClientBinding::Unsupported);
        let mut scram = ScramClient::new(Hash::Sha256, name, password, binding, &[3; 18]);
        let (sasl, first) = (ns::SASL, encoding::encode(&scram.first()));
        let auth = format!("<auth xmlns='{sasl}' mechanism='SCRAM-SHA-256'>{first}</auth>");
        self.say("", &auth).await;
        let challenge = self.expect(|it| it.is("challenge", ns::SASL)).await;
        let challenge = encoding::decode(challenge.text()).unwrap();
        let last = encoding::encode(&scram.answer(&challenge, None).unwrap());
        self.say("", &format!("<response xmlns='{sasl}'>{last}</response>"))
            .await;
        self.expect(|it| it.is("success", ns::SASL)).await;
        self.say(&format!("to='{DOMAIN}' xmpp:restart='true'"), "")
            .await;
        self.expect(|it| it.is("features", ns::STREAMS)).await;
    }

    /// Logs in and binds; returns the address.
    pub(crate) async fn session(&mut self, name: &str) -> String {
        self.login(name).await;
        let bind = format!("<iq type='set' id='b'><bind xmlns='{}'/></iq>", ns::BIND);
        self.say("", &bind).await;
        let result = self.expect(|it| it.attr("id") == Some("b")).await;
        let bind = result.payloads().element("bind", ns::BIND).expect("bind");
        bind.find("jid", ns::BIND).expect("jid").text_content()
    }

    pub(crate) async fn ping(&mut self) {
        let ping =
            format!("<iq type='get' id='p' to='{DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>");
        self.say("", &ping).await;
        self.expect(|it| it.attr("id") == Some("p")).await;
    }
}
