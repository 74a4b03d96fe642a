//! XEP-0363 version 1.2.0: every example. Files themselves travel in `scenes/upload.rs`.

use super::{Elsewhere, assert_complete};

scripts! { "xep-0363": slots }

const ELSEWHERE: &[Elsewhere] = &[Elsewhere {
    examples: "13",
    why: "every account may send files; strangers are refused in features/upload",
}];

#[test]
fn every_example_is_shown_or_has_a_reason() {
    assert_complete("XEP-0363", 1..=13, SCRIPTS, ELSEWHERE);
}
