//! Cards and photos.

use super::*;
use crate::features::pubsub::config::{AccessModel, Config};
use crate::features::roster::Subscription;
use crate::testkit::*;
use crate::time::Timestamp;

/// SHA-1 of `image`.
const HASH: &str = "0e76292794888d4f1fa75fb3aff4ca27c58f56a6";

fn last(name: &str, model: AccessModel, payload: &Element) -> LastItem {
    let config = Config {
        access_model: model,
        ..Config::of_account()
    };
    LastItem {
        service: bare(ACCOUNT),
        node: Node {
            config,
            ..super::super::pubsub::blank(name, &facts().account_facts())
        },
        item: Some(Item {
            id: HASH.into(),
            publisher: jid(ME),
            stamp: Timestamp(0),
            payload: to_payload(payload),
        }),
        groups: Vec::new(),
    }
}

/// What is kept of an account with an avatar in nodes of this access model.
fn kept(model: AccessModel) -> Kept {
    let data = Element::new("data", avatar::NS_DATA).text("aW1hZ2U=");
    let metadata = avatar::metadata(Some((HASH, 5, "image/webp")));
    Kept {
        value: Some(
            format!("<vCard xmlns='{NS}'><FN>Romeo</FN></vCard>")
                .into_bytes()
                .into(),
        ),
        found: Some(Found::LastItems(vec![
            last(avatar::NS_METADATA, model, &metadata),
            last(avatar::NS_DATA, model, &data),
        ])),
        ..Kept::default()
    }
}

fn seen(given: &Given, model: AccessModel) -> String {
    let iq = format!(
        "<iq type='get' id='1' from='juliet@example.org/x' to='{ACCOUNT}'><vCard xmlns='{NS}'/></iq>"
    );
    let answer = answer(
        &parse(&iq),
        Answer::Kept(Box::new(kept(model))),
        &given.account_facts(),
    );
    let [Effect::Reply(reply)] = &answer[..] else {
        panic!("{answer:?}")
    };
    String::from_utf8(reply.to_bytes().to_vec()).unwrap()
}

#[test]
fn the_photo_is_shown_to_those_who_may_see_the_avatar() {
    let contact = || facts().contact("juliet@example.org", Subscription::From);
    assert!(
        seen(&facts(), AccessModel::Open)
            .contains("<TYPE>image/webp</TYPE><BINVAL>aW1hZ2U=</BINVAL>")
    );
    assert!(seen(&contact(), AccessModel::Presence).contains("aW1hZ2U="));
    for hidden in [
        seen(&facts(), AccessModel::Presence),
        seen(&contact(), AccessModel::Whitelist),
    ] {
        assert!(
            hidden.contains("<FN>Romeo</FN>") && !hidden.contains("PHOTO"),
            "{hidden}"
        );
    }
}

fn set(photo: &str) -> Vec<Effect> {
    let iq = format!(
        "<iq type='set' id='1' from='{ME}'><vCard xmlns='{NS}'><FN>R</FN>{photo}</vCard></iq>"
    );
    put(&parse(&iq), Answer::Kept(Box::default()), &facts().facts())
}

#[test]
fn a_photo_that_is_set_is_published_before_what_describes_it() {
    let photo = "<PHOTO><TYPE>image/png</TYPE><BINVAL>aW1h\n Z2U=</BINVAL></PHOTO>";
    let effects = set(photo);
    let nodes: Vec<&str> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Change(Change::Pubsub(change)) => Some(change.node.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(nodes, [avatar::NS_DATA, avatar::NS_METADATA]);
    assert!(
        effects.contains(&Effect::ShowAvatar(HASH.into())),
        "{effects:?}"
    );
    let Some(Effect::Change(Change::Kept(kept))) = effects.first() else {
        panic!("{effects:?}")
    };
    let text = kept
        .value
        .as_ref()
        .map(|value| String::from_utf8_lossy(value).into_owned());
    assert!(!text.unwrap().contains("PHOTO"), "it is kept once");
}

#[test]
fn a_photo_elsewhere_or_of_broken_base64_stays_in_the_card() {
    for photo in [
        "<PHOTO><EXTVAL>https://x/y</EXTVAL></PHOTO>",
        "<PHOTO><BINVAL>%%%</BINVAL></PHOTO>",
    ] {
        let effects = set(photo);
        let [Effect::Change(Change::Kept(kept)), Effect::Reply(_)] = &effects[..] else {
            panic!("{effects:?}")
        };
        let text = String::from_utf8_lossy(kept.value.as_ref().unwrap()).into_owned();
        assert!(text.contains("PHOTO"), "{text}");
    }
}

#[test]
fn r10_a_card_that_is_too_large_is_refused() {
    let full = Kept {
        count: 200,
        bytes: 0,
        ..Kept::default()
    };
    let iq =
        format!("<iq type='set' id='1' from='{ME}'><vCard xmlns='{NS}'><FN>R</FN></vCard></iq>");
    let effects = put(&parse(&iq), Answer::Kept(Box::new(full)), &facts().facts());
    assert_eq!(refusal(&effects), "policy-violation");
}
