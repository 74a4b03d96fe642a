//! Which names people may choose for themselves: none that can be taken for another's (row R12).
//!
//! What an address may be is RFC 7622's to say (`jid/prepare.rs`); of those, a name is of one
//! script, as UTS 39 §5.2 has it ("highly restrictive"), and not of letters alone that look like
//! Latin ones. Leaves out: lookalikes within one script (`l` and `1`), and what operators choose.

/// Characters of a name: more fit nowhere.
pub const CHARACTERS_MAX: usize = 64;

/// Names whose owner people believe to speak for the server (RFC 2142 and usage).
const RESERVED: &[&str] = &[
    "abuse",
    "admin",
    "administrator",
    "hostmaster",
    "info",
    "noc",
    "postmaster",
    "root",
    "security",
    "support",
    "system",
    "webmaster",
    "xmpp",
];

/// Letters of other scripts that look like Latin ones in common fonts.
const LOOKALIKES: &str = "аеорсухіїјѕԁһӏԛԝьгпкт\
                          αβγηικνορτυχω\
                          օսոհզցղ";

/// Tells whether a prepared localpart is a name somebody may choose.
///
/// # Errors
/// What is wrong with it, for people.
pub fn check(localpart: &str) -> Result<(), &'static str> {
    if localpart.chars().count() > CHARACTERS_MAX {
        return Err("a name has at most 64 characters");
    }
    if RESERVED.contains(&localpart) {
        return Err("this name is not for people");
    }
    if !localpart.chars().any(char::is_alphanumeric) {
        return Err("a name has a letter or a digit");
    }
    let mut scripts: Vec<Script> = Vec::new();
    for character in localpart.chars().filter(|it| !is_common(*it)) {
        let script = script_of(character)
            .ok_or("a name has letters, digits, dots, hyphens and underscores of one script")?;
        if !scripts.contains(&script) {
            scripts.push(script);
        }
    }
    if !go_together(&scripts) {
        return Err("the letters of a name are of one script");
    }
    let mut letters = localpart.chars().filter(|it| !is_common(*it)).peekable();
    if letters.peek().is_some() && letters.all(|letter| LOOKALIKES.contains(letter)) {
        return Err("this name looks like another one");
    }
    Ok(())
}

/// What goes with every script. Digits of other scripts look like letters of ours, and marks
/// that stand alone after composition like nothing at all.
fn is_common(character: char) -> bool {
    character.is_ascii_digit() || matches!(character, '.' | '-' | '_' | '+')
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    Han,
    Kana,
    Bopomofo,
    Hangul,
    /// Another one, by the first code point of its block.
    Other(u32),
}

/// Blocks of letters, by their first and last code point, of scripts in everyday use
/// (UAX 31 table 5).
const BLOCKS: &[(u32, u32)] = &[
    (0x0370, 0x03ff), // Greek
    (0x0400, 0x052f), // Cyrillic
    (0x0530, 0x058f), // Armenian
    (0x0590, 0x05ff), // Hebrew
    (0x0600, 0x06ff), // Arabic
    (0x0780, 0x07bf), // Thaana
    (0x0900, 0x097f), // Devanagari
    (0x0980, 0x09ff), // Bengali
    (0x0a00, 0x0a7f), // Gurmukhi
    (0x0a80, 0x0aff), // Gujarati
    (0x0b00, 0x0b7f), // Oriya
    (0x0b80, 0x0bff), // Tamil
    (0x0c00, 0x0c7f), // Telugu
    (0x0c80, 0x0cff), // Kannada
    (0x0d00, 0x0d7f), // Malayalam
    (0x0d80, 0x0dff), // Sinhala
    (0x0e00, 0x0e7f), // Thai
    (0x0e80, 0x0eff), // Lao
    (0x0f00, 0x0fff), // Tibetan
    (0x1000, 0x109f), // Myanmar
    (0x10a0, 0x10ff), // Georgian
    (0x1200, 0x137f), // Ethiopic
    (0x1780, 0x17ff), // Khmer
];

fn script_of(character: char) -> Option<Script> {
    let code = u32::from(character);
    if character.is_numeric() {
        return None;
    }
    match code {
        0x61..=0x7a | 0xdf..=0xf6 | 0xf8..=0x24f | 0x1e00..=0x1eff => Some(Script::Latin),
        0x3005 | 0x3400..=0x4dbf | 0x4e00..=0x9fff => Some(Script::Han),
        0x3041..=0x3096 | 0x30a1..=0x30fa | 0x30fc => Some(Script::Kana),
        0x3105..=0x312f => Some(Script::Bopomofo),
        0xac00..=0xd7a3 => Some(Script::Hangul),
        _ => {
            let block = BLOCKS
                .iter()
                .find(|(first, last)| (*first..=*last).contains(&code));
            block.map(|(first, _)| Script::Other(*first))
        }
    }
}

fn go_together(scripts: &[Script]) -> bool {
    use Script::{Bopomofo, Han, Hangul, Kana, Latin};
    let all_in = |set: &[Script]| scripts.iter().all(|script| set.contains(script));
    scripts.len() < 2
        || all_in(&[Latin, Han, Kana])
        || all_in(&[Latin, Han, Bopomofo])
        || all_in(&[Latin, Han, Hangul])
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn r12_names_of_one_script_are_fine() {
        for name in [
            "anna",
            "anna.b-2_c",
            "müller",
            "łukasz",
            "şükrü",
            "иван",
            "γιάννης",
            "דוד",
            "محمد",
            "देवी",
            "สมชาย",
            "김철수",
            "田中たろう",
            "tanaka田中",
            "42",
            "гоша7",
        ] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn r12_names_that_can_be_taken_for_others_are_refused() {
        for name in [
            "аnna",       // with a Cyrillic а
            "раура",      // Cyrillic alone, read as Latin
            "νικο",       // Greek alone, read as Latin
            "ann\u{251}", // a letter of phonetics
            "a\u{335}nna",
            "anna०",
            "annа.b",
            "foo$bar",
            "---",
            "admin",
            &"a".repeat(65),
        ] {
            assert!(check(name).is_err(), "{name}");
        }
    }
}
