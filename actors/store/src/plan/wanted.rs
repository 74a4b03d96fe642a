//! What a batch has to know before it is decided: of which logs, keys, block lists and
//! preferences.

use std::collections::HashMap;

use super::known::{EVERYTHING, Head, Key, LogOf, Side, replay_key};
use crate::blocklist::forms;
use crate::error::Result;
use crate::log::LogAppend;
use crate::rooms;

/// The logs that an append touches.
pub(crate) fn logs(append: &LogAppend) -> impl Iterator<Item = LogOf> {
    let (first, twin) = match append {
        LogAppend::Account(append) => (
            LogOf::Account(append.sender.bare()),
            append.recipient.clone().map(LogOf::Account),
        ),
        LogAppend::Room(append) => (LogOf::Room(append.room.clone()), None),
        LogAppend::Restore(restore) => (LogOf::Account(restore.account.clone()), None),
        LogAppend::Arrival(arrival) => {
            let sender = arrival.sent.as_ref().map(|_| arrival.sender.bare());
            let recipient = LogOf::Account(arrival.recipient.clone());
            (recipient, sender.map(LogOf::Account))
        }
    };
    std::iter::once(first).chain(twin)
}

/// The keys of a batch, each in its log.
pub(crate) fn wanted_keys(batch: &[LogAppend], heads: &HashMap<LogOf, Head>) -> Result<Vec<Key>> {
    let mut keys = Vec::with_capacity(batch.len());
    for append in batch {
        let (of, dedup) = match append {
            LogAppend::Account(append) => (LogOf::Account(append.sender.bare()), append.dedup),
            LogAppend::Restore(restore) => {
                (LogOf::Account(restore.account.clone()), Some(restore.dedup))
            }
            LogAppend::Room(append) => {
                let dedup = append.dedup.as_ref();
                let dedup = dedup.map(|dedup| rooms::dedup_of(&append.sender, dedup));
                (LogOf::Room(append.room.clone()), dedup)
            }
            LogAppend::Arrival(arrival) => {
                let dedup = arrival.dedup.as_ref();
                let dedup = dedup.map(|dedup| rooms::dedup_of(&arrival.sender, dedup));
                (LogOf::Account(arrival.recipient.clone()), dedup)
            }
        };
        if let (Some(dedup), Some(head)) = (&dedup, heads.get(&of)) {
            keys.push(replay_key(head.log, dedup)?);
        }
    }
    Ok(keys)
}

/// Which forms of which sender's address the recipients of a batch may block, by their logs:
/// none, most often.
pub(crate) fn wanted_blocks(
    batch: &[LogAppend],
    heads: &HashMap<LogOf, Head>,
) -> Vec<(i64, String)> {
    let mut wanted = Vec::new();
    for append in batch {
        let (recipient, sender) = match append {
            LogAppend::Account(append) => (append.recipient.clone(), &append.sender),
            LogAppend::Arrival(arrival) => (Some(arrival.recipient.clone()), &arrival.from),
            // Whom a room lets speak is decided there.
            LogAppend::Room(_) | LogAppend::Restore(_) => continue,
        };
        let recipient = recipient.map(LogOf::Account);
        let head = recipient.and_then(|recipient| heads.get(&recipient));
        if let Some(head) = head.filter(|head| head.blocks > 0) {
            wanted.extend(forms(sender).into_iter().map(|form| (head.log, form)));
        }
    }
    wanted.sort_unstable();
    wanted.dedup();
    wanted
}

/// The lines of a batch whose accounts have said what they want to find: none, most often.
pub(crate) fn wanted_preferences<'a>(
    batch: &'a [LogAppend],
    heads: &HashMap<LogOf, Head>,
) -> Vec<Side<'a>> {
    let mut lines: Vec<Side<'_>> = Vec::new();
    for append in batch {
        let (are_colleagues, sides) = match append {
            LogAppend::Account(append) => {
                let sender = Some((append.sender.bare(), &append.with));
                let recipient = append.recipient.clone().map(|it| (it, &append.sender));
                (append.are_colleagues, [sender, recipient])
            }
            LogAppend::Arrival(arrival) => {
                let recipient = Some((arrival.recipient.clone(), &arrival.from));
                let sent = arrival.sent.as_ref();
                let sender = sent.map(|sent| (arrival.sender.bare(), &sent.with));
                // A room is nobody's colleague.
                (false, [recipient, sender])
            }
            // Rooms keep what their configuration says, and what is restored was kept before.
            LogAppend::Room(_) | LogAppend::Restore(_) => continue,
        };
        for (account, target) in sides.into_iter().flatten() {
            let head = heads.get(&LogOf::Account(account));
            if let Some(head) = head.filter(|head| head.archiving != EVERYTHING) {
                lines.push((head.log, target, are_colleagues));
            }
        }
    }
    lines.sort_unstable();
    lines.dedup();
    lines
}
