//! Who is there, as the client's `Presence` wants to hear it: under each key one meta for each
//! device, told as a state first and then as differences.
//!
//! An update is one difference, in which the new meta joins, naming the one it replaces, and
//! the old one leaves: the client takes the joins first and finds what leaves by `phx_ref`.
//!
//! That reference names a state, not a moment on a connection: whoever sees the same state of
//! the same device, on whichever node and after however many reconnections, has the same one.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// What is told of a device.
pub(super) type Fields = Map<String, Value>;

/// Who is there.
#[derive(Debug, Default)]
pub(super) struct Metas {
    keys: BTreeMap<Box<str>, Vec<Meta>>,
}

/// One device. A connection may see thousands, so what is told of it is kept as it is sent.
#[derive(Debug)]
struct Meta {
    device: Box<str>,
    reference: Reference,
    before: Option<Reference>,
    fields: Box<str>,
}

/// Tells one state of a device from every other: 96 bits of a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference([u8; 12]);

impl Reference {
    /// That of a device that shows these fields. A state that comes again has its reference
    /// again, which is never there at the same time as another of the device.
    pub(super) fn of_state(key: &str, device: &str, fields: &str) -> Self {
        Self::hash(key, device, fields.as_bytes())
    }

    /// That of the version of what a device shows, where versions are known.
    pub(super) fn of_version(key: &str, device: &str, version: u64) -> Self {
        Self::hash(key, device, &version.to_be_bytes())
    }

    fn hash(key: &str, device: &str, rest: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for part in [key.as_bytes(), device.as_bytes(), rest] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let hash = hash.finalize();
        let mut reference = [0; 12];
        reference.copy_from_slice(&hash[..12]);
        Self(reference)
    }

    fn value(self) -> Value {
        Value::from(URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Meta {
    fn value(&self) -> Value {
        let mut fields: Fields = serde_json::from_str(&self.fields).unwrap_or_default();
        fields.insert("phx_ref".into(), self.reference.value());
        if let Some(before) = self.before {
            fields.insert("phx_ref_prev".into(), before.value());
        }
        Value::Object(fields)
    }
}

impl Metas {
    /// A device is there, like this; the difference, if that is news.
    pub(super) fn set(&mut self, key: &str, device: &str, fields: &Fields) -> Option<Value> {
        let fields = serde_json::to_string(fields).ok()?;
        let reference = Reference::of_state(key, device, &fields);
        self.put(key, device, fields.into(), reference, None)
    }

    /// A device shows this under a reference of its own. Who sees it for the first time is told
    /// what it replaced before.
    pub(super) fn put(
        &mut self,
        key: &str,
        device: &str,
        fields: Box<str>,
        reference: Reference,
        before: Option<Reference>,
    ) -> Option<Value> {
        let metas = self.keys.entry(key.into()).or_default();
        let known = metas.iter_mut().find(|meta| &*meta.device == device);
        let Some(known) = known else {
            let meta = Meta {
                device: device.into(),
                reference,
                before,
                fields,
            };
            let joins = one(key, meta.value());
            metas.push(meta);
            return Some(difference(joins, Map::new()));
        };
        if known.reference == reference {
            return None;
        }
        let leaves = one(key, known.value());
        // Whatever others have seen before: here it is this that goes.
        known.before = Some(known.reference);
        (known.reference, known.fields) = (reference, fields);
        Some(difference(one(key, known.value()), leaves))
    }

    /// A device has gone.
    pub(super) fn remove(&mut self, key: &str, device: &str) -> Option<Value> {
        let metas = self.keys.get_mut(key)?;
        let at = metas.iter().position(|meta| &*meta.device == device)?;
        let gone = metas.remove(at);
        if metas.is_empty() {
            self.keys.remove(key);
        }
        Some(difference(Map::new(), one(key, gone.value())))
    }

    /// Every device of a key has gone.
    pub(super) fn remove_key(&mut self, key: &str) -> Option<Value> {
        let gone = self.keys.remove(key)?;
        Some(difference(Map::new(), entry(key, &gone)))
    }

    /// What somebody hears who begins to look at a key.
    pub(super) fn joins(&self, key: &str) -> Option<Value> {
        let metas = self.keys.get(key)?;
        Some(difference(entry(key, metas), Map::new()))
    }

    /// What somebody hears who no longer looks at a key.
    pub(super) fn leaves(&self, key: &str) -> Option<Value> {
        let metas = self.keys.get(key)?;
        Some(difference(Map::new(), entry(key, metas)))
    }

    /// Everybody under the keys that are looked at.
    pub(super) fn state(&self, is_seen: impl Fn(&str) -> bool) -> Value {
        let mut state = Map::new();
        for (key, metas) in self.keys.iter().filter(|(key, _)| is_seen(key)) {
            state.extend(entry(key, metas));
        }
        Value::Object(state)
    }

    /// Devices there are.
    pub(super) fn len(&self) -> usize {
        self.keys.values().map(Vec::len).sum()
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }
}

fn one(key: &str, meta: Value) -> Fields {
    keyed(key, vec![meta])
}

fn entry(key: &str, metas: &[Meta]) -> Fields {
    keyed(key, metas.iter().map(Meta::value).collect())
}

fn keyed(key: &str, metas: Vec<Value>) -> Fields {
    let mut value = Map::new();
    value.insert("metas".into(), Value::Array(metas));
    let mut keyed = Map::new();
    keyed.insert(key.into(), Value::Object(value));
    keyed
}

fn difference(joins: Fields, leaves: Fields) -> Value {
    let mut difference = Map::new();
    difference.insert("joins".into(), Value::Object(joins));
    difference.insert("leaves".into(), Value::Object(leaves));
    Value::Object(difference)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(show: &str) -> Fields {
        Map::from_iter([("show".to_owned(), Value::from(show))])
    }

    fn refs(difference: &Value, side: &str) -> Vec<(Value, Value)> {
        let metas = difference[side]["a"]["metas"].as_array();
        let metas = metas.into_iter().flatten();
        metas
            .map(|meta| (meta["phx_ref"].clone(), meta["phx_ref_prev"].clone()))
            .collect()
    }

    #[test]
    fn two_devices_are_two_metas_under_one_key() {
        let mut metas = Metas::default();
        metas.set("a", "desk", &fields("online"));
        metas.set("a", "phone", &fields("away"));
        let state = metas.state(|_| true);
        assert_eq!(state["a"]["metas"].as_array().unwrap().len(), 2);
        let gone = metas.remove("a", "desk").unwrap();
        assert_eq!(gone["joins"], Value::Object(Map::new()));
        assert_eq!(gone["leaves"]["a"]["metas"][0]["show"], "online");
        assert_eq!(
            metas.state(|_| true)["a"]["metas"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        metas.remove("a", "phone");
        assert_eq!(metas.state(|_| true), Value::Object(Map::new()));
    }

    #[test]
    fn update_joins_with_the_reference_it_replaces_and_that_one_leaves() {
        let mut metas = Metas::default();
        let first = metas.set("a", "desk", &fields("online")).unwrap();
        let (first, none) = refs(&first, "joins").remove(0);
        assert_eq!(none, Value::Null);
        let update = metas.set("a", "desk", &fields("away")).unwrap();
        let (second, before) = refs(&update, "joins").remove(0);
        assert_eq!(before, first);
        assert_ne!(second, first);
        assert_eq!(refs(&update, "leaves"), [(first, Value::Null)]);
    }

    #[test]
    fn same_again_is_no_news() {
        let mut metas = Metas::default();
        assert!(metas.set("a", "desk", &fields("online")).is_some());
        assert!(metas.set("a", "desk", &fields("online")).is_none());
        assert!(metas.remove("a", "phone").is_none());
    }

    #[test]
    fn reference_is_that_of_the_state_whoever_sees_it_and_whenever() {
        let (mut here, mut there) = (Metas::default(), Metas::default());
        there.set("a", "desk", &fields("away"));
        let seen = |metas: &mut Metas, show| {
            let news = metas.set("a", "desk", &fields(show)).unwrap();
            refs(&news, "joins").remove(0).0
        };
        let here_online = seen(&mut here, "online");
        assert_eq!(seen(&mut there, "online"), here_online);
        assert_ne!(seen(&mut here, "away"), here_online);
        here.set("a", "phone", &fields("online"));
        let state = here.state(|_| true);
        assert_ne!(state["a"]["metas"][1]["phx_ref"], here_online);
    }

    #[test]
    fn keys_may_be_hostile_names() {
        let mut metas = Metas::default();
        metas.set("__proto__", "x", &fields("online"));
        assert!(metas.state(|_| true).get("__proto__").is_some());
    }
}
