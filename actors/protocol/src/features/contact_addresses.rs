//! Contact Addresses for XMPP Services: XEP-0157 version 1.1.1,
//! <https://xmpp.org/extensions/xep-0157.html>
//!
//! Whom to turn to, as a form beside the server's features, and therefore part of what its
//! capabilities are computed from.

use super::{Feature, Spec, data_forms};
use crate::xml::Element;

/// What the form is for.
pub const FORM_TYPE: &str = "http://jabber.org/network/serverinfo";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "contact_addresses",
    title: "Contact Addresses for XMPP Services",
    spec: Spec::Xep {
        number: 157,
        version: "1.1.1",
    },
    ..Feature::NONE
};

/// Addresses by what they are for; each a URI, as in `mailto:abuse@example.org`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Against abuse.
    pub abuse: Vec<String>,
    /// Of the administrators.
    pub admin: Vec<String>,
    /// For opinions.
    pub feedback: Vec<String>,
    /// For buyers.
    pub sales: Vec<String>,
    /// For those who have found a hole.
    pub security: Vec<String>,
    /// Where one sees whether everything works.
    pub status: Vec<String>,
    /// For those who need help.
    pub support: Vec<String>,
}

/// The form; `None` when there is nobody to turn to.
pub(super) fn form(settings: &Settings) -> Option<Element> {
    let fields = [
        ("abuse-addresses", &settings.abuse),
        ("admin-addresses", &settings.admin),
        ("feedback-addresses", &settings.feedback),
        ("sales-addresses", &settings.sales),
        ("security-addresses", &settings.security),
        ("status-addresses", &settings.status),
        ("support-addresses", &settings.support),
    ];
    let fields = fields.into_iter().filter(|(_, values)| !values.is_empty());
    let mut fields = fields.map(|(name, values)| field(name, values)).peekable();
    fields.peek()?;
    let form = data_forms::form(FORM_TYPE).attr("type", "result");
    Some(form.children_from(fields))
}

fn field(name: &str, values: &[String]) -> Element {
    let value = |text: &String| Element::new("value", data_forms::NS).text(text.as_str());
    Element::new("field", data_forms::NS)
        .attr("var", name)
        .children_from(values.iter().map(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::Effect;
    use crate::features::{caps, disco};
    use crate::testkit::{Given, facts};

    fn given() -> Given {
        let mut given = facts();
        given.host.contacts = Settings {
            abuse: vec![
                "mailto:abuse@example.org".into(),
                "xmpp:abuse@example.org".into(),
            ],
            status: vec!["https://status.example.org".into()],
            ..Settings::default()
        };
        given
    }

    fn info(given: &Given, node: &str) -> String {
        let query = format!("<query xmlns='{}'{node}/>", disco::NS_INFO);
        let asked = format!("<iq type='get' id='1' to='example.org'>{query}</iq>");
        match &given.sends(&asked)[..] {
            [Effect::Reply(reply)] => String::from_utf8(reply.to_bytes().to_vec()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn section_3_the_server_says_whom_to_turn_to() {
        let text = info(&given(), "");
        for part in [
            "<x xmlns='jabber:x:data' type='result'>",
            "<value>http://jabber.org/network/serverinfo</value>",
            "<field var='abuse-addresses'><value>mailto:abuse@example.org</value>\
             <value>xmpp:abuse@example.org</value></field>",
            "<field var='status-addresses'><value>https://status.example.org</value></field>",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("sales-addresses"), "{text}");
    }

    #[test]
    fn who_names_nobody_has_no_form() {
        assert!(!info(&facts(), "").contains(FORM_TYPE));
    }

    #[test]
    fn capabilities_are_computed_with_the_form() {
        let (with, without) = (given(), facts());
        let node = |given: &Given| caps::server_node(&given.host);
        assert_ne!(node(&with), node(&without));
        let text = info(&with, &format!(" node='{}'", node(&with)));
        assert!(text.contains("abuse-addresses"), "{text}");
        let stale = info(&with, &format!(" node='{}'", node(&without)));
        assert!(stale.contains("<item-not-found"), "{stale}");
    }
}
