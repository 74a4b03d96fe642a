//! Devices that want to be told (XEP-0357), in our own namespace:
//!
//! ```xml
//! <device xmlns='urn:klatsch:export:0' resource='phone'>
//!   <enable xmlns='urn:xmpp:push:0' jid='push.example.org' node='n'>…</enable>
//! </device>
//! ```
//!
//! An app server goes on with them as long as the account's address stays what it was.

use klatsch_protocol::features::push::{self, Registration};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::xml::Element;

use super::NS_OWN;

/// A device as the file has it.
pub(super) fn write(of: &Registration) -> Element {
    let enable = Element::new("enable", push::NS)
        .attr("jid", of.service.as_str())
        .attr_opt("node", (!of.node.is_empty()).then(|| of.node.clone()));
    let enable = match &of.options {
        Some(options) => enable.raw_child(options.clone()),
        None => enable,
    };
    Element::new("device", NS_OWN)
        .attr("resource", of.resource.clone())
        .child(enable)
}

/// Reads it for an account; nothing when it is none that this account may have.
pub(super) fn read(element: &Element, account: &BareJid) -> Option<Registration> {
    let enable = element.find("enable", push::NS)?;
    let resource = element.get("resource").unwrap_or_default();
    push::read_enable(enable, account, resource).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> BareJid {
        BareJid::parse("a@x").unwrap()
    }

    #[test]
    fn a_device_comes_back_as_it_was() {
        let options = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>\
            <value>http://jabber.org/protocol/pubsub#publish-options</value></field>\
            <field var='secret'><value>s</value></field></x>";
        let element = format!(
            "<device xmlns='{NS_OWN}' resource='phone'>\
             <enable xmlns='{}' jid='push.x' node='n'>{options}</enable></device>",
            push::NS
        );
        let element = Element::parse(element.as_bytes()).unwrap();
        let read = read(&element, &account()).unwrap();
        assert_eq!((&*read.node, &*read.resource), ("n", "phone"));
        assert!(read.options.is_some());
        let written = Element::parse(&write(&read).to_bytes()).unwrap();
        assert_eq!(super::read(&written, &account()), Some(read));
    }

    #[test]
    fn r20_no_account_is_told_by_itself() {
        let element = format!(
            "<device xmlns='{NS_OWN}'><enable xmlns='{}' jid='a@x'/></device>",
            push::NS
        );
        let element = Element::parse(element.as_bytes()).unwrap();
        assert_eq!(read(&element, &account()), None);
    }
}
