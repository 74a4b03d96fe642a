//! What was added to rooms: XEP-0249 version 1.2, XEP-0317 version 0.3.1, XEP-0410 version 1.1.0,
//! XEP-0421 version 1.0.1 and XEP-0425 version 0.3.0, every example.

use super::{Elsewhere, assert_complete};

scripts! {
    "room-extensions": direct_invitations hats moderation occupant_ids self_ping
}

const SELF_PING: &[Elsewhere] = &[Elsewhere {
    examples: "3",
    why: "the room answers itself and asks no client (§3.3)",
}];

const OCCUPANT_IDS: &[Elsewhere] = &[Elsewhere {
    examples: "7",
    why: "how an id may be made, in words: features/muc/occupant_id.rs",
}];

#[test]
fn every_example_is_shown_or_has_a_reason() {
    assert_complete("XEP-0249", 1..=4, SCRIPTS, &[]);
    assert_complete("XEP-0317", 1..=22, SCRIPTS, &[]);
    assert_complete("XEP-0410", 1..=4, SCRIPTS, SELF_PING);
    assert_complete("XEP-0421", 1..=7, SCRIPTS, OCCUPANT_IDS);
    assert_complete("XEP-0425", 1..=8, SCRIPTS, &[]);
}
