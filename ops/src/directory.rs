//! What operators see of the directory, and have done with it.

use crate::admin::Answer;
use klatsch_gateways::colleagues::{Follower, Outcome, Status};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Entries that are named at most of those that were passed over.
const NAMED_MAX: usize = 50;

/// How it stands with the directory.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryStatus {
    /// This node reads it.
    pub is_here: bool,
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
        told.failure = status.failure;
        told.read = status.read.map(words);
        told
    }

    /// As people read it.
    pub fn to_text(&self) -> String {
        let mut lines = vec![
            match self.is_here {
                true => "this node reads the directory".to_owned(),
                false => "another node reads the directory".to_owned(),
            },
            match &self.read {
                Some(read) => format!("last read here: {read}"),
                None => "not read here yet".to_owned(),
            },
        ];
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

/// Has it read; answers how it stands then.
pub(crate) async fn sync(follower: Option<&Follower>, is_forced: bool) -> Answer {
    let Some(follower) = follower else {
        return none();
    };
    match follower.sync(is_forced).await {
        Ok(_) => status(Some(follower)),
        Err(why) => Answer::Refused(why),
    }
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
}
