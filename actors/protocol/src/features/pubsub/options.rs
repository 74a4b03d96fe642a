//! How notifications go to one subscriber: XEP-0060 §6.3 and §16.4.3.

use super::NS_OPTIONS;
use super::config::truth;
use crate::features::data_forms::{NS as NS_FORMS, Submitted, field, form};
use crate::stanza::Show;
use crate::xml::Element;

/// The options of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Notifications are sent.
    pub deliver: bool,
    /// They are sent while a resource shows one of these; empty: whatever it shows.
    pub show_values: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            deliver: true,
            show_values: Vec::new(),
        }
    }
}

/// What a subscriber may show (§16.4.3).
const SHOWN: [&str; 5] = ["away", "chat", "dnd", "online", "xa"];

const DELIVER: &str = "pubsub#deliver";
const SHOW_VALUES: &str = "pubsub#show-values";

impl Options {
    /// Takes over what a form says; `None`: one of its values is none.
    pub fn apply(&mut self, form: &Submitted) -> Option<()> {
        if let Some(deliver) = form.value(DELIVER) {
            self.deliver = truth(deliver)?;
        }
        if form.names().any(|name| name == SHOW_VALUES) {
            let mut values = form.values(SHOW_VALUES).to_vec();
            values.sort();
            values.dedup();
            if values.iter().any(|value| !SHOWN.contains(&value.as_str())) {
                return None;
            }
            self.show_values = values;
        }
        Some(())
    }

    /// The form a subscriber fills in.
    pub fn to_form(&self) -> Element {
        let shown = SHOWN.map(|word| Element::new("option", NS_FORMS).child(value(word)));
        form(NS_OPTIONS)
            .child(
                field(DELIVER, "boolean")
                    .attr("label", "Enable delivery?")
                    .child(value(if self.deliver { "1" } else { "0" })),
            )
            .child(
                field(SHOW_VALUES, "list-multi")
                    .attr("label", "Deliver while a resource shows one of these")
                    .children_from(shown)
                    .children_from(self.show_values.iter().map(|word| value(word))),
            )
    }

    /// As few words as possible, to be kept: nothing but the show values, or `off`.
    pub fn to_kept(&self) -> String {
        let mut words = self.show_values.clone();
        if !self.deliver {
            words.push("off".into());
        }
        words.join(" ")
    }

    /// Reads what [`Self::to_kept`] has written.
    pub fn read_kept(text: &str) -> Self {
        let words = || text.split_whitespace();
        Self {
            deliver: !words().any(|word| word == "off"),
            show_values: words()
                .filter(|word| *word != "off")
                .map(str::to_owned)
                .collect(),
        }
    }

    /// Tells whether somebody who shows this wants notifications.
    pub fn suits(&self, show: Show) -> bool {
        let word = match show {
            Show::Chat => "chat",
            Show::Online => "online",
            Show::Away => "away",
            Show::Xa => "xa",
            Show::Dnd => "dnd",
        };
        self.show_values.is_empty() || self.show_values.iter().any(|value| value == word)
    }
}

fn value(text: &str) -> Element {
    Element::new("value", NS_FORMS).text(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_as_it_was() {
        let busy = vec!["away".to_owned(), "xa".to_owned()];
        for (deliver, show_values) in [(true, Vec::new()), (false, busy.clone()), (true, busy)] {
            let options = Options {
                deliver,
                show_values,
            };
            assert_eq!(Options::read_kept(&options.to_kept()), options);
        }
    }

    #[test]
    fn a_subscriber_may_want_nothing_while_busy() {
        let options = Options::read_kept("chat online");
        assert!(options.suits(Show::Online));
        assert!(!options.suits(Show::Dnd));
        assert!(Options::default().suits(Show::Dnd));
    }
}
