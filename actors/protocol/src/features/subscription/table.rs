//! The nine subscription states and how stanzas change them: RFC 6121 appendix A, as data.
//!
//! Pre-approval (§3.4) is no state of its own and stands in the parent module.

use crate::features::roster::{RosterItem, Subscription};
use crate::stanza::PresenceKind;

/// A subscription state as the account's own server sees it (appendix A.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// "None".
    None,
    /// "None + Pending Out".
    NoneOut,
    /// "None + Pending In".
    NoneIn,
    /// "None + Pending Out+In".
    NoneOutIn,
    /// "To".
    To,
    /// "To + Pending In".
    ToIn,
    /// "From".
    From,
    /// "From + Pending Out".
    FromOut,
    /// "Both".
    Both,
}

impl State {
    /// Every state, in the order of the tables.
    pub const ALL: [Self; 9] = [
        Self::None,
        Self::NoneOut,
        Self::NoneIn,
        Self::NoneOutIn,
        Self::To,
        Self::ToIn,
        Self::From,
        Self::FromOut,
        Self::Both,
    ];

    /// The state of a contact; nobody known is "None".
    pub fn of(item: Option<&RosterItem>) -> Self {
        let Some(item) = item else { return Self::None };
        // What is granted cannot be pending as well, so a stray flag beside it says nothing.
        match (item.subscription, item.ask, item.pending_in.is_some()) {
            (Subscription::None, false, false) => Self::None,
            (Subscription::None, true, false) => Self::NoneOut,
            (Subscription::None, false, true) => Self::NoneIn,
            (Subscription::None, true, true) => Self::NoneOutIn,
            (Subscription::To, _, false) => Self::To,
            (Subscription::To, _, true) => Self::ToIn,
            (Subscription::From, false, _) => Self::From,
            (Subscription::From, true, _) => Self::FromOut,
            (Subscription::Both, _, _) => Self::Both,
        }
    }

    /// What the roster shows of it.
    pub fn subscription(self) -> Subscription {
        match self {
            Self::None | Self::NoneOut | Self::NoneIn | Self::NoneOutIn => Subscription::None,
            Self::To | Self::ToIn => Subscription::To,
            Self::From | Self::FromOut => Subscription::From,
            Self::Both => Subscription::Both,
        }
    }

    /// The contact sees the account's presence.
    pub fn shows(self) -> bool {
        matches!(self, Self::From | Self::FromOut | Self::Both)
    }

    /// The account has asked and waits.
    pub fn is_pending_out(self) -> bool {
        matches!(self, Self::NoneOut | Self::NoneOutIn | Self::FromOut)
    }

    /// The contact has asked and waits.
    pub fn is_pending_in(self) -> bool {
        matches!(self, Self::NoneIn | Self::NoneOutIn | Self::ToIn)
    }
}

/// The four stanzas that manage subscriptions (§3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Asks to see the other's presence.
    Subscribe,
    /// Stops seeing the other's presence.
    Unsubscribe,
    /// Lets the other see one's presence.
    Subscribed,
    /// Refuses that, or takes it back.
    Unsubscribed,
}

impl Request {
    /// All four, in the order of the tables.
    pub const ALL: [Self; 4] = [
        Self::Subscribe,
        Self::Unsubscribe,
        Self::Subscribed,
        Self::Unsubscribed,
    ];

    /// The request a presence stanza makes, if it is one.
    pub fn of(kind: PresenceKind) -> Option<Self> {
        match kind {
            PresenceKind::Subscribe => Some(Self::Subscribe),
            PresenceKind::Unsubscribe => Some(Self::Unsubscribe),
            PresenceKind::Subscribed => Some(Self::Subscribed),
            PresenceKind::Unsubscribed => Some(Self::Unsubscribed),
            _ => None,
        }
    }
}

/// One cell: whether the stanza passes (is routed when outbound, delivered when inbound),
/// and the state afterwards.
pub type Step = (bool, State);

const PASS: bool = true;
const STOP: bool = false;

/// What a stanza the user sends does (appendix A.2).
pub fn outbound(state: State, request: Request) -> Step {
    OUTBOUND[state as usize][request as usize]
}

/// What a stanza from the contact does (appendix A.3).
pub fn inbound(state: State, request: Request) -> Step {
    INBOUND[state as usize][request as usize]
}

// Rows are states, columns are requests. A.2.1 and A.2.2 route always: whatever this side
// believes, the other side may know it differently, and repeating heals that.
#[rustfmt::skip]
const OUTBOUND: [[Step; 4]; 9] = [
    // A.2.1 subscribe         A.2.2 unsubscribe      A.2.3 subscribed         A.2.4 unsubscribed
    [(PASS, State::NoneOut),   (PASS, State::None),   (STOP, State::None),      (STOP, State::None)],      // None
    [(PASS, State::NoneOut),   (PASS, State::None),   (STOP, State::NoneOut),   (STOP, State::NoneOut)],   // None + Pending Out
    [(PASS, State::NoneOutIn), (PASS, State::NoneIn), (PASS, State::From),      (PASS, State::None)],      // None + Pending In
    [(PASS, State::NoneOutIn), (PASS, State::NoneIn), (PASS, State::FromOut),   (PASS, State::NoneOut)],   // None + Pending Out+In
    [(PASS, State::To),        (PASS, State::None),   (STOP, State::To),        (STOP, State::To)],        // To
    [(PASS, State::ToIn),      (PASS, State::NoneIn), (PASS, State::Both),      (PASS, State::To)],        // To + Pending In
    [(PASS, State::FromOut),   (PASS, State::From),   (STOP, State::From),      (PASS, State::None)],      // From
    [(PASS, State::FromOut),   (PASS, State::From),   (STOP, State::FromOut),   (PASS, State::NoneOut)],   // From + Pending Out
    [(PASS, State::Both),      (PASS, State::From),   (STOP, State::Both),      (PASS, State::To)],        // Both
];

#[rustfmt::skip]
const INBOUND: [[Step; 4]; 9] = [
    // A.3.1 subscribe         A.3.2 unsubscribe       A.3.3 subscribed          A.3.4 unsubscribed
    [(PASS, State::NoneIn),    (STOP, State::None),    (STOP, State::None),      (STOP, State::None)],     // None
    [(PASS, State::NoneOutIn), (STOP, State::NoneOut), (PASS, State::To),        (PASS, State::None)],     // None + Pending Out
    [(STOP, State::NoneIn),    (PASS, State::None),    (STOP, State::NoneIn),    (STOP, State::NoneIn)],   // None + Pending In
    [(STOP, State::NoneOutIn), (PASS, State::NoneOut), (PASS, State::ToIn),      (PASS, State::NoneIn)],   // None + Pending Out+In
    [(PASS, State::ToIn),      (STOP, State::To),      (STOP, State::To),        (PASS, State::None)],     // To
    [(STOP, State::ToIn),      (PASS, State::To),      (STOP, State::ToIn),      (PASS, State::NoneIn)],   // To + Pending In
    [(STOP, State::From),      (PASS, State::None),    (STOP, State::From),      (STOP, State::From)],     // From
    [(STOP, State::FromOut),   (PASS, State::NoneOut), (PASS, State::Both),      (PASS, State::From)],     // From + Pending Out
    [(STOP, State::Both),      (PASS, State::To),      (STOP, State::Both),      (PASS, State::From)],     // Both
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A state taken apart: (sees, shows, asked, is asked).
    type Bits = (bool, bool, bool, bool);

    fn bits(state: State) -> Bits {
        let sees = matches!(state.subscription(), Subscription::To | Subscription::Both);
        (
            sees,
            state.shows(),
            state.is_pending_out(),
            state.is_pending_in(),
        )
    }

    /// The rules of §3 in words, to hold against the tables.
    fn outbound_by_rule((sees, shows, asked, is_asked): Bits, request: Request) -> (bool, Bits) {
        match request {
            Request::Subscribe => (true, (sees, shows, !sees, is_asked)),
            Request::Unsubscribe => (true, (false, shows, false, is_asked)),
            Request::Subscribed => (is_asked, (sees, shows || is_asked, asked, false)),
            Request::Unsubscribed => (shows || is_asked, (sees, false, asked, false)),
        }
    }

    fn inbound_by_rule((sees, shows, asked, is_asked): Bits, request: Request) -> (bool, Bits) {
        match request {
            Request::Subscribe => (!shows && !is_asked, (sees, shows, asked, !shows)),
            Request::Unsubscribe => (shows || is_asked, (sees, false, asked, false)),
            Request::Subscribed => (asked, (sees || asked, shows, false, is_asked)),
            Request::Unsubscribed => (sees || asked, (false, shows, false, is_asked)),
        }
    }

    #[test]
    fn r15_every_state_and_outbound_stanza_follows_the_rules_of_section_3() {
        for state in State::ALL {
            for request in Request::ALL {
                let (passes, next) = outbound(state, request);
                let expected = outbound_by_rule(bits(state), request);
                assert_eq!((passes, bits(next)), expected, "{state:?} {request:?}");
            }
        }
    }

    #[test]
    fn r15_every_state_and_inbound_stanza_follows_the_rules_of_section_3() {
        for state in State::ALL {
            for request in Request::ALL {
                let (passes, next) = inbound(state, request);
                let expected = inbound_by_rule(bits(state), request);
                assert_eq!((passes, bits(next)), expected, "{state:?} {request:?}");
            }
        }
    }

    #[test]
    fn r15_only_the_users_own_approval_lets_somebody_see_them() {
        for state in State::ALL.into_iter().filter(|state| !state.shows()) {
            for request in Request::ALL {
                assert!(
                    !inbound(state, request).1.shows(),
                    "in {state:?} {request:?}"
                );
                let gained = outbound(state, request).1.shows();
                let approved = request == Request::Subscribed && state.is_pending_in();
                assert_eq!(gained, approved, "out {state:?} {request:?}");
            }
        }
    }

    #[test]
    fn states_stand_in_the_order_of_the_rows_and_differ_in_their_bits() {
        for (row, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, row);
            let same = State::ALL
                .into_iter()
                .filter(|other| bits(*other) == bits(state));
            assert_eq!(same.count(), 1);
        }
    }
}
