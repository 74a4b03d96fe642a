//! Who a connection is for: an account by its password or by a token.
//!
//! The client's parameters are `token`, or `jid` and `password`, and `resource`; a token may
//! come in the header that the client keeps for it instead (`authToken`).

use std::time::Instant;

use axum::extract::Query;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};
use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, Uri};
use klatsch_actors::session::Peer;
use klatsch_protocol::channels::Grant;
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::{Login, Secret};

use super::ChannelsGateway;
use crate::auth::{ApiVerdict, Verdict};
use crate::http::Requester;

/// What the client's parameters are.
pub(super) struct Params(Vec<(String, String)>);

/// An account that has proved who it is.
pub(super) struct LoggedIn {
    pub(super) account: BareJid,
    pub(super) resource: Option<String>,
    pub(super) peer: Peer,
    /// What it may do on this connection.
    pub(super) grant: Grant,
}

/// Why somebody is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Nobody knows them.
    Forbidden,
    /// Nobody can tell now.
    Unavailable,
}

/// How somebody wants to prove who they are.
enum Proof {
    Token(Secret),
    Password(Login, Secret),
}

impl Params {
    /// The parameters of a request; none when they cannot be read.
    pub(super) fn of(uri: &Uri) -> Self {
        let query = Query::<Vec<(String, String)>>::try_from_uri(uri);
        Self(query.map(|Query(params)| params).unwrap_or_default())
    }

    /// The first of this name, which the application has set.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The last, which the client itself has added.
    pub(super) fn last(&self, name: &str) -> Option<&str> {
        self.all(name).next_back()
    }

    fn all(&self, name: &str) -> impl DoubleEndedIterator<Item = &str> {
        let named = self.0.iter().filter(move |(known, _)| known == name);
        named.map(|(_, value)| value.as_str())
    }
}

impl ChannelsGateway {
    /// Lets somebody in who proves who they are.
    pub(super) async fn log_in(
        &self,
        params: &Params,
        header: Option<Secret>,
        requester: Requester,
    ) -> Result<LoggedIn, Refused> {
        // Row A14: what is proved from here on is worth nothing if the password changes.
        let proved = Instant::now();
        let authenticator = &self.authenticator;
        let address = requester.address;
        let (account, verdict, grant) =
            match self.proof(params, header).ok_or(Refused::Forbidden)? {
                Proof::Token(token) => {
                    let (account, verdict) = authenticator.check_api_token(address, &token).await;
                    match verdict {
                        ApiVerdict::Right(grant) => (account.clone(), right(account), grant),
                        ApiVerdict::Wrong => (account, Verdict::Wrong, Grant::Account),
                        ApiVerdict::Unavailable => (account, Verdict::Unavailable, Grant::Account),
                    }
                }
                Proof::Password(login, password) => {
                    let verdict = authenticator.check_password(address, &login, password);
                    (login.address(), verdict.await, Grant::Account)
                }
            };
        match (verdict, account) {
            (Verdict::Right(account), _) => {
                authenticator.succeeded(&account);
                Ok(LoggedIn {
                    account,
                    resource: params.get("resource").map(str::to_owned),
                    peer: Peer {
                        address,
                        is_secure: requester.secure,
                        proved,
                    },
                    grant,
                })
            }
            (Verdict::Unavailable, _) => Err(Refused::Unavailable),
            (_, account) => {
                authenticator.failed(address, account.as_ref());
                Err(Refused::Forbidden)
            }
        }
    }

    fn proof(&self, params: &Params, header: Option<Secret>) -> Option<Proof> {
        if let Some(token) = header {
            return Some(Proof::Token(token));
        }
        if let (Some(jid), Some(password)) = (params.get("jid"), params.get("password")) {
            return Some(Proof::Password(
                Login::among(&self.domains, jid)?,
                Secret::new(password),
            ));
        }
        let token = params.get("token").filter(|token| !token.is_empty());
        Some(Proof::Token(Secret::new(token?)))
    }
}

/// A token that is right names its account.
fn right(account: Option<BareJid>) -> Verdict {
    account.map_or(Verdict::Wrong, Verdict::Right)
}

/// What the token stands behind in the list of subprotocols.
const BEARER: &str = "base64url.bearer.phx.";

/// The token in the header of a handshake. In spite of its name the client writes it in the
/// standard alphabet and without padding; both alphabets are read.
pub(super) fn token_in(headers: &HeaderMap) -> Option<Secret> {
    let lines = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut items = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    items.find_map(|item| decode(item.trim().strip_prefix(BEARER)?))
}

/// The same in the header that a client sends who polls.
pub(super) fn polled_token_in(headers: &HeaderMap) -> Option<Secret> {
    let token = headers.get("x-phoenix-authtoken")?.to_str().ok()?;
    (!token.is_empty()).then(|| Secret::new(token))
}

fn decode(text: &str) -> Option<Secret> {
    let either = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let standard = GeneralPurpose::new(&alphabet::STANDARD, either);
    let url = general_purpose::GeneralPurpose::new(&alphabet::URL_SAFE, either);
    let bytes = standard.decode(text).or_else(|_| url.decode(text)).ok()?;
    let token = String::from_utf8(bytes).ok()?;
    (!token.is_empty()).then(|| Secret::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(protocols: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocols.parse().unwrap());
        token_in(&headers).map(|token| token.expose().to_owned())
    }

    #[test]
    fn token_in_the_list_of_subprotocols_is_read_in_both_alphabets() {
        // btoa("a?>b~~") is "YT8+Yn5+".
        let text = "a?>b~~";
        for written in ["YT8+Yn5+", "YT8-Yn5-"] {
            let list = format!("phoenix, base64url.bearer.phx.{written}");
            assert_eq!(token(&list).as_deref(), Some(text), "{list}");
        }
        assert_eq!(
            token("phoenix,base64url.bearer.phx.YQ").as_deref(),
            Some("a")
        );
        for none in [
            "phoenix",
            "base64url.bearer.phx.",
            "base64url.bearer.phx.***",
            "bearer.YQ",
        ] {
            assert_eq!(token(none), None, "{none}");
        }
    }
}
