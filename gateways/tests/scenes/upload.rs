//! Files: XEP-0363 sections 4 to 9, from the question to the bytes.

mod attacks;

use std::net::SocketAddr;
use std::path::Path;

use klatsch_protocol::stanza::Stanza;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, PATIENCE};
use crate::server::{DOMAIN, Server, Setup};

const SERVICE: &str = "upload.klatsch.test";
const CONTENT: &[u8] = b"0123456789abcdefghij";

type Tcp = Client<TcpStream>;

async fn anna(server: &Server) -> Tcp {
    let mut client = Client::connect(server.c2s).await;
    client.session("anna", "garden").await;
    client
}

/// The answer to a request, as text.
async fn asked(client: &mut Tcp, to: &str, payload: &str) -> String {
    client
        .send(&format!(
            "<iq type='get' id='step' to='{to}'>{payload}</iq>"
        ))
        .await;
    let answer = client.expect(|it| it.attr("id") == Some("step")).await;
    let stanza = Stanza::from_fragment(answer).unwrap();
    String::from_utf8(stanza.to_bytes().to_vec()).unwrap()
}

fn request(name: &str, size: usize, more: &str) -> String {
    format!("<request xmlns='urn:xmpp:http:upload:0' filename='{name}' size='{size}'{more}/>")
}

/// Where a file goes and where it will be: paths with their queries.
struct Slot {
    put: String,
    get: String,
}

async fn slot(client: &mut Tcp, name: &str, size: usize, content_type: &str) -> Slot {
    let more = format!(" content-type='{content_type}'");
    let answer = asked(client, SERVICE, &request(name, size, &more)).await;
    Slot {
        put: path_in(&answer, "<put url='"),
        get: path_in(&answer, "<get url='"),
    }
}

#[track_caller]
fn path_in(answer: &str, before: &str) -> String {
    let (_, rest) = answer
        .split_once(before)
        .unwrap_or_else(|| panic!("no slot: {answer}"));
    let (url, _) = rest.split_once('\'').unwrap();
    let path = url.strip_prefix("https://klatsch.test:5443");
    path.unwrap_or_else(|| panic!("{url}")).to_owned()
}

/// An answer over HTTP.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines();
        let found = lines.find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        found.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }
}

async fn ask(address: SocketAddr, request: &[u8]) -> Answer {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    // Who is refused early may find the connection closed before all is sent.
    let _ = tcp.write_all(request).await;
    read_answer(&mut tcp).await
}

async fn read_answer(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Answer {
    let mut bytes = Vec::new();
    // A reset after the answer does not matter.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .expect("an answer");
    let end = bytes.windows(4).position(|it| it == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&bytes)));
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head,
        body: bytes[end + 4..].to_vec(),
    }
}

fn head(method: &str, path: &str, headers: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n{headers}")
}

async fn get(server: &Server, path: &str, headers: &str) -> Answer {
    let request = head("GET", path, headers) + "\r\n";
    ask(server.http, request.as_bytes()).await
}

async fn put(server: &Server, path: &str, content_type: &str, content: &[u8]) -> Answer {
    let length = content.len();
    let headers = format!("Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n");
    let mut request = head("PUT", path, &headers).into_bytes();
    request.extend_from_slice(content);
    ask(server.http, &request).await
}

/// A file that is there.
async fn uploaded(server: &Server, client: &mut Tcp, name: &str, content_type: &str) -> Slot {
    let slot = slot(client, name, CONTENT.len(), content_type).await;
    let answer = put(server, &slot.put, content_type, CONTENT).await;
    assert_eq!(answer.status, 201, "{}", answer.head);
    slot
}

/// How many files lie in a folder and below it.
fn files_in(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|it| it.unwrap().path());
    let count = |path: std::path::PathBuf| if path.is_dir() { files_in(&path) } else { 1 };
    entries.map(count).sum()
}

#[tokio::test]
async fn section_4_the_service_is_found_with_the_size_of_files() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let items = asked(
        &mut anna,
        DOMAIN,
        "<query xmlns='http://jabber.org/protocol/disco#items'/>",
    )
    .await;
    let item = "<item jid='upload.klatsch.test' name='HTTP File Upload'/>";
    assert!(items.contains(item), "{items}");
    let info = asked(
        &mut anna,
        SERVICE,
        "<query xmlns='http://jabber.org/protocol/disco#info'/>",
    )
    .await;
    for part in [
        "<identity category='store' type='file' name='HTTP File Upload'/>",
        "<feature var='urn:xmpp:http:upload:0'/>",
        "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:http:upload:0</value></field>",
        "<field var='max-file-size'><value>104857600</value></field>",
    ] {
        assert!(info.contains(part), "{part} in {info}");
    }
}

#[tokio::test]
async fn section_5_a_file_is_put_and_had_again() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let slot = slot(&mut anna, "très cool.jpg", CONTENT.len(), "image/jpeg").await;
    assert!(slot.get.ends_with("/tr%C3%A8s%20cool.jpg"), "{}", slot.get);
    assert!(slot.put.starts_with(&format!("{}?", slot.get)));
    assert_eq!(
        get(&server, &slot.get, "").await.status,
        404,
        "not there yet"
    );
    let stored = put(&server, &slot.put, "image/jpeg", CONTENT).await;
    assert_eq!(stored.status, 201, "{}", stored.head);
    let file = get(&server, &slot.get, "").await;
    assert_eq!((file.status, &*file.body), (200, CONTENT));
    assert_eq!(file.header("content-type"), "image/jpeg");
    assert_eq!(file.header("content-length"), "20");
    assert!(file.header("cache-control").contains("immutable"));
    let asked = ask(
        server.http,
        (head("HEAD", &slot.get, "") + "\r\n").as_bytes(),
    )
    .await;
    assert_eq!((asked.status, asked.body.len()), (200, 0));
    assert_eq!(asked.header("content-length"), "20");
}

#[tokio::test]
async fn files_travel_over_https_too() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let slot = slot(&mut anna, "a.png", CONTENT.len(), "image/png").await;
    let headers = "Content-Type: image/png\r\nContent-Length: 20\r\n\r\n";
    let mut request = head("PUT", &slot.put, headers).into_bytes();
    request.extend_from_slice(CONTENT);
    for (request, status) in [
        (request, 201),
        ((head("GET", &slot.get, "") + "\r\n").into_bytes(), 200),
    ] {
        let tcp = TcpStream::connect(server.https).await.unwrap();
        let mut tls = crate::client::tls(tcp, false).await.unwrap();
        tls.write_all(&request).await.unwrap();
        assert_eq!(read_answer(&mut tls).await.status, status);
    }
}

#[tokio::test]
async fn a_file_in_pieces_of_unknown_number_is_taken() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let slot = slot(&mut anna, "a.png", CONTENT.len(), "image/png").await;
    let mut request = head("PUT", &slot.put, "Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for piece in CONTENT.chunks(5) {
        request.extend_from_slice(b"5\r\n");
        request.extend_from_slice(piece);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(ask(server.http, &request).await.status, 201);
    assert_eq!(get(&server, &slot.get, "").await.body, CONTENT);
}

#[tokio::test]
async fn parts_of_files_are_had_and_what_is_known_is_not_sent_again() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let slot = uploaded(&server, &mut anna, "a.mp4", "video/mp4").await;
    let whole = get(&server, &slot.get, "").await;
    let (tag, date) = (whole.header("etag"), whole.header("last-modified"));
    for (headers, status, body) in [
        ("Range: bytes=2-4".to_owned(), 206, &CONTENT[2..5]),
        ("Range: bytes=-3".to_owned(), 206, &CONTENT[17..]),
        ("Range: bytes=20-".to_owned(), 416, b""),
        ("Range: bytes=0-1,4-5".to_owned(), 200, CONTENT),
        (
            format!("Range: bytes=2-4\r\nIf-Range: {tag}"),
            206,
            &CONTENT[2..5],
        ),
        (
            "Range: bytes=2-4\r\nIf-Range: \"other\"".to_owned(),
            200,
            CONTENT,
        ),
        (format!("If-None-Match: {tag}"), 304, b""),
        ("If-None-Match: \"other\"".to_owned(), 200, CONTENT),
        (format!("If-Modified-Since: {date}"), 304, b""),
    ] {
        let answer = get(&server, &slot.get, &format!("{headers}\r\n")).await;
        assert_eq!((answer.status, &*answer.body), (status, body), "{headers}");
    }
    let part = get(&server, &slot.get, "Range: bytes=2-4\r\n").await;
    assert_eq!(part.header("content-range"), "bytes 2-4/20");
    let nothing = get(&server, &slot.get, "Range: bytes=99-\r\n").await;
    assert_eq!(nothing.header("content-range"), "bytes */20");
}

#[tokio::test]
async fn section_7_what_cannot_be_taken_is_refused_with_a_reason() {
    let mut setup = Setup::default();
    setup.uploads.size_bytes_max = 20_000;
    setup.uploads.quota_bytes_per_account = 30_000;
    let server = Server::start_with(setup).await;
    let mut anna = anna(&server).await;
    let text = asked(&mut anna, SERVICE, &request("très cool.jpg", 23_456, "")).await;
    for part in [
        "<not-acceptable ",
        "<max-file-size>20000</max-file-size>",
        "type='modify'",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    slot(&mut anna, "a", 20_000, "image/png").await;
    let text = asked(&mut anna, SERVICE, &request("b", 20_000, "")).await;
    for part in ["<resource-constraint ", "<retry ", "stamp='", "type='wait'"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    slot(&mut anna, "c", 10_000, "image/png").await;
}

#[tokio::test]
async fn section_9_scripts_of_other_origins_may_upload() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let slot = slot(&mut anna, "a.png", CONTENT.len(), "image/png").await;
    let headers = "Origin: https://web.example\r\nAccess-Control-Request-Method: PUT\r\n\r\n";
    let answer = ask(server.http, head("OPTIONS", &slot.put, headers).as_bytes()).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(
        answer
            .header("access-control-allow-methods")
            .contains("PUT")
    );
    assert!(
        answer
            .header("access-control-allow-headers")
            .contains("Content-Type")
    );
    let stored = put(&server, &slot.put, "image/png", CONTENT).await;
    assert_eq!(stored.header("access-control-allow-origin"), "*");
    let refused = put(&server, &slot.put, "image/png", CONTENT).await;
    assert_eq!(refused.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn the_same_content_lies_on_the_disk_once_until_nobody_has_it() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let one = uploaded(&server, &mut anna, "one.png", "image/png").await;
    let two = uploaded(&server, &mut anna, "two.html", "text/html").await;
    assert_eq!(files_in(server.files.path()), 1);
    assert_ne!(one.get, two.get);
    assert_eq!(
        get(&server, &two.get, "").await.header("content-type"),
        "text/html"
    );
    server.uploads.tidy_up().await;
    assert_eq!(files_in(server.files.path()), 1);
    let account = klatsch_protocol::jid::BareJid::parse("anna@klatsch.test").unwrap();
    let now = klatsch_actors::world::now();
    server.store.remove_account(&account, now).await.unwrap();
    assert_eq!(get(&server, &one.get, "").await.status, 404);
    server.uploads.tidy_up().await;
    assert_eq!(files_in(server.files.path()), 0);
}

#[tokio::test]
async fn content_that_a_crash_has_left_is_removed() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    uploaded(&server, &mut anna, "one.png", "image/png").await;
    let orphan = server.files.path().join("ab");
    std::fs::create_dir_all(&orphan).unwrap();
    std::fs::write(orphan.join(format!("ab{}", "0".repeat(62))), "x").unwrap();
    assert_eq!(files_in(server.files.path()), 2);
    server.uploads.tidy_up().await;
    assert_eq!(files_in(server.files.path()), 1);
}

#[tokio::test]
async fn a_file_is_gone_at_the_time_that_was_said() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let soon = klatsch_actors::world::now().plus(std::time::Duration::from_millis(1500));
    let purpose = format!(
        "<request xmlns='urn:xmpp:http:upload:0' filename='a.png' size='20' content-type='image/png'>\
         <ephemeral xmlns='urn:xmpp:http:upload:purpose:0' expire-before='{}'/></request>",
        soon.to_xep0082()
    );
    let answer = asked(&mut anna, SERVICE, &purpose).await;
    let stored = put(
        &server,
        &path_in(&answer, "<put url='"),
        "image/png",
        CONTENT,
    )
    .await;
    assert_eq!(stored.status, 201);
    let path = path_in(&answer, "<get url='");
    while klatsch_actors::world::now() < soon {
        tokio::task::yield_now().await;
    }
    assert_eq!(get(&server, &path, "").await.status, 404);
}
