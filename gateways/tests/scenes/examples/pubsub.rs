//! XEP-0060 version 1.30.0, sections 5 to 9: every example.

use super::{Elsewhere, assert_complete};

scripts! { "xep-0060":
    account approve configure create delete_and_purge discover manage options own_lists pending publish
    retract retrieve subscribe unsubscribe
}

/// What no script shows.
const ELSEWHERE: &[Elsewhere] = &[
    Elsewhere {
        examples: "19 25 62 72 73 88 106 124 126 130 141 155 156 166 186 191 199 204 205",
        why: "errors of services without a feature that this one has and announces",
    },
    Elsewhere {
        examples: "49 53 60 61 84 85 104 118",
        why: "ids of subscriptions: `multi-subscribe` is not announced, an address has one",
    },
    Elsewhere {
        examples: "34 92",
        why: "nobody pays here",
    },
    Elsewhere {
        examples: "35",
        why: "nobody is anonymous here",
    },
    Elsewhere {
        examples: "38",
        why: "a thousand subscribers: features/pubsub/tests.rs has a smaller limit",
    },
    Elsewhere {
        examples: "40",
        why: "redirection is OPTIONAL (§8.4.1): subscribers are told where to go, latecomers not",
    },
    Elsewhere {
        examples: "43-45",
        why: "no subscription has to be configured first",
    },
    Elsewhere {
        examples: "127",
        why: "nobody registers with the service",
    },
    Elsewhere {
        examples: "144",
        why: "every node can be configured",
    },
    Elsewhere {
        examples: "178 179",
        why: "errors of services without commands, which this one has and announces",
    },
    Elsewhere {
        examples: "210",
        why: "affiliations are not told (§8.9.4: MAY)",
    },
];

#[test]
fn every_example_of_sections_5_to_9_is_shown_or_has_a_reason() {
    assert_complete("XEP-0060", 7..=215, SCRIPTS, ELSEWHERE);
}
