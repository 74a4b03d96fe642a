//! What a connection may do: everything its account may, or what is said on the topics of some
//! apps alone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names of apps are words in topics, settings and commands.
const NAME_BYTES_MAX: usize = 64;

/// Leave to join an app's topics: `NAME` to join and push, `NAME:listen` to join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppRule {
    name: Box<str>,
    may_push: bool,
}

/// Why a text grants nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppRuleError {
    /// The name is no word.
    #[error("the name of an app has 1 to 64 of a-z, 0-9, - and _")]
    Name,
    /// Something else stands behind the name.
    #[error("behind the name of an app stands nothing or \":listen\"")]
    Right,
}

impl AppRule {
    /// The app.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether to push, too, and not only to listen.
    #[must_use]
    pub fn may_push(&self) -> bool {
        self.may_push
    }
}

/// Tells whether an app may be called so.
pub(super) fn is_app_name(name: &str) -> bool {
    let is_word = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || b"-_".contains(&it);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_word)
}

impl FromStr for AppRule {
    type Err = AppRuleError;

    fn from_str(text: &str) -> Result<Self, AppRuleError> {
        let (name, may_push) = match text.split_once(':') {
            None => (text, true),
            Some((name, "listen")) => (name, false),
            Some(_) => return Err(AppRuleError::Right),
        };
        match is_app_name(name) {
            true => Ok(Self {
                name: name.into(),
                may_push,
            }),
            false => Err(AppRuleError::Name),
        }
    }
}

impl TryFrom<String> for AppRule {
    type Error = AppRuleError;

    fn try_from(text: String) -> Result<Self, AppRuleError> {
        text.parse()
    }
}

impl From<AppRule> for String {
    fn from(rule: AppRule) -> Self {
        rule.to_string()
    }
}

impl fmt::Display for AppRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let right = if self.may_push { "" } else { ":listen" };
        write!(f, "{}{right}", self.name)
    }
}

/// What somebody who has logged in may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Grant {
    /// What the account may.
    #[default]
    Account,
    /// The topics of these apps and nothing else.
    Apps(Box<[AppRule]>),
}

impl Grant {
    /// Leave for these apps alone; for the whole account when there are none.
    #[must_use]
    pub fn of(apps: Vec<AppRule>) -> Self {
        match apps.is_empty() {
            true => Self::Account,
            false => Self::Apps(apps.into()),
        }
    }

    /// Whether it is for the whole account.
    #[must_use]
    pub fn is_account(&self) -> bool {
        matches!(self, Self::Account)
    }

    /// The leave for an app, if there is any; `open` is what every account has.
    pub(super) fn rule<'a>(&'a self, app: &str, open: &'a [AppRule]) -> Option<&'a AppRule> {
        let rules = match self {
            Self::Account => open,
            Self::Apps(apps) => apps,
        };
        // Of two for the same app, the one that gives more.
        let mut ours = rules.iter().filter(|rule| &*rule.name == app);
        let first = ours.next()?;
        Some(ours.find(|rule| rule.may_push).unwrap_or(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_is_read_as_it_is_written() {
        for text in ["shop", "shop:listen", "a-b_9"] {
            assert_eq!(text.parse::<AppRule>().unwrap().to_string(), text);
        }
        for (text, error) in [
            ("", AppRuleError::Name),
            ("Shop", AppRuleError::Name),
            ("a b", AppRuleError::Name),
            (":listen", AppRuleError::Name),
            ("shop:push", AppRuleError::Right),
            ("shop:", AppRuleError::Right),
        ] {
            assert_eq!(text.parse::<AppRule>(), Err(error), "{text}");
        }
        assert!("x".repeat(65).parse::<AppRule>().is_err());
    }

    #[test]
    fn token_for_apps_has_no_share_in_what_accounts_may() {
        let rule = |text: &str| text.parse::<AppRule>().unwrap();
        let open = [rule("open"), rule("news:listen")];
        let token = Grant::of(vec![rule("shop:listen"), rule("shop"), rule("a:listen")]);
        assert_eq!(token.rule("open", &open), None);
        assert!(token.rule("shop", &open).unwrap().may_push());
        assert!(!token.rule("a", &open).unwrap().may_push());
        let account = Grant::of(Vec::new());
        assert_eq!(account.rule("shop", &open), None);
        assert!(!account.rule("news", &open).unwrap().may_push());
    }
}
