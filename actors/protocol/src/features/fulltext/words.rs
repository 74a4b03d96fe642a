//! What a word is, for the archive's search (XEP-0431): one rule for texts and for queries, and
//! for every store.
//!
//! Words are runs of letters, digits and their marks, in lower case, in compatibility form and
//! without the accents of Latin, Greek, Cyrillic, Hebrew and Arabic. Scripts that are written
//! without spaces have no words to be seen: every two neighbouring signs are one. Pictures
//! (emoji) are words of one sign.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Longer words are found by their beginning: what is longer is no word, but a link or a key.
const CHARS_MAX: usize = 32;

/// Neighbours of one kind.
#[derive(Debug, PartialEq, Eq)]
pub enum Run {
    /// A word.
    Word(String),
    /// Signs of a script without spaces.
    Signs(Vec<char>),
}

impl Run {
    /// The words a text is found by.
    pub fn into_words(self) -> Vec<String> {
        match self {
            Self::Word(word) => vec![word],
            Self::Signs(signs) => pairs(&signs).collect(),
        }
    }
}

/// Every sign with the one behind it, the last one alone.
pub fn pairs(signs: &[char]) -> impl Iterator<Item = String> + '_ {
    (0..signs.len()).map(|at| signs[at..].iter().take(2).collect())
}

/// Cuts a text into runs.
pub fn runs(text: &str) -> impl Iterator<Item = Run> + '_ {
    let lower = text.chars().flat_map(char::to_lowercase);
    // Some compatibility forms are capitals.
    let plain = lower.nfkd().flat_map(char::to_lowercase);
    let mut chars = plain.filter(|c| !is_accent(*c)).peekable();
    std::iter::from_fn(move || {
        while let Some(first) = chars.next() {
            match kind(first) {
                Kind::Other => {}
                Kind::Picture => return Some(Run::Word(first.to_string())),
                Kind::Sign => {
                    let mut signs = vec![first];
                    while let Some(next) = chars.next_if(|c| kind(*c) == Kind::Sign) {
                        signs.push(next);
                    }
                    return Some(Run::Signs(signs));
                }
                Kind::Letter => {
                    let mut word = String::from(first);
                    let mut count = 1;
                    while let Some(next) = chars.next_if(|c| kind(*c) == Kind::Letter) {
                        if count < CHARS_MAX {
                            word.push(next);
                        }
                        count += 1;
                    }
                    return Some(Run::Word(word));
                }
            }
        }
        None
    })
}

#[derive(PartialEq, Eq)]
enum Kind {
    Letter,
    Sign,
    Picture,
    Other,
}

fn kind(c: char) -> Kind {
    match c {
        // Thai and Lao; Burmese; Khmer; kana; the signs of Chinese.
        '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3041}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{20000}'..='\u{3fffd}'
            if is_part(c) =>
        {
            Kind::Sign
        }
        '\u{2600}'..='\u{27bf}' | '\u{1f300}'..='\u{1faff}' => Kind::Picture,
        _ if is_part(c) => Kind::Letter,
        _ => Kind::Other,
    }
}

fn is_part(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

/// Marks that people leave out when they search: other scripts' marks are letters to them.
fn is_accent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}'
        | '\u{483}'..='\u{487}'
        | '\u{591}'..='\u{5bd}'
        | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{610}'..='\u{61a}'
        | '\u{640}'
        | '\u{64b}'..='\u{65f}'
        | '\u{670}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}'
        // The voice marks of kana, which their decomposition sets apart.
        | '\u{3099}' | '\u{309a}'
        // Which picture is drawn, and how they are joined.
        | '\u{200d}' | '\u{fe00}'..='\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        runs(text).flat_map(Run::into_words).collect()
    }

    #[test]
    fn words_are_letters_and_digits_in_lower_case_without_accents() {
        assert_eq!(
            words("L'Été — 42,5 ﬁn İz"),
            ["l", "ete", "42", "5", "fin", "iz"]
        );
        assert_eq!(words("שָׁלוֹם ἄνθρωπος Ёлка"), ["שלום", "ανθρωπος", "елка"]);
    }

    #[test]
    fn marks_that_carry_meaning_stay() {
        assert_eq!(words("हिन्दी भाषा"), ["हिन्दी", "भाषा"]);
    }

    #[test]
    fn signs_go_in_pairs_and_words_beside_them_stay_whole() {
        assert_eq!(words("東京2024です"), ["東京", "京", "2024", "てす", "す"]);
    }

    #[test]
    fn pictures_are_words() {
        assert_eq!(words("ok👍🏽!"), ["ok", "👍"]);
    }

    #[test]
    fn long_words_are_cut() {
        assert_eq!(words(&"ab".repeat(100)), ["ab".repeat(16)]);
    }
}
