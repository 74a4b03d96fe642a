//! What a browser gets that opens the web client. The client here is a folder of a few files, so
//! that the scenes do not change with the real one.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use klatsch_gateways::http::WebSettings;
use klatsch_gateways::http::web::{Theme, UploadFeature, WebFeatures};
use tempfile::TempDir;

use crate::http::{ask, get, post, status};
use crate::server::{DOMAIN, Server, Setup};

const MAIL: &str = "https://mail.klatsch.test";
const FILES: &str = "https://files.klatsch.test";
const SCRIPT: &str = "assets/index-BX2k1a9Z.js";

/// What stands in a file of the client.
const PAGE: &str = "<!doctype html><title>the client</title>";
const VIEW: &str = "<!doctype html><title>the view</title>";

fn client() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| write(folder.path(), name, text);
    write("index.html", PAGE);
    write("chat/index.html", VIEW);
    write(SCRIPT, "the script as it is");
    write(&format!("{SCRIPT}.br"), "the script by brotli");
    write(&format!("{SCRIPT}.gz"), "the script by gzip");
    write("assets/look-Dx4kXJAl.css", "the look");
    write("sw.js", "the worker");
    write("klatsch-chat.js", "the element");
    write("icon.svg", "<svg xmlns='http://www.w3.org/2000/svg'/>");
    write(".hidden", "nobody's business");
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

async fn serving(settings: WebSettings) -> (Server, TempDir) {
    let folder = client();
    let server = Server::start_with(Setup {
        web: Some(WebSettings {
            folder: Some(folder.path().to_owned()),
            ..settings
        }),
        ..Setup::default()
    });
    (server.await, folder)
}

async fn asked(address: SocketAddr, path: &str, headers: &str) -> String {
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n{headers}\r\n");
    ask(address, &request).await
}

/// A header of an answer, empty where there is none.
fn header<'a>(answer: &'a str, name: &str) -> &'a str {
    let head = answer.split("\r\n\r\n").next().unwrap();
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
    lines
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map_or("", |(_, value)| value)
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").unwrap().1
}

#[tokio::test]
async fn start_page_and_deep_links_are_the_client() {
    let (server, _folder) = serving(WebSettings::default()).await;
    for path in [
        "/",
        "/index.html",
        "/?x=y",
        "/c/anna@klatsch.test",
        "/c/settings/look",
    ] {
        let answer = get(server.http, path).await;
        assert!(status(&answer) == "200" && body(&answer) == PAGE, "{path}");
        assert_eq!(header(&answer, "content-type"), "text/html; charset=utf-8");
        assert_eq!(header(&answer, "cache-control"), "no-cache", "{path}");
    }
    for path in [
        "/chat/",
        "/chat/index.html",
        "/chat/room@conference.klatsch.test",
    ] {
        let answer = get(server.http, path).await;
        assert!(status(&answer) == "200" && body(&answer) == VIEW, "{path}");
    }
    // A page in the place of a script that is gone would be taken for one.
    for path in [
        "/assets/index-00000000.js",
        "/c/old.js",
        "/chat/gone.css",
        "/nowhere",
    ] {
        assert_eq!(status(&get(server.http, path).await), "404", "{path}");
    }
    assert_eq!(status(&post(server.http, "/", "a=b").await), "405");
    assert_eq!(status(&post(server.http, "/c/x", "a=b").await), "404");
}

#[tokio::test]
async fn whoever_has_no_script_finds_another_way() {
    let (server, _folder) = serving(WebSettings::default()).await;
    let about = get(server.http, "/about").await;
    assert!(
        status(&about) == "200" && about.contains("/xmpp-websocket"),
        "{about}"
    );
    let without = Server::start_with(Setup {
        web: None,
        ..Setup::default()
    });
    let without = without.await;
    assert!(get(without.http, "/").await.contains("any XMPP client"));
    for path in ["/config.json", "/chat/", "/sw.js"] {
        assert_eq!(status(&get(without.http, path).await), "404", "{path}");
    }
}

#[tokio::test]
async fn files_are_kept_as_long_as_they_stay_what_they_are() {
    let (server, _folder) = serving(WebSettings::default()).await;
    let script = get(server.http, &format!("/{SCRIPT}")).await;
    assert_eq!(
        header(&script, "cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert_eq!(
        header(&script, "content-type"),
        "text/javascript; charset=utf-8"
    );
    assert_eq!(
        header(&script, "cross-origin-resource-policy"),
        "same-origin"
    );
    for (path, kind) in [
        ("/sw.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let answer = get(server.http, path).await;
        assert_eq!(header(&answer, "cache-control"), "no-cache", "{path}");
        assert_eq!(header(&answer, "content-type"), kind);
    }
    let tag = header(&script, "etag");
    assert!(tag.len() == 34 && tag.starts_with('"'), "{tag}");
    let known = format!("If-None-Match: {tag}\r\n");
    let again = asked(server.http, &format!("/{SCRIPT}"), &known).await;
    assert!(
        status(&again) == "304" && body(&again).is_empty(),
        "{again}"
    );
    assert_eq!(header(&again, "etag"), tag);
    assert!(header(&again, "cache-control").contains("immutable"));
    // What is another file has another tag.
    let other = asked(server.http, "/", &known).await;
    assert!(status(&other) == "200" && body(&other) == PAGE);
}

#[tokio::test]
async fn packed_files_go_to_whoever_takes_them() {
    let (server, _folder) = serving(WebSettings::default()).await;
    let path = format!("/{SCRIPT}");
    for (takes, coding, text) in [
        ("gzip, deflate, br, zstd", "br", "the script by brotli"),
        ("gzip", "gzip", "the script by gzip"),
        ("br;q=0, identity", "", "the script as it is"),
    ] {
        let answer = asked(server.http, &path, &format!("Accept-Encoding: {takes}\r\n")).await;
        assert_eq!(
            (header(&answer, "content-encoding"), body(&answer)),
            (coding, text)
        );
        assert_eq!(header(&answer, "vary"), "accept-encoding");
        assert_eq!(
            header(&answer, "content-type"),
            "text/javascript; charset=utf-8"
        );
    }
    // Tags differ, or a cache would give the one for the other.
    let tag = |answer: String| header(&answer, "etag").to_owned();
    let packed = asked(server.http, &path, "Accept-Encoding: br\r\n").await;
    assert_ne!(tag(packed), tag(get(server.http, &path).await));
    // What was not packed goes as it is, and packed forms have no addresses of their own.
    let page = asked(server.http, "/", "Accept-Encoding: br, gzip\r\n").await;
    assert!(header(&page, "content-encoding").is_empty() && body(&page) == PAGE);
    let by_name = get(server.http, &format!("{path}.br")).await;
    assert_eq!(status(&by_name), "404");
}

#[tokio::test]
async fn head_tells_all_but_the_file() {
    let (server, _folder) = serving(WebSettings::default()).await;
    for path in ["/", "/chat/", "/sw.js", "/config.json"] {
        let whole = get(server.http, path).await;
        let request =
            format!("HEAD {path} HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: close\r\n\r\n");
        let head = ask(server.http, &request).await;
        assert!(
            status(&head) == "200" && body(&head).is_empty(),
            "{path}: {head}"
        );
        assert_eq!(
            header(&head, "content-length"),
            body(&whole).len().to_string(),
            "{path}"
        );
        assert_eq!(header(&head, "etag"), header(&whole, "etag"));
    }
}

#[tokio::test]
async fn h01_no_path_leads_out_of_the_client() {
    let (server, folder) = serving(WebSettings::default()).await;
    let outside = folder.path().parent().unwrap().join("outside.html");
    for path in [
        "/../outside.html".to_owned(),
        "/assets/../../outside.html".to_owned(),
        "/assets/%2e%2e/%2e%2e/outside.html".to_owned(),
        "/..%2foutside.html".to_owned(),
        "/..%5coutside.html".to_owned(),
        "//etc/passwd".to_owned(),
        "/etc/passwd".to_owned(),
        "/.hidden".to_owned(),
        "/index.html%00.js".to_owned(),
        outside.display().to_string(),
        "/../src/lib.rs".to_owned(),
    ] {
        assert_eq!(status(&get(server.http, &path).await), "404", "{path}");
    }
}

#[tokio::test]
async fn h11_the_one_redirect_leads_where_it_always_does() {
    let (server, _folder) = serving(WebSettings::default()).await;
    for path in [
        "/chat",
        "/chat?to=https://evil.example",
        "/chat?//evil.example/..",
    ] {
        for host in [DOMAIN, "evil.example"] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let answer = ask(server.http, &request).await;
            assert_eq!(
                (status(&answer), header(&answer, "location")),
                ("308", "/chat/")
            );
        }
    }
    for path in [
        "//evil.example/chat",
        "/chat//evil.example",
        "/c//evil.example",
    ] {
        let answer = get(server.http, path).await;
        assert!(header(&answer, "location").is_empty(), "{path}: {answer}");
    }
}

fn settled() -> WebSettings {
    WebSettings {
        embed_origins: vec![MAIL.to_owned()],
        upload_origins: vec![FILES.to_owned()],
        ..WebSettings::default()
    }
}

#[tokio::test]
async fn h09_what_people_write_runs_in_no_page_of_the_client() {
    let (server, _folder) = serving(settled()).await;
    for path in ["/", "/c/x", "/chat/", "/sw.js"] {
        let answer = get(server.http, path).await;
        let policy = header(&answer, "content-security-policy");
        for part in [
            "default-src 'none'; ",
            "script-src 'self'; ",
            "style-src 'self'; ",
            "base-uri 'none'; ",
            "worker-src 'self'; ",
            "img-src 'self' blob: data: https://files.klatsch.test; ",
            "connect-src 'self' wss://klatsch.test https://files.klatsch.test; ",
        ] {
            assert!(policy.contains(part), "{path} lacks {part}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        // The parser of XML and the worker, and nothing that makes HTML.
        let trusted =
            "require-trusted-types-for 'script'; trusted-types klatsch-xml klatsch-worker";
        assert!(policy.ends_with(trusted), "{path}: {policy}");
    }
    // A picture with a script in it is looked at under the strictest policy.
    let picture = get(server.http, "/icon.svg").await;
    assert!(!header(&picture, "content-security-policy").contains("script-src"));
}

#[tokio::test]
async fn h12_pages_are_framed_by_those_who_may_alone() {
    let (server, _folder) = serving(settled()).await;
    let whole = get(server.http, "/").await;
    assert_eq!(header(&whole, "x-frame-options"), "DENY");
    assert!(header(&whole, "content-security-policy").contains("frame-ancestors 'none'; "));
    let view = get(server.http, "/chat/").await;
    let may = "frame-ancestors 'self' https://mail.klatsch.test; ";
    assert!(header(&view, "content-security-policy").contains(may));
    assert!(header(&view, "x-frame-options").is_empty());
    // Nobody else's scripts read what is here, but for the element that is made for them.
    for path in ["/", "/chat/", "/config.json", "/sw.js", "/icon.svg"] {
        let answer = asked(server.http, path, &format!("Origin: {MAIL}\r\n")).await;
        assert!(
            header(&answer, "access-control-allow-origin").is_empty(),
            "{path}"
        );
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(header(&answer, name), value, "{path}");
        }
        assert!(header(&answer, "access-control-allow-credentials").is_empty());
    }
    for page in [&whole, &view] {
        let permissions = header(page, "permissions-policy");
        assert!(permissions.starts_with("camera=(self), microphone=(self), "));
    }
    let element = get(server.http, "/klatsch-chat.js").await;
    assert_eq!(header(&element, "access-control-allow-origin"), "*");
    assert_eq!(
        header(&element, "cross-origin-resource-policy"),
        "cross-origin"
    );
    let (alone, _folder) = serving(WebSettings::default()).await;
    let view = get(alone.http, "/chat/").await;
    assert_eq!(header(&view, "x-frame-options"), "SAMEORIGIN");
    assert!(header(&view, "content-security-policy").contains("frame-ancestors 'self'; "));
}

#[tokio::test]
async fn client_is_told_what_it_has_to_know() {
    let logo = tempfile::tempdir().unwrap();
    let file = logo.path().join("logo.svg");
    fs::write(&file, "<svg/>").unwrap();
    let (server, _folder) = serving(WebSettings {
        theme: Theme {
            name: "Tratsch".to_owned(),
            accent: Some("#8a3b12".to_owned()),
        },
        logo: Some(file),
        features: WebFeatures {
            invitations: true,
            upload: Some(UploadFeature {
                file_bytes_max: 1_000_000,
            }),
            ..WebFeatures::default()
        },
        ..settled()
    })
    .await;
    let answer = get(server.http, "/config.json").await;
    assert_eq!(header(&answer, "content-type"), "application/json");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    let told: serde_json::Value = serde_json::from_str(body(&answer)).unwrap();
    assert_eq!(told["domains"], serde_json::json!([DOMAIN]));
    assert_eq!(told["websocket"], "wss://klatsch.test/xmpp-websocket");
    assert_eq!(told["bosh"], "https://klatsch.test/http-bind");
    let theme = serde_json::json!({ "name": "Tratsch", "accent": "#8a3b12", "logo": "/logo" });
    assert_eq!(told["theme"], theme);
    assert_eq!(told["embed_origins"], serde_json::json!([MAIL]));
    assert_eq!(told["features"]["registration"], false);
    assert_eq!(told["features"]["invitations"], true);
    assert_eq!(told["features"]["upload"]["file_bytes_max"], 1_000_000);
    let logo = get(server.http, "/logo").await;
    assert!(body(&logo) == "<svg/>" && header(&logo, "content-type") == "image/svg+xml");
    let nowhere = "GET /config.json HTTP/1.1\r\nHost: a'b/c\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&ask(server.http, nowhere).await), "400");
}

#[tokio::test]
async fn the_program_has_a_client_of_its_own() {
    let server = Server::start().await;
    let page = get(server.http, "/").await;
    assert!(
        status(&page) == "200" && page.contains("<!doctype html>"),
        "{page}"
    );
}
