//! Files, as clients and browsers send and get them (XEP-0363).

use std::net::SocketAddr;

use klatsch_protocol::xml::Fragment;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Client, PATIENCE};
use crate::server::{DOMAIN, OTHER_DOMAIN, Server};

const NS: &str = "urn:xmpp:http:upload:0";

/// An answer of the HTTP server.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let mut named = lines.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value)
    }
}

async fn ask(address: SocketAddr, method: &str, url: &str, headers: &str, body: &[u8]) -> Answer {
    let path = url
        .strip_prefix(&format!("https://{DOMAIN}"))
        .unwrap_or(url);
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n{headers}\r\n");
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(head.as_bytes()).await.unwrap();
    // A server that has refused does not read on.
    let _ = tcp.write_all(body).await;
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, tcp.read_to_end(&mut answer));
    let _ = read.await.expect("an answer");
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer[end + 4..].to_vec();
    Answer { status, head, body }
}

async fn put(server: &Server, url: &str, body: &[u8]) -> u16 {
    let length = format!("Content-Length: {}\r\n", body.len());
    ask(server.http, "PUT", url, &length, body).await.status
}

async fn get(server: &Server, url: &str, headers: &str) -> Answer {
    ask(server.http, "GET", url, headers, b"").await
}

async fn online(server: &Server, name: &str) -> Client<TcpStream> {
    let mut client = Client::connect(server.c2s).await;
    client.session(name, "x").await;
    client
}

/// Asks for a slot.
async fn request(client: &mut Client<TcpStream>, attributes: &str) -> Fragment {
    let request = format!("<request xmlns='{NS}' {attributes}/>");
    client
        .send(&format!(
            "<iq type='get' id='slot' to='upload.{DOMAIN}'>{request}</iq>"
        ))
        .await;
    client.expect(|it| it.attr("id") == Some("slot")).await
}

/// Where to put a file, and where to get it.
async fn slot(client: &mut Client<TcpStream>, attributes: &str) -> (String, String) {
    let answer = request(client, attributes).await.to_element();
    let slot = answer.find("slot", NS).expect("a slot");
    let url = |name| slot.find(name, NS).unwrap().get("url").unwrap().to_owned();
    (url("put"), url("get"))
}

/// A file that is there.
async fn file(server: &Server, attributes: &str, body: &[u8]) -> String {
    let mut client = online(server, "anna").await;
    let (to, from) = slot(&mut client, attributes).await;
    assert_eq!(put(server, &to, body).await, 201);
    from
}

#[tokio::test]
async fn section_3_the_domain_lists_the_service_that_says_its_largest_file() {
    let server = Server::start().await;
    let mut client = online(&server, "anna").await;
    let query = |what: &str| format!("<query xmlns='http://jabber.org/protocol/disco#{what}'/>");
    let items = query("items");
    client
        .send(&format!("<iq type='get' id='1' to='{DOMAIN}'>{items}</iq>"))
        .await;
    let items = client.expect(|it| it.attr("id") == Some("1")).await;
    let items = items.to_element();
    let upload = format!("upload.{DOMAIN}");
    assert!(items.children().any(|query| {
        let mut items = query.children();
        items.any(|item| item.get("jid") == Some(&upload))
    }));
    let info = query("info");
    client
        .send(&format!("<iq type='get' id='2' to='{upload}'>{info}</iq>"))
        .await;
    let info = client.expect(|it| it.attr("id") == Some("2")).await;
    let info = String::from_utf8(info.to_element().to_bytes().to_vec()).unwrap();
    assert!(info.contains("category='store'"), "{info}");
    assert!(info.contains("<value>1000000</value>"), "{info}");
}

#[tokio::test]
async fn section_4_file_is_put_and_got_by_anybody_who_has_the_address() {
    let server = Server::start().await;
    let attributes = "filename='très cool.jpg' size='5' content-type='image/jpeg'";
    let url = file(&server, attributes, b"hello").await;
    assert!(url.ends_with("/tr%C3%A8s%20cool.jpg"), "{url}");
    let answer = get(&server, &url, "").await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"hello"[..]));
    assert_eq!(answer.header("content-type"), Some("image/jpeg"));
    assert_eq!(answer.header("content-length"), Some("5"));
    let head = ask(server.http, "HEAD", &url, "", b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("5"));
}

#[tokio::test]
async fn part_of_a_file_is_had_for_the_asking() {
    let server = Server::start().await;
    let url = file(&server, "filename='a.bin' size='10'", b"0123456789").await;
    let part = get(&server, &url, "Range: bytes=2-4\r\n").await;
    assert_eq!((part.status, &part.body[..]), (206, &b"234"[..]));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let rest = get(&server, &url, "Range: bytes=-3\r\n").await;
    assert_eq!((rest.status, &rest.body[..]), (206, &b"789"[..]));
    let beyond = get(&server, &url, "Range: bytes=20-\r\n").await;
    assert_eq!(beyond.status, 416);
}

#[tokio::test]
async fn file_that_is_known_is_not_sent_again() {
    let server = Server::start().await;
    let url = file(&server, "filename='a.bin' size='1'", b"0").await;
    let tag = get(&server, &url, "").await;
    let tag = tag.header("etag").unwrap().to_owned();
    let again = get(&server, &url, &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((again.status, again.body.len()), (304, 0));
}

#[tokio::test]
async fn h01_an_address_leads_nowhere_else() {
    let server = Server::start().await;
    let url = file(&server, "filename='../../etc/passwd' size='1'", b"0").await;
    assert!(url.ends_with("/passwd"), "{url}");
    std::fs::write(server.files.path().join("secret"), "x").unwrap();
    let id = url.rsplit('/').nth(1).unwrap();
    for path in [
        "/upload/../secret".to_owned(),
        "/upload/..%2f/secret".to_owned(),
        "/upload/%2e%2e/secret".to_owned(),
        format!("/upload/{id}/..%2f..%2fsecret"),
        format!("/upload/{id}/%00"),
        format!("/upload/{id}/other-name"),
        format!("/upload/{id}"),
        format!("/upload/{id}/passwd/x"),
        "/upload//etc/passwd".to_owned(),
    ] {
        let status = get(&server, &path, "").await.status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
}

#[tokio::test]
async fn h02_nothing_in_a_file_runs_in_a_browser() {
    let server = Server::start().await;
    for (kind, way) in [
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xml", "attachment"),
        ("application/pdf", "attachment"),
        ("image/png", "inline"),
        ("video/mp4", "inline"),
    ] {
        let attributes = format!("filename='x' size='8' content-type='{kind}'");
        let url = file(&server, &attributes, b"<script>").await;
        let answer = get(&server, &url, "").await;
        assert_eq!(answer.header("content-type"), Some(kind));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'"), "{policy}");
        assert!(policy.contains("sandbox"), "{policy}");
        let disposition = answer.header("content-disposition").unwrap();
        assert!(disposition.starts_with(way), "{kind}: {disposition}");
    }
}

#[tokio::test]
async fn h03_a_slot_takes_its_size_and_nothing_else() {
    let server = Server::start().await;
    let mut client = online(&server, "anna").await;
    let (to, from) = slot(&mut client, "filename='a' size='5'").await;
    assert_eq!(put(&server, &to, b"toolong").await, 413);
    assert_eq!(put(&server, &to, b"four").await, 400);
    // Without a length the bytes are counted.
    let chunked = "Transfer-Encoding: chunked\r\n";
    let body = b"4\r\nfour\r\n4\r\nmore\r\n0\r\n\r\n";
    let answer = ask(server.http, "PUT", &to, chunked, body).await;
    assert_eq!(answer.status, 413);
    assert_eq!(get(&server, &from, "").await.status, 404);
    // Half a file is none.
    let answer = ask(server.http, "PUT", &to, chunked, b"4\r\nfour\r\n0\r\n\r\n").await;
    assert_eq!(answer.status, 400);
    // The slot is still good, once.
    assert_eq!(put(&server, &to, b"right").await, 201);
    assert_eq!(put(&server, &to, b"other").await, 409);
    assert_eq!(get(&server, &from, "").await.body, b"right");
    let left = std::fs::read_dir(server.files.path().join("incoming")).unwrap();
    assert_eq!(left.count(), 0);
}

#[tokio::test]
async fn h03_without_a_slot_of_ours_nothing_is_stored() {
    let server = Server::start().await;
    let mut client = online(&server, "anna").await;
    let (to, from) = slot(&mut client, "filename='a' size='5'").await;
    assert_eq!(put(&server, &from, b"right").await, 403);
    let larger = to.replace("size=5", "size=7");
    assert_eq!(put(&server, &larger, b"toolong").await, 403);
    let longer = to.replace("until=", "until=9");
    assert_eq!(put(&server, &longer, b"right").await, 403);
}

#[tokio::test]
async fn h04_slots_count_towards_the_quota_before_their_files_come() {
    let server = Server::start().await;
    let mut client = online(&server, "anna").await;
    for _ in 0..2 {
        slot(&mut client, "filename='a' size='1000000'").await;
    }
    let refused = request(&mut client, "filename='a' size='1'").await;
    assert_eq!(refused.attr("type"), Some("error"));
    let refused = refused.to_element().to_bytes();
    let refused = String::from_utf8(refused.to_vec()).unwrap();
    assert!(refused.contains("<resource-constraint"), "{refused}");
    assert!(refused.contains("<retry"), "{refused}");
    let mut other = online(&server, "bert").await;
    slot(&mut other, "filename='a' size='1000000'").await;
}

#[tokio::test]
async fn h05_addresses_have_nothing_in_common() {
    let server = Server::start().await;
    let mut client = online(&server, "anna").await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        let (_, from) = slot(&mut client, "filename='a' size='1'").await;
        ids.push(from.rsplit('/').nth(1).unwrap().to_owned());
    }
    assert!(ids.iter().all(|id| id.len() == 22), "128 bits");
    // No character stands at one place in all of them.
    for place in 0..21 {
        let first = ids[0].as_bytes()[place];
        assert!(ids.iter().any(|id| id.as_bytes()[place] != first));
    }
}

#[tokio::test]
async fn pages_of_other_sites_may_send_and_show_files() {
    let server = Server::start().await;
    let url = file(&server, "filename='a.png' size='1'", b"0").await;
    let asked = "Origin: https://mail.example\r\nAccess-Control-Request-Method: PUT\r\n";
    let answer = ask(server.http, "OPTIONS", &url, asked, b"").await;
    assert_eq!(answer.status, 204);
    let allowed = answer.header("access-control-allow-methods").unwrap();
    assert!(allowed.contains("PUT"));
    let answer = get(&server, &url, "Origin: https://mail.example\r\n").await;
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn section_8_another_type_than_promised_is_refused() {
    let server = Server::start().await;
    let mut client = online(&server, "anna").await;
    let attributes = "filename='a.png' size='5' content-type='image/png'";
    let (to, _) = slot(&mut client, attributes).await;
    let put = |kind: &str| format!("Content-Length: 5\r\nContent-Type: {kind}\r\n");
    let refused = ask(server.http, "PUT", &to, &put("text/html"), b"hello").await;
    assert_eq!(refused.status, 415);
    let stored = ask(server.http, "PUT", &to, &put("image/png"), b"hello").await;
    assert_eq!(stored.status, 201);
}

#[tokio::test]
async fn section_6_3_nobody_keeps_a_file_longer_than_its_time() {
    let server = Server::start().await;
    let mut client = online(&server, "anna").await;
    let soon = klatsch_actors::world::now().plus(std::time::Duration::from_secs(100));
    let purpose = "xmlns='urn:xmpp:http:upload:purpose:0'";
    let request = format!(
        "<request xmlns='{NS}' filename='a' size='1'>\
         <ephemeral {purpose} expire-before='{}'/></request>",
        soon.to_xep0082()
    );
    client
        .send(&format!(
            "<iq type='get' id='slot' to='upload.{DOMAIN}'>{request}</iq>"
        ))
        .await;
    let answer = client.expect(|it| it.attr("id") == Some("slot")).await;
    let answer = answer.to_element();
    let given = answer.find("slot", NS).expect("a slot");
    let url = |name| given.find(name, NS).unwrap().get("url").unwrap();
    assert_eq!(put(&server, url("put"), b"0").await, 201);
    let file = get(&server, url("get"), "").await;
    let cached = file.header("cache-control").unwrap();
    let seconds = cached.split(['=', ',']).nth(2).unwrap();
    assert!(seconds.parse::<u64>().unwrap() <= 100, "{cached}");
}

#[tokio::test]
async fn h06_there_is_no_http_2_whose_frames_could_flood() {
    let server = Server::start().await;
    let mut tcp = TcpStream::connect(server.http).await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    tcp.write_all(preface).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, tcp.read_to_end(&mut answer));
    let _ = read.await.expect("the server closes");
    // The fourth byte of a frame says what it is; 4 is SETTINGS, which must come first.
    let is_http_2 = !answer.starts_with(b"HTTP/1") && answer.get(3) == Some(&4);
    assert!(!is_http_2, "{answer:?}");
    let mut config = crate::client::credulous(false);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(server.https).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from(DOMAIN).unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let tls = connector.connect(name, tcp).await.unwrap();
    assert_ne!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn h06_ranges_ask_for_no_more_than_the_file() {
    let server = Server::start().await;
    let url = file(&server, "filename='a' size='10'", b"0123456789").await;
    let many = vec!["0-9"; 1000].join(",");
    for range in [
        many.as_str(),
        "0-18446744073709551615",
        "18446744073709551615-",
        "-18446744073709551616",
        "5-2",
        "-",
        "a-b",
    ] {
        let part = get(&server, &url, &format!("Range: bytes={range}\r\n")).await;
        // A refusal has a text; everything else is of the file.
        let is_bounded = match part.status {
            200 | 206 => part.body.len() <= 10,
            status => status == 416,
        };
        assert!(
            is_bounded,
            "{} {}",
            part.status,
            &range[..range.len().min(40)]
        );
    }
}

#[tokio::test]
async fn r14_under_the_name_of_one_domain_there_are_no_files_of_another() {
    let server = Server::start().await;
    let url = file(&server, "filename='a' size='1'", b"0").await;
    let path = url.strip_prefix(&format!("https://{DOMAIN}")).unwrap();
    for (host, status) in [
        (DOMAIN.to_owned(), 200),
        (format!("{DOMAIN}:5443"), 200),
        (format!("upload.{DOMAIN}"), 200),
        ("files.proxy.example".to_owned(), 200),
        (OTHER_DOMAIN.to_owned(), 404),
        ("Other.Test:5443".to_owned(), 404),
        (format!("{OTHER_DOMAIN}."), 404),
        (format!("upload.{OTHER_DOMAIN}"), 404),
    ] {
        let mut tcp = TcpStream::connect(server.http).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = timeout(PATIENCE, tcp.read_to_end(&mut answer));
        read.await.expect("an answer").unwrap();
        let wanted = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(wanted.as_bytes()), "{host}");
    }
}

#[tokio::test]
async fn c13_a_full_disk_takes_no_files() {
    let server = Server::start().await;
    let mut client = online(&server, "anna").await;
    let (to, _) = slot(&mut client, "filename='a' size='1'").await;
    let strain = server.gateways.clients.sessions.strain();
    strain.set_disk_is_low(true);
    assert_eq!(put(&server, &to, b"0").await, 507);
    let refused = request(&mut client, "filename='b' size='1'").await;
    assert_eq!(refused.attr("type"), Some("error"));
    strain.set_disk_is_low(false);
    assert_eq!(put(&server, &to, b"0").await, 201);
}

#[tokio::test]
async fn a_file_stored_on_one_node_is_had_from_another_and_then_lies_there_too() {
    let [one, two] = Server::pair().await;
    // More than one piece.
    let body: Vec<u8> = (0..600_000u32).map(|it| (it % 251) as u8).collect();
    let attributes = format!("filename='f.bin' size='{}'", body.len());
    let from = file(&one, &attributes, &body).await;
    let answer = get(&two, &from, "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.body == body, "every byte");
    let part = get(&two, &from, "Range: bytes=300000-300009\r\n").await;
    assert_eq!(
        (part.status, &part.body[..]),
        (206, &body[300_000..300_010])
    );
    let lies = |server: &Server| files_in(server.files.path());
    assert_eq!(lies(&two), lies(&one));
}

/// The names of the contents in a folder.
fn files_in(folder: &std::path::Path) -> Vec<std::ffi::OsString> {
    let folders = std::fs::read_dir(folder).unwrap().flatten();
    let folders = folders.filter(|it| it.file_name() != "incoming");
    let files = folders.flat_map(|it| std::fs::read_dir(it.path()).unwrap().flatten());
    files.map(|it| it.file_name()).collect()
}

#[tokio::test]
async fn h08_picture_that_would_fill_memory_is_stored_and_never_looked_into() {
    let server = Server::start().await;
    // 50,000 by 50,000 points: 10 GB for whoever unpacks it. Nobody here does.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bomb.extend_from_slice(&50_000u32.to_be_bytes());
    bomb.extend_from_slice(&50_000u32.to_be_bytes());
    bomb.extend_from_slice(&[8, 6, 0, 0, 0]);
    let attributes = format!(
        "filename='bomb.png' size='{}' content-type='image/png'",
        bomb.len()
    );
    let mut client = online(&server, "anna").await;
    let (to, from) = slot(&mut client, &attributes).await;
    let headers = format!(
        "Content-Length: {}\r\nContent-Type: image/png\r\n",
        bomb.len()
    );
    let stored = ask(server.http, "PUT", &to, &headers, &bomb).await;
    assert_eq!(stored.status, 201);
    let got = get(&server, &from, "").await;
    assert_eq!((got.status, got.body), (200, bomb));
}
