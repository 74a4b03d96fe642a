//! JSON channels for integrators.

use super::settings::settings;
use klatsch_gateways::channels::ChannelsSettings;
use klatsch_protocol::channels::AppRule;

settings! {
    /// JSON channels: rooms, messages and presence for pages and programs, by the npm client phoenix.
    pub struct Channels {
        /// Serves /channels/websocket and /channels/longpoll.
        enabled: bool = ChannelsSettings::default().enabled;
        /// Origins whose pages may use them, as in `https://intranet.example.org`, besides those of http.allowed_origins.
        #[serde(deserialize_with = "super::one_or_many")]
        allowed_origins: Vec<String> = Vec::new();
        /// Topics that one connection may have joined.
        topics_max: usize = ChannelsSettings::default().topics_max;
        /// Bytes of one frame from a client.
        frame_bytes_max: usize = ChannelsSettings::default().frame_bytes_max;
        /// Seconds without a word from its client after which a connection is closed; clients speak every 30.
        idle_seconds: u64 = ChannelsSettings::default().idle_seconds;
        /// Apps of integrators whose topics (`app:NAME:…`) every account may join: `NAME` to push, too, `NAME:listen` to listen only. For others `klatsch token create --app` makes tokens.
        #[serde(deserialize_with = "super::one_or_many")]
        apps: Vec<AppRule> = Vec::new();
        /// Topics of apps that may have clients on this node.
        app_topics_max: usize = ChannelsSettings::default().app_topics_max;
        /// Clients of this node that may be on one of these topics.
        app_subscribers_max: usize = ChannelsSettings::default().app_subscribers_max;
        /// Bytes of what is pushed on them.
        app_payload_bytes_max: usize = ChannelsSettings::default().app_payload_bytes_max;
        /// Pushes and changes of presence that one connection may make on them a second.
        app_pushes_per_second: u32 = ChannelsSettings::default().app_pushes_per_second;
    }
}

impl Channels {
    /// The same as the gateways take it.
    pub fn settings(&self) -> ChannelsSettings {
        ChannelsSettings {
            enabled: self.enabled,
            allowed_origins: self.allowed_origins.clone(),
            topics_max: self.topics_max,
            frame_bytes_max: self.frame_bytes_max,
            idle_seconds: self.idle_seconds,
            apps: self.apps.clone(),
            app_topics_max: self.app_topics_max,
            app_subscribers_max: self.app_subscribers_max,
            app_payload_bytes_max: self.app_payload_bytes_max,
            app_pushes_per_second: self.app_pushes_per_second,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_gateways() {
        assert_eq!(Channels::default().settings(), ChannelsSettings::default());
    }
}
