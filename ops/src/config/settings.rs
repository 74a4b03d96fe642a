//! Settings written once: a struct's fields, defaults and documentation from one text.
//!
//! `klatsch config example` and the file `ops/klatsch.example.toml` are made from the same doc
//! comments that rustdoc shows, so that the three cannot differ.

use serde::Serialize;
use std::fmt::Write as _;
use toml::{Table, Value};

/// A key, as the example shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: &'static str,
    /// The doc comment's lines.
    pub(crate) doc: &'static [&'static str],
    /// What to show where the default is to have none.
    pub(crate) example: Option<&'static str>,
}

/// A struct made by [`settings!`].
pub(crate) trait Documented: Default + Serialize {
    /// The struct's doc comment.
    const HEAD: &'static [&'static str];
    /// Its keys in the order written.
    const KEYS: &'static [Key];
}

/// Makes a struct of settings: every key with its documentation and default, unknown keys refused.
macro_rules! settings {
    (
        $(#[doc = $head:literal])+
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(#[serde($($serde:tt)+)])?
                $key:ident: $type:ty = $default:expr $(, example $example:literal)?;
            )*
        }
        $(sections { $($(#[doc = $section_doc:literal])+ $section:ident: $section_type:ty;)+ })?
    ) => {
        $(#[doc = $head])+
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])+ $(#[serde($($serde)+)])? pub $key: $type,)*
            $($($(#[doc = $section_doc])+ pub $section: $section_type,)+)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    $($key: $default,)*
                    $($($section: Default::default(),)+)?
                }
            }
        }

        impl $crate::config::settings::Documented for $name {
            const HEAD: &'static [&'static str] = &[$($head),+];
            const KEYS: &'static [$crate::config::settings::Key] = &[$(
                $crate::config::settings::Key {
                    name: stringify!($key),
                    doc: &[$($doc),+],
                    example: settings!(@example $($example)?),
                },
            )*];
        }
    };
    (@example) => { None };
    (@example $example:literal) => { Some($example) };
}
pub(crate) use settings;

/// Writes the keys of `T` with their defaults, each commented out, under `[section]` unless empty.
pub(super) fn write_example<T: Documented>(out: &mut String, section: &str) {
    if !section.is_empty() {
        let _ = writeln!(out, "[{section}]");
        comment(out, T::HEAD);
        out.push('\n');
    }
    let defaults = Table::try_from(T::default()).expect("settings are a table of plain values");
    for key in T::KEYS {
        comment(out, key.doc);
        let value = defaults.get(key.name).map(Value::to_string);
        let value = value.as_deref().or(key.example).unwrap_or("\"\"");
        let _ = writeln!(out, "#{} = {value}\n", key.name);
    }
}

/// Doc lines as comments; rustdoc's links and marks are plain words here.
fn comment(out: &mut String, lines: &[&str]) {
    for line in lines {
        let line = line.trim().replace('`', "");
        let _ = writeln!(out, "{}", format!("# {line}").trim_end());
    }
}
