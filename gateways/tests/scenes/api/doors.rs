//! Who is let in, and how everybody else is told (rows H10, H12).

use serde_json::Value;

use super::{basic, call, send};
use crate::server::{DOMAIN, PASSWORD, Server, Setup};

#[tokio::test]
async fn wrong_password_no_account_and_no_proof_are_one_answer() {
    let server = Server::start().await;
    let mut answers = Vec::new();
    for proof in [
        basic("anna", "wrong"),
        basic("nobody", "wrong"),
        basic("anna", ""),
        "Basic !".to_owned(),
        "Bearer forged".to_owned(),
        "Digest x".to_owned(),
        String::new(),
    ] {
        let fields = [("Authorization", proof.as_str())];
        let reply = send(server.http, ("GET", "/me"), &fields, "").await;
        assert_eq!(reply.refusal(), (401, "not-authorized".into()), "{proof}");
        // That of passwords would open a dialogue over the page of who asks by script.
        assert!(reply.head.contains("www-authenticate: bearer"), "{reply:?}");
        answers.push(reply.text);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
}

#[tokio::test]
async fn account_that_may_not_log_in_is_told_so_if_it_knows_its_password() {
    let server = Server::start().await;
    let anna = super::account("anna");
    server.store.set_disabled(&anna, true).await.unwrap();
    let reply = call(&server, "anna", ("GET", "/me"), "").await;
    assert_eq!(reply.refusal(), (403, "account-disabled".into()));
    let fields = [("Authorization", &*basic("anna", "wrong"))];
    let reply = send(server.http, ("GET", "/me"), &fields, "").await;
    assert_eq!(reply.refusal(), (401, "not-authorized".into()));
}

#[tokio::test]
async fn address_of_another_organisation_here_is_another_account() {
    let server = Server::start().await;
    let said = format!("anna@other.test:{PASSWORD}");
    let proof = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, said);
    let proof = format!("Basic {proof}");
    let fields = [("Authorization", proof.as_str())];
    let reply = send(server.http, ("GET", "/me"), &fields, "").await;
    assert_eq!(reply.refusal(), (401, "not-authorized".into()));
}

#[tokio::test]
async fn passwords_are_not_taken_where_somebody_may_listen() {
    let server = Server::start().await;
    let proof = basic("anna", PASSWORD);
    // A proxy that nobody has told us about speaks for strangers.
    let fields = [
        ("Authorization", proof.as_str()),
        ("X-Forwarded-For", "192.0.2.1"),
    ];
    let reply = send(server.http, ("GET", "/me"), &fields, "").await;
    assert_eq!(reply.refusal(), (403, "encryption-required".into()));

    let mut setup = Setup::default();
    setup.http.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let server = Server::start_with(setup).await;
    for (scheme, status) in [("https", 200), ("http", 403)] {
        let fields = [
            ("Authorization", proof.as_str()),
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Forwarded-Proto", scheme),
        ];
        let reply = send(server.http, ("GET", "/me"), &fields, "").await;
        assert_eq!(reply.status, status, "{scheme}");
    }
}

#[tokio::test]
async fn a12_guesses_behind_a_proxy_are_counted_for_the_client() {
    let mut setup = Setup::default();
    setup.http.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    setup.limits.login_failures_max = 3;
    let server = Server::start_with(setup).await;
    let asks = async |client: &str, password: &str| {
        let proof = basic("anna", password);
        let fields = [
            ("Authorization", proof.as_str()),
            ("X-Forwarded-For", client),
            ("X-Forwarded-Proto", "https"),
        ];
        send(server.http, ("GET", "/me"), &fields, "").await
    };
    for _ in 0..4 {
        asks("192.0.2.1", "wrong").await;
    }
    let banned = asks("192.0.2.1", PASSWORD).await;
    assert_eq!(banned.refusal(), (429, "too-many-requests".into()));
    assert!(banned.head.contains("retry-after"), "{banned:?}");
    assert_eq!(asks("192.0.2.2", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn h10_form_of_another_page_changes_nothing() {
    let server = Server::start().await;
    let proof = basic("anna", PASSWORD);
    for (asked, body) in [
        (("POST", "/token"), "{}"),
        (("POST", "/session"), "{}"),
        (("POST", "/chats"), r#"{"with":"bert@klatsch.test"}"#),
        (
            ("POST", "/presence"),
            r#"{"addresses":["bert@klatsch.test"]}"#,
        ),
        (("PUT", "/me/presence"), r#"{"show":"dnd"}"#),
        (
            ("POST", "/contexts/resolve"),
            r#"{"kind":"thread","id":"x"}"#,
        ),
        (("PUT", "/events"), "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"),
    ] {
        for kind in [
            "application/x-www-form-urlencoded",
            "text/plain",
            "multipart/form-data; boundary=x",
        ] {
            let fields = [
                ("Authorization", proof.as_str()),
                ("Content-Type", kind),
                ("Origin", "https://evil.example"),
            ];
            let reply = send(server.http, asked, &fields, body).await;
            let refused = (415, "unsupported-media-type".into());
            assert_eq!(reply.refusal(), refused, "{asked:?} {kind}");
        }
    }
    let me = call(&server, "anna", ("GET", "/me"), "").await;
    assert_eq!(me.field("wish"), "auto");
}

#[tokio::test]
async fn h12_no_page_of_another_origin_may_read_an_answer() {
    let server = Server::start().await;
    let proof = basic("anna", PASSWORD);
    let fields = [
        ("Authorization", proof.as_str()),
        ("Origin", "https://evil.example"),
    ];
    for asked in [("GET", "/me"), ("OPTIONS", "/me"), ("GET", "/openapi.json")] {
        let reply = send(server.http, asked, &fields, "").await;
        assert!(!reply.head.contains("access-control-"), "{reply:?}");
        assert!(!reply.head.contains("set-cookie"), "{reply:?}");
        assert!(reply.head.contains("cache-control: no-store"), "{reply:?}");
        assert!(
            reply.head.contains("x-content-type-options: nosniff"),
            "{reply:?}"
        );
    }
}

#[tokio::test]
async fn other_methods_and_paths_are_told_in_json() {
    let server = Server::start().await;
    for (asked, allowed) in [
        (("GET", "/token"), "post"),
        (("DELETE", "/presence"), "get,head,post"),
        (("POST", "/events"), "put"),
    ] {
        let reply = call(&server, "anna", asked, "").await;
        assert_eq!(reply.refusal(), (405, "method-not-allowed".into()));
        let allow = reply.head.lines().find(|line| line.starts_with("allow: "));
        let mut allow: Vec<&str> = allow.expect("Allow")[7..].split(',').collect();
        allow.sort_unstable();
        assert_eq!(allow.join(","), allowed, "{asked:?}");
    }
    for path in ["", "/", "/nothing", "/me/nothing", "/token/"] {
        let reply = send(server.http, ("GET", path), &[], "").await;
        assert_eq!(reply.refusal(), (404, "item-not-found".into()), "{path}");
    }
}

#[tokio::test]
async fn what_is_too_long_or_no_json_is_refused_and_the_server_goes_on() {
    let server = Server::start().await;
    let asked = ("POST", "/presence");
    let addresses = vec![format!("\"a@{DOMAIN}\""); 201].join(",");
    for (body, refusal) in [
        (
            format!("{{\"addresses\":[{addresses}]}}"),
            (413, "too-large"),
        ),
        (" ".repeat(65 * 1024), (413, "too-large")),
        ("{".to_owned(), (400, "bad-request")),
        ("[".repeat(10_000), (400, "bad-request")),
        ("{\"addresses\":[]}".to_owned(), (400, "bad-request")),
        ("{\"addresses\":[1]}".to_owned(), (400, "bad-request")),
        (
            "{\"addresses\":[\"a@b\"],\"x\":1}".to_owned(),
            (400, "bad-request"),
        ),
        ("null".to_owned(), (400, "bad-request")),
    ] {
        let reply = call(&server, "anna", asked, &body).await;
        assert_eq!(
            reply.refusal(),
            (refusal.0, refusal.1.into()),
            "{:.40}",
            body
        );
    }
    let reply = call(&server, "anna", asked, "{\"addresses\":[\"a@b\"]}").await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn description_is_served_and_everything_in_it_is_there() {
    let server = Server::start().await;
    let reply = send(server.http, ("GET", "/openapi.json"), &[], "").await;
    assert_eq!(reply.status, 200);
    let described: Value = reply.json();
    for (path, item) in described["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let asked = (&*method.to_uppercase(), path.as_str());
            let reply = send(server.http, asked, &[], "").await;
            let expected = if path == "/openapi.json" { 200 } else { 401 };
            assert_eq!(reply.status, expected, "{method} {path}");
            let told = &item[method]["responses"];
            assert!(
                told.get(reply.status.to_string()).is_some(),
                "{method} {path}"
            );
        }
    }
}
