//! XEP-0198 version 1.6.3: every example.

use super::{Elsewhere, assert_complete};

scripts! { "xep-0198": acknowledgements inline resumption too_high }

const ELSEWHERE: &[Elsewhere] = &[
    Elsewhere {
        examples: "11",
        why: "`location` is OPTIONAL (§5) and there is one place to come back to",
    },
    Elsewhere {
        examples: "29 31",
        why: "enabling with a new session does not fail",
    },
];

#[test]
fn every_example_is_shown_or_has_a_reason() {
    assert_complete("XEP-0198", 1..=31, SCRIPTS, ELSEWHERE);
}
