//! How a node behaves: XEP-0060 §8.2 and §16.4.4, as a value and as a form.
//!
//! One table says of every field its name, its question, how it is read and how it is
//! written. The forms, publish-options (§7.1.5) and what the store keeps derive from it.
//! Left out: collections (XEP-0248), transformations.

use super::NS_CONFIG;
use crate::features::data_forms::{NS as NS_FORMS, Submitted, field, form};
use crate::xml::Element;

/// The configuration of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// A short name.
    pub title: String,
    /// A longer one.
    pub description: String,
    /// What kind of payload it holds.
    pub kind: String,
    /// The language of its payloads.
    pub language: String,
    /// Who may subscribe and read.
    pub access_model: AccessModel,
    /// The groups of the owner's roster that may.
    pub roster_groups: Vec<String>,
    /// Who may publish.
    pub publish_model: PublishModel,
    /// Items kept; `None`: as many as the server allows (`max`).
    pub max_items: Option<u32>,
    /// Seconds after which an item goes by itself; `None`: it stays (`max`).
    pub item_expire: Option<u32>,
    /// Items are kept at all.
    pub persist_items: bool,
    /// What happens when there are as many as may be.
    pub node_full: NodeFull,
    /// Bytes of a payload at most; `None`: as many as the server allows.
    pub max_payload_bytes: Option<u32>,
    /// Subscribing is possible.
    pub subscribe: bool,
    /// Notifications are sent.
    pub deliver_notifications: bool,
    /// They carry the payload.
    pub deliver_payloads: bool,
    /// Subscribers hear of a new configuration.
    pub notify_config: bool,
    /// Subscribers hear of the node's end.
    pub notify_delete: bool,
    /// Subscribers hear of items that go.
    pub notify_retract: bool,
    /// Owners hear of new subscribers.
    pub notify_sub: bool,
    /// Notifications go to those alone who are there.
    pub presence_based_delivery: bool,
    /// When the last item is sent by itself.
    pub send_last: SendLast,
    /// Notifications are headlines; otherwise they are normal messages.
    pub is_headline: bool,
    /// Items say who has published them.
    pub shows_publisher: bool,
}

/// Defines an enum of words with how they are read and written.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of a form.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            const WORDS: &'static [&'static str] = &[$($word),*];

            /// The word in forms.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads the word.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

words! {
    /// Who may subscribe and read (§4.5).
    AccessModel {
        /// Everybody.
        Open "open",
        /// Who sees the owner's presence.
        Presence "presence",
        /// Who is in one of the owner's groups.
        Roster "roster",
        /// Whom an owner has approved.
        Authorize "authorize",
        /// Whom an owner has put on the list.
        Whitelist "whitelist",
    }
}

words! {
    /// Who may publish.
    PublishModel {
        /// Owners and publishers.
        Publishers "publishers",
        /// Subscribers too.
        Subscribers "subscribers",
        /// Everybody.
        Open "open",
    }
}

words! {
    /// When the last item is sent by itself.
    SendLast {
        /// Never.
        Never "never",
        /// To who subscribes.
        OnSub "on_sub",
        /// To who subscribes and to who comes online.
        OnSubAndPresence "on_sub_and_presence",
    }
}

words! {
    /// What happens at a node that is full (§7.1.2.5).
    NodeFull {
        /// The oldest item goes, and subscribers are told.
        RetractOldest "retract-oldest",
        /// The oldest item goes silently.
        DiscardOldest "discard-oldest",
        /// The new item is refused.
        Reject "reject",
    }
}

impl Config {
    /// What a node of an account is unless it is said otherwise (XEP-0163 §3: presence).
    pub fn of_account() -> Self {
        Self {
            access_model: AccessModel::Presence,
            max_items: Some(1),
            notify_delete: true,
            notify_retract: true,
            ..Self::of_service()
        }
    }

    /// What a node of a service is unless it is said otherwise (§4.5: open).
    pub fn of_service() -> Self {
        Self {
            title: String::new(),
            description: String::new(),
            kind: String::new(),
            language: String::new(),
            access_model: AccessModel::Open,
            roster_groups: Vec::new(),
            publish_model: PublishModel::Publishers,
            // A feed's recent past, which is what a newcomer reads.
            max_items: Some(20),
            item_expire: None,
            persist_items: true,
            node_full: NodeFull::RetractOldest,
            max_payload_bytes: None,
            subscribe: true,
            deliver_notifications: true,
            deliver_payloads: true,
            notify_config: false,
            // §8.4.2: subscribers must be told of the end.
            notify_delete: true,
            notify_retract: true,
            notify_sub: false,
            presence_based_delivery: false,
            send_last: SendLast::OnSubAndPresence,
            is_headline: true,
            shows_publisher: false,
        }
    }

    /// Takes the fields of a form over; those it does not know are passed over.
    ///
    /// # Errors
    /// The name of a field whose value is none.
    pub fn apply(&mut self, form: &Submitted) -> Result<(), &'static str> {
        for known in FIELDS {
            let values = form.values(known.name);
            if form.names().any(|name| name == known.name) {
                (known.write)(self, values).ok_or(known.name)?;
            }
        }
        Ok(())
    }

    /// Tells whether every field of a form says what is so already (§7.1.5).
    pub fn meets(&self, form: &Submitted) -> bool {
        form.names()
            .filter(|name| *name != "FORM_TYPE")
            .all(|name| {
                let Some(known) = FIELDS.iter().find(|known| known.name == name) else {
                    return false;
                };
                let mut wanted = self.clone();
                let is_value = (known.write)(&mut wanted, form.values(name)).is_some();
                is_value && wanted == *self
            })
    }

    /// Tells whether a form has a field that no configuration has.
    pub fn knows_all(form: &Submitted) -> bool {
        let mut names = form.names().filter(|name| *name != "FORM_TYPE");
        names.all(|name| FIELDS.iter().any(|known| known.name == name))
    }

    /// The form an owner fills in.
    pub fn to_form(&self, models: &[AccessModel]) -> Element {
        let fields = FIELDS.iter().map(|known| {
            let options: Vec<&str> = match known.name {
                "pubsub#access_model" => models.iter().map(|model| model.as_str()).collect(),
                _ => known.options.to_vec(),
            };
            let options = options.into_iter().map(option);
            known
                .element(self)
                .attr("label", known.label)
                .children_from(options)
        });
        form(NS_CONFIG).children_from(fields)
    }

    /// All fields with their values, as a form of this type: what a notification carries
    /// (`result`), and what is kept (`submit`).
    pub fn to_values(&self, kind: &'static str) -> Element {
        let fields = FIELDS.iter().map(|known| known.element(self));
        form(NS_CONFIG).attr("type", kind).children_from(fields)
    }

    /// Reads what [`Self::to_values`] has written for keeping; what a later version does not
    /// know any more is passed over.
    pub fn read_kept(bytes: &[u8], defaults: Self) -> Option<Self> {
        let form = Submitted::read(&Element::parse(bytes).ok()?)?;
        let mut config = defaults;
        config.apply(&form).ok()?;
        Some(config)
    }
}

fn option(value: &str) -> Element {
    let value = Element::new("value", NS_FORMS).text(value);
    Element::new("option", NS_FORMS).child(value)
}

/// One field: its name, how people are asked for it, and how it is read and written.
struct Field {
    name: &'static str,
    label: &'static str,
    kind: &'static str,
    options: &'static [&'static str],
    read: fn(&Config) -> Vec<String>,
    /// `None`: that is no value of this field.
    write: fn(&mut Config, &[String]) -> Option<()>,
}

impl Field {
    fn element(&self, config: &Config) -> Element {
        let values = (self.read)(config).into_iter();
        let values = values.map(|value| Element::new("value", NS_FORMS).text(value));
        field(self.name, self.kind).children_from(values)
    }
}

/// A field of one line of text, of a truth value, or of one word out of several.
macro_rules! field {
    (text $name:literal $label:literal $key:ident) => {
        Field {
            name: $name,
            label: $label,
            kind: "text-single",
            options: &[],
            read: |config| vec![config.$key.clone()],
            write: |config, values| {
                config.$key = one_line(values)?;
                Some(())
            },
        }
    };
    (truth $name:literal $label:literal $key:ident) => {
        Field {
            name: $name,
            label: $label,
            kind: "boolean",
            options: &[],
            read: |config| vec![if config.$key { "1" } else { "0" }.to_owned()],
            write: |config, values| {
                config.$key = truth(values.first()?)?;
                Some(())
            },
        }
    };
    (word $name:literal $label:literal $key:ident $of:ident) => {
        Field {
            name: $name,
            label: $label,
            kind: "list-single",
            options: $of::WORDS,
            read: |config| vec![config.$key.as_str().to_owned()],
            write: |config, values| {
                config.$key = $of::parse(values.first()?)?;
                Some(())
            },
        }
    };
    (number $name:literal $label:literal $key:ident) => {
        Field {
            name: $name,
            label: $label,
            kind: "text-single",
            options: &[],
            read: |config| vec![or_max(config.$key)],
            write: |config, values| {
                config.$key = number_or_max(values.first()?)?;
                Some(())
            },
        }
    };
}

const FIELDS: &[Field] = &[
    field!(text "pubsub#title" "A friendly name for the node" title),
    field!(text "pubsub#description" "A description of the node" description),
    field!(text "pubsub#type" "The type of node data, usually a namespace" kind),
    Field {
        name: "pubsub#language",
        label: "The default language of the node",
        // §5.4: so that people choose from a list. What is not in it is taken all the same.
        kind: "list-single",
        options: LANGUAGES,
        read: |config| {
            let language = Some(config.language.clone());
            language.filter(|it| !it.is_empty()).into_iter().collect()
        },
        write: |config, values| {
            config.language = one_line(values)?;
            Some(())
        },
    },
    field!(word "pubsub#access_model" "Who may subscribe and retrieve items" access_model AccessModel),
    Field {
        name: "pubsub#roster_groups_allowed",
        label: "The roster groups that may subscribe and retrieve items",
        kind: "list-multi",
        options: &[],
        read: |config| config.roster_groups.clone(),
        write: |config, values| {
            let bytes: usize = values.iter().map(String::len).sum();
            let is_short = values.len() <= GROUPS_MAX && bytes <= GROUPS_BYTES_MAX;
            config.roster_groups = is_short.then(|| values.to_vec())?;
            Some(())
        },
    },
    field!(word "pubsub#publish_model" "Who may publish items" publish_model PublishModel),
    field!(truth "pubsub#persist_items" "Whether to persist items to storage" persist_items),
    field!(number "pubsub#max_items" "The number of items to keep, or max" max_items),
    Field {
        name: "pubsub#item_expire",
        label: "The seconds after which an item goes by itself, or max",
        kind: "text-single",
        options: &[],
        read: |config| vec![or_max(config.item_expire)],
        // An item that lives no time at all is no item.
        write: |config, values| {
            let seconds = number_or_max(values.first()?)?;
            config.item_expire = (seconds != Some(0)).then_some(seconds)?;
            Some(())
        },
    },
    field!(word "pubsub#publish_node_full" "What to do when the node is full" node_full NodeFull),
    field!(number "pubsub#max_payload_size" "The largest payload in bytes, or max" max_payload_bytes),
    field!(truth "pubsub#subscribe" "Whether to allow subscriptions" subscribe),
    field!(truth "pubsub#deliver_notifications" "Whether to deliver event notifications" deliver_notifications),
    field!(truth "pubsub#deliver_payloads" "Whether to deliver payloads with event notifications" deliver_payloads),
    field!(truth "pubsub#notify_config" "Whether to notify subscribers when the configuration changes" notify_config),
    field!(truth "pubsub#notify_delete" "Whether to notify subscribers when the node is deleted" notify_delete),
    field!(truth "pubsub#notify_retract" "Whether to notify subscribers when items are removed" notify_retract),
    field!(truth "pubsub#notify_sub" "Whether to notify owners about new subscribers" notify_sub),
    field!(truth "pubsub#presence_based_delivery" "Whether to notify available subscribers only" presence_based_delivery),
    field!(word "pubsub#send_last_published_item" "When to send the last published item" send_last SendLast),
    Field {
        name: "pubsub#notification_type",
        label: "The type of message that notifies",
        kind: "list-single",
        options: &["headline", "normal"],
        read: |config| {
            vec![
                if config.is_headline {
                    "headline"
                } else {
                    "normal"
                }
                .to_owned(),
            ]
        },
        write: |config, values| {
            config.is_headline = one_of(values.first()?, "headline", "normal")?;
            Some(())
        },
    },
    Field {
        name: "pubsub#itemreply",
        label: "Whether items say who has published them",
        kind: "list-single",
        options: &["publisher", "none"],
        read: |config| {
            vec![
                if config.shows_publisher {
                    "publisher"
                } else {
                    "none"
                }
                .to_owned(),
            ]
        },
        write: |config, values| {
            config.shows_publisher = one_of(values.first()?, "publisher", "none")?;
            Some(())
        },
    },
];

/// Languages that are offered (RFC 5646): those of the European Union, and those that most people
/// speak besides.
const LANGUAGES: &[&str] = &[
    "ar", "bg", "bn", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "ga", "he", "hi",
    "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "mt", "nb", "nl", "pl", "pt", "ro", "ru", "sk",
    "sl", "sv", "tr", "uk", "ur", "vi", "zh",
];

/// Groups a node may name: as many as a person has, with room to spare.
const GROUPS_MAX: usize = 100;

/// Bytes of their names: configurations count for nobody, so they stay small.
const GROUPS_BYTES_MAX: usize = 4096;

/// Bytes of a title or a description.
const LINE_BYTES_MAX: usize = 1024;

fn one_line(values: &[String]) -> Option<String> {
    let line = values.first().cloned().unwrap_or_default();
    (line.len() <= LINE_BYTES_MAX).then_some(line)
}

/// XEP-0004 §3.3: both spellings of XML Schema.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

fn one_of(text: &str, yes: &str, no: &str) -> Option<bool> {
    match text {
        _ if text == yes => Some(true),
        _ if text == no => Some(false),
        _ => None,
    }
}

fn or_max(number: Option<u32>) -> String {
    number.map_or("max".to_owned(), |number| number.to_string())
}

fn number_or_max(text: &str) -> Option<Option<u32>> {
    match text {
        "max" => Some(None),
        _ if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) => None,
        // Whoever wants more than there can be gets what there is.
        _ => Some(Some(text.parse().unwrap_or(u32::MAX))),
    }
}

#[cfg(test)]
mod tests;
