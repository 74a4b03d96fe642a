//! The metrics of the gateways: every name stands here once, with its help text.
//!
//! Labels come from enums and constants only, never from what a peer sent (row C10).

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::colleagues::Outcome;

/// Connections open now, by transport.
pub const CONNECTIONS: &str = "klatsch_connections";
/// Connections accepted, by listener.
pub const ACCEPTED: &str = "klatsch_connections_accepted_total";
/// Connections turned away, by listener and reason.
pub const REFUSED: &str = "klatsch_connections_refused_total";
/// Failed accept calls, by listener.
pub const ACCEPT_FAILED: &str = "klatsch_accept_failed_total";
/// TLS handshakes, by outcome.
pub const TLS_HANDSHAKES: &str = "klatsch_tls_handshakes_total";
/// Logins, by outcome.
pub const LOGINS: &str = "klatsch_logins_total";
/// Streams closed by the server, by condition.
pub const STREAM_ERRORS: &str = "klatsch_stream_errors_total";
/// Bytes from clients, by transport, after TLS.
pub const BYTES_IN: &str = "klatsch_bytes_received_total";
/// Connections whose client was faster than it may be and was read more slowly, by transport.
pub const THROTTLED: &str = "klatsch_connections_throttled_total";
/// Files stored.
pub const UPLOADS: &str = "klatsch_uploads_total";
/// Their bytes.
pub const UPLOAD_BYTES: &str = "klatsch_upload_bytes_total";
/// Bytes of files given out whole.
pub const DOWNLOAD_BYTES: &str = "klatsch_download_bytes_total";
/// Files neither stored nor given out, by reason.
pub const UPLOADS_REFUSED: &str = "klatsch_uploads_refused_total";
/// Relays that calls use now.
pub const TURN_ALLOCATIONS: &str = "klatsch_turn_allocations";
/// Relays given out.
pub const TURN_ALLOCATED: &str = "klatsch_turn_allocated_total";
/// Bytes that relays carried, by direction.
pub const TURN_BYTES: &str = "klatsch_turn_bytes_total";
/// What relays did not do, by reason.
pub const TURN_REFUSED: &str = "klatsch_turn_refused_total";
/// 1 while STUN and TURN are meant to be served and are not.
pub const TURN_IS_DOWN: &str = "klatsch_turn_is_down";
/// Notifications for browsers, by what became of them at their push service.
pub const WEB_PUSHES: &str = "klatsch_web_push_notifications_total";
/// HTTP answers, by status class.
pub const HTTP_ANSWERS: &str = "klatsch_http_answers_total";
/// When the directory was read last, or this node began to follow it, in seconds since 1970.
pub const DIRECTORY_READ: &str = "klatsch_directory_read_timestamp_seconds";
/// Readings of the directory, by outcome.
pub const DIRECTORY_READINGS: &str = "klatsch_directory_readings_total";
/// What the book has of the directory, by kind.
pub const DIRECTORY_ENTRIES: &str = "klatsch_directory_entries";
/// Entries of the directory that were passed over at the last reading.
pub const DIRECTORY_SKIPPED: &str = "klatsch_directory_skipped_entries";
/// Entries of the book that have changed.
pub const DIRECTORY_CHANGES: &str = "klatsch_directory_changes_total";
/// How long the last reading took.
pub const DIRECTORY_SECONDS: &str = "klatsch_directory_reading_seconds";

/// Every name.
pub const NAMES: &[&str] = &[
    CONNECTIONS,
    ACCEPTED,
    REFUSED,
    ACCEPT_FAILED,
    TLS_HANDSHAKES,
    LOGINS,
    STREAM_ERRORS,
    BYTES_IN,
    THROTTLED,
    UPLOADS,
    UPLOAD_BYTES,
    DOWNLOAD_BYTES,
    UPLOADS_REFUSED,
    TURN_ALLOCATIONS,
    TURN_ALLOCATED,
    TURN_BYTES,
    TURN_REFUSED,
    TURN_IS_DOWN,
    WEB_PUSHES,
    HTTP_ANSWERS,
    DIRECTORY_READ,
    DIRECTORY_READINGS,
    DIRECTORY_ENTRIES,
    DIRECTORY_SKIPPED,
    DIRECTORY_CHANGES,
    DIRECTORY_SECONDS,
];

/// Tells the exporter what the metrics mean; called once at start.
pub fn describe() {
    describe_gauge!(CONNECTIONS, "Connections open now, by transport");
    describe_counter!(ACCEPTED, "Connections accepted, by listener");
    describe_counter!(REFUSED, "Connections turned away, by listener and reason");
    describe_counter!(
        ACCEPT_FAILED,
        "Accept calls that failed for want of descriptors or memory"
    );
    describe_counter!(TLS_HANDSHAKES, "TLS handshakes, by outcome");
    describe_counter!(LOGINS, "Logins, by outcome");
    describe_counter!(
        STREAM_ERRORS,
        "Streams the server closed with an error, by condition"
    );
    describe_counter!(BYTES_IN, Unit::Bytes, "Bytes from clients, by transport");
    describe_counter!(
        THROTTLED,
        "Connections whose client sent faster than it may and was read more slowly, by transport"
    );
    describe_counter!(UPLOADS, "Files stored");
    describe_counter!(UPLOAD_BYTES, Unit::Bytes, "Bytes of files stored");
    describe_counter!(
        DOWNLOAD_BYTES,
        Unit::Bytes,
        "Bytes of files given out whole"
    );
    describe_counter!(
        UPLOADS_REFUSED,
        "Files neither stored nor given out, by reason"
    );
    describe_counter!(
        WEB_PUSHES,
        "Notifications for browsers, by what became of them at their push service"
    );
    describe_gauge!(TURN_ALLOCATIONS, "Relays that calls use now");
    describe_counter!(TURN_ALLOCATED, "Relays given out");
    describe_counter!(
        TURN_BYTES,
        Unit::Bytes,
        "Bytes that relays carried, by direction: to_peer, to_client"
    );
    describe_counter!(TURN_REFUSED, "What relays did not do, by reason");
    describe_gauge!(
        TURN_IS_DOWN,
        "1 while STUN and TURN are meant to be served and are not"
    );
    describe_counter!(HTTP_ANSWERS, "HTTP answers, by class of status");
    describe_directory();
}

fn describe_directory() {
    describe_gauge!(
        DIRECTORY_READ,
        Unit::Seconds,
        "When the directory was read last, or this node began to follow it, since 1970"
    );
    describe_counter!(
        DIRECTORY_READINGS,
        "Readings of the directory, by outcome: done, failed, refused"
    );
    describe_gauge!(
        DIRECTORY_ENTRIES,
        "People and groups that are known of the directory, by kind"
    );
    describe_gauge!(
        DIRECTORY_SKIPPED,
        "Entries of the directory that were passed over at the last reading"
    );
    describe_counter!(
        DIRECTORY_CHANGES,
        "People and groups that have changed with the directory"
    );
    describe_gauge!(
        DIRECTORY_SECONDS,
        Unit::Seconds,
        "How long the last reading of the directory took"
    );
}

/// The directory was read at this time, in seconds since 1970.
pub(crate) fn directory_read(at: u64) {
    gauge!(DIRECTORY_READ).set(at as f64);
}

pub(crate) fn directory_synced(outcome: &'static str) {
    counter!(DIRECTORY_READINGS, "outcome" => outcome).increment(1);
}

/// What a reading of the directory has come to.
pub(crate) fn directory(outcome: &Outcome) {
    gauge!(DIRECTORY_ENTRIES, "kind" => "people").set(outcome.people as f64);
    gauge!(DIRECTORY_ENTRIES, "kind" => "groups").set(outcome.groups as f64);
    gauge!(DIRECTORY_SKIPPED).set(outcome.skipped.len() as f64);
    gauge!(DIRECTORY_SECONDS).set(outcome.took.as_secs_f64());
    counter!(DIRECTORY_CHANGES).increment(outcome.changes as u64);
}

pub(crate) fn upload_stored(bytes: u64) {
    counter!(UPLOADS).increment(1);
    counter!(UPLOAD_BYTES).increment(bytes);
}

pub(crate) fn upload_served(bytes: u64) {
    counter!(DOWNLOAD_BYTES).increment(bytes);
}

pub(crate) fn upload_refused(reason: &'static str) {
    counter!(UPLOADS_REFUSED, "reason" => reason).increment(1);
}

pub(crate) fn web_push(outcome: &'static str) {
    counter!(WEB_PUSHES, "outcome" => outcome).increment(1);
}

/// Tells whether STUN and TURN are missed.
pub fn turn_is_down(is_down: bool) {
    gauge!(TURN_IS_DOWN).set(f64::from(u8::from(is_down)));
}

/// So many relays are in use.
pub(crate) fn turn_allocations(count: usize) {
    gauge!(TURN_ALLOCATIONS).set(count as f64);
}

/// One more, which makes so many.
pub(crate) fn turn_allocated(count: usize) {
    counter!(TURN_ALLOCATED).increment(1);
    turn_allocations(count);
}

pub(crate) fn turn_relayed(direction: &'static str, bytes: usize) {
    counter!(TURN_BYTES, "direction" => direction).increment(bytes as u64);
}

pub(crate) fn turn_refused(reason: &'static str) {
    counter!(TURN_REFUSED, "reason" => reason).increment(1);
}

pub(crate) fn accepted(listener: &'static str) {
    counter!(ACCEPTED, "listener" => listener).increment(1);
}

pub(crate) fn refused(listener: &'static str, reason: &'static str) {
    counter!(REFUSED, "listener" => listener, "reason" => reason).increment(1);
}

pub(crate) fn accept_failed(listener: &'static str) {
    counter!(ACCEPT_FAILED, "listener" => listener).increment(1);
}

pub(crate) fn tls_handshake(outcome: &'static str) {
    counter!(TLS_HANDSHAKES, "outcome" => outcome).increment(1);
}

pub(crate) fn login(outcome: &'static str) {
    counter!(LOGINS, "outcome" => outcome).increment(1);
}

pub(crate) fn stream_error(condition: &'static str) {
    counter!(STREAM_ERRORS, "condition" => condition).increment(1);
}

pub(crate) fn throttled(transport: &'static str) {
    counter!(THROTTLED, "transport" => transport).increment(1);
}

pub(crate) fn received(transport: &'static str, bytes: usize) {
    counter!(BYTES_IN, "transport" => transport).increment(bytes as u64);
}

pub(crate) fn http_answer(status: u16) {
    let class = match status {
        0..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        _ => "5xx",
    };
    counter!(HTTP_ANSWERS, "class" => class).increment(1);
}

/// Counts a connection as long as it lives.
pub(crate) struct Open(&'static str);

impl Open {
    pub(crate) fn new(transport: &'static str) -> Self {
        gauge!(CONNECTIONS, "transport" => transport).increment(1.0);
        Self(transport)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!(CONNECTIONS, "transport" => self.0).decrement(1.0);
    }
}
