//! What operators see of the directory, and have done with it.

use crate::admin::Answer;
use klatsch_gateways::colleagues::{Follower, Outcome, Status};
use serde::{Deserialize, Serialize};
use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// Entries that are named at most of those that were passed over.
const NAMED_MAX: usize = 50;

/// A reading that takes longer is not waited for: a command that has no answer in a minute takes
/// the server for stuck.
const PATIENCE: Duration = Duration::from_secs(45);

/// How it stands with the directory.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryStatus {
    /// This node reads it.
    pub is_here: bool,
    /// It is being read, and what follows is of the reading before.
    #[serde(default)]
    pub goes_on: bool,
    /// When the reading of now has begun, in words.
    #[serde(default)]
    pub reading: Option<String>,
    /// When it was read last, in words.
    pub read: Option<String>,
    /// Why the last reading came to nothing.
    pub failure: Option<String>,
    /// People that are known of it.
    pub people: usize,
    /// Groups that are known of it.
    pub groups: usize,
    /// People and groups that the last reading has changed.
    pub changes: usize,
    /// Entries that it has read whole.
    pub entries_read: u64,
    /// How long it took, milliseconds.
    pub milliseconds: u64,
    /// How many entries were passed over.
    pub skipped: usize,
    /// Some of them: names, and why.
    pub named: Vec<(String, String)>,
}

impl DirectoryStatus {
    fn of(status: Status) -> Self {
        let mut told = Self::from(status.outcome);
        told.is_here = status.is_here;
        told.reading = status.reading.map(words);
        told.failure = status.failure;
        told.read = status.read.map(words);
        told
    }

    /// As people read it.
    pub fn to_text(&self) -> String {
        let mut lines = Vec::new();
        if self.goes_on {
            lines.push(format!(
                "the directory takes longer than {} seconds; it goes on in the server, and \
                 `klatsch directory status` says what has come of it. Until then:",
                PATIENCE.as_secs()
            ));
        }
        lines.push(match self.is_here {
            true => "this node reads the directory".to_owned(),
            false => "another node reads the directory".to_owned(),
        });
        let reading = self.reading.iter();
        lines.extend(reading.map(|begun| format!("being read here now, begun {begun}")));
        lines.push(match &self.read {
            Some(read) => format!("last read here: {read}"),
            None => "not read here yet".to_owned(),
        });
        lines.extend(self.failure.iter().map(|why| format!("failure: {why}")));
        lines.push(format!(
            "{} people, {} groups; {} changed, {} entries read in {} ms",
            self.people, self.groups, self.changes, self.entries_read, self.milliseconds
        ));
        lines.push(format!("{} entries passed over", self.skipped));
        let named = self.named.iter();
        lines.extend(named.map(|(name, why)| format!("  {name}: {why}")));
        if self.skipped > self.named.len() {
            lines.push("  and more, which the log names".to_owned());
        }
        lines.join("\n")
    }
}

impl From<Outcome> for DirectoryStatus {
    fn from(outcome: Outcome) -> Self {
        Self {
            people: outcome.people,
            groups: outcome.groups,
            changes: outcome.changes,
            entries_read: outcome.read,
            milliseconds: u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
            skipped: outcome.skipped.len(),
            named: outcome.skipped.into_iter().take(NAMED_MAX).collect(),
            ..Self::default()
        }
    }
}

/// How it stands.
pub(crate) fn status(follower: Option<&Follower>) -> Answer {
    match follower {
        Some(follower) => Answer::Directory(Box::new(DirectoryStatus::of(follower.status()))),
        None => none(),
    }
}

/// Has it read; answers how it stands then, or that it still goes on.
pub(crate) async fn sync(follower: Option<&Follower>, is_forced: bool) -> Answer {
    match follower {
        Some(follower) => wait(follower.sync(is_forced), || follower.status()).await,
        None => none(),
    }
}

async fn wait<T>(
    reading: impl Future<Output = Result<T, String>>,
    status: impl FnOnce() -> Status,
) -> Answer {
    let goes_on = match timeout(PATIENCE, reading).await {
        Ok(Ok(_)) => false,
        Ok(Err(why)) => return Answer::Refused(why),
        Err(_) => true,
    };
    Answer::Directory(Box::new(DirectoryStatus {
        goes_on,
        ..DirectoryStatus::of(status())
    }))
}

fn none() -> Answer {
    Answer::Refused("no directory is followed: see [directory] and auth.backends".to_owned())
}

/// A time as seconds before now, which needs no calendar.
fn words(at: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let ago = now
        .unwrap_or_default()
        .saturating_sub(Duration::from_secs(at));
    format!("{} seconds ago", ago.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_names_what_was_passed_over_and_says_when_there_is_more() {
        let skipped = (0..60).map(|number| (format!("uid={number}"), "no".to_owned()));
        let status = Status {
            is_here: true,
            reading: None,
            read: None,
            failure: Some("it is down".to_owned()),
            outcome: Outcome {
                people: 3,
                groups: 1,
                skipped: skipped.collect(),
                ..Outcome::default()
            },
        };
        let text = DirectoryStatus::of(status).to_text();
        assert!(text.starts_with("this node reads the directory\nnot read here yet\n"));
        assert!(text.contains("failure: it is down\n3 people, 1 groups"));
        assert!(text.contains("60 entries passed over\n  uid=0: no\n"));
        assert_eq!(text.matches("uid=").count(), NAMED_MAX);
        assert!(text.ends_with("which the log names"));
    }

    #[tokio::test(start_paused = true)]
    async fn reading_that_takes_long_goes_on_and_is_no_failure() {
        let status = || Status {
            reading: Some(0),
            ..Status::default()
        };
        let endless = std::future::pending::<Result<(), String>>();
        let Answer::Directory(told) = wait(endless, status).await else {
            panic!("it is no refusal")
        };
        let text = told.to_text();
        assert!(text.contains("it goes on in the server"), "{text}");
        assert!(text.contains("`klatsch directory status`"), "{text}");
        assert!(text.contains("\nbeing read here now, begun "), "{text}");
        let Answer::Directory(told) = wait(async { Ok(()) }, Status::default).await else {
            panic!("it is no refusal")
        };
        assert!(!told.to_text().contains("goes on"));
        let failed = wait(async { Err::<(), _>("it is down".to_owned()) }, status).await;
        assert_eq!(failed, Answer::Refused("it is down".to_owned()));
    }
}
