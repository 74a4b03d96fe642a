//! Rules of [`super`], with the examples of XEP-0045 §8.2 to §8.5, §9.1 to §9.8, §10.3 to
//! §10.8.

mod affiliations;
mod owners;
mod roles;

use crate::features::muc::testkit::*;

const USER: &str = "http://jabber.org/protocol/muc#user";
const HAG_BARE: &str = "hag66@shakespeare.lit";

fn with_hag() -> Given {
    let mut room = room();
    room.enters(HAG, "thirdwitch");
    room
}

fn listed(affiliation: &str, jid: &str) -> String {
    format!("<item affiliation='{affiliation}' jid='{jid}'/>")
}

fn done(to: &str) -> String {
    format!("<iq from='{COVEN}' id='admin1' to='{to}' type='result'/>")
}

fn refused(to: &str, kind: &str, condition: &str, items: &str) -> String {
    format!(
        "<iq from='{COVEN}' id='admin1' to='{to}' type='error'>\
         <query xmlns='http://jabber.org/protocol/muc#admin'>{items}</query><error type='{kind}'>\
         <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
}

/// The third witch as somebody sees her.
fn seen(to: &str, item: &str, inner: &str, codes: &str) -> String {
    format!(
        "<presence from='{COVEN}/thirdwitch' to='{to}'><x xmlns='{USER}'>\
         <item {item} jid='{HAG}'>{inner}</item>{codes}</x></presence>"
    )
}

fn put_out(to: &str, item: &str, inner: &str, codes: &[u16]) -> String {
    let codes: String = codes
        .iter()
        .map(|code| format!("<status code='{code}'/>"))
        .collect();
    format!(
        "<presence from='{COVEN}/thirdwitch' to='{to}' type='unavailable'><x xmlns='{USER}'>\
         <item {item} jid='{HAG}' role='none'>{inner}</item>{codes}</x></presence>"
    )
}
