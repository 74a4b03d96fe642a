//! The room of an event: made of what a calendar says, by whoever invites.
//!
//! The organizer owns it, who is invited belongs to it. The same event again changes nothing, a
//! later version of it changes who belongs to it, an earlier one is too late to; one that is
//! called off leaves the room to be read.

use std::sync::Arc;

use axum::extract::{Request, State};
use klatsch_actors::rooms::found::{BELONGS, NewRoom};
use klatsch_protocol::calendar::{CalendarError, Event, parse_event};
use klatsch_protocol::features::muc::affiliation::Affiliation;
use klatsch_protocol::features::muc::form::READ_ONLY;
use klatsch_protocol::features::muc::record::RoomRecord;
use klatsch_protocol::jid::BareJid;
use serde::Serialize;

use super::answer::{Json, Refusal};
use super::caller::Caller;
use super::contexts::{colleagues, strangers};
use super::presence::address;
use super::room::Place;
use super::{ApiGateway, body};

#[derive(Serialize)]
pub(super) struct Placed {
    #[serde(flatten)]
    place: Place,
    /// What to write into the event, unfolded: RFC 7986 §5.11, and the same for calendars that
    /// keep of what they do not know only what begins with `X-`.
    lines: [String; 2],
}

impl Placed {
    fn at(room: &BareJid) -> Self {
        let place = Place::of(room);
        let join = place.join();
        let conference = format!("CONFERENCE;VALUE=URI;FEATURE=CHAT;LABEL=\"Chat\":{join}");
        let lines = [conference, format!("X-KLATSCH-ROOM:{join}")];
        Self { place, lines }
    }
}

/// `PUT /events`
pub(super) async fn put(
    State(gateway): State<Arc<ApiGateway>>,
    Caller(account): Caller,
    request: Request,
) -> Result<Json<Placed>, Refusal> {
    let text = body::calendar(request).await?;
    let event = parse_event(&text).map_err(|error| match error {
        CalendarError::TooMuch => Refusal::TooLarge,
        CalendarError::Broken | CalendarError::None | CalendarError::Several => Refusal::BadRequest,
    })?;
    let organizer = match &event.organizer {
        Some(organizer) => address(organizer).ok_or(Refusal::BadRequest)?,
        None => account.clone(),
    };
    // An event of another domain has its room there (row R14).
    if organizer.domain() != account.domain() {
        return Err(Refusal::Forbidden);
    }
    let about = [organizer.as_str(), &event.uid];
    let room = gateway.room_about(&account.domain_jid(), "ev", &about)?;
    let record = gateway.record(&room).await?;
    match (organizer == account, record) {
        (true, record) => gateway.arrange(&room, &account, &event, record).await?,
        // Who is invited learns where the room is; who is not, no more than if there were none.
        (false, Some(record)) if record.affiliation(&account) >= Affiliation::Member => {}
        (false, _) => return Err(Refusal::Forbidden),
    }
    Ok(Json(Placed::at(&room)))
}

impl ApiGateway {
    /// Makes the room what the event says.
    async fn arrange(
        &self,
        room: &BareJid,
        organizer: &BareJid,
        event: &Event,
        record: Option<RoomRecord>,
    ) -> Result<(), Refusal> {
        let invited = colleagues(organizer, event.attendees.iter().map(String::as_str));
        let record = match record {
            Some(record) => record,
            None => {
                let new = NewRoom {
                    jid: room.clone(),
                    owner: organizer.clone(),
                    name: event.summary.clone(),
                    members: invited.clone(),
                };
                self.rooms.found(&new).await?;
                // Another request may have been faster, with another version of the event.
                self.record(room).await?.ok_or(Refusal::Unavailable)?
            }
        };
        // Owners may hand a room on: an event does not take it back.
        if record.affiliation(organizer) != Affiliation::Owner {
            return Err(Refusal::Forbidden);
        }
        let known = self.rooms.event_version(room, organizer).await?;
        if known.is_some_and(|known| known > event.sequence) {
            return Ok(());
        }
        self.change_people(room, organizer, &record, &invited)
            .await?;
        self.change_config(room, organizer, &record, event).await?;
        if known != Some(event.sequence) {
            let rooms = &self.rooms;
            rooms
                .keep_event_version(room, organizer, event.sequence)
                .await?;
        }
        Ok(())
    }

    /// Who is invited no more goes, unless somebody else has brought them.
    async fn change_people(
        &self,
        room: &BareJid,
        organizer: &BareJid,
        record: &RoomRecord,
        invited: &[BareJid],
    ) -> Result<(), Refusal> {
        let members = record.affiliates(Affiliation::Member);
        let of_event = members.filter(|(_, it)| it.reason.as_deref() == Some(BELONGS));
        let gone = of_event.filter(|(account, _)| !invited.contains(account));
        let gone: Vec<BareJid> = gone.map(|(account, _)| account.clone()).collect();
        let new = strangers(record, invited);
        for (accounts, affiliation) in [(new, Affiliation::Member), (gone, Affiliation::None)] {
            if !accounts.is_empty() {
                let rooms = &self.rooms;
                rooms
                    .affiliate(room, organizer, &accounts, affiliation)
                    .await?;
            }
        }
        Ok(())
    }

    async fn change_config(
        &self,
        room: &BareJid,
        organizer: &BareJid,
        record: &RoomRecord,
        event: &Event,
    ) -> Result<(), Refusal> {
        let config = &record.config;
        let is_over = event.is_cancelled;
        let has_name = event.summary.is_empty() || *config.name == *event.summary;
        let mut fields = Vec::new();
        if !has_name {
            fields.push(("muc#roomconfig_roomname", event.summary.as_str()));
        }
        // What an owner has chosen stays, unless the event is called off, or is on again.
        if config.read_only != is_over {
            let over = if is_over { "1" } else { "0" };
            fields.extend([("muc#roomconfig_moderatedroom", over), (READ_ONLY, over)]);
        }
        match fields.is_empty() {
            true => Ok(()),
            false => Ok(self.rooms.configure(room, organizer, &fields).await?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_for_calendars_that_know_conferences_and_for_those_that_do_not() {
        let room = BareJid::parse("ev-a@conference.x.test").unwrap();
        let placed = serde_json::to_value(Placed::at(&room)).unwrap();
        assert_eq!(
            placed["lines"][0],
            "CONFERENCE;VALUE=URI;FEATURE=CHAT;LABEL=\"Chat\":xmpp:ev-a@conference.x.test?join"
        );
        assert_eq!(
            placed["lines"][1],
            "X-KLATSCH-ROOM:xmpp:ev-a@conference.x.test?join"
        );
        assert_eq!(placed["room"], "ev-a@conference.x.test");
    }
}
