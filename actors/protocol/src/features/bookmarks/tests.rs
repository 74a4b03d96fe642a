//! Old bookmarks and new ones.

use super::*;
use crate::testkit::*;

fn item(id: &str, inner: &str) -> Item {
    Item {
        id: id.into(),
        publisher: jid(ME),
        stamp: facts().now,
        payload: format!("<conference xmlns='{NS}'{inner}")
            .into_bytes()
            .into(),
    }
}

fn known() -> FoundNode {
    FoundNode {
        items: vec![
            item(
                "heath@rooms.example",
                " name='Heath'><nick>R</nick><extensions><x xmlns='urn:x'/></extensions></conference>",
            ),
            item("cave@rooms.example", " autojoin='1'/>"),
        ],
        ..FoundNode::default()
    }
}

fn changes(legacy: &str) -> (Vec<Item>, Vec<String>) {
    let storage = element(&format!("<storage xmlns='{NS_LEGACY}'>{legacy}</storage>"));
    differences(&storage, &known(), &facts().account_facts())
}

const HEATH: &str =
    "<conference jid='heath@rooms.example' name='Heath'><nick>R</nick></conference>";
const CAVE: &str = "<conference jid='cave@rooms.example' autojoin='true'/>";

#[test]
fn what_an_old_client_writes_back_unchanged_changes_nothing() {
    let storage = to_legacy(&known(), None);
    let (put, gone) = differences(&storage, &known(), &facts().account_facts());
    assert!(put.is_empty() && gone.is_empty(), "{put:?} {gone:?}");
    assert_eq!(changes(&format!("{CAVE}{HEATH}")), (Vec::new(), Vec::new()));
}

#[test]
fn what_an_old_client_leaves_out_is_retracted() {
    assert_eq!(
        changes(HEATH),
        (Vec::new(), vec!["cave@rooms.example".to_owned()])
    );
    assert_eq!(changes("").1.len(), 2);
}

#[test]
fn a_room_that_is_changed_keeps_what_old_clients_do_not_know() {
    let renamed = HEATH.replace("name='Heath'", "name='Moor'");
    let (put, gone) = changes(&format!("{renamed}{CAVE}"));
    assert!(gone.is_empty());
    let [item] = &put[..] else { panic!("{put:?}") };
    let text = String::from_utf8_lossy(&item.payload).into_owned();
    for word in [
        "name='Moor'",
        "<nick>R</nick>",
        "<extensions><x xmlns='urn:x'/></extensions>",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn rooms_without_a_sound_address_are_passed_over_and_twins_count_once() {
    let (put, gone) = changes(&format!(
        "{HEATH}{CAVE}<conference name='nowhere'/><conference jid='@@'/>\
         <conference jid='New@Rooms.example'/><conference jid='new@rooms.example'/>"
    ));
    assert!(gone.is_empty());
    assert_eq!(
        put.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(),
        ["new@rooms.example"]
    );
}

#[test]
fn the_old_node_cannot_be_made_public() {
    let options = "<publish-options><x xmlns='jabber:x:data' type='submit'>\
        <field var='pubsub#access_model'><value>open</value></field></x></publish-options>";
    let publish = format!(
        "<iq type='set' id='1'><pubsub xmlns='{}'><publish node='{NS_LEGACY}'><item id='current'>\
         <storage xmlns='{NS_LEGACY}'/></item></publish>{options}</pubsub></iq>",
        pubsub::NS
    );
    assert_eq!(refusal(&facts().sends(&publish)), "conflict");
}
