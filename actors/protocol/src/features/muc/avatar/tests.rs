//! Rules of [`super`], with the examples of XEP-0486.

use crate::features::muc::testkit::*;

const PHOTO: &str = "<PHOTO><TYPE>image/svg+xml</TYPE><BINVAL>PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHdpZHRoPSIzMiIgaGVpZ2h0PSIzMiI+CiA8cmVjdCB4PSIwIiB5PSIwIiB3aWR0aD0iMzIiIGhlaWdodD0iMzIiIGZpbGw9InJlZCIvPgo8L3N2Zz4K</BINVAL></PHOTO>";
/// What the specification says its hash is.
const HASH: &str = "a31c4bd04de69663cfd7f424a8453f4674da37ff";

fn sets(from: &str, inner: &str) -> String {
    format!(
        "<iq from='{from}' id='7fP13' to='{COVEN}' type='set'><vCard xmlns='vcard-temp'>{inner}</vCard></iq>"
    )
}

fn info(room: &mut Given) -> String {
    let out = room.gets(&format!(
        "<iq from='{HAG}' id='K92am' to='{COVEN}' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    ));
    out.raw[0].clone()
}

#[test]
fn an_owner_publishes_it_and_everybody_sees_its_hash() {
    let mut room = room();
    assert!(!info(&mut room).contains("avatarhash"));
    let out = room.gets(&sets(CRONE, PHOTO));
    let changed = |to: &str| {
        format!(
            "<message from='{COVEN}' to='{to}' type='groupchat'>\
             <x xmlns='http://jabber.org/protocol/muc#user'><status code='104'/></x></message>"
        )
    };
    out.is(&[
        &format!("<iq from='{COVEN}' id='7fP13' to='{CRONE}' type='result'/>"),
        &changed(CRONE),
        &changed(WICCA),
    ]);
    let told = info(&mut room);
    assert!(
        told.contains("var='muc#roominfo_avatarhash'") && told.contains(HASH),
        "{told}"
    );
    let get = format!(
        "<iq from='{HAG}' id='uD10h' to='{COVEN}' type='get'><vCard xmlns='vcard-temp'/></iq>"
    );
    room.gets(&get).is(&[&format!(
        "<iq from='{COVEN}' id='uD10h' to='{HAG}' type='result'><vCard xmlns='vcard-temp'>{PHOTO}</vCard></iq>"
    )]);
    room.gets(&sets(CRONE, ""));
    assert!(!info(&mut room).contains("avatarhash"));
}

#[test]
fn others_publish_none_and_what_is_no_picture_is_refused() {
    let mut room = room();
    assert_eq!(room.gets(&sets(WICCA, PHOTO)).refusal(), "forbidden");
    let bad = "<PHOTO><BINVAL>no base64!</BINVAL></PHOTO>";
    assert_eq!(room.gets(&sets(CRONE, bad)).refusal(), "bad-request");
    let large = format!("<NOTE>{}</NOTE>", "x".repeat(70_000));
    assert_eq!(
        room.gets(&sets(CRONE, &large)).refusal(),
        "policy-violation"
    );
}
