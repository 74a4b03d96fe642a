//! What a browser sees.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use klatsch_gateways::http::SignupLink;
use klatsch_gateways::http::signup::CreateError;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::PATIENCE;
use crate::server::{DOMAIN, Server, Setup};

/// Asks and returns the whole answer as text.
pub(crate) async fn ask(address: SocketAddr, request: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    tcp.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, tcp.read_to_end(&mut answer))
        .await
        .expect("an answer")
        .unwrap();
    String::from_utf8(answer).unwrap()
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> String {
    ask(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n"),
    )
    .await
}

pub(crate) async fn post(address: SocketAddr, path: &str, form: &str) -> String {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n",
        form.len()
    );
    ask(address, &(head + form)).await
}

pub(crate) fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn c11_metrics_health_and_administration_are_not_on_the_public_listener() {
    let server = Server::start().await;
    for path in [
        "/metrics",
        "/health/live",
        "/health/ready",
        "/admin",
        "/debug/pprof",
        "/api/v1/users",
    ] {
        assert_eq!(status(&get(server.http, path).await), "404", "{path}");
    }
}

#[tokio::test]
async fn every_answer_is_armoured() {
    let server = Server::start().await;
    for path in [
        "/about",
        "/nowhere",
        "/config.json",
        "/signup/guess",
        "/xmpp-websocket",
        "/klatsch.css",
    ] {
        let answer = get(server.http, path).await.to_lowercase();
        for header in [
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "x-frame-options: deny",
        ] {
            assert!(answer.contains(header), "{path} lacks {header}:\n{answer}");
        }
        assert!(!answer.contains("<script"), "{path}");
    }
}

#[tokio::test]
async fn host_meta_names_the_websocket_and_bosh_in_both_forms() {
    let server = Server::start().await;
    let link = format!("wss://{DOMAIN}/xmpp-websocket");
    let xrd = get(server.http, "/.well-known/host-meta").await;
    assert!(
        xrd.contains(&link) && xrd.contains("urn:xmpp:alt-connections:websocket"),
        "{xrd}"
    );
    let bosh = format!("https://{DOMAIN}/http-bind");
    assert!(
        xrd.contains(&bosh) && xrd.contains("urn:xmpp:alt-connections:xbosh"),
        "{xrd}"
    );
    let jrd = get(server.http, "/.well-known/host-meta.json").await;
    assert!(
        jrd.contains(&link)
            && jrd.contains(&bosh)
            && jrd
                .to_lowercase()
                .contains("access-control-allow-origin: *"),
        "{jrd}"
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_have_answers() {
    let server = Server::start().await;
    assert_eq!(status(&get(server.http, "/nowhere").await), "404");
    assert_eq!(status(&post(server.http, "/", "a=b").await), "405");
    assert_eq!(status(&get(server.http, "/xmpp-websocket").await), "426");
}

#[tokio::test]
async fn signup_link_makes_one_administrator() {
    let made = Arc::new(Mutex::new(Vec::new()));
    let list = Arc::clone(&made);
    let link = SignupLink::new(
        "s3cret",
        Box::new(move |account| {
            let list = Arc::clone(&list);
            Box::pin(async move {
                if account.localpart == "taken" {
                    return Err(CreateError::NotThisName("<That> name is taken.".into()));
                }
                list.lock().unwrap().push(account.localpart);
                Ok(())
            })
        }),
    );
    let server = Server::start_with(Setup {
        signup: Some(link),
        ..Setup::default()
    })
    .await;
    assert_eq!(status(&get(server.http, "/signup/wrong").await), "404");
    let form = get(server.http, "/signup/s3cret").await;
    assert!(
        status(&form) == "200" && form.contains("<form method=\"post\""),
        "{form}"
    );

    let sent = |name: &str, password: &str| {
        format!("name={name}&domain={DOMAIN}&password={password}&repeated={password}")
    };
    let short = post(server.http, "/signup/s3cret", &sent("anna", "short")).await;
    assert_eq!(status(&short), "422");
    assert!(!short.contains("short"), "a password is shown again");
    let taken = post(server.http, "/signup/s3cret", &sent("taken", "long+enough")).await;
    assert!(
        status(&taken) == "422" && taken.contains("&#60;That&#62;"),
        "{taken}"
    );
    let made_it = post(server.http, "/signup/s3cret", &sent("anna", "long+enough")).await;
    assert!(
        status(&made_it) == "201" && made_it.contains("anna@klatsch.test"),
        "{made_it}"
    );
    assert_eq!(status(&get(server.http, "/signup/s3cret").await), "410");
    assert_eq!(
        status(&post(server.http, "/signup/s3cret", &sent("eve", "long+enough")).await),
        "410"
    );
    assert_eq!(*made.lock().unwrap(), ["anna"]);
}

#[tokio::test]
async fn oversized_form_is_refused() {
    let link = SignupLink::new("t", Box::new(|_| Box::pin(async { Ok(()) })));
    let server = Server::start_with(Setup {
        signup: Some(link),
        ..Setup::default()
    })
    .await;
    let answer = post(
        server.http,
        "/signup/t",
        &format!("name={}", "a".repeat(20_000)),
    )
    .await;
    assert_eq!(status(&answer), "400");
}

#[tokio::test]
async fn https_tells_browsers_about_the_secure_websocket() {
    let server = Server::start().await;
    let tcp = TcpStream::connect(server.https).await.unwrap();
    let mut client = crate::client::tls(tcp, false).await.unwrap();
    let request = format!(
        "GET /.well-known/host-meta HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    timeout(PATIENCE, client.read_to_end(&mut answer))
        .await
        .expect("an answer")
        .unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.contains(&format!("wss://{DOMAIN}/xmpp-websocket")),
        "{answer}"
    );
}

#[tokio::test]
async fn picture_of_the_directory_is_given_out_by_its_hash_to_be_kept_and_run_nowhere() {
    let server = Server::start().await;
    let hash = "0e76292794888d4f1fa75fb3aff4ca27c58f56a6";
    let now = klatsch_actors::world::now();
    let kept = server.store.keep_photo(hash, b"image".to_vec(), now);
    kept.await.unwrap();
    let answer = get(server.http, &format!("/avatar/{hash}"))
        .await
        .to_lowercase();
    assert_eq!(status(&answer), "200", "{answer}");
    for header in [
        "content-type: image/jpeg",
        "x-content-type-options: nosniff",
        "content-security-policy: default-src 'none'",
        "immutable",
    ] {
        assert!(answer.contains(header), "{header} in {answer}");
    }
    assert!(answer.ends_with("\r\n\r\nimage"), "{answer}");
    let unknown = hash.replace('0', "1");
    for path in [
        &*unknown,
        "0E76292794888D4F1FA75FB3AFF4CA27C58F56A6",
        "",
        "..%2f..",
    ] {
        let answer = get(server.http, &format!("/avatar/{path}")).await;
        assert_eq!(status(&answer), "404", "{path}");
    }
}
