//! The page behind an invitation (XEP-0401 §5.2): opens an app, or makes an account right here,
//! without a script.
//!
//! Leaves out: a choice of apps by the visitor's system, which would have to be kept up to date.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use klatsch_actors::account_change::AccountError;
use klatsch_actors::derivation::KeysError;
use klatsch_protocol::features::invitation::{Invitation, hash_of};
use klatsch_protocol::features::registration::{PASSWORD_CHARACTERS_MIN, check_password, name};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::Secret;
use klatsch_protocol::stream::register::NewAccount;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::HttpState;
use super::form::{self, secret};
use super::page::{escape, page};
use super::requester::Requester;
use crate::auth::Registrar;
use crate::auth::registrar::Refused;

/// What the form sends.
#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    name: String,
    #[serde(deserialize_with = "secret")]
    password: SecretString,
    #[serde(deserialize_with = "secret")]
    repeated: SecretString,
}

/// Why there is no account yet, for whoever sits in front of the form.
type Complaint = (StatusCode, String);

/// `GET /invite/{token}`
pub(crate) async fn show(
    State(state): State<Arc<HttpState>>,
    Extension(requester): Extension<Requester>,
    Path(token): Path<String>,
) -> Response {
    match find(&state, requester, &token).await {
        Ok((_, invitation)) => form(StatusCode::OK, &invitation, &token, "", None),
        Err(refusal) => refusal,
    }
}

/// `POST /invite/{token}`
pub(crate) async fn submit(
    State(state): State<Arc<HttpState>>,
    Extension(requester): Extension<Requester>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let (registrar, invitation) = match find(&state, requester, &token).await {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    let Some(sent) = form::read::<Sent>(request).await else {
        let (status, text) = (StatusCode::BAD_REQUEST, form::NOT_WHOLE);
        return form(status, &invitation, &token, "", Some(text));
    };
    let typed = sent.name.clone();
    match make(registrar, requester, &invitation, &token, sent).await {
        Ok(account) => welcome(&account, state.web.is_some()),
        Err((StatusCode::GONE, _)) => not_valid(StatusCode::GONE),
        Err((status, text)) => form(status, &invitation, &token, &typed, Some(&text)),
    }
}

async fn make(
    registrar: &Registrar,
    requester: Requester,
    invitation: &Invitation,
    token: &str,
    sent: Sent,
) -> Result<BareJid, Complaint> {
    let unfit = |text: &str| (StatusCode::UNPROCESSABLE_ENTITY, sentence(text));
    let account = account_of(invitation, &sent.name).map_err(unfit)?;
    let password = sent.password.expose_secret();
    check_password(password, account.localpart().unwrap_or_default()).map_err(unfit)?;
    if password != sent.repeated.expose_secret() {
        return Err(unfit("the two passwords differ"));
    }
    let new = NewAccount {
        account: account.clone(),
        password: Secret::new(password),
        token: Some(Secret::new(token)),
    };
    match registrar.register(requester.address, new).await {
        Ok(()) => Ok(account),
        Err(Refused::Account(AccountError::Exists)) => Err(unfit("this name is taken")),
        Err(Refused::Account(AccountError::Used)) => Err((StatusCode::GONE, String::new())),
        Err(Refused::Account(AccountError::Keys(KeysError::Password(why)))) => {
            Err(unfit(&why.to_string()))
        }
        Err(_) => {
            let text = "The account could not be stored just now. Please try again in a moment.";
            Err((StatusCode::SERVICE_UNAVAILABLE, text.to_owned()))
        }
    }
}

fn account_of(invitation: &Invitation, typed: &str) -> Result<BareJid, &'static str> {
    if let Some(reserved) = &invitation.reserved {
        return Ok(reserved.clone());
    }
    let account = BareJid::new(Some(typed.trim()), invitation.domain.as_str());
    let account =
        account.map_err(|_| "please choose a name, the part of your address before the @")?;
    // Row R12.
    name::check(account.localpart().unwrap_or_default())?;
    Ok(account)
}

/// What the protocol says in passing, as a sentence of its own.
fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters
        .next()
        .map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), characters.as_str())
}

/// The invitation, if it is good and nobody on the way can read a password.
async fn find<'a>(
    state: &'a HttpState,
    requester: Requester,
    token: &str,
) -> Result<(&'a Registrar, Invitation), Response> {
    if !requester.secure {
        let body = "<h1>This page needs HTTPS</h1>\n<p>A password must not travel unencrypted. \
                    Open the link with <code>https</code>.</p>";
        return Err(page(StatusCode::FORBIDDEN, "HTTPS needed", body));
    }
    let Some(registrar) = state.registrar.as_deref() else {
        return Err(not_valid(StatusCode::NOT_FOUND));
    };
    match registrar.invitation(hash_of(token)).await {
        Ok(Some(invitation)) => Ok((registrar, invitation)),
        Ok(None) => Err(not_valid(StatusCode::NOT_FOUND)),
        Err(_) => {
            let body = "<h1>Not now</h1>\n<p>The server cannot look your invitation up just now. \
                        Please try again in a moment.</p>";
            Err(page(StatusCode::SERVICE_UNAVAILABLE, "Not now", body))
        }
    }
}

fn not_valid(status: StatusCode) -> Response {
    let body = "<h1>This invitation is not valid</h1>\n<p>It has been used, its time is over, or \
                the link was mistyped. Ask whoever sent it for another one.</p>";
    page(status, "Invitation not valid", body)
}

fn form(
    status: StatusCode,
    invitation: &Invitation,
    token: &str,
    typed: &str,
    complaint: Option<&str>,
) -> Response {
    let domain = escape(invitation.domain.as_str());
    let invited = match &invitation.inviter {
        Some(inviter) => format!(
            "<code>{}</code> has invited you to chat",
            escape(inviter.as_str())
        ),
        None => format!("You are invited to <code>{domain}</code>"),
    };
    let uri = escape(&invitation.uri(&Secret::new(token)));
    let complaint = complaint.map_or(String::new(), |text| {
        let text = escape(text);
        format!("<p class=\"error\" role=\"alert\" id=\"complaint\">{text}</p>\n")
    });
    let name = match &invitation.reserved {
        Some(reserved) => format!("<p><code>{}</code></p>\n", escape(reserved.as_str())),
        None => format!(
            "<label for=\"name\">Address</label>\n\
             <div class=\"address\"><input id=\"name\" name=\"name\" value=\"{}\" required \
             maxlength=\"64\" autocomplete=\"username\" autocapitalize=\"none\" \
             spellcheck=\"false\"> <span>@{domain}</span></div>\n",
            escape(typed)
        ),
    };
    let body = format!(
        "<h1>{invited}</h1>\n\
         <p><a href=\"{uri}\">Open in your chat app</a></p>\n\
         <p>If nothing happens, install one of the <a rel=\"noreferrer\" \
         href=\"https://xmpp.org/software/\">apps for XMPP</a> first, and come back here.</p>\n\
         <h2>Or make your account here</h2>\n\
         <p>The invitation works once.</p>\n{complaint}\
         <form method=\"post\" autocomplete=\"on\">\n{name}\
         <label for=\"password\">Password</label>\n\
         <p class=\"hint\" id=\"password-hint\">At least {PASSWORD_CHARACTERS_MIN} characters.</p>\n\
         <input id=\"password\" name=\"password\" type=\"password\" required \
         minlength=\"{PASSWORD_CHARACTERS_MIN}\" maxlength=\"512\" \
         autocomplete=\"new-password\" aria-describedby=\"password-hint\">\n\
         <label for=\"repeated\">Password again</label>\n\
         <input id=\"repeated\" name=\"repeated\" type=\"password\" required maxlength=\"512\" \
         autocomplete=\"new-password\">\n\
         <button type=\"submit\">Create account</button>\n</form>"
    );
    page(status, "Invitation", &body)
}

fn welcome(account: &BareJid, has_web_client: bool) -> Response {
    let account = escape(account.as_str());
    let here = match has_web_client {
        true => "<a href=\"/\">right here</a>, or ",
        false => "",
    };
    let body = format!(
        "<h1>Welcome</h1>\n<p>The account <code>{account}</code> is ready. Log in with it {here}in \
         any <a rel=\"noreferrer\" href=\"https://xmpp.org/software/\">app for XMPP</a>.</p>"
    );
    page(StatusCode::CREATED, "Welcome", &body)
}
