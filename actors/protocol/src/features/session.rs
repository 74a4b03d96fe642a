//! Session establishment: RFC 3921 §3, which RFC 6121 has dropped.
//!
//! COMPAT: clients from before RFC 6121 wait for this answer before they go on. A session
//! exists since its resource was bound, so there is nothing to do but to say yes.

use super::{Feature, Scope, Spec, set};
use crate::effect::Effect;
use crate::facts::Facts;
use crate::ns;
use crate::stanza::{Iq, Stanza};

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "session",
    title: "Session establishment",
    spec: Spec::Rfc {
        number: 3921,
        section: "3",
    },
    iq: &[
        set(Scope::Own, ns::SESSION, "session", establish),
        set(Scope::Server, ns::SESSION, "session", establish),
    ],
    ..Feature::NONE
};

fn establish(iq: &Iq, _facts: &Facts<'_>) -> Vec<Effect> {
    vec![Effect::Reply(Stanza::Iq(iq.result(None)))]
}

#[cfg(test)]
mod tests {
    use crate::testkit::*;

    const ESTABLISH: &str =
        "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";

    #[test]
    fn a_session_is_established_by_asking() {
        check(
            facts(),
            ESTABLISH,
            &[reply(
                "<iq type='result' id='s' to='romeo@example.org/balcony'/>",
            )],
        );
    }

    #[test]
    fn the_server_may_be_asked_too() {
        let ask = ESTABLISH.replace("<iq ", "<iq to='example.org' ");
        let yes = "<iq type='result' id='s' from='example.org' to='romeo@example.org/balcony'/>";
        check(facts(), &ask, &[reply(yes)]);
    }
}
