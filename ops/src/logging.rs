//! Log lines: text for people on a terminal, JSON for machines elsewhere.
//!
//! Bodies and secrets are never logged: nobody passes them as a field. What peers may have written
//! (a nick, a resource) reaches the log only with its control characters escaped, so that nobody
//! forges a line or moves a cursor.

use crate::config::{Log, LogFormat};
use crate::error::Error;
use std::fmt::{self, Write};
use std::io::IsTerminal;
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;

/// Libraries that would say too much: ractor a span for each message, and its cluster link at debug
/// even what it exchanges to authenticate. Naming one in `log.level` goes over this.
const QUIET: &str = "ractor=warn,ractor_cluster=warn,sqlx=warn,hyper=warn,rustls=warn,\
                     tungstenite=warn,tokio_tungstenite=warn,ldap3_proto=warn";

/// Starts logging to standard error for the whole process.
pub fn start(log: &Log) -> Result<(), Error> {
    let is_terminal = std::io::stderr().is_terminal();
    let subscriber = subscriber(log, is_terminal, std::io::stderr)?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Error::Refused(format!("logging: {error}")))
}

/// Checks `log.level` without starting anything.
pub fn check(log: &Log) -> Result<(), Error> {
    filter(log).map(drop)
}

fn filter(log: &Log) -> Result<EnvFilter, Error> {
    let wrong = |error| Error::Config(format!("log.level = \"{}\": {error}", log.level));
    EnvFilter::try_new(format!("{QUIET},{}", log.level)).map_err(wrong)
}

fn subscriber<W>(
    log: &Log,
    is_terminal: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, Error>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(log)?)
        .with_writer(writer);
    let is_text = match log.format {
        LogFormat::Auto => is_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    if !is_text {
        return Ok(Box::new(
            builder
                .json()
                .flatten_event(true)
                .with_span_list(false)
                .finish(),
        ));
    }
    let fields = debug_fn(|writer, field, value| {
        let mut out = Escaped(writer);
        match field.name() {
            "message" => write!(out, "{value:?}"),
            name => write!(out, "{name}={value:?}"),
        }
    });
    let fields = tracing_subscriber::field::MakeExt::delimited(fields, " ");
    Ok(Box::new(
        builder.with_ansi(is_terminal).fmt_fields(fields).finish(),
    ))
}

/// Writes control characters as escapes.
struct Escaped<'a, W: Write>(&'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character.is_control() {
                true => write!(self.0, "{}", character.escape_default())?,
                false => self.0.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is written while `act` runs.
    fn logged(level: &str, format: LogFormat, act: impl FnOnce()) -> String {
        let sink = Sink::default();
        let log = Log {
            level: level.to_owned(),
            format,
        };
        let writer = sink.clone();
        let subscriber = subscriber(&log, false, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        let bytes = sink.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn elsewhere_than_on_a_terminal_a_line_is_json() {
        let line = logged("info", LogFormat::Auto, || {
            tracing::info!(jid = "a@b", "bound")
        });
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&value["message"], &value["jid"]),
            (&"bound".into(), &"a@b".into())
        );
    }

    #[test]
    fn c12_nobody_forges_a_line_or_moves_a_cursor() {
        let evil = "x\r\nforged \u{1b}[2J\u{9b}31m";
        for format in [LogFormat::Text, LogFormat::Json] {
            let line = logged(
                "info",
                format,
                || tracing::info!(nick = %evil, "joined {evil}"),
            );
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert!(!line.trim_end().contains(['\r', '\u{1b}']), "{line:?}");
        }
    }

    #[test]
    fn ractor_is_heard_from_warnings_on() {
        let act = || {
            tracing::debug!(target: "ractor::actor", "handled");
            tracing::info!(target: "ractor_cluster::node", "digest");
            tracing::warn!(target: "ractor::actor", "trouble");
            tracing::debug!("ours");
        };
        let text = logged("debug", LogFormat::Text, act);
        assert!(!text.contains("handled") && !text.contains("digest"));
        assert!(text.contains("trouble") && text.contains("ours"));
    }

    #[test]
    fn bad_level_is_refused() {
        let log = Log {
            level: "klatsch=loud".to_owned(),
            format: LogFormat::Auto,
        };
        assert!(
            check(&log)
                .unwrap_err()
                .to_string()
                .starts_with("log.level")
        );
    }
}
