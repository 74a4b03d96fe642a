//! What the client acknowledges, and what it is acknowledged (XEP-0198 §4).

use klatsch_protocol::stanza::{StreamCondition, StreamError};
use klatsch_protocol::stream::sm::{self, Unacked};

use super::outbound::write_nonza;
use super::{Connection, Live};
use crate::replica::{Ack, Record};

impl Live {
    /// The client acknowledges (XEP-0198 §4).
    pub(super) fn take_ack(&mut self, h: Option<&str>) -> Result<(), StreamError> {
        let Some(sm) = &mut self.session.sm else {
            return Ok(());
        };
        let Some(h) = h.and_then(sm::parse_h) else {
            let error = StreamError::new(StreamCondition::BadFormat);
            return Err(error.with_text("h is no number of 32 bits"));
        };
        let acked = sm.acknowledge(h)?;
        // A client that acknowledges nothing new is not asked again at once: that could go on.
        let asks_again = !acked.is_empty() && sm.wants_another_ack();
        if asks_again {
            write_nonza(&self.connection, &sm::request());
        }
        for acked in acked {
            if let Unacked::Entry { id, share } = acked {
                self.note_delivery(id, share);
            }
        }
        self.hear_of_refusals();
        self.show_record();
        self.go_on_reading();
        Ok(())
    }

    /// Answers `<r/>`: everything the client sent before it has been dealt with.
    pub(super) fn answer_ack_request(&mut self) {
        let Some(sm) = &self.session.sm else {
            return;
        };
        self.show_record();
        let (connection, handled) = (self.connections, sm.handled());
        match self.world.directory.replica() {
            Some(replica) if sm.is_resumable() => {
                let h = self.refused.handled_for_sure(handled);
                replica.acknowledge_when_known(self.slot, Ack { connection, h });
            }
            _ => {
                let h = handled;
                self.acknowledge(Ack { connection, h });
            }
        }
    }

    /// Nobody goes on with a session that ends: what is handled need not be known elsewhere.
    pub(super) fn acknowledge_at_last(&mut self) {
        let connection = self.connections;
        if let Some(h) = self.session.sm.as_ref().map(|sm| sm.handled())
            && h != self.told
        {
            self.acknowledge(Ack { connection, h });
        }
    }

    /// Other nodes know what is handled: now the client may.
    pub(super) fn be_known(&mut self, ack: Ack) {
        self.known = Some(ack.h);
        self.acknowledge(ack);
        self.finish_resumption();
    }

    /// Tells the client what is handled. Over a later connection, or at its resumption, it has
    /// been told more.
    fn acknowledge(&mut self, ack: Ack) {
        let is_more = !sm::is_before(ack.h, self.told);
        if let (Connection::Here(sink), true) = (
            &self.connection,
            is_more && ack.connection == self.connections,
        ) {
            sink.nonza(&sm::answer(ack.h));
            self.told = ack.h;
        }
    }

    /// Lets other nodes know how far this session is, should they have to go on with it.
    pub(super) fn show_record(&self) {
        if let (Some(replica), Some(sm)) = (self.world.directory.replica(), &self.session.sm)
            && sm.is_resumable()
            && !self.has_ended
        {
            let record = Record {
                handled: self.refused.handled_for_sure(sm.handled()),
                ..Record::of(&self.session, sm)
            };
            replica.record(&sm.id, record);
        }
    }
}
