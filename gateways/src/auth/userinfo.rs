//! The `token` backend: bearer tokens of an OpenID provider, such as Kolab 4's, which is asked
//! whose they are (OpenID Connect Core §5.3), or whose keys say so (`jwt.rs`).
//!
//! The account is that of the mail address, unless the provider says that nobody has verified
//! it. It is asked each time: a token that was taken back is worth nothing at once, where one
//! that is only verified is good until it ends. Passwords are not its affair.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use klatsch_protocol::sasl::Secret;
use klatsch_protocol::stream::Verdict;
use serde::Deserialize;

use super::jwt::issuer::Issuer;
use super::outward::{Said, Service};
use super::{Answer, Attempt, BearerVerdict, Source, jwt};
use crate::ldap::account_of;

/// Tokens with their claims in them have some kilobytes.
const TOKEN_BYTES_MAX: usize = jwt::TOKEN_BYTES_MAX;

/// The `token` backend: one of both, or both.
pub struct Provider {
    /// Verifies tokens by its keys.
    pub issuer: Option<Issuer>,
    /// Says whose the others are.
    pub userinfo: Option<UserInfo>,
}

/// A provider that is asked.
pub struct UserInfo {
    service: Service,
}

/// What the provider says of somebody.
#[derive(Deserialize)]
struct Claims {
    email: Option<String>,
    email_verified: Option<bool>,
}

impl UserInfo {
    /// A backend over a provider's userinfo.
    pub fn new(service: Service) -> Self {
        Self { service }
    }

    async fn ask(&self, token: Secret) -> BearerVerdict {
        let Some(headers) = headers(token.expose()) else {
            return BearerVerdict::Unknown;
        };
        match self.service.ask(Method::GET, headers).await {
            Ok(said) => judge(&said),
            Err(error) => {
                tracing::warn!(error = %error, "the provider cannot say whose a token is");
                BearerVerdict::Unavailable
            }
        }
    }
}

/// RFC 6750 §2.1: what a token is made of. Another text would be another header.
fn headers(token: &str) -> Option<HeaderMap> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    let is_fit = (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(is_token);
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .ok()
        .filter(|_| is_fit)?;
    value.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value);
    Some(headers)
}

fn judge(said: &Said) -> BearerVerdict {
    match said.status {
        StatusCode::OK => {}
        StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return BearerVerdict::Unknown;
        }
        status => {
            let status = status.as_u16();
            tracing::warn!(status, "the provider says neither yes nor no");
            return BearerVerdict::Unavailable;
        }
    }
    let Ok(claims) = serde_json::from_slice::<Claims>(&said.body) else {
        tracing::warn!("the provider does not say who somebody is");
        return BearerVerdict::Unavailable;
    };
    // Where anybody may write any address into their profile, it is nobody's.
    let email = claims
        .email
        .filter(|_| claims.email_verified != Some(false));
    email
        .and_then(|email| account_of(&email))
        .map_or(BearerVerdict::Unknown, BearerVerdict::Of)
}

impl Provider {
    /// Whoever verifies a token is not overruled by asking somebody else.
    async fn check_token(&self, token: Secret) -> BearerVerdict {
        match (&self.issuer, &self.userinfo) {
            (Some(issuer), _) if jwt::looks_like_one(token.expose()) => {
                issuer.check(token.expose()).await
            }
            (_, Some(userinfo)) => userinfo.ask(token).await,
            (_, None) => BearerVerdict::Unknown,
        }
    }
}

impl Source for Provider {
    fn name(&self) -> &'static str {
        "token"
    }

    fn check<'a>(&'a self, _attempt: &'a Attempt) -> Answer<'a, Verdict> {
        Box::pin(async { Verdict::Wrong })
    }

    fn check_bearer<'a>(&'a self, token: Secret) -> Answer<'a, BearerVerdict> {
        Box::pin(self.check_token(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::jwt::Expected;
    use crate::auth::testkit::WebService;
    use klatsch_protocol::jid::BareJid;
    use std::time::Duration;

    async fn ask(status: &str, body: &str, token: &str) -> (BearerVerdict, Vec<String>) {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
        let web = WebService::start(answer.leak()).await;
        let url = format!("http://{}/oauth/userinfo", web.address);
        let service = Service::new(&url, &[], Duration::from_secs(2)).unwrap();
        let provider = Provider {
            issuer: None,
            userinfo: Some(UserInfo::new(service)),
        };
        let verdict = provider.check_bearer(Secret::new(token)).await;
        (verdict, web.heard())
    }

    #[tokio::test]
    async fn token_that_is_verified_here_is_shown_to_nobody_and_another_is() {
        let body = r#"{"email":"john.doe@example.org"}"#;
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        let web = WebService::start(answer.leak()).await;
        let url = format!("http://{}/oauth/userinfo", web.address);
        let service = Service::new(&url, &[], Duration::from_secs(2)).unwrap();
        let expected = Expected {
            issuer: format!("http://{}", web.address),
            audience: vec!["klatsch".to_owned()],
        };
        let provider = Provider {
            issuer: Issuer::new(expected, &[], Duration::from_secs(2)).ok(),
            userinfo: Some(UserInfo::new(service)),
        };
        let forged = "eyJhbGciOiJub25lIn0.e30.";
        let verdict = provider.check_bearer(Secret::new(forged)).await;
        assert_eq!((verdict, web.heard().len()), (BearerVerdict::Unknown, 0));
        let john = BareJid::parse("john.doe@example.org").unwrap();
        let verdict = provider.check_bearer(Secret::new("opaque")).await;
        assert_eq!((verdict, web.heard().len()), (BearerVerdict::Of(john), 1));
    }

    #[tokio::test]
    async fn owner_of_the_address_is_who_the_provider_says() {
        let body = r#"{"sub":"7","email":"John.Doe@example.org","email_verified":true}"#;
        let (verdict, heard) = ask("200 OK", body, "eyJ.a-b_c").await;
        let john = BareJid::parse("john.doe@example.org").unwrap();
        assert_eq!(verdict, BearerVerdict::Of(john.clone()));
        assert!(heard[0].starts_with("GET /oauth/userinfo HTTP/1.1\r\n"));
        assert!(heard[0].contains("Bearer eyJ.a-b_c\r\n"));
        let unsaid = r#"{"email":"john.doe@example.org"}"#;
        assert_eq!(ask("200 OK", unsaid, "t").await.0, BearerVerdict::Of(john));
    }

    #[tokio::test]
    async fn address_that_nobody_has_verified_is_nobodys() {
        for body in [
            r#"{"email":"john.doe@example.org","email_verified":false}"#,
            r#"{"sub":"7"}"#,
            r#"{"email":"somebody"}"#,
        ] {
            assert_eq!(
                ask("200 OK", body, "t").await.0,
                BearerVerdict::Unknown,
                "{body}"
            );
        }
    }

    #[tokio::test]
    async fn status_that_is_no_answer_is_temporary() {
        for (status, expected) in [
            ("401 Unauthorized", BearerVerdict::Unknown),
            ("403 Forbidden", BearerVerdict::Unknown),
            ("302 Found", BearerVerdict::Unavailable),
            ("500 Internal Server Error", BearerVerdict::Unavailable),
        ] {
            assert_eq!(ask(status, "", "t").await.0, expected, "{status}");
        }
        assert_eq!(
            ask("200 OK", "<html>", "t").await.0,
            BearerVerdict::Unavailable
        );
    }

    #[tokio::test]
    async fn what_is_no_token_is_not_sent() {
        for token in [
            "",
            "a b",
            "a\r\nX-Y: z",
            "ä",
            &"a".repeat(TOKEN_BYTES_MAX + 1),
        ] {
            let (verdict, heard) = ask("200 OK", "{}", token).await;
            assert_eq!((verdict, heard.len()), (BearerVerdict::Unknown, 0));
        }
    }
}
