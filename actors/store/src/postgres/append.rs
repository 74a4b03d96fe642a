//! Appending to logs in PostgreSQL: many messages, one transaction, few statements.
//!
//! The rows of all logs that a batch touches are locked in the order of their numbers, and
//! stay so until the commit: any number of nodes append at once, none waits for one that waits
//! for it, and what is read after the locks is what holds at the commit.

use std::collections::{BTreeMap, HashMap};

use klatsch_protocol::time::Timestamp;
use sqlx::PgConnection;

use super::rooms::notes::set_subject;
use super::{bare, search, signed, unsigned};
use crate::error::Result;
use crate::log::{LogAppend, LogAppended, Placed};
use crate::plan::{
    Burial, Head, Key, Line, LogOf, Message, Plan, Said, SaidRow, Unwanted, logs, wanted_blocks,
    wanted_keys, wanted_preferences,
};

/// What became of a batch, and the numbers of the logs that it has made longer.
pub(super) type Done = (Vec<LogAppended>, Vec<i64>);

/// Appends a batch.
pub(super) async fn append(connection: &mut PgConnection, batch: &[LogAppend]) -> Result<Done> {
    let heads = lock_heads(connection, batch).await?;
    let mut plan = Plan {
        said: load_said(connection, &wanted_keys(batch, &heads)?).await?,
        blocks: load_blocks(connection, &wanted_blocks(batch, &heads)).await?,
        unwanted: load_unwanted(connection, batch, &heads).await?,
        heads,
        ..Plan::default()
    };
    let answers = plan.decide_all(batch)?;
    let logs = write(connection, &plan.messages).await?;
    for burial in &plan.burials {
        bury(connection, burial).await?;
    }
    let mut subjects: Vec<_> = plan.subjects.iter().collect();
    subjects.sort_unstable_by_key(|(room, _)| **room);
    for (room, (message, stamp)) in subjects {
        set_subject(connection, *room, message, *stamp).await?;
    }
    Ok((answers, logs))
}

/// Locks the logs of a batch, in the order of their numbers. These are one value and not a join:
/// a row that was waited for is looked at again, and a join might then no longer find it.
const LOCK: &str = "
    SELECT l.id, l.head, l.stamp FROM log l WHERE l.id = ANY(ARRAY(
        SELECT a.id FROM account a WHERE a.jid = ANY($1) AND a.removed IS NULL
        UNION ALL SELECT r.id FROM room r WHERE r.jid = ANY($2) AND NOT r.removed))
    ORDER BY l.id FOR NO KEY UPDATE OF l";

/// Whose the locked logs are. Asked once they are locked: an account or a room that has been
/// removed meanwhile is no more.
const WHOSE: &str = "
    SELECT false, a.jid, a.id, a.blocks, a.archiving FROM account a
    WHERE a.id = ANY($1) AND a.removed IS NULL
    UNION ALL SELECT true, r.jid, r.id, 0, 0 FROM room r WHERE r.id = ANY($1) AND NOT r.removed";

/// The heads of all logs of a batch, those of accounts and rooms that exist.
async fn lock_heads(
    connection: &mut PgConnection,
    batch: &[LogAppend],
) -> Result<HashMap<LogOf, Head>> {
    let (mut accounts, mut rooms) = (Vec::new(), Vec::new());
    for of in batch.iter().flat_map(logs) {
        match of {
            LogOf::Account(jid) => accounts.push(jid.as_str().to_owned()),
            LogOf::Room(jid) => rooms.push(jid.as_str().to_owned()),
        }
    }
    for names in [&mut accounts, &mut rooms] {
        names.sort_unstable();
        names.dedup();
    }
    let locked: Vec<(i64, i64, i64)> = sqlx::query_as(LOCK)
        .bind(accounts)
        .bind(rooms)
        .fetch_all(&mut *connection)
        .await?;
    let numbers: Vec<i64> = locked.iter().map(|(log, ..)| *log).collect();
    let whose: Vec<(bool, String, i64, i64, i64)> = sqlx::query_as(WHOSE)
        .bind(numbers)
        .fetch_all(connection)
        .await?;
    let locked: HashMap<i64, (i64, i64)> = locked
        .into_iter()
        .map(|(log, id, stamp)| (log, (id, stamp)))
        .collect();
    let mut heads = HashMap::with_capacity(whose.len());
    for (is_room, jid, log, blocks, archiving) in whose {
        let Some((id, stamp)) = locked.get(&log) else {
            continue;
        };
        let of = if is_room { LogOf::Room } else { LogOf::Account };
        let head = Head {
            log,
            id: unsigned(*id)?,
            stamp: Timestamp(*stamp),
            blocks,
            archiving,
        };
        heads.insert(of(bare(&jid)?), head);
    }
    Ok(heads)
}

/// What of a batch has been said before.
async fn load_said(connection: &mut PgConnection, keys: &[Key]) -> Result<HashMap<Key, Said>> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<SaidRow> = sqlx::query_as(
        "SELECT key, payload, id, stamp, twin, twin_stamp FROM replay WHERE key = ANY($1)",
    )
    .bind(keys.iter().map(Key::as_slice).collect::<Vec<_>>())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Said::of_row).collect()
}

/// Which forms of which sender's address the recipients of a batch block, by their logs.
async fn load_blocks(
    connection: &mut PgConnection,
    wanted: &[(i64, String)],
) -> Result<HashMap<i64, Vec<String>>> {
    let mut blocks: HashMap<i64, Vec<String>> = HashMap::new();
    if wanted.is_empty() {
        return Ok(blocks);
    }
    let (logs, forms): (Vec<i64>, Vec<&str>) = wanted
        .iter()
        .map(|(log, form)| (*log, form.as_str()))
        .unzip();
    let rows: Vec<(i64, String)> = sqlx::query_as(
        "SELECT b.account, b.jid FROM unnest($1, $2) w (account, jid)
         JOIN block b ON b.account = w.account AND b.jid = w.jid",
    )
    .bind(logs)
    .bind(forms)
    .fetch_all(connection)
    .await?;
    for (log, form) in rows {
        blocks.entry(log).or_default().push(form);
    }
    Ok(blocks)
}

/// XEP-0441 §2.3: the exact address, then the account, then what holds otherwise. What an
/// account writes to itself needs no contact.
const UNWANTED: &str = "
    SELECT w.number FROM unnest($1, $2, $3, $4)
        WITH ORDINALITY w (account, target, bare, is_colleague, number)
    JOIN account a ON a.id = w.account
    WHERE NOT coalesce(
        (SELECT archived FROM archive_exception WHERE account = a.id AND jid = w.target),
        (SELECT archived FROM archive_exception WHERE account = a.id AND jid = w.bare),
        CASE a.archiving
            WHEN 2 THEN false
            WHEN 3 THEN a.jid = w.bare OR w.is_colleague OR EXISTS (SELECT 1 FROM roster_item r
                WHERE r.account = a.id AND r.jid = w.bare AND r.listed)
            ELSE true
        END)";

/// What of a batch its accounts do not want to find.
async fn load_unwanted(
    connection: &mut PgConnection,
    batch: &[LogAppend],
    heads: &HashMap<LogOf, Head>,
) -> Result<Unwanted> {
    let mut unwanted = Unwanted::default();
    let lines = wanted_preferences(batch, heads);
    if lines.is_empty() {
        return Ok(unwanted);
    }
    let logs: Vec<i64> = lines.iter().map(|(log, ..)| *log).collect();
    let targets: Vec<&str> = lines.iter().map(|(_, target, _)| target.as_str()).collect();
    let bares: Vec<&str> = lines
        .iter()
        .map(|(_, target, _)| target.bare_str())
        .collect();
    let colleagues: Vec<bool> = lines
        .iter()
        .map(|(.., is_colleague)| *is_colleague)
        .collect();
    let numbers: Vec<i64> = sqlx::query_scalar(UNWANTED)
        .bind(logs)
        .bind(targets)
        .bind(bares)
        .bind(colleagues)
        .fetch_all(connection)
        .await?;
    for number in numbers {
        let line = unsigned(number)?.checked_sub(1);
        if let Some(line) = line.and_then(|line| lines.get(line as usize)) {
            unwanted.add(*line);
        }
    }
    Ok(unwanted)
}

/// All that a batch writes, in one statement, and each stanza once.
const WRITE: &str = "
    WITH raised AS (
        UPDATE log SET head = r.head, stamp = r.stamp
        FROM unnest($1, $2, $3) r (log, head, stamp) WHERE log.id = r.log),
    said AS (
        INSERT INTO replay (key, payload, id, stamp, twin, twin_stamp)
        SELECT * FROM unnest($4, $5, $6, $7, $8, $9))
    INSERT INTO entry (log, id, stamp, other, resource, direction, flags, stanza)
    SELECT l.log, l.id, l.stamp, l.other, l.resource, l.direction, l.flags, m.stanza
    FROM unnest($10, $11, $12, $13, $14, $15, $16, $17)
        l (log, id, stamp, other, resource, direction, flags, message)
    JOIN unnest($18) WITH ORDINALITY m (stanza, number) ON m.number = l.message";

/// Writes messages, their keys and the heads of their logs; answers which logs these are.
async fn write(connection: &mut PgConnection, messages: &[Message]) -> Result<Vec<i64>> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let numbered = || (1_i64..).zip(messages);
    let lines: Vec<(i64, &Line)> = numbered()
        .flat_map(|(number, message)| {
            let lines = std::iter::once(&message.first).chain(&message.twin);
            lines.map(move |line| (number, line))
        })
        .collect();
    let mut heads: BTreeMap<i64, Placed> = BTreeMap::new();
    for (_, line) in &lines {
        heads.insert(line.log, line.placed);
    }
    let said: Vec<(&Key, u64, &Message)> = messages
        .iter()
        .filter_map(|message| {
            let (key, payload) = message.said.as_ref()?;
            Some((key, *payload, message))
        })
        .collect();
    let twin = |message: &Message| message.twin.as_ref().map(|twin| twin.placed);
    let each = |get: fn(&Line) -> i64| lines.iter().map(|(_, line)| get(line)).collect::<Vec<_>>();
    let small = |get: fn(&Line) -> i16| lines.iter().map(|(_, line)| get(line)).collect::<Vec<_>>();
    let logs: Vec<i64> = heads.keys().copied().collect();
    sqlx::query(WRITE)
        .bind(&logs)
        .bind(
            heads
                .values()
                .map(|head| signed(head.id))
                .collect::<Vec<_>>(),
        )
        .bind(heads.values().map(|head| head.stamp.0).collect::<Vec<_>>())
        .bind(
            said.iter()
                .map(|(key, ..)| key.as_slice())
                .collect::<Vec<_>>(),
        )
        .bind(said.iter().map(|it| it.1.cast_signed()).collect::<Vec<_>>())
        .bind(
            said.iter()
                .map(|it| signed(it.2.first.placed.id))
                .collect::<Vec<_>>(),
        )
        .bind(
            said.iter()
                .map(|it| it.2.first.placed.stamp.0)
                .collect::<Vec<_>>(),
        )
        .bind(
            said.iter()
                .map(|it| twin(it.2).map(|at| signed(at.id)))
                .collect::<Vec<_>>(),
        )
        .bind(
            said.iter()
                .map(|it| twin(it.2).map(|at| at.stamp.0))
                .collect::<Vec<_>>(),
        )
        .bind(each(|line| line.log))
        .bind(each(|line| signed(line.placed.id)))
        .bind(each(|line| line.placed.stamp.0))
        .bind(
            lines
                .iter()
                .map(|(_, line)| line.with.as_str())
                .collect::<Vec<_>>(),
        )
        .bind(
            lines
                .iter()
                .map(|(_, line)| line.resource.as_deref())
                .collect::<Vec<_>>(),
        )
        .bind(small(|line| line.direction as i16))
        .bind(small(|line| i16::from(line.flags)))
        .bind(lines.iter().map(|(number, _)| *number).collect::<Vec<_>>())
        .bind(
            messages
                .iter()
                .map(|message| &message.stanza[..])
                .collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
    Ok(logs)
}

/// Puts a tombstone in the place of an entry, which is found by its words no more (XEP-0424
/// §5). One that is not there stays so.
async fn bury(connection: &mut PgConnection, burial: &Burial) -> Result<()> {
    sqlx::query("UPDATE entry SET stanza = $1 WHERE log = $2 AND id = $3")
        .bind(&burial.stanza[..])
        .bind(burial.log)
        .bind(signed(burial.id))
        .execute(&mut *connection)
        .await?;
    search::forget(connection, burial.log, burial.id).await
}
