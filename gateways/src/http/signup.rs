//! The form behind the sign-up link: makes the first administrator, without a script.
//!
//! Leaves out: invitations for others (`invite.rs`).

mod link;

use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use klatsch_protocol::features::registration::PASSWORD_CHARACTERS_MIN;
use secrecy::SecretString;
use serde::Deserialize;

pub use link::{Create, CreateError, NewAdministrator, SignupLink};

use super::HttpState;
use super::form::{self, secret};
use super::page::{escape, page};
use super::requester::Requester;

/// What the form sends.
#[derive(Deserialize)]
struct Sent {
    name: String,
    domain: String,
    #[serde(deserialize_with = "secret")]
    password: SecretString,
    #[serde(deserialize_with = "secret")]
    repeated: SecretString,
}

/// `GET /signup/{token}`
pub(crate) async fn show(
    State(state): State<Arc<HttpState>>,
    Extension(requester): Extension<Requester>,
    Path(token): Path<String>,
) -> Response {
    match usable_link(&state, requester, &token) {
        Ok(_) => form(StatusCode::OK, &state, "", None),
        Err(refusal) => refusal,
    }
}

/// `POST /signup/{token}`
pub(crate) async fn submit(
    State(state): State<Arc<HttpState>>,
    Extension(requester): Extension<Requester>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let link = match usable_link(&state, requester, &token) {
        Ok(link) => link,
        Err(refusal) => return refusal,
    };
    let Some(sent) = form::read::<Sent>(request).await else {
        return form(StatusCode::BAD_REQUEST, &state, "", Some(form::NOT_WHOLE));
    };
    let name = sent.name.clone();
    let complain = |text: &str| form(StatusCode::UNPROCESSABLE_ENTITY, &state, &name, Some(text));
    let account = match checked(sent, &state.domains) {
        Ok(account) => account,
        Err(complaint) => return complain(complaint),
    };
    let address = format!("{}@{}", account.localpart, account.domain);
    match link.redeem(&token, account).await {
        Ok(()) => welcome(&address),
        Err(CreateError::NotThisName(why)) => complain(&why),
        Err(CreateError::Used) => used(),
        Err(CreateError::Unavailable) => {
            let text = "The account could not be stored just now. Please try again in a moment.";
            form(StatusCode::SERVICE_UNAVAILABLE, &state, &name, Some(text))
        }
    }
}

/// The link, if the token opens it and nobody on the way can read a password.
#[expect(
    clippy::result_large_err,
    reason = "the refusal is the answer, once a request"
)]
fn usable_link<'a>(
    state: &'a HttpState,
    requester: Requester,
    token: &str,
) -> Result<&'a SignupLink, Response> {
    if !requester.secure {
        let body = "<h1>This page needs HTTPS</h1>\n<p>A password must not travel unencrypted. \
                    Open the link with <code>https</code> or on the server itself.</p>";
        return Err(page(StatusCode::FORBIDDEN, "HTTPS needed", body));
    }
    let Some(link) = state.signup.as_deref().filter(|link| link.opens(token)) else {
        let body = "<h1>This link is not valid</h1>\n<p>It may have been mistyped, or the \
                    server has printed a newer one since.</p>";
        return Err(page(StatusCode::NOT_FOUND, "Link not valid", body));
    };
    if link.is_used() {
        Err(used())
    } else {
        Ok(link)
    }
}

fn checked(form: Sent, domains: &[String]) -> Result<NewAdministrator, &'static str> {
    use secrecy::ExposeSecret;
    let localpart = form.name.trim();
    if localpart.is_empty() || localpart.contains('@') {
        return Err("Please choose a name, the part of your address before the @.");
    }
    if !domains.contains(&form.domain) {
        return Err("Please choose one of the domains of this server.");
    }
    let password = form.password.expose_secret();
    if password.chars().count() < PASSWORD_CHARACTERS_MIN {
        return Err("Please choose a password of at least 8 characters.");
    }
    if password != form.repeated.expose_secret() {
        return Err("The two passwords differ. Please type them again.");
    }
    let localpart = localpart.to_owned();
    Ok(NewAdministrator {
        localpart,
        domain: form.domain,
        password: form.password,
    })
}

fn form(status: StatusCode, state: &HttpState, name: &str, complaint: Option<&str>) -> Response {
    let complaint = complaint.map_or(String::new(), |text| {
        format!(
            "<p class=\"error\" role=\"alert\" id=\"complaint\">{}</p>\n",
            escape(text)
        )
    });
    let name = escape(name);
    let domains = domain_choice(&state.domains);
    let body = format!(
        "<h1>Create the administrator</h1>\n\
         <p>This account can manage the server. The link works once.</p>\n{complaint}\
         <form method=\"post\" autocomplete=\"on\">\n\
         <label for=\"name\">Address</label>\n\
         <div class=\"address\"><input id=\"name\" name=\"name\" value=\"{name}\" required \
         autofocus maxlength=\"256\" autocomplete=\"username\" autocapitalize=\"none\" \
         spellcheck=\"false\"> {domains}</div>\n\
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
    page(status, "Create the administrator", &body)
}

/// One domain is a text, several are a choice.
fn domain_choice(domains: &[String]) -> String {
    if let [only] = domains {
        let only = escape(only);
        return format!(
            "<span>@{only}</span><input type=\"hidden\" name=\"domain\" value=\"{only}\">"
        );
    }
    let mut choice = String::from("<select name=\"domain\" aria-label=\"Domain\">");
    for domain in domains {
        let domain = escape(domain);
        write!(choice, "<option value=\"{domain}\">@{domain}</option>")
            .expect("a String takes everything");
    }
    choice.push_str("</select>");
    choice
}

fn welcome(address: &str) -> Response {
    let address = escape(address);
    let body = format!(
        "<h1>Welcome</h1>\n<p>The account <code>{address}</code> is ready. Log in with it in \
         any XMPP client.</p>\n<p><a href=\"/\">Go to the start page</a></p>"
    );
    page(StatusCode::CREATED, "Welcome", &body)
}

fn used() -> Response {
    let body = "<h1>This link has been used</h1>\n<p>The administrator exists already. More \
                accounts are made with <code>klatsch user add</code>.</p>";
    page(StatusCode::GONE, "Link used", body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(name: &str, domain: &str, password: &str, repeated: &str) -> Sent {
        Sent {
            name: name.into(),
            domain: domain.into(),
            password: password.into(),
            repeated: repeated.into(),
        }
    }

    #[test]
    fn only_sound_forms_make_accounts() {
        let domains = ["example.org".to_owned()];
        let good = checked(
            sent(" anna ", "example.org", "long enough", "long enough"),
            &domains,
        );
        assert_eq!(good.unwrap().localpart, "anna");
        for bad in [
            sent("", "example.org", "long enough", "long enough"),
            sent("a@b", "example.org", "long enough", "long enough"),
            sent("anna", "evil.example", "long enough", "long enough"),
            sent("anna", "example.org", "short", "short"),
            sent("anna", "example.org", "long enough", "long  enough"),
        ] {
            assert!(checked(bad, &domains).is_err());
        }
    }

    #[test]
    fn several_domains_are_a_choice() {
        let domains = ["a.example".to_owned(), "b.example".to_owned()];
        assert!(domain_choice(&domains).contains("<select"));
        assert!(domain_choice(&domains[..1]).contains("hidden"));
    }
}
