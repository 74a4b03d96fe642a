//! Invitations as operators make them: in the name of the server, as many as they like.

use crate::admin::{Answer, Request};
use klatsch_actors::world::{now, random};
use klatsch_protocol::features::invitation::{self, Invitation, Invite};
use klatsch_protocol::jid::BareJid;
use klatsch_store::{Store, StoreError};

/// Makes invitations to the domains served.
pub struct Invitations {
    store: Store,
    domains: Vec<BareJid>,
    settings: invitation::Settings,
}

/// Why something is not done, for the person who asked.
type Refusal = String;

impl Invitations {
    /// Invitations to these domains, kept in this store.
    pub fn new(store: Store, domains: Vec<BareJid>, settings: invitation::Settings) -> Self {
        Self {
            store,
            domains,
            settings,
        }
    }

    /// Carries out what concerns invitations; anything else is given back.
    pub async fn handle(&self, request: Request) -> Result<Answer, Request> {
        let outcome = match request {
            Request::Invite { domain, name } => self.invite(domain, name).await,
            other => return Err(other),
        };
        Ok(outcome.unwrap_or_else(Answer::Refused))
    }

    async fn invite(
        &self,
        domain: Option<String>,
        name: Option<String>,
    ) -> Result<Answer, Refusal> {
        if !self.settings.is_enabled {
            return Err(
                "nobody is invited: registration.invitations is false, or accounts are elsewhere"
                    .to_owned(),
            );
        }
        let domain = self.domain(domain)?;
        let reserve = |name: String| {
            BareJid::new(Some(&name), domain.as_str())
                .map_err(|error| format!("\"{name}\": {error}"))
        };
        let reserved = name.map(reserve).transpose()?;
        let created = now();
        let invite = Invite {
            token: invitation::token(random),
            invitation: Invitation {
                domain: domain.clone(),
                inviter: None,
                reserved,
                is_contact: false,
                created,
                expiry: created.plus(self.settings.lifetime),
            },
            max: u32::MAX,
        };
        match self.store.add_invitation(&invite).await {
            Ok(_) => {}
            Err(StoreError::Conflict) => return Err("this name is taken".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        let Invite {
            token, invitation, ..
        } = &invite;
        let page = invitation::page_url(&self.settings, &domain, token);
        Ok(Answer::Invited {
            link: page.unwrap_or_else(|| invitation.uri(token)),
            until: invitation.expiry.to_xep0082(),
        })
    }

    fn domain(&self, text: Option<String>) -> Result<BareJid, Refusal> {
        let Some(text) = text else {
            let first = self.domains.first().cloned();
            return first.ok_or_else(|| "no domain is served".to_owned());
        };
        let domain = BareJid::parse(&text).map_err(|error| format!("\"{text}\": {error}"))?;
        match self.domains.contains(&domain) {
            true => Ok(domain),
            false => Err(format!("{domain} is not served here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn invitations() -> Invitations {
        let store = Store::open("memory:").await.unwrap();
        let settings = invitation::Settings {
            url: Some("https://{domain}/invite".to_owned()),
            ..invitation::Settings::default()
        };
        let domains = ["a.example", "b.example"].map(|it| BareJid::parse(it).unwrap());
        Invitations::new(store, domains.to_vec(), settings)
    }

    async fn invite(from: &Invitations, domain: Option<&str>, name: Option<&str>) -> Answer {
        let (domain, name) = (domain.map(str::to_owned), name.map(str::to_owned));
        let answer = from.handle(Request::Invite { domain, name }).await;
        answer.unwrap()
    }

    #[tokio::test]
    async fn link_opens_what_is_kept() {
        let invitations = invitations().await;
        let Answer::Invited { link, .. } = invite(&invitations, Some("b.example"), None).await
        else {
            panic!("no link")
        };
        let token = link.strip_prefix("https://b.example/invite/").unwrap();
        let hash = invitation::hash_of(token);
        let found = invitations.store.invitation(hash, now()).await.unwrap();
        assert_eq!(found.unwrap().domain.as_str(), "b.example");
    }

    #[tokio::test]
    async fn bad_wishes_are_refused() {
        let invitations = invitations().await;
        for (domain, name) in [
            (Some("c.example"), None),
            (Some("@"), None),
            (None, Some("a b")),
        ] {
            let answer = invite(&invitations, domain, name).await;
            assert!(matches!(answer, Answer::Refused(_)), "{domain:?} {name:?}");
        }
        let first = invite(&invitations, None, Some("anna")).await;
        assert!(matches!(first, Answer::Invited { .. }));
        let second = invite(&invitations, None, Some("anna")).await;
        assert_eq!(second, Answer::Refused("this name is taken".to_owned()));
    }
}
