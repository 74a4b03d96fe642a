//! Names of files: text to show, never a path (row H01).

/// Bytes a name may have: what file systems of those who save it can take.
const BYTES_MAX: usize = 200;

/// Bytes an ending may have to be kept when a name is cut.
const ENDING_BYTES_MAX: usize = 16;

/// A name nobody can be led astray with: no folders, nothing invisible, nothing that turns the
/// direction of writing. §5: the ending is kept.
pub(super) fn tidy(name: &str) -> Box<str> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible: String = last.chars().filter(|it| !is_treacherous(*it)).collect();
    let name = visible.trim().trim_start_matches('.');
    if name.is_empty() {
        return "file".into();
    }
    cut(name).into()
}

/// Control characters and those that change how the others are shown.
fn is_treacherous(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

fn cut(name: &str) -> String {
    if name.len() <= BYTES_MAX {
        return name.to_owned();
    }
    let ending = name.rfind('.').map_or("", |dot| &name[dot..]);
    let ending = if ending.len() > ENDING_BYTES_MAX {
        ""
    } else {
        ending
    };
    let end = name.floor_char_boundary(BYTES_MAX - ending.len());
    format!("{}{ending}", &name[..end])
}

/// RFC 3986 §2.1: everything but unreserved characters is percent-encoded.
pub(super) fn encode(name: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h01_a_name_is_no_path() {
        for (name, tidied) in [
            ("../../x", "x"),
            ("..%2f..%2fx", "%2f..%2fx"),
            ("C:\\autoexec.bat", "autoexec.bat"),
            ("/etc/passwd", "passwd"),
            ("..", "file"),
            ("dir/", "file"),
            ("a\0b\r\n.txt", "ab.txt"),
            ("annexe\u{202E}gpj.exe", "annexegpj.exe"),
            (".htaccess", "htaccess"),
            ("\u{200B} ", "file"),
        ] {
            assert_eq!(&*tidy(name), tidied, "{name:?}");
        }
    }

    #[test]
    fn h01_a_long_name_keeps_its_ending() {
        let long = format!("{}.jpeg", "ä".repeat(300));
        let tidied = tidy(&long);
        assert!(tidied.len() <= BYTES_MAX && tidied.ends_with("ä.jpeg"));
        assert_eq!(tidy(&"x".repeat(300)).len(), BYTES_MAX);
        assert_eq!(tidy(&format!("a.{}", "x".repeat(300))).len(), BYTES_MAX);
    }

    #[test]
    fn section_5_what_is_not_ascii_is_percent_encoded() {
        assert_eq!(encode("très cool.jpg"), "tr%C3%A8s%20cool.jpg");
        assert_eq!(encode("a/b?c#d%"), "a%2Fb%3Fc%23d%25");
    }
}
