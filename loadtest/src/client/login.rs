//! From an open socket to a bound session: features, STARTTLS, SASL (RFC 6120
//! §6), binding (§7), and in-band registration (XEP-0077) before it.

use std::sync::Arc;
use std::time::Duration;

use klatsch_protocol::ns;
use klatsch_protocol::xml::Fragment;

use super::scram::{Scram, plain};
use super::{Connection, management};
use crate::error::{LoadError, Result};
use crate::options::{Target, Tls};

/// Client registration (XEP-0077 §3.1).
const REGISTER: &str = "jabber:iq:register";

/// The resource a client asks for.
pub(crate) const RESOURCE: &str = "lt";

/// What a logged-in but unbound stream offers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Offers {
    /// Stream management (XEP-0198).
    pub(crate) management: bool,
    /// RFC 3921's session, and not as an option.
    pub(crate) session: bool,
}

impl Connection {
    /// Connects and logs account `number` in, up to the moment before binding.
    pub(crate) async fn authenticate(
        target: &Arc<Target>,
        number: usize,
    ) -> Result<(Self, Offers)> {
        let target = &target.for_account(number);
        let steps = async {
            let (mut connection, features) = Self::negotiate(target).await?;
            connection.prove_identity(&features, number).await?;
            let features = connection.open_stream().await?;
            Ok((connection, offers(&features)))
        };
        in_time(target.patience(), "login", steps).await
    }

    /// Connects, logs account `number` in and binds a resource.
    pub(crate) async fn login(target: &Arc<Target>, number: usize) -> Result<(Self, Offers)> {
        let (mut connection, offers) = Self::authenticate(target, number).await?;
        connection.bind(RESOURCE, offers).await?;
        Ok((connection, offers))
    }

    /// Connects and opens the stream, encrypted as the target wants it.
    pub(crate) async fn negotiate(target: &Arc<Target>) -> Result<(Self, Fragment)> {
        let mut connection = Self::connect(target).await?;
        let mut features = connection.open_stream().await?;
        if target.tls == Tls::Starttls {
            connection.start_tls().await?;
            features = connection.open_stream().await?;
        }
        Ok((connection, features))
    }

    /// Binds a resource (RFC 6120 §7.6.1), with the session old servers want.
    pub(crate) async fn bind(&mut self, resource: &str, offers: Offers) -> Result<()> {
        let bind = format!(
            "<iq type='set' id='bind'><bind xmlns='{}'><resource>{resource}</resource></bind></iq>",
            ns::BIND
        );
        let patience = self.target().patience();
        let answer = in_time(patience, "bind", self.request("bind", &bind)).await?;
        let bound = answer.payloads().element("bind", ns::BIND);
        let jid = bound.as_ref().and_then(|bind| bind.find("jid", ns::BIND));
        self.jid = jid
            .ok_or_else(|| LoadError::protocol("bound without an address"))?
            .text_content();
        if offers.session {
            let session = format!(
                "<iq type='set' id='session'><session xmlns='{}'/></iq>",
                ns::SESSION
            );
            in_time(patience, "session", self.request("session", &session)).await?;
        }
        Ok(())
    }

    /// Creates account `number` by in-band registration; one that exists is fine.
    pub(crate) async fn register(target: &Arc<Target>, number: usize) -> Result<()> {
        let target = &target.for_account(number);
        let steps = async {
            let (mut connection, _features) = Self::negotiate(target).await?;
            let form = format!(
                "<iq type='set' id='register'><query xmlns='{REGISTER}'><username>{}</username>\
                 <password>{}</password></query></iq>",
                target.localpart(number),
                target.password
            );
            let answer = connection.request("register", &form).await;
            connection.close().await;
            match answer {
                Err(LoadError::Refused(why)) if why.contains("conflict") => Ok(()),
                answer => answer.map(drop),
            }
        };
        in_time(target.patience(), "registration", steps).await
    }

    /// SASL with the mechanism the target names.
    pub(crate) async fn prove_identity(
        &mut self,
        features: &Fragment,
        number: usize,
    ) -> Result<()> {
        let target = Arc::clone(self.target());
        let mechanism = target.mechanism.as_str();
        if !has_mechanism(features, mechanism) {
            return Err(LoadError::Refused(format!(
                "the server does not offer {mechanism}"
            )));
        }
        let user = target.localpart(number);
        if mechanism == "PLAIN" {
            self.send(&auth(mechanism, &plain(&user, &target.password)))
                .await?;
            return self.sasl_answer("success").await.map(drop);
        }
        let mut scram = Scram::new(mechanism, &user, &target.password)?;
        self.send(&auth(mechanism, &scram.first())).await?;
        let challenge = self.sasl_answer("challenge").await?;
        let response = scram.respond(&challenge)?;
        self.send(&format!(
            "<response xmlns='{}'>{response}</response>",
            ns::SASL
        ))
        .await?;
        let last = self.sasl_answer("success").await?;
        scram.verify(&last)
    }

    /// The text of the SASL element that is due; anything else is a refusal.
    async fn sasl_answer(&mut self, due: &str) -> Result<String> {
        let answer = self.element().await?;
        if answer.name() == due {
            return Ok(answer.to_element().text_content());
        }
        let why = answer
            .payloads()
            .iter()
            .next()
            .map(|child| child.name().to_owned())
            .unwrap_or_default();
        Err(LoadError::Refused(format!(
            "SASL: <{}/> {why}",
            answer.name()
        )))
    }
}

/// Bounds a step in time.
pub(crate) async fn in_time<T>(
    patience: Duration,
    what: &'static str,
    step: impl Future<Output = Result<T>>,
) -> Result<T> {
    tokio::time::timeout(patience, step)
        .await
        .unwrap_or(Err(LoadError::Timeout(what)))
}

fn auth(mechanism: &str, message: &str) -> String {
    format!(
        "<auth xmlns='{}' mechanism='{mechanism}'>{message}</auth>",
        ns::SASL
    )
}

fn has_mechanism(features: &Fragment, mechanism: &str) -> bool {
    features
        .payloads()
        .element("mechanisms", ns::SASL)
        .is_some_and(|offered| {
            offered
                .children()
                .any(|child| child.text_content() == mechanism)
        })
}

fn offers(features: &Fragment) -> Offers {
    let payloads = features.payloads();
    let session = payloads.element("session", ns::SESSION);
    Offers {
        management: payloads.has("sm", management::NS),
        // RFC 6121 appendix E: a server of today marks it `<optional/>`.
        session: session.is_some_and(|session| session.find("optional", ns::SESSION).is_none()),
    }
}
