//! The HTTP API for integrators, `/api/v1`: plain requests with JSON, for what a page beside a
//! chat needs without speaking XMPP.
//!
//! `api/openapi.json` describes it; a test compares that with the table of routes below. There
//! are no cookies and no CORS, and what changes something has a content type that no form of
//! another page can have: nobody's browser can be made to ask in somebody else's name (rows H10,
//! H12). Passwords and tokens are taken where nobody listens.
//!
//! Left out: HTTP/2, pages of results, and everything that a session of XMPP is for.

mod answer;
mod body;
mod caller;
mod chats;
mod contexts;
mod events;
mod me;
mod presence;
mod room;
mod token;
pub mod wopi;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use klatsch_actors::people::People;
use klatsch_actors::rooms::Rooms;
use klatsch_protocol::jid::BareJid;

use self::answer::Refusal;
use self::caller::Paces;
use self::wopi::DocumentHosts;
use crate::auth::Authenticator;

/// What all paths begin with.
pub const PREFIX: &str = "/api/v1";

/// What the API is, for programs and people: OpenAPI 3.1.
pub const DESCRIPTION: &str = include_str!("api/openapi.json");

/// The API and what it needs.
pub struct ApiGateway {
    /// Who may see whom.
    people: People,
    /// Where people meet.
    rooms: Rooms,
    /// Who may log in.
    authenticator: Arc<Authenticator>,
    /// The domains served; the first is that of names without one.
    domains: Vec<BareJid>,
    /// What addresses of rooms are made with, the same on all nodes and for as long as the rooms
    /// are to be found.
    room_key: [u8; 32],
    paces: Paces,
    documents: DocumentHosts,
}

impl ApiGateway {
    /// The API of a node.
    pub fn new(
        people: People,
        rooms: Rooms,
        authenticator: Arc<Authenticator>,
        domains: Vec<BareJid>,
        room_key: [u8; 32],
    ) -> Self {
        Self {
            people,
            rooms,
            authenticator,
            domains,
            room_key,
            paces: Paces::default(),
            documents: DocumentHosts::default(),
        }
    }

    /// With rooms for the documents of these hosts.
    #[must_use]
    pub fn with_documents(self, documents: DocumentHosts) -> Self {
        Self { documents, ..self }
    }
}

/// A path, and what may be asked of it.
type Route = (
    &'static str,
    &'static [Method],
    fn() -> MethodRouter<Arc<ApiGateway>>,
);

const GET: &[Method] = &[Method::GET];
const POST: &[Method] = &[Method::POST];
const PUT: &[Method] = &[Method::PUT];

/// Every path there is.
const ROUTES: &[Route] = &[
    ("/token", POST, || on(MethodFilter::POST, token::give)),
    ("/session", POST, || on(MethodFilter::POST, token::begin)),
    ("/presence", &[Method::GET, Method::POST], || {
        let get = on(MethodFilter::GET, presence::look);
        get.on(MethodFilter::POST, presence::ask)
    }),
    ("/me", GET, || on(MethodFilter::GET, me::show)),
    ("/me/presence", PUT, || on(MethodFilter::PUT, me::wish)),
    ("/chats", POST, || on(MethodFilter::POST, chats::begin)),
    ("/contexts/resolve", POST, || {
        on(MethodFilter::POST, contexts::resolve)
    }),
    ("/events", PUT, || on(MethodFilter::PUT, events::put)),
    ("/openapi.json", GET, || on(MethodFilter::GET, describe)),
];

/// The routes to merge into the HTTP server's.
pub fn router(gateway: Arc<ApiGateway>) -> Router {
    let mut router = Router::new();
    for (path, _, handlers) in ROUTES {
        router = router.route(&format!("{PREFIX}{path}"), handlers());
    }
    let nowhere = || async { Refusal::NotFound.into_response() };
    router
        .route(PREFIX, axum::routing::any(nowhere))
        .route(&format!("{PREFIX}/"), axum::routing::any(nowhere))
        .route(&format!("{PREFIX}/{{*path}}"), axum::routing::any(nowhere))
        .layer(map_response(in_json))
        .with_state(gateway)
}

/// What axum itself refuses is told in JSON as well.
async fn in_json(response: Response) -> Response {
    if response.status() != http::StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let allowed = response.headers().get(header::ALLOW).cloned();
    let mut refused = Refusal::Method.into_response();
    if let Some(allowed) = allowed {
        refused.headers_mut().insert(header::ALLOW, allowed);
    }
    refused
}

async fn describe() -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, DESCRIPTION).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn described() -> Value {
        serde_json::from_str(DESCRIPTION).expect("JSON")
    }

    #[test]
    fn description_has_the_paths_and_methods_that_are_served() {
        let described = described();
        assert_eq!(described["openapi"], "3.1.0");
        assert_eq!(described["servers"][0]["url"], PREFIX);
        let paths = described["paths"].as_object().unwrap();
        let told: BTreeSet<(String, String)> = paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys();
                methods.map(move |method| (path.clone(), method.to_uppercase()))
            })
            .collect();
        let served: BTreeSet<(String, String)> = ROUTES
            .iter()
            .flat_map(|(path, methods, _)| {
                let methods = methods.iter();
                methods.map(move |method| ((*path).to_owned(), method.to_string()))
            })
            .collect();
        assert_eq!(told, served);
    }

    #[test]
    fn description_refers_to_what_it_has() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(fields) => {
                    for (name, value) in fields {
                        if name == "$ref" {
                            found.push(value.as_str().unwrap().to_owned());
                        }
                        references(value, found);
                    }
                }
                Value::Array(items) => items.iter().for_each(|item| references(item, found)),
                _ => {}
            }
        }
        let described = described();
        let mut found = Vec::new();
        references(&described, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a place in the file");
            assert!(described.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn description_names_every_error_with_its_status() {
        let described = described();
        let names = &described["components"]["schemas"]["Error"]["properties"]["error"]["enum"];
        let told: BTreeSet<&str> = names
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap())
            .collect();
        let ours: BTreeSet<&str> = Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
        assert_eq!(told, ours);
        let statuses: BTreeSet<String> = Refusal::ALL
            .iter()
            .map(|refusal| refusal.status().as_u16().to_string())
            .collect();
        for item in described["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                for status in operation["responses"].as_object().unwrap().keys() {
                    let is_known = status == "200" || statuses.contains(status);
                    assert!(is_known, "{status} is never answered");
                }
            }
        }
    }
}
