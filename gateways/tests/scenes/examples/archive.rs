//! XEP-0313 version 1.1.3: every example.

use super::{Elsewhere, assert_complete};

scripts! { "xep-0313": filters metadata pages query room }

const ELSEWHERE: &[Elsewhere] = &[Elsewhere {
    examples: "5",
    why: "archives of nodes are XEP-0442, which is not announced",
}];

#[test]
fn every_example_is_shown_or_has_a_reason() {
    assert_complete("XEP-0313", 1..=29, SCRIPTS, ELSEWHERE);
}
