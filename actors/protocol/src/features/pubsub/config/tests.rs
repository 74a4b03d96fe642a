//! Forms read and written.

use super::*;

fn submitted(fields: &[(&str, &str)]) -> Submitted {
    let form = fields.iter().fold(
        Element::new("x", NS_FORMS).attr("type", "submit"),
        |form, (name, value)| {
            let value = Element::new("value", NS_FORMS).text(*value);
            form.child(field("", "").attr("var", *name).child(value))
        },
    );
    Submitted::read(&form).unwrap()
}

#[test]
fn what_is_kept_is_read_back_as_it_was() {
    let mut config = Config::of_service();
    config.title = "<Princely & Musings>".into();
    config.access_model = AccessModel::Roster;
    config.roster_groups = vec!["Friends".into(), "Enemies".into()];
    config.max_items = None;
    config.item_expire = Some(604_800);
    config.is_headline = false;
    let kept = config.to_values("submit").to_bytes();
    assert_eq!(Config::read_kept(&kept, Config::of_account()), Some(config));
}

#[test]
fn a_precondition_is_met_when_the_value_is_the_same_however_it_is_spelt() {
    let config = Config {
        max_items: None,
        ..Config::of_account()
    };
    let cases = [
        (
            &[
                ("pubsub#persist_items", "true"),
                ("pubsub#max_items", "max"),
            ][..],
            true,
        ),
        (&[("pubsub#persist_items", "1")], true),
        (&[("pubsub#persist_items", "0")], false),
        (&[("pubsub#max_items", "1")], false),
        (
            &[("pubsub#access_model", "presence"), ("FORM_TYPE", "x")],
            true,
        ),
        (&[("pubsub#access_model", "whitelist")], false),
        (&[("pubsub#access_model", "nobody")], false),
        (&[("pubsub#unheard_of", "1")], false),
    ];
    for (fields, met) in cases {
        assert_eq!(config.meets(&submitted(fields)), met, "{fields:?}");
    }
}

#[test]
fn a_field_with_a_value_that_is_none_is_named() {
    let mut config = Config::of_service();
    for (name, value) in [
        ("pubsub#max_items", "-1"),
        ("pubsub#item_expire", "0"),
        ("pubsub#item_expire", "soon"),
        ("pubsub#persist_items", "yes"),
        ("pubsub#access_model", "secret"),
        ("pubsub#notification_type", "chat"),
    ] {
        assert_eq!(config.apply(&submitted(&[(name, value)])), Err(name));
    }
    assert_eq!(config, Config::of_service());
    assert_eq!(
        config.apply(&submitted(&[("pubsub#unheard_of", "1")])),
        Ok(())
    );
}

#[test]
fn the_form_offers_the_access_models_there_are() {
    let form = Config::of_service().to_form(&[AccessModel::Open, AccessModel::Whitelist]);
    let text = String::from_utf8(form.to_bytes().to_vec()).unwrap();
    assert!(
        text.contains("<option><value>whitelist</value></option>"),
        "{text}"
    );
    assert!(!text.contains("<value>roster</value>"), "{text}");
}
