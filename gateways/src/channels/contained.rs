//! A defect on one channel costs that channel: the machine's work is done where a panic ends, and
//! what it was about ends as failed.
//!
//! A panic that left the machine would end the connection's task, or, at a stanza, the actor of
//! the session that hands it over.

use std::panic::{AssertUnwindSafe, catch_unwind};

use klatsch_protocol::channels::{Action, Cause, Socket};

/// Has the machine work; `None`: it failed, and no channel can be blamed for it.
///
/// The machine is used on after a panic. Nothing in it is read without a check, so what is half
/// done there can make it forget or answer twice, and no more than that.
pub(super) fn contained(
    socket: &mut Socket,
    cause: Option<Cause<'_>>,
    work: impl FnOnce(&mut Socket) -> Vec<Action>,
) -> Option<Vec<Action>> {
    let worked = catch_unwind(AssertUnwindSafe(|| work(&mut *socket)));
    if let Ok(actions) = worked {
        return Some(actions);
    }
    // What it says of itself has been written by the panic hook; addresses stay out of the log.
    tracing::error!("a channel failed by a defect");
    let buried = catch_unwind(AssertUnwindSafe(|| socket.crashed(cause?)));
    buried.ok().flatten()
}

/// A server that is to fail does so at a frame with this word (feature `broken`,
/// `KLATSCH_BROKEN=channel`).
#[cfg(feature = "broken")]
pub(super) fn fail_on_purpose(text: &str) {
    use std::sync::LazyLock;

    static IS_WANTED: LazyLock<bool> =
        LazyLock::new(|| std::env::var("KLATSCH_BROKEN").is_ok_and(|fault| fault == "channel"));
    assert!(
        !*IS_WANTED || !text.contains(r#""break""#),
        "a defect, as wanted: a channel"
    );
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use klatsch_protocol::channels::{Grant, Outgoing, Settings};
    use klatsch_protocol::jid::FullJid;
    use klatsch_protocol::stanza::Stanza;

    use super::*;

    const JOIN: &str = r#"["1","1","user:anna@x.test","phx_join",{}]"#;

    fn socket() -> Socket {
        let settings = Settings {
            channels_max: 10,
            room_hosts: Vec::new(),
            stanza_bytes_max: 1000,
            apps: Vec::new(),
            app_payload_bytes_max: 1000,
        };
        let me = FullJid::parse("anna@x.test/web").unwrap();
        let mut socket = Socket::new(me, Arc::new(settings), Grant::Account, 1);
        socket.hear_text(JOIN);
        socket
    }

    fn events(actions: &[Action]) -> String {
        let sent = actions.iter().filter_map(|action| match action {
            Action::Send(Outgoing::Text(text)) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        });
        sent.collect()
    }

    #[test]
    fn panic_ends_the_channel_and_the_machine_works_on() {
        let mut socket = socket();
        let stanza = Stanza::parse(b"<message from='b@x.test'><body>x</body></message>").unwrap();
        let actions = contained(&mut socket, Some(Cause::Stanza(&stanza)), |_| {
            panic!("a defect, as wanted")
        });
        assert!(events(&actions.unwrap()).contains(r#""phx_error""#));
        let again = contained(&mut socket, None, |socket| socket.hear_text(JOIN)).unwrap();
        assert!(events(&again).contains(r#""ok""#));
    }

    #[test]
    fn panic_that_is_about_no_channel_is_the_connections() {
        let mut socket = socket();
        let actions = contained(&mut socket, None, |_| panic!("a defect, as wanted"));
        assert!(actions.is_none());
    }
}
