//! Invitations: XEP-0401 version 0.6.0, <https://xmpp.org/extensions/xep-0401.html>, with
//! XEP-0379 version 0.3.3 for who has an account already.
//!
//! A token is good once, for an account here or for a contact; the store has its hash alone.
//! Whoever comes with one before the login is dealt with in `stream/register.rs` (XEP-0445).
//! Leaves out: tokens that clients make for themselves, which are theirs to check.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::adhoc::{Command, Request, Who};
use super::{Feature, Spec, data_forms, refuse};
use crate::effect::{Answer, Effect, Query};
use crate::facts::Facts;
use crate::jid::BareJid;
use crate::sasl::Secret;
use crate::stanza::{Presence, Stanza, StanzaError};
use crate::time::Timestamp;
use crate::xml::Element;

/// The purpose of the result.
const NS_RESULT: &str = "urn:xmpp:invite#invitation";
/// The command that anybody may use.
pub const NODE_INVITE: &str = "urn:xmpp:invite#invite";
/// The command that administrators may use.
pub const NODE_CREATE: &str = "urn:xmpp:invite#create-account";
/// Namespace of tokens (XEP-0379).
pub const NS_PREAUTH: &str = "urn:xmpp:pars:0";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "invitation",
    title: "Ad-hoc Account Invitation Generation",
    spec: Spec::Xep {
        number: 401,
        version: "0.6.0",
    },
    ..Feature::NONE
};

/// Registration with a token.
pub const REGISTRATION: Feature = Feature {
    name: "invitation",
    title: "Pre-Authenticated In-Band Registration",
    spec: Spec::Xep {
        number: 445,
        version: "0.2.0",
    },
    ..Feature::NONE
};

/// Contacts by a token.
pub const CONTACTS: Feature = Feature {
    name: "invitation",
    title: "Pre-Authenticated Roster Subscription",
    spec: Spec::Xep {
        number: 379,
        version: "0.3.3",
    },
    ..Feature::NONE
};

/// What an operator may tune.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// There are invitations.
    pub is_enabled: bool,
    /// Invitations of one account that wait at once; 0: only operators invite.
    pub per_account_max: u32,
    /// For so long a token is good.
    pub lifetime: Duration,
    /// Where its page is, `{domain}` standing for the domain; none: nowhere.
    pub url: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            is_enabled: true,
            // As many as a person hands out in a week.
            per_account_max: 20,
            // XEP-0379 §5.2: e.g. one week.
            lifetime: Duration::from_secs(7 * 24 * 3600),
            url: None,
        }
    }
}

impl Settings {
    /// Whether users invite others.
    #[must_use]
    pub const fn are_of_users(&self) -> bool {
        self.is_enabled && self.per_account_max > 0
    }
}

/// SHA-256 of a token: what the store has of it.
pub type TokenHash = [u8; 32];

/// The hash of what may be a token.
#[must_use]
pub fn hash_of(token: &str) -> TokenHash {
    Sha256::digest(token).into()
}

/// A token of 256 random bits.
#[must_use]
pub fn token(random: impl Fn() -> u128) -> Secret {
    // Alphanumeric, as XEP-0401 §5.1 wants it.
    Secret::new(format!("{:032x}{:032x}", random(), random()))
}

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// The domain of the account that may be made.
    pub domain: BareJid,
    /// Who invites; `None`: an operator.
    pub inviter: Option<BareJid>,
    /// The address that is kept for who is invited, if that was said.
    pub reserved: Option<BareJid>,
    /// Inviter and invitee become contacts.
    pub is_contact: bool,
    /// When it was made.
    pub created: Timestamp,
    /// Until when it is good.
    pub expiry: Timestamp,
}

impl Invitation {
    /// Whether this account may be made with it.
    #[must_use]
    pub fn is_for(&self, account: &BareJid) -> bool {
        self.domain.as_str() == account.domain()
            && self.reserved.as_ref().is_none_or(|it| it == account)
    }

    /// What a client opens (XEP-0401 §5.1, §5.4).
    #[must_use]
    pub fn uri(&self, token: &Secret) -> String {
        let token = token.expose();
        match (&self.inviter, &self.reserved) {
            (Some(inviter), None) if self.is_contact => {
                let inviter = uri_address(inviter);
                format!("xmpp:{inviter}?roster;preauth={token};ibr=y")
            }
            (_, Some(reserved)) => {
                format!("xmpp:{}?register;preauth={token}", uri_address(reserved))
            }
            _ => format!(
                "xmpp:{}?register;preauth={token}",
                uri_address(&self.domain)
            ),
        }
    }
}

/// An address in a URI: what is not unreserved there is escaped (RFC 5122 §2.7, RFC 3986 §2.3).
fn uri_address(jid: &BareJid) -> String {
    let mut out = String::new();
    for byte in jid.as_str().bytes() {
        match byte {
            b'@' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Where an invitation's page is.
#[must_use]
pub fn page_url(settings: &Settings, domain: &BareJid, token: &Secret) -> Option<String> {
    let url = settings.url.as_ref()?;
    let url = url.replace("{domain}", domain.as_str());
    Some(format!("{}/{}", url.trim_end_matches('/'), token.expose()))
}

/// An invitation that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Its token.
    pub token: Secret,
    /// What it is good for.
    pub invitation: Invitation,
    /// So many may wait of the same inviter, this one included.
    pub max: u32,
}

impl Invite {
    /// The hash of its token.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        hash_of(self.token.expose())
    }
}

/// The commands (§3).
pub(super) const COMMANDS: &[Command] = &[
    Command {
        node: NODE_INVITE,
        name: "Invite user",
        who: Who::Users,
        // §5.1: at once, without a question.
        form: None,
        execute: invite_contact,
    },
    Command {
        node: NODE_CREATE,
        name: "Create account",
        who: Who::Users,
        form: Some(create_form),
        execute: create_account,
    },
];

fn invite_contact(_: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    invite(None, true, facts)
}

/// §5.4.
fn create_account(request: &Request<'_>, facts: &Facts<'_>) -> Result<Vec<Effect>, StanzaError> {
    let first = |name| request.values(name).first().map(String::as_str);
    let name = first("username").filter(|name| !name.is_empty());
    let reserved = name.map(|name| reserve(name, facts)).transpose()?;
    let is_contact = matches!(first("roster-subscription"), Some("1" | "true"));
    invite(reserved, is_contact, facts)
}

fn invite(
    reserved: Option<BareJid>,
    is_contact: bool,
    facts: &Facts<'_>,
) -> Result<Vec<Effect>, StanzaError> {
    let settings = &facts.host.registration.invitations;
    if !settings.are_of_users() {
        return Err(StanzaError::forbidden().with_text("ask an administrator for an invitation"));
    }
    let account = facts.account;
    let invitation = Invitation {
        domain: BareJid::parse(account.domain()).map_err(|_| StanzaError::jid_malformed())?,
        inviter: Some(account.clone()),
        reserved,
        is_contact,
        created: facts.now,
        expiry: facts.now.plus(settings.lifetime),
    };
    let invite = Invite {
        token: token(facts.random),
        invitation,
        max: settings.per_account_max,
    };
    Ok(vec![Effect::Load(Query::Invite(Box::new(invite)), made)])
}

fn reserve(name: &str, facts: &Facts<'_>) -> Result<BareJid, StanzaError> {
    let account = BareJid::new(Some(name), facts.account.domain());
    let account = account.map_err(|_| StanzaError::jid_malformed())?;
    let localpart = account.localpart().unwrap_or_default();
    super::registration::name::check(localpart)
        .map_err(|why| StanzaError::not_acceptable().with_text(why))?;
    Ok(account)
}

/// §5.4.
fn create_form(_: &Facts<'_>) -> Element {
    let form = Element::new("x", data_forms::NS).attr("type", "form");
    form.child(data_forms::field("username", "text-single").attr("label", "Username"))
        .child(
            data_forms::field("roster-subscription", "boolean")
                .attr("label", "Roster subscription"),
        )
}

/// The store has it, or the account has too many.
fn made(stanza: &Stanza, answer: Answer, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(request) = Request::again(stanza, facts) else {
        return Vec::new();
    };
    let iq = request.iq();
    match answer {
        Answer::Invite(Some(invite)) => vec![request.completed(Some(result(&invite, facts)))],
        Answer::Invite(None) => refuse(
            iq,
            StanzaError::resource_constraint().with_text("too many of your invitations wait"),
        ),
        Answer::Failed(error) => refuse(iq, error),
        _ => refuse(iq, StanzaError::internal_server_error()),
    }
}

/// §5.1: what the inviter passes on.
fn result(invite: &Invite, facts: &Facts<'_>) -> Element {
    let field = |name, kind, value: String| {
        data_forms::field(name, kind).child(Element::new("value", data_forms::NS).text(value))
    };
    let Invite {
        token, invitation, ..
    } = invite;
    let url = page_url(
        &facts.host.registration.invitations,
        &invitation.domain,
        token,
    );
    Element::new("x", data_forms::NS)
        .attr("type", "result")
        .child(field("FORM_TYPE", "hidden", NS_RESULT.to_owned()))
        .child(field("uri", "text-single", invitation.uri(token)))
        .children_from(url.map(|url| field("landing-url", "text-single", url)))
        .child(field(
            "expire",
            "text-single",
            invitation.expiry.to_xep0082(),
        ))
}

/// The token with which somebody asks to be a contact (XEP-0379 §3.4).
pub(crate) fn token_in(presence: &Presence) -> Option<String> {
    let preauth = presence.payloads.element("preauth", NS_PREAUTH)?;
    preauth.get("token").map(str::to_owned)
}

#[cfg(test)]
mod tests;
