//! Who is shown on a topic of an app: its presence, told to everybody there in the same bytes.
//!
//! Each node keeps a crowd for each topic it has to do with; what the nodes show each other is
//! [`Shown`].

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::frame;
use super::metas::{Metas, Reference};
use super::socket::Outgoing;
use crate::jid::FullJid;

/// What a device shows on a topic, in this version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// A JSON object, written.
    pub fields: Box<str>,
    /// Larger than that of everything the device has shown on the topic before.
    pub version: u64,
    /// The version it has replaced.
    pub before: Option<u64>,
}

/// Who is shown on one topic.
#[derive(Debug)]
pub struct Crowd {
    topic: Box<str>,
    metas: Metas,
}

/// Everybody who is shown, as `presence_state` says it.
#[derive(Debug, Clone, PartialEq)]
pub struct CrowdState(pub(super) Value);

impl Crowd {
    /// Nobody is shown yet.
    #[must_use]
    pub fn new(topic: &str) -> Self {
        Self {
            topic: topic.into(),
            metas: Metas::default(),
        }
    }

    /// A device shows this; what everybody on the topic is told, if it is news.
    pub fn show(&mut self, device: &FullJid, shown: &Shown) -> Option<Outgoing> {
        let (key, resource) = (device.bare_str(), device.resource());
        let reference = |version| Reference::of_version(key, resource, version);
        let (now, before) = (reference(shown.version), shown.before.map(reference));
        let fields = shown.fields.clone();
        let news = self.metas.put(key, resource, fields, now, before);
        news.map(|news| self.told(&news))
    }

    /// A device shows nothing any more; what everybody on the topic is told.
    pub fn hide(&mut self, device: &FullJid) -> Option<Outgoing> {
        let news = self.metas.remove(device.bare_str(), device.resource());
        news.map(|news| self.told(&news))
    }

    /// Everybody who is shown.
    #[must_use]
    pub fn state(&self) -> CrowdState {
        CrowdState(self.metas.state(|_| true))
    }

    fn told(&self, news: &Value) -> Outgoing {
        let written = frame::text(None, None, &self.topic, "presence_diff", news);
        Outgoing::Text(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "app:shop:door";

    fn shown(version: u64, before: Option<u64>) -> Shown {
        Shown {
            fields: format!(r#"{{"n":{version}}}"#).into(),
            version,
            before,
        }
    }

    fn payload(told: Option<Outgoing>) -> Value {
        let Some(Outgoing::Text(text)) = told else {
            panic!("nothing is told");
        };
        let frame: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(frame[2], TOPIC);
        frame[4].clone()
    }

    #[test]
    fn update_names_the_version_it_replaces_and_who_comes_later_is_told_the_same() {
        let device = FullJid::parse("anna@x.test/desk").unwrap();
        let mut here = Crowd::new(TOPIC);
        let first = payload(here.show(&device, &shown(1, None)));
        let first = &first["joins"]["anna@x.test"]["metas"][0];
        let second = payload(here.show(&device, &shown(2, Some(1))));
        let new = &second["joins"]["anna@x.test"]["metas"][0];
        assert_eq!(new["phx_ref_prev"], first["phx_ref"]);
        assert_eq!(second["leaves"]["anna@x.test"]["metas"][0], *first);
        let mut there = Crowd::new(TOPIC);
        there.show(&device, &shown(2, Some(1)));
        assert_eq!(there.state(), here.state());
        assert_eq!(there.show(&device, &shown(2, Some(1))), None);
        assert!(there.hide(&device).is_some() && there.hide(&device).is_none());
    }
}
