//! What this crate counts. Names are declared here once, with what they mean.

use std::time::Duration;

use klatsch_protocol::channels::AppRefusal;
use klatsch_protocol::stanza::Stanza;

/// Name and meaning of every metric of this crate.
pub const ALL: &[(&str, &str)] = &[
    (
        SESSIONS,
        "Sessions on this node, with or without a connection.",
    ),
    (SESSIONS_ENDED, "Sessions that have ended."),
    (
        SESSIONS_LOST,
        "Connections lost whose session waits for its client.",
    ),
    (
        SESSIONS_RESUMED,
        "Sessions gone on with over another connection.",
    ),
    (SESSIONS_FAILED, "Sessions ended by a defect of the server."),
    (
        SESSIONS_REFUSED,
        "Sessions refused because the node was short of memory.",
    ),
    (
        SESSIONS_LET_GO,
        "Sessions let go because the node was short of memory and much waited for them.",
    ),
    (
        MESSAGES_REFUSED,
        "Messages refused because the store could not take them.",
    ),
    (
        STRANGERS_REFUSED,
        "Messages refused because their sender wrote too much to strangers.",
    ),
    (STANZAS_RECEIVED, "Stanzas received from clients, by kind."),
    (STANZAS_SENT, "Stanzas written to clients, by kind."),
    (
        COMMIT_SECONDS,
        "Time a batch of messages takes to be committed, seconds.",
    ),
    (COMMIT_MESSAGES, "Messages committed together."),
    (
        LOG_WRITER_WAITING,
        "Batches that wait for the commit under way.",
    ),
    (
        LOG_READS,
        "Pages read from logs because hints were missing or clients slow.",
    ),
    (HINTS_LOST, "Hints that found no session."),
    (
        ENVELOPES_LOST,
        "Messages to other nodes that were not sent because a node was not reached or too slow.",
    ),
    (
        ENVELOPES_UNKNOWN,
        "Messages of other nodes that this version does not understand.",
    ),
    (PUSHES, "Notifications published to app servers."),
    (
        PUSHES_DROPPED,
        "Notifications that were due and not published.",
    ),
    (
        HELD_DROPPED,
        "Stanzas dropped because too many waited for a client that was away.",
    ),
    (
        COMPONENTS_FULL,
        "Stanzas refused because too many waited for a component.",
    ),
    (
        REPORTS,
        "Reports of spam and abuse, by reason: spam, abuse, other.",
    ),
    (ROOMS, "Rooms at hand on this node."),
    (ROOM_OCCUPANTS, "Sessions inside rooms of this node."),
    (ROOM_MESSAGES, "Messages committed to the logs of rooms."),
    (
        UPLOAD_SLOTS,
        "Slots for files asked for, by outcome: given, quota, disk, store.",
    ),
    (
        PASSWORD_SECONDS,
        "Time a password check takes with its wait, seconds.",
    ),
    (
        TOPIC_BROADCASTS,
        "Broadcasts on topics of apps by clients of this node.",
    ),
    (
        TOPIC_DELIVERIES,
        "Broadcasts handed to clients of this node, whoever they are from.",
    ),
    (
        TOPIC_REFUSED,
        "What topics of apps had no room for, by reason: topics, subscribers, pace.",
    ),
    (ACTOR_RESTARTS, "Actors started again after a failure."),
];

const SESSIONS: &str = "klatsch_sessions";
const SESSIONS_ENDED: &str = "klatsch_sessions_ended_total";
const SESSIONS_LOST: &str = "klatsch_sessions_lost_total";
const SESSIONS_RESUMED: &str = "klatsch_sessions_resumed_total";
const SESSIONS_FAILED: &str = "klatsch_sessions_failed_total";
const SESSIONS_REFUSED: &str = "klatsch_sessions_refused_total";
const SESSIONS_LET_GO: &str = "klatsch_sessions_let_go_total";
const MESSAGES_REFUSED: &str = "klatsch_messages_refused_total";
const STRANGERS_REFUSED: &str = "klatsch_messages_to_strangers_refused_total";
const STANZAS_RECEIVED: &str = "klatsch_stanzas_received_total";
const STANZAS_SENT: &str = "klatsch_stanzas_sent_total";
const COMMIT_SECONDS: &str = "klatsch_commit_seconds";
const COMMIT_MESSAGES: &str = "klatsch_commit_messages";
const LOG_WRITER_WAITING: &str = "klatsch_log_writer_waiting";
const LOG_READS: &str = "klatsch_log_reads_total";
const PUSHES: &str = "klatsch_push_notifications_total";
const PUSHES_DROPPED: &str = "klatsch_push_notifications_dropped_total";
const HINTS_LOST: &str = "klatsch_hints_lost_total";
const ENVELOPES_LOST: &str = "klatsch_envelopes_lost_total";
const ENVELOPES_UNKNOWN: &str = "klatsch_envelopes_unknown_total";
const HELD_DROPPED: &str = "klatsch_held_stanzas_dropped_total";
const COMPONENTS_FULL: &str = "klatsch_component_stanzas_refused_total";
const REPORTS: &str = "klatsch_reports_total";
const ROOMS: &str = "klatsch_rooms";
const ROOM_OCCUPANTS: &str = "klatsch_room_occupants";
const ROOM_MESSAGES: &str = "klatsch_room_messages_total";
const UPLOAD_SLOTS: &str = "klatsch_upload_slots_total";
const PASSWORD_SECONDS: &str = "klatsch_password_check_seconds";
const TOPIC_BROADCASTS: &str = "klatsch_topic_broadcasts_total";
const TOPIC_DELIVERIES: &str = "klatsch_topic_deliveries_total";
const TOPIC_REFUSED: &str = "klatsch_topic_refused_total";
const ACTOR_RESTARTS: &str = "klatsch_actor_restarts_total";

/// Shows what is counted without labels from the start: a series that appears with its first
/// event hides that event from whoever computes rates.
pub fn start() {
    metrics::gauge!(SESSIONS).increment(0);
    metrics::gauge!(LOG_WRITER_WAITING).set(0);
    metrics::gauge!(ROOMS).increment(0);
    metrics::gauge!(ROOM_OCCUPANTS).increment(0);
    for name in [
        SESSIONS_ENDED,
        SESSIONS_LOST,
        SESSIONS_RESUMED,
        SESSIONS_FAILED,
        SESSIONS_REFUSED,
        SESSIONS_LET_GO,
        MESSAGES_REFUSED,
        STRANGERS_REFUSED,
        LOG_READS,
        TOPIC_BROADCASTS,
        TOPIC_DELIVERIES,
        PUSHES,
        PUSHES_DROPPED,
        HINTS_LOST,
        HELD_DROPPED,
        COMPONENTS_FULL,
        ROOM_MESSAGES,
        ACTOR_RESTARTS,
    ] {
        metrics::counter!(name).increment(0);
    }
}

pub(crate) fn session_began() {
    metrics::gauge!(SESSIONS).increment(1);
}

pub(crate) fn session_ended() {
    metrics::gauge!(SESSIONS).decrement(1);
    metrics::counter!(SESSIONS_ENDED).increment(1);
}

pub(crate) fn session_lost() {
    metrics::counter!(SESSIONS_LOST).increment(1);
}

pub(crate) fn session_resumed() {
    metrics::counter!(SESSIONS_RESUMED).increment(1);
}

pub(crate) fn session_failed() {
    metrics::counter!(SESSIONS_FAILED).increment(1);
}

pub(crate) fn session_refused() {
    metrics::counter!(SESSIONS_REFUSED).increment(1);
}

pub(crate) fn session_let_go() {
    metrics::counter!(SESSIONS_LET_GO).increment(1);
}

pub(crate) fn messages_refused(count: usize) {
    metrics::counter!(MESSAGES_REFUSED).increment(count as u64);
}

pub(crate) fn stranger_refused() {
    metrics::counter!(STRANGERS_REFUSED).increment(1);
}

/// Row C10: labels come from enums only. Written out, for a label that is a value is put into a
/// list of its own with each stanza.
macro_rules! by_kind {
    ($name:ident, $stanza:ident) => {
        match $stanza {
            Stanza::Message(_) => metrics::counter!($name, "kind" => "message"),
            Stanza::Presence(_) => metrics::counter!($name, "kind" => "presence"),
            Stanza::Iq(_) => metrics::counter!($name, "kind" => "iq"),
        }
    };
}

pub(crate) fn stanza_received(stanza: &Stanza) {
    by_kind!(STANZAS_RECEIVED, stanza).increment(1);
}

pub(crate) fn stanza_sent(stanza: &Stanza) {
    by_kind!(STANZAS_SENT, stanza).increment(1);
}

pub(crate) fn commit_time(elapsed: Duration) {
    metrics::histogram!(COMMIT_SECONDS).record(elapsed.as_secs_f64());
}

pub(crate) fn batch_size(messages: usize) {
    metrics::histogram!(COMMIT_MESSAGES).record(messages as f64);
}

pub(crate) fn log_writer_waiting(batches: usize) {
    metrics::gauge!(LOG_WRITER_WAITING).set(batches as f64);
}

pub(crate) fn log_read() {
    metrics::counter!(LOG_READS).increment(1);
}

pub(crate) fn envelope_lost() {
    metrics::counter!(ENVELOPES_LOST).increment(1);
}

pub(crate) fn envelope_unknown() {
    metrics::counter!(ENVELOPES_UNKNOWN).increment(1);
}

pub(crate) fn hint_without_session() {
    metrics::counter!(HINTS_LOST).increment(1);
}

pub(crate) fn push_sent() {
    metrics::counter!(PUSHES).increment(1);
}

pub(crate) fn push_dropped() {
    metrics::counter!(PUSHES_DROPPED).increment(1);
}

pub(crate) fn held_stanza_dropped() {
    metrics::counter!(HELD_DROPPED).increment(1);
}

pub(crate) fn component_full() {
    metrics::counter!(COMPONENTS_FULL).increment(1);
}

pub(crate) fn actor_restarted() {
    metrics::counter!(ACTOR_RESTARTS).increment(1);
}

/// Somebody was reported.
pub(crate) fn reported(reason: &'static str) {
    metrics::counter!(REPORTS, "reason" => reason).increment(1);
}

pub(crate) fn room_began() {
    metrics::gauge!(ROOMS).increment(1);
}

pub(crate) fn room_ended(occupants: i64) {
    metrics::gauge!(ROOMS).decrement(1);
    room_occupants(-occupants);
}

/// So many more are inside.
pub(crate) fn room_occupants(more: i64) {
    metrics::gauge!(ROOM_OCCUPANTS).increment(more as f64);
}

pub(crate) fn room_message() {
    metrics::counter!(ROOM_MESSAGES).increment(1);
}

/// A slot was asked for.
pub(crate) fn upload_slot(outcome: &'static str) {
    metrics::counter!(UPLOAD_SLOTS, "outcome" => outcome).increment(1);
}

pub(crate) fn password_check(seconds: f64) {
    metrics::histogram!(PASSWORD_SECONDS).record(seconds);
}

/// Somebody here has pushed on a topic of an app.
pub(crate) fn topic_broadcast() {
    metrics::counter!(TOPIC_BROADCASTS).increment(1);
}

/// A broadcast was handed to so many clients.
pub(crate) fn topic_deliveries(count: usize) {
    metrics::counter!(TOPIC_DELIVERIES).increment(count as u64);
}

/// A topic of an app had no room for something.
pub fn topic_refused(refusal: AppRefusal) {
    let reason = match refusal {
        AppRefusal::Topics => "topics",
        AppRefusal::Subscribers => "subscribers",
        AppRefusal::Pace => "pace",
        AppRefusal::NotShown => return,
    };
    metrics::counter!(TOPIC_REFUSED, "reason" => reason).increment(1);
}
