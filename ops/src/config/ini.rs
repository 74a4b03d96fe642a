//! Settings as Python's `ConfigParser` reads them, which is what Kolab's are written for.
//!
//! Sections, keys without case, values that go on in indented lines, and `%(name)s` for another
//! key of the section. A line that is none of these is passed over: it is another program's file.

use std::collections::BTreeMap;

/// References in references: Kolab has one in another.
const DEPTH_MAX: usize = 8;

/// A value that is longer is nobody's; references could make it so.
const VALUE_BYTES_MAX: usize = 16 * 1024;

/// Keys with their values.
pub(super) type Section = BTreeMap<String, String>;

/// A whole file.
#[derive(Debug, Default)]
pub(super) struct Ini {
    sections: BTreeMap<String, Section>,
}

impl Ini {
    /// Reads a file's text.
    pub(super) fn parse(text: &str) -> Self {
        let mut ini = Self::default();
        let (mut section, mut key) = (String::new(), None::<String>);
        for line in text.lines() {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
                continue;
            }
            let values = ini.sections.entry(section.clone()).or_default();
            match (&key, line.starts_with([' ', '\t'])) {
                (Some(key), true) => {
                    let value = values.entry(key.clone()).or_default();
                    value.push('\n');
                    value.push_str(trimmed);
                }
                _ => match name_of_section(trimmed) {
                    Some(name) => (section, key) = (name.to_owned(), None),
                    None => {
                        key = pair(trimmed).map(|(name, value)| {
                            values.insert(name.clone(), value);
                            name
                        });
                    }
                },
            }
        }
        ini
    }

    /// The names of the sections.
    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str)
    }

    /// A section over others, as its own keys go over theirs.
    pub(super) fn over(&self, section: &str, under: &[&str]) -> Section {
        let mut merged = Section::new();
        for name in under.iter().rev().chain([&section]) {
            let values = self.sections.get(*name).into_iter().flatten();
            merged.extend(values.map(|(key, value)| (key.clone(), value.clone())));
        }
        merged
    }
}

fn name_of_section(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.split(']').next()
}

fn pair(line: &str) -> Option<(String, String)> {
    let at = line.find(['=', ':'])?;
    let (name, value) = (line[..at].trim(), line[at + 1..].trim());
    (!name.is_empty()).then(|| (name.to_lowercase(), value.to_owned()))
}

/// The value of a key, with what it refers to; nothing for an empty one.
pub(super) fn value(section: &Section, key: &str) -> Option<String> {
    let value = interpolate(section, section.get(key)?, DEPTH_MAX)?;
    (!value.is_empty()).then_some(value)
}

/// A `%` that begins no reference is one: passwords have them.
fn interpolate(section: &Section, text: &str, depth: usize) -> Option<String> {
    let depth = depth.checked_sub(1)?;
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let reference = rest
            .strip_prefix("%(")
            .and_then(|it| it.split_once(")s"))
            .and_then(|(name, after)| Some((section.get(&name.to_lowercase())?, after)));
        match reference {
            Some((value, after)) => {
                out.push_str(&interpolate(section, value, depth)?);
                rest = after;
            }
            None => {
                out.push('%');
                rest = rest.strip_prefix("%%").unwrap_or(&rest[1..]);
            }
        }
        if out.len() > VALUE_BYTES_MAX {
            return None;
        }
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Kolab
stray line without a section
[kolab]
primary_domain = example.org
[ldap]
Base_DN: dc=example,dc=org
user_base_dn = ou=People,%(base_dn)s
kolab_user_base_dn = %(user_base_dn)s
service_bind_pw = 50%off %% %(nobody)s
filter = (&
    (objectclass=person)
    (mail=*))
; the end
[example.net]
base_dn = dc=example,dc=net
nonsense
empty =
loop = %(loop)s
";

    #[test]
    fn values_refer_to_others_of_their_section() {
        let ini = Ini::parse(TEXT);
        let ldap = ini.over("ldap", &[]);
        let get = |key| value(&ldap, key);
        assert_eq!(
            get("kolab_user_base_dn").as_deref(),
            Some("ou=People,dc=example,dc=org")
        );
        assert_eq!(
            get("service_bind_pw").as_deref(),
            Some("50%off % %(nobody)s")
        );
        assert_eq!(
            get("filter").as_deref(),
            Some("(&\n(objectclass=person)\n(mail=*))")
        );
        assert_eq!(get("nothing"), None);
    }

    #[test]
    fn sections_of_domains_go_over_the_common_one() {
        let ini = Ini::parse(TEXT);
        let net = ini.over("example.net", &["ldap"]);
        assert_eq!(
            value(&net, "user_base_dn").as_deref(),
            Some("ou=People,dc=example,dc=net")
        );
        assert_eq!(value(&net, "empty"), None);
        assert_eq!(value(&net, "loop"), None, "a loop has no value");
        let names: Vec<&str> = ini.sections().collect();
        assert_eq!(names, ["", "example.net", "kolab", "ldap"]);
    }

    #[test]
    fn references_do_not_fill_the_memory() {
        let mut text = "[a]\nk0 = xxxxxxxxxxxxxxxx\n".to_owned();
        for n in 1..8 {
            let ten = format!("%(k{})s", n - 1).repeat(10);
            text.push_str(&format!("k{n} = {ten}\n"));
        }
        let section = Ini::parse(&text).over("a", &[]);
        assert_eq!(value(&section, "k7"), None);
        assert_eq!(value(&section, "k1").unwrap().len(), 160);
    }
}
