//! What a file is called, and what it is said to be: fit for URLs and headers.
//!
//! A name is a label and never a place: nothing on disk is called by it (row H01).

/// Bytes of a name; with its ending, so that a URL stays far below what proxies take.
const NAME_BYTES_MAX: usize = 150;

/// Bytes of a name's ending that are kept when the rest has to be cut.
const ENDING_BYTES_MAX: usize = 16;

/// Bytes of a media type: RFC 6838 §4.2 gives each half 127.
const TYPE_BYTES_MAX: usize = 127;

/// A name without paths, without what cannot be seen or turns text around, and not too long.
pub(super) fn tidied(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let seen = last.chars().map(|character| match is_hidden(character) {
        true => '_',
        false => character,
    });
    let seen: String = seen.collect();
    let name = seen.trim().trim_start_matches('.');
    match name {
        "" => "file".to_owned(),
        name if name.len() <= NAME_BYTES_MAX => name.to_owned(),
        name => shortened(name),
    }
}

/// Control characters, and those that write other ones from right to left.
fn is_hidden(character: char) -> bool {
    let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}'
        | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    character.is_control() || turns
}

/// §4: the ending especially is kept.
fn shortened(name: &str) -> String {
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if ending.len() <= ENDING_BYTES_MAX => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    let mut end = NAME_BYTES_MAX.saturating_sub(ending.len()).min(stem.len());
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", &stem[..end])
}

/// A media type as it can stand in a header (RFC 9110 §8.3.1), without parameters; `None` for
/// what is none.
pub(super) fn media_type(text: &str) -> Option<String> {
    let essence = text.split(';').next()?.trim();
    let (kind, subtype) = essence.split_once('/')?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(fits);
    let is_type = essence.len() <= TYPE_BYTES_MAX && is_name(kind) && is_name(subtype);
    is_type.then(|| essence.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h01_a_name_is_no_path_and_shows_what_it_is() {
        for (said, kept) in [
            ("très cool.jpg", "très cool.jpg"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\x.exe", "x.exe"),
            ("C:\\x.txt", "x.txt"),
            ("..", "file"),
            (".", "file"),
            ("", "file"),
            ("a/", "file"),
            (".htaccess", "htaccess"),
            ("a\u{0}b", "a_b"),
            ("a\r\nb", "a__b"),
            ("cod\u{202e}gpj.exe", "cod_gpj.exe"),
            ("..%2f..%2fx", "%2f..%2fx"),
        ] {
            assert_eq!(tidied(said), kept, "{said:?}");
        }
    }

    #[test]
    fn h01_a_long_name_keeps_its_ending() {
        let long = tidied(&format!("{}.jpeg", "ü".repeat(300)));
        assert!(long.len() <= NAME_BYTES_MAX && long.ends_with("ü.jpeg"));
        let without = tidied(&"x".repeat(300));
        assert_eq!(without.len(), NAME_BYTES_MAX);
        let endless = tidied(&format!("a.{}", "x".repeat(300)));
        assert_eq!(endless.len(), NAME_BYTES_MAX);
    }

    #[test]
    fn h02_a_media_type_cannot_carry_a_header() {
        assert_eq!(media_type("image/JPEG").unwrap(), "image/jpeg");
        assert_eq!(
            media_type("text/plain; charset=utf-8").unwrap(),
            "text/plain"
        );
        for bad in [
            "",
            "image",
            "image/",
            "/jpeg",
            "a/b\r\nSet-Cookie: x",
            "a/b c",
            "a/b/c",
        ] {
            assert_eq!(media_type(bad), None, "{bad:?}");
        }
    }
}
