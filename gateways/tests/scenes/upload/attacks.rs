//! Rows of the attack corpus that concern uploads.

use std::collections::BTreeSet;
use std::time::Duration;

use klatsch_gateways::http::upload::UploadPace;

use super::*;
use crate::server::OTHER_DOMAIN;

#[tokio::test]
async fn h01_no_name_leads_anywhere() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let long = format!("{}.png", "x".repeat(300));
    for name in [
        "../../x",
        "..%2f..%2fx",
        "C:\\x",
        &long,
        "annexe\u{202E}gpj.exe",
    ] {
        let slot = uploaded(&server, &mut anna, name, "image/png").await;
        let last = slot.get.rsplit('/').next().unwrap();
        assert_eq!(slot.get.matches('/').count(), 3, "{}", slot.get);
        assert!(last.len() <= 204 && !last.contains("%E2%80%AE"), "{last}");
        let file = get(&server, &slot.get, "").await;
        assert_eq!(file.body, CONTENT);
        let saved_as = file.header("content-disposition");
        for treacherous in ["''.", "%2F", "%5C", "%2E", "/", "\\"] {
            assert!(!saved_as.contains(treacherous), "{saved_as}");
        }
    }
    assert_eq!(files_in(server.files.path()), 1);
    let id = "0".repeat(32);
    for path in [
        "/upload/../../../etc/passwd".to_owned(),
        "/upload/..%2f..%2fetc/passwd".to_owned(),
        format!("/upload/{id}/..%2f..%2f..%2fetc%2fpasswd"),
        format!("/upload/{id}/%00"),
        "/upload/arriving/x".to_owned(),
        "/upload/%2e%2e/x".to_owned(),
    ] {
        assert_eq!(get(&server, &path, "").await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn h02_no_file_runs_in_a_browser() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    for (content_type, disposition) in [
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xml", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("application/pdf", "attachment"),
        ("application/javascript", "attachment"),
        ("image/png", "inline"),
        ("video/webm", "inline"),
    ] {
        let slot = uploaded(&server, &mut anna, "f", content_type).await;
        for headers in ["", "Range: bytes=0-3\r\n"] {
            let file = get(&server, &slot.get, headers).await;
            assert_eq!(file.header("x-content-type-options"), "nosniff");
            assert_eq!(
                file.header("content-security-policy"),
                "sandbox; default-src 'none'; frame-ancestors 'none'"
            );
            let said = file.header("content-disposition");
            assert!(said.starts_with(disposition), "{content_type}: {said}");
        }
    }
}

#[tokio::test]
async fn h03_only_what_was_promised_is_taken() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let size = CONTENT.len();
    let slot = slot(&mut anna, "a.png", size, "image/png").await;
    let more = [CONTENT, b"x"].concat();
    assert_eq!(
        put(&server, &slot.put, "image/png", &more).await.status,
        413
    );
    let less = &CONTENT[1..];
    assert_eq!(put(&server, &slot.put, "image/png", less).await.status, 413);
    assert_eq!(
        put(&server, &slot.put, "text/html", CONTENT).await.status,
        415
    );
    // Beyond the size in pieces whose number is not said.
    let chunked = head("PUT", &slot.put, "Transfer-Encoding: chunked\r\n\r\n");
    let longer = chunked.clone() + "15\r\n0123456789abcdefghijk\r\n0\r\n\r\n";
    assert_eq!(ask(server.http, longer.as_bytes()).await.status, 413);
    let shorter = chunked + "5\r\n01234\r\n0\r\n\r\n";
    assert_eq!(ask(server.http, shorter.as_bytes()).await.status, 413);
    // Without a slot, with a broken one, at another address.
    assert_eq!(
        put(&server, &slot.get, "image/png", CONTENT).await.status,
        403
    );
    let forged = format!("{}?slot=AAAA", slot.get);
    assert_eq!(
        put(&server, &forged, "image/png", CONTENT).await.status,
        403
    );
    let (_, query) = slot.put.split_once('?').unwrap();
    let elsewhere = format!("/upload/{}/a.png?{query}", "0".repeat(32));
    assert_eq!(
        put(&server, &elsewhere, "image/png", CONTENT).await.status,
        403
    );
    assert_eq!(files_in(server.files.path()), 0);
    // None of this has used the slot up; being used does.
    assert_eq!(
        put(&server, &slot.put, "image/png", CONTENT).await.status,
        201
    );
    assert_eq!(
        put(&server, &slot.put, "image/png", CONTENT).await.status,
        409
    );
    let other = b"jihgfedcba9876543210";
    assert_eq!(
        put(&server, &slot.put, "image/png", other).await.status,
        409
    );
    assert_eq!(get(&server, &slot.get, "").await.body, CONTENT);
}

#[tokio::test]
async fn h03_an_old_slot_is_of_no_use() {
    let mut setup = Setup::default();
    setup.uploads.put_patience = Duration::ZERO;
    let server = Server::start_with(setup).await;
    let mut anna = anna(&server).await;
    let slot = slot(&mut anna, "a.png", CONTENT.len(), "image/png").await;
    assert_eq!(
        put(&server, &slot.put, "image/png", CONTENT).await.status,
        410
    );
}

#[tokio::test]
async fn h03_who_sends_a_byte_now_and_then_is_cut_off() {
    let setup = Setup {
        upload_pace: UploadPace {
            grace: Duration::from_millis(300),
            ..UploadPace::default()
        },
        ..Setup::default()
    };
    let server = Server::start_with(setup).await;
    let mut anna = anna(&server).await;
    let slot = slot(&mut anna, "a.png", 1000, "image/png").await;
    let mut tcp = TcpStream::connect(server.http).await.unwrap();
    let request = head("PUT", &slot.put, "Content-Length: 1000\r\n\r\n0");
    tcp.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut tcp).await.status, 408);
    assert_eq!(files_in(server.files.path()), 0);
}

#[tokio::test]
async fn h03_no_more_files_come_at_once_than_may() {
    let setup = Setup {
        upload_pace: UploadPace {
            at_once_max: 1,
            ..UploadPace::default()
        },
        ..Setup::default()
    };
    let server = Server::start_with(setup).await;
    let mut anna = anna(&server).await;
    let slow = slot(&mut anna, "slow.png", 1000, "image/png").await;
    let quick = slot(&mut anna, "quick.png", CONTENT.len(), "image/png").await;
    let mut tcp = TcpStream::connect(server.http).await.unwrap();
    let request = head("PUT", &slow.put, "Content-Length: 1000\r\n\r\n0");
    tcp.write_all(request.as_bytes()).await.unwrap();
    while files_in(server.files.path()) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        put(&server, &quick.put, "image/png", CONTENT).await.status,
        503
    );
    drop(tcp);
    while files_in(server.files.path()) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        put(&server, &quick.put, "image/png", CONTENT).await.status,
        201
    );
}

#[tokio::test]
async fn h04_fifty_slots_at_once_do_not_exceed_the_quota() {
    let mut setup = Setup::default();
    setup.uploads.quota_bytes_per_account = 1000;
    let server = Server::start_with(setup).await;
    let mut devices = Vec::new();
    for device in 0..5 {
        let mut client = Client::connect(server.c2s).await;
        client.session("anna", &format!("device{device}")).await;
        devices.push(client);
    }
    let asking = devices.into_iter().map(|mut client| {
        tokio::spawn(async move {
            let mut given = 0;
            for number in 0..10 {
                let request = request(&format!("f{number}"), 100, "");
                let answer = asked(&mut client, SERVICE, &request).await;
                given += u32::from(answer.contains("<slot "));
            }
            given
        })
    });
    let mut given = 0;
    for device in asking.collect::<Vec<_>>() {
        given += device.await.unwrap();
    }
    assert_eq!(given, 10);
}

#[tokio::test]
async fn h05_addresses_have_128_bits_that_nobody_can_guess() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let mut ids = BTreeSet::new();
    let mut ones = 0;
    for _ in 0..200 {
        let slot = slot(&mut anna, "a", 1, "image/png").await;
        let id = slot.get.split('/').nth(2).unwrap().to_owned();
        assert_eq!(id.len(), 32);
        ones += u128::from_str_radix(&id, 16).unwrap().count_ones();
        ids.insert(id);
    }
    assert_eq!(ids.len(), 200);
    // 25600 bits: the half of them within ten standard deviations, which are 80 each.
    assert!((12_000..13_600).contains(&ones), "{ones}");
}

#[tokio::test]
async fn h06_there_is_no_http_2_whose_frames_could_flood() {
    let server = Server::start().await;
    let mut tcp = TcpStream::connect(server.http).await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    tcp.write_all(preface).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, tcp.read_to_end(&mut answer))
        .await
        .unwrap();
    let is_settings = answer.get(3) == Some(&4) && !answer.starts_with(b"HTTP/");
    assert!(!is_settings, "the server answers in HTTP/2: {answer:?}");
    // And over TLS it is not offered.
    let mut config = crate::client::credulous(false);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(server.https).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from(DOMAIN).unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let tls = connector.connect(name, tcp).await.unwrap();
    assert_ne!(tls.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn r14_organisations_on_one_server_do_not_share_uploads() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let service = format!("upload.{OTHER_DOMAIN}");
    let text = asked(&mut anna, &service, &request("a", 20, "")).await;
    assert!(text.contains("<forbidden "), "{text}");
    let slot = uploaded(&server, &mut anna, "a.png", "image/png").await;
    for (host, status) in [
        (DOMAIN, 200),
        ("klatsch.test:5443", 200),
        ("upload.klatsch.test", 200),
        ("files.proxy.example", 200),
        (OTHER_DOMAIN, 404),
        ("Other.Test:5443", 404),
        ("other.test.", 404),
        ("upload.other.test", 404),
    ] {
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
            slot.get
        );
        let answer = ask(server.http, request.as_bytes()).await;
        assert_eq!(answer.status, status, "{host}");
    }
}

#[tokio::test]
async fn c13_a_full_disk_takes_no_files() {
    let server = Server::start().await;
    let mut anna = anna(&server).await;
    let slot = slot(&mut anna, "a.png", CONTENT.len(), "image/png").await;
    let strain = server.node.sessions.strain();
    strain.set_disk_is_low(true);
    assert_eq!(
        put(&server, &slot.put, "image/png", CONTENT).await.status,
        507
    );
    let text = asked(&mut anna, SERVICE, &request("b", 20, "")).await;
    assert!(text.contains("<resource-constraint "), "{text}");
    strain.set_disk_is_low(false);
    assert_eq!(
        put(&server, &slot.put, "image/png", CONTENT).await.status,
        201
    );
}
