//! `/`, `/chat/` and the files below: the web client, and what it has to know (`/config.json`).
//!
//! The client's own addresses are `/c/…`, answered with its page, and `/chat/…`, the view that
//! other pages may show in a frame of theirs. Whoever has no script finds `/about`, and the forms
//! of `/signup` and `/invite`. Files were packed when the client was built: nothing is compressed
//! here, and what no file was packed for goes as it is.
//!
//! Leaves out ranges: the client has no film.

mod config;
mod kind;
mod packing;
mod policy;
mod settings;

use std::path::Path;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HOST, HeaderName, IF_NONE_MATCH, LOCATION, VARY, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use klatsch_web_assets::{Assets, File, FolderError, INDEX};
use serde::Serialize;

pub use settings::{
    PushFeature, Theme, UploadFeature, WebFeatures, WebSettings, is_accent, is_origin,
};

use super::HttpState;
use super::headers::Framed;
use super::host_meta::is_host;
use super::landing;
use super::page::not_found;
use super::requester::Requester;
use packing::Packing;
use policy::{Policies, View};

/// The page of the embedded view.
const EMBEDDED: &str = "chat/index.html";

/// The script with the element `<klatsch-chat>`, which pages of other origins load.
const ELEMENT: &str = "klatsch-chat.js";

/// Where the operator's logo is.
const LOGO: &str = "/logo";

/// A picture in a corner of the window.
const LOGO_BYTES_MAX: u64 = 256 * 1024;

/// Files whose names change with what is in them.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

/// Files whose names stay: asked for each time, and mostly answered with 304.
const ASK: HeaderValue = HeaderValue::from_static("no-cache");

/// What integrators' pages load: an hour, so that each of their pages does not ask again.
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The web client as it is served.
pub struct WebClient {
    assets: Assets,
    policies: Policies,
    logo: Option<(&'static str, File)>,
    /// What `/config.json` says whoever asks.
    config: config::Config,
}

/// Why there is no web client.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// Its folder is none.
    #[error("web.folder: {0}")]
    Folder(#[from] FolderError),
    /// The logo is none.
    #[error("web.logo: {0}")]
    Logo(String),
}

impl WebClient {
    /// Reads what the settings name.
    ///
    /// # Errors
    /// The folder or the logo cannot be read, or is none.
    pub fn new(settings: WebSettings, domains: &[String]) -> Result<Self, WebError> {
        let assets = match &settings.folder {
            Some(folder) => Assets::of_folder(folder)?,
            None => Assets::default(),
        };
        let logo = settings.logo.as_deref().map(read_logo).transpose()?;
        Ok(Self {
            assets,
            policies: Policies::new(&settings.upload_origins, &settings.embed_origins),
            config: config::Config::new(&settings, domains, logo.is_some()),
            logo,
        })
    }
}

fn read_logo(path: &Path) -> Result<(&'static str, File), WebError> {
    let complain = |text: String| WebError::Logo(format!("{}: {text}", path.display()));
    let name = path.file_name().and_then(|name| name.to_str());
    let kind = kind::of(name.unwrap_or_default());
    if !kind.starts_with("image/") {
        return Err(complain("is no svg, png, webp, jpg or gif".to_owned()));
    }
    let size = std::fs::metadata(path).map_err(|error| complain(error.to_string()))?;
    if size.len() > LOGO_BYTES_MAX {
        return Err(complain(format!(
            "has more than {LOGO_BYTES_MAX} bytes, and everybody loads it"
        )));
    }
    let bytes = std::fs::read(path).map_err(|error| complain(error.to_string()))?;
    Ok((kind, File::of(bytes.into())))
}

/// `/`
pub(crate) async fn start(State(state): State<Arc<HttpState>>, request: Request) -> Response {
    match &state.web {
        Some(web) => match web.page(INDEX, View::Whole, request.headers()) {
            Some(page) => page,
            None => not_found().await,
        },
        None => landing::show(State(Arc::clone(&state))).await,
    }
}

/// `/chat`: the view's files are named from the one place.
pub(crate) async fn to_embedded() -> Response {
    // Row H11: always there, whoever asks with whatever.
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, "/chat/")]).into_response()
}

/// `/config.json`
pub(crate) async fn config(
    State(state): State<Arc<HttpState>>,
    Extension(requester): Extension<Requester>,
    headers: HeaderMap,
) -> Response {
    let Some(web) = &state.web else {
        return not_found().await;
    };
    match web.config.told(requester, &headers) {
        Some(told) => json(&told),
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn json(told: &impl Serialize) -> Response {
    let text = serde_json::to_string(told).expect("strings, numbers and lists of them");
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

/// Every other path: a file, an address of the client's own, or nothing.
pub(crate) async fn file(State(state): State<Arc<HttpState>>, request: Request) -> Response {
    let found = match &state.web {
        Some(web) if is_read(request.method()) => web.find(request.uri().path(), request.headers()),
        _ => None,
    };
    match found {
        Some(response) => response,
        None => not_found().await,
    }
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

impl WebClient {
    fn find(&self, path: &str, headers: &HeaderMap) -> Option<Response> {
        let name = path.strip_prefix('/')?;
        if path == LOGO {
            return self.logo(headers);
        }
        // What is packed comes by the name of what it was packed from.
        if Packing::is_packed(name) {
            return None;
        }
        match name {
            INDEX => self.page(INDEX, View::Whole, headers),
            EMBEDDED | "chat/" => self.page(EMBEDDED, View::Embedded, headers),
            _ => self.plain(name, headers).or_else(|| {
                // Deep links: the client reads the rest of the address itself.
                let below = |folder: &str| name.starts_with(folder) && !is_file_like(name);
                match (below("c/"), below("chat/")) {
                    (true, _) => self.page(INDEX, View::Whole, headers),
                    (_, true) => self.page(EMBEDDED, View::Embedded, headers),
                    _ => None,
                }
            }),
        }
    }

    /// One of the two pages.
    fn page(&self, name: &str, view: View, headers: &HeaderMap) -> Option<Response> {
        let mut response = self.answer(name, headers)?;
        self.armour(&mut response, view, headers);
        response.headers_mut().insert(CACHE_CONTROL, ASK);
        Some(response)
    }

    /// Any file that is no page.
    fn plain(&self, name: &str, headers: &HeaderMap) -> Option<Response> {
        let mut response = self.answer(name, headers)?;
        let is_code = matches!(kind::of(name), kind::SCRIPT | kind::PAGE);
        if is_code {
            // A worker's policy is the one that comes with its script.
            self.armour(&mut response, View::Whole, headers);
        }
        let cached = match name {
            ELEMENT => AN_HOUR,
            _ if is_hashed(name) => FOREVER,
            _ => ASK,
        };
        response.headers_mut().insert(CACHE_CONTROL, cached);
        let shared_with = match name {
            ELEMENT => "cross-origin",
            _ => "same-origin",
        };
        if name == ELEMENT {
            // A module is asked for with CORS. Nothing secret is in it, and nobody is known by
            // cookies here.
            let anybody = HeaderValue::from_static("*");
            response
                .headers_mut()
                .insert(ACCESS_CONTROL_ALLOW_ORIGIN, anybody);
        }
        response.headers_mut().insert(
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static(shared_with),
        );
        Some(response)
    }

    /// A file as the asker can take it, or that they have it already.
    fn answer(&self, name: &str, headers: &HeaderMap) -> Option<Response> {
        let accepted = packing::accepted(headers);
        let packed = accepted.into_iter().find_map(|packing| {
            let file = self.assets.get(&format!("{name}{}", packing.ending()))?;
            Some((file, Some(packing)))
        });
        let (file, packing) = match packed {
            Some(packed) => packed,
            None => (self.assets.get(name)?, None),
        };
        let mut response = given(&file, kind::of(name), headers);
        // Told even of what was not packed: caches between us and the browser need to know.
        let vary = HeaderValue::from_static("accept-encoding");
        response.headers_mut().insert(VARY, vary);
        if let Some(packing) = packing {
            let packing = HeaderValue::from_static(packing.name());
            response.headers_mut().insert(CONTENT_ENCODING, packing);
        }
        Some(response)
    }

    fn armour(&self, response: &mut Response, view: View, headers: &HeaderMap) {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.filter(|host| is_host(host));
        let policy = self.policies.of(view, host);
        // Origins were checked, and so was the host: nothing in it is unfit for a header.
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            response
                .headers_mut()
                .insert(CONTENT_SECURITY_POLICY, policy);
        }
        response.headers_mut().insert(
            HeaderName::from_static("permissions-policy"),
            HeaderValue::from_static(policy::PERMISSIONS),
        );
        if view == View::Embedded {
            match self.policies.is_shown_elsewhere() {
                // This header knows no list of origins; browsers that know frame-ancestors
                // look at that alone.
                true => {
                    response.extensions_mut().insert(Framed);
                }
                false => {
                    let own = HeaderValue::from_static("SAMEORIGIN");
                    response.headers_mut().insert(X_FRAME_OPTIONS, own);
                }
            }
        }
    }

    fn logo(&self, headers: &HeaderMap) -> Option<Response> {
        let (kind, file) = self.logo.as_ref()?;
        let mut response = given(file, kind, headers);
        response.headers_mut().insert(CACHE_CONTROL, AN_HOUR);
        Some(response)
    }
}

/// The whole file, or 304 for who has it (RFC 9110 §13.1.2).
fn given(file: &File, kind: &'static str, headers: &HeaderMap) -> Response {
    let hash = file.hash.iter().take(16);
    let tag = format!(
        "\"{}\"",
        hash.map(|byte| format!("{byte:02x}")).collect::<String>()
    );
    let mut response = match has(&tag, headers) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => {
            let bytes: Bytes = file.bytes.clone();
            ([(CONTENT_TYPE, kind)], Body::from(bytes)).into_response()
        }
    };
    let tag = HeaderValue::from_str(&tag).expect("a tag is of hexadecimal digits");
    response.headers_mut().insert(ETAG, tag);
    response
}

fn has(tag: &str, headers: &HeaderMap) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).iter();
    let mut known = known
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(str::trim);
    known.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

/// Tells whether a file's name has a hash of what is in it, as Vite writes `assets/name-HASH.js`.
/// Below `assets/` there is nothing else that ends like this.
fn is_hashed(name: &str) -> bool {
    let Some((stem, _)) = name
        .strip_prefix("assets/")
        .and_then(|file| file.split_once('.'))
    else {
        return false;
    };
    // Eight characters, of which any may be a hyphen.
    const HASH: usize = 8;
    let Some(dash) = stem.len().checked_sub(HASH + 1) else {
        return false;
    };
    let is_of_hash = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_".contains(byte);
    stem.as_bytes()[dash] == b'-' && stem.as_bytes()[dash + 1..].iter().all(is_of_hash)
}

/// Tells whether somebody asks for a script, a picture and the like, and not for a view: a page in
/// the place of a script that is gone would be run as one. An address of a chat has an at sign,
/// and may end in anything.
fn is_file_like(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    !last.contains(['@', '%']) && kind::of(last) != kind::UNKNOWN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        for name in [
            "assets/index-BX2k1a9Z.js",
            "assets/calls-a-b_c-d-.css",
            "assets/inter-Dx4kXJAl.woff2",
        ] {
            assert!(is_hashed(name), "{name}");
        }
        for name in [
            "index.html",
            "sw.js",
            "assets/logo.svg",
            "assets/index.js",
            "icons/index-BX2k1a9Z.js",
            "assets/ndex-BX2k1a9",
        ] {
            assert!(!is_hashed(name), "{name}");
        }
    }

    #[test]
    fn view_is_told_from_a_file_that_is_gone() {
        for view in ["c/anna@example.js", "c/settings", "c/a%40b.png", "chat/x"] {
            assert!(!is_file_like(view), "{view}");
        }
        for file in ["c/old-BX2k1a9Z.js", "chat/style.css", "c/x/y.svg"] {
            assert!(is_file_like(file), "{file}");
        }
    }

    #[test]
    fn whoever_has_the_file_is_told_so() {
        let with = |line: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_static(line));
            has("\"ab\"", &headers)
        };
        assert!(with("\"ab\"") && with("\"x\", W/\"ab\"") && with("*"));
        assert!(!with("\"abc\"") && !with("ab"));
    }
}
