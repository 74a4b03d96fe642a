//! A long archive for one account, as a file of XEP-0227 that a command of the server reads.
//!
//! Over the wire a million messages take a server hours that keeps each of them safely before
//! the next; a file takes minutes. What is in it depends on nothing but its length, so that it
//! can be read again where it was cut off, and searched for words that are known.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use klatsch_protocol::time::Timestamp;

use crate::error::{LoadError, Result};
use crate::options::Target;
use crate::random::Random;

/// Different words in all: each stands in one message of about two hundred and fifty.
const WORDS: usize = 2000;

/// Words of a message.
const WORDS_EACH: usize = 8;

/// Accounts on the other side.
const OTHERS: u64 = 20;

/// The first message's time, and between two: a year and some for a million.
const BEGIN: i64 = 1_600_000_000;
const STEP_SECONDS: i64 = 37;

/// A word that is searched for: seldom, and another each time.
pub(super) fn word(at: usize) -> String {
    format!("word{:04}", at * 37 % WORDS)
}

/// One that stands in every second message.
pub(super) fn common_word(at: usize) -> String {
    ["often", "seldom"][at % 2].to_owned()
}

/// Writes the file and gives it to a command.
pub(super) fn by_command(target: &Target, command: &str, messages: u64) -> Result<()> {
    let file = std::env::temp_dir().join(format!("klatsch-archive-{}.xml", std::process::id()));
    write(&file, target, messages)?;
    let command = command.replace("{file}", &file.to_string_lossy());
    let mut words = command.split_whitespace();
    let program = words
        .next()
        .ok_or_else(|| LoadError::Usage("empty command".into()))?;
    let status = Command::new(program).args(words).status();
    std::fs::remove_file(&file)?;
    match status?.success() {
        true => Ok(()),
        false => Err(LoadError::Usage(format!("failed: {command}"))),
    }
}

fn write(file: &Path, target: &Target, messages: u64) -> Result<()> {
    let mut out = BufWriter::new(File::create(file)?);
    let mut random = Random::new(1);
    let (domain, name) = (&target.domain, target.account(super::places::ACCOUNT));
    let localpart = name.split('@').next().unwrap_or_default();
    writeln!(
        out,
        "<server-data xmlns='urn:xmpp:pie:0'><host jid='{domain}'><user name='{localpart}'>\
         <archive xmlns='urn:xmpp:pie:0#mam'>"
    )?;
    for number in 0..messages {
        write_one(&mut out, &name, domain, number, &mut random)?;
    }
    writeln!(out, "</archive></user></host></server-data>")?;
    out.flush()?;
    Ok(())
}

fn write_one(
    out: &mut impl Write,
    me: &str,
    domain: &str,
    number: u64,
    random: &mut Random,
) -> Result<()> {
    let stamp = Timestamp((BEGIN + number as i64 * STEP_SECONDS) * 1_000_000).to_xep0082();
    let other = format!("friend{}@{domain}/home", number % OTHERS);
    let (from, to) = match number % 3 {
        0 => (me, other.as_str()),
        _ => (other.as_str(), me),
    };
    let words: Vec<String> = (0..WORDS_EACH)
        .map(|_| format!("word{:04}", random.below(WORDS as u64)))
        .collect();
    writeln!(
        out,
        "<result xmlns='urn:xmpp:mam:2' id='{number}'><forwarded xmlns='urn:xmpp:forward:0'>\
         <delay xmlns='urn:xmpp:delay' stamp='{stamp}'/><message xmlns='jabber:client' \
         from='{from}' to='{to}' type='chat' id='fill-{number}'><body>{} {}</body></message>\
         </forwarded></result>",
        common_word(number as usize),
        words.join(" ")
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_has_the_messages_it_should_and_is_the_same_twice() {
        let folder = std::env::temp_dir();
        let files = ["a", "b"]
            .map(|name| folder.join(format!("klatsch-fill-{}-{name}", std::process::id())));
        let texts = files.clone().map(|file| {
            write(&file, &crate::options::test_target(), 500).unwrap();
            std::fs::read_to_string(&file).unwrap()
        });
        for file in files {
            std::fs::remove_file(file).unwrap();
        }
        assert_eq!(texts[0], texts[1]);
        assert_eq!(texts[0].matches("<result ").count(), 500);
        assert!(texts[0].contains("<user name='user1'>"));
        let common = texts[0].matches(&common_word(0)).count();
        assert_eq!(common, 250);
    }
}
