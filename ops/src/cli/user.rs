//! `klatsch user`: accounts, on the running server or on the store.

use super::Common;
use super::talk::Talk;
use crate::admin::{Answer, PAGE_MAX, Request};
use crate::error::Error;
use crate::password::Password;
use clap::{Args, Subcommand};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// Accounts.
#[derive(Debug, Subcommand)]
pub(super) enum User {
    /// Make an account; without a password it is asked for, or made and printed
    Add {
        /// Whose: name@domain
        jid: String,
        #[command(flatten)]
        password: PasswordArgs,
        /// May do what administrators may
        #[arg(long)]
        admin: bool,
    },
    /// List accounts
    List {
        /// Only those of this domain
        #[arg(long, value_name = "D")]
        domain: Option<String>,
    },
    /// Remove an account with all it kept
    Remove {
        /// Whose: name@domain
        jid: String,
    },
    /// Set another password; ends the account's sessions
    Passwd {
        /// Whose: name@domain
        jid: String,
        #[command(flatten)]
        password: PasswordArgs,
    },
    /// Make many accounts from lines of jid,password
    Import {
        /// The file
        file: PathBuf,
    },
}

/// Where the password comes from.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct PasswordArgs {
    /// The password; others on this machine may see it while the command runs
    #[arg(long, value_name = "P", value_parser = hidden)]
    password: Option<Password>,
    /// Read the password from the first line of the standard input
    #[arg(long)]
    password_stdin: bool,
}

/// A password, and whether it has to be shown because nobody knows it yet.
struct Chosen {
    password: Password,
    is_made: bool,
}

impl User {
    pub(super) fn run(self, common: &Common) -> Result<String, Error> {
        match self {
            Self::Add {
                jid,
                password,
                admin,
            } => add(common, jid, &password, admin),
            Self::List { domain } => list(common, domain.as_deref()),
            Self::Remove { jid } => {
                Talk::begin(common)?.ask(Request::UserRemove { jid: jid.clone() })?;
                Ok(format!("removed {jid}"))
            }
            Self::Passwd { jid, password } => set_password(common, jid, &password),
            Self::Import { file } => import(common, &file),
        }
    }
}

fn add(common: &Common, jid: String, from: &PasswordArgs, admin: bool) -> Result<String, Error> {
    let chosen = from.choose()?;
    let password = chosen.password.clone();
    Talk::begin(common)?.ask(Request::UserAdd {
        jid: jid.clone(),
        password,
        admin,
    })?;
    Ok(chosen.tell(format!("added {jid}")))
}

fn set_password(common: &Common, jid: String, from: &PasswordArgs) -> Result<String, Error> {
    let chosen = from.choose()?;
    let password = chosen.password.clone();
    Talk::begin(common)?.ask(Request::UserPasswd {
        jid: jid.clone(),
        password,
    })?;
    Ok(chosen.tell(format!("new password for {jid}")))
}

fn list(common: &Common, domain: Option<&str>) -> Result<String, Error> {
    let mut talk = Talk::begin(common)?;
    let mut lines = Vec::new();
    let mut after = None;
    loop {
        let domain = domain.map(str::to_owned);
        let Answer::Users(users) = talk.ask(Request::UserList { domain, after })? else {
            return Err(Error::Refused("unexpected answer".to_owned()));
        };
        let is_last = users.len() < PAGE_MAX;
        after = users.last().map(|user| user.jid.clone());
        lines.extend(users.iter().map(line));
        if is_last {
            return Ok(lines.join("\n"));
        }
    }
}

fn line(user: &crate::admin::User) -> String {
    let admin = if user.admin { "  admin" } else { "" };
    let disabled = if user.disabled { "  disabled" } else { "" };
    format!("{}{admin}{disabled}", user.jid)
}

/// Adds what can be added, and tells of each line that could not.
fn import(common: &Common, file: &Path) -> Result<String, Error> {
    let input = File::open(file).map_err(Error::io("cannot read", file))?;
    let mut talk = Talk::begin(common)?;
    let mut added = 0;
    let mut refused = Vec::new();
    for (index, line) in BufReader::new(input).lines().enumerate() {
        let line = line.map_err(Error::io("cannot read", file))?;
        let entry = match parse_line(&line, index == 0) {
            Ok(Some(entry)) => entry,
            Ok(None) => continue,
            Err(why) => {
                refused.push(format!("line {}: {why}", index + 1));
                continue;
            }
        };
        let (jid, password) = entry;
        match talk.ask(Request::UserAdd {
            jid: jid.clone(),
            password,
            admin: false,
        }) {
            Ok(_) => added += 1,
            Err(Error::Refused(why)) => refused.push(format!("line {}: {jid}: {why}", index + 1)),
            Err(error) => return Err(error),
        }
    }
    if refused.is_empty() {
        return Ok(format!("{added} added"));
    }
    refused.push(format!("{added} added, {} not", refused.len()));
    Err(Error::Refused(refused.join("\n")))
}

/// One line of `jid,password`: nothing for an empty line, a comment or the heading.
fn parse_line(line: &str, is_first: bool) -> Result<Option<(String, Password)>, &'static str> {
    let line = line.trim_start_matches('\u{feff}').trim_end_matches('\r');
    if line.trim().is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (jid, rest) = field(line)?;
    if is_first && jid.eq_ignore_ascii_case("jid") {
        return Ok(None);
    }
    let (password, rest) = field(rest.ok_or("no comma between jid and password")?)?;
    if rest.is_some() {
        return Err("more than jid and password: a password with a comma stands in quotes");
    }
    Ok(Some((jid.trim().to_owned(), Password::new(password))))
}

/// A field, in quotes or not (RFC 4180 §2), and what stands behind its comma.
fn field(text: &str) -> Result<(String, Option<&str>), &'static str> {
    let Some(mut rest) = text.strip_prefix('"') else {
        return Ok(match text.split_once(',') {
            Some((field, rest)) => (field.to_owned(), Some(rest)),
            None => (text.to_owned(), None),
        });
    };
    let mut field = String::new();
    loop {
        let (part, behind) = rest.split_once('"').ok_or("a quote is not closed")?;
        field.push_str(part);
        match behind.strip_prefix('"') {
            // RFC 4180 §2.7: two quotes inside are one.
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None if behind.is_empty() => return Ok((field, None)),
            None => {
                return Ok((
                    field,
                    Some(behind.strip_prefix(',').ok_or("text behind a quote")?),
                ));
            }
        }
    }
}

impl PasswordArgs {
    fn choose(&self) -> Result<Chosen, Error> {
        let given = |password| {
            Ok(Chosen {
                password,
                is_made: false,
            })
        };
        if let Some(password) = &self.password {
            return given(password.clone());
        }
        if self.password_stdin {
            return given(Password::from_stdin()?);
        }
        if Password::can_ask()
            && let Some(password) = Password::ask()?
        {
            return given(password);
        }
        Ok(Chosen {
            password: Password::make()?,
            is_made: true,
        })
    }
}

impl Chosen {
    fn tell(&self, done: String) -> String {
        match self.is_made {
            true => format!("{done}, password {}", self.password.expose()),
            false => done,
        }
    }
}

/// For clap, whose own parser would keep a text that shows itself.
fn hidden(text: &str) -> Result<Password, std::convert::Infallible> {
    Ok(Password::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> (String, String) {
        let (jid, password) = parse_line(line, false).unwrap().unwrap();
        (jid, password.expose().to_owned())
    }

    #[test]
    fn line_is_jid_and_password() {
        let pair = |jid: &str, password: &str| (jid.to_owned(), password.to_owned());
        assert_eq!(parsed("a@b,secret"), pair("a@b", "secret"));
        assert_eq!(parsed("a@b , secret \r"), pair("a@b", " secret "));
        assert_eq!(parsed("\"a@b\",\"se,c\"\"ret\""), pair("a@b", "se,c\"ret"));
        assert_eq!(parsed("a@b,"), pair("a@b", ""));
    }

    #[test]
    fn heading_empty_line_and_comment_are_skipped() {
        assert_eq!(parse_line("\u{feff}JID,Password", true), Ok(None));
        assert_eq!(parse_line("", false), Ok(None));
        assert_eq!(parse_line("# people", false), Ok(None));
    }

    #[test]
    fn line_that_is_neither_is_refused() {
        for wrong in ["a@b", "a@b,b,c", "\"a@b,c", "\"a@b\"x,c"] {
            assert!(parse_line(wrong, false).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_a_made_password_is_printed() {
        let chosen = |is_made| Chosen {
            password: Password::new("p"),
            is_made,
        };
        assert_eq!(
            chosen(true).tell("added a@b".to_owned()),
            "added a@b, password p"
        );
        assert_eq!(chosen(false).tell("added a@b".to_owned()), "added a@b");
    }
}
