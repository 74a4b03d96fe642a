//! The metrics of the gateways: every name stands here once, with its help text.
//!
//! Labels come from enums and constants only, never from what a peer sent (row C10).

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

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
/// HTTP answers, by status class.
pub const HTTP_ANSWERS: &str = "klatsch_http_answers_total";

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
    describe_counter!(HTTP_ANSWERS, "HTTP answers, by class of status");
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
