//! XEP-0388 version 1.0.4 with XEP-0386 version 1.0.1, XEP-0480 version 0.2.0 and XEP-0484 version
//! 0.2.0: every example.

use super::{Elsewhere, assert_complete};

scripts! { "logins": sasl2 upgrade }

const SASL2: &[Elsewhere] = &[
    Elsewhere {
        examples: "3 5 7",
        why: "SCRAM has to be computed: protocol/src/stream/transcripts/sasl2.rs, byte by byte",
    },
    Elsewhere {
        examples: "6 14 15",
        why: "mechanisms nobody has: BLURDYBLOOP, CRAM-MD5, UNREALISTIC-2FA",
    },
    Elsewhere {
        examples: "11 12",
        why: "a second factor, which nobody has; tasks of another kind: upgrade.scene",
    },
];

const UPGRADE: &[Elsewhere] = &[Elsewhere {
    examples: "1-4",
    why: "upgrades to mechanisms that nobody has: BLOOP2 and BLOOP-42",
}];

const FAST: &[Elsewhere] = &[Elsewhere {
    examples: "4-6",
    why: "hashes of tokens have to be computed: scenes/today.rs and transcripts/sasl2.rs",
}];

#[test]
fn every_example_is_shown_or_has_a_reason() {
    assert_complete("XEP-0388", 1..=15, SCRIPTS, SASL2);
    assert_complete("XEP-0386", 1..=4, SCRIPTS, &[]);
    assert_complete("XEP-0480", 1..=5, SCRIPTS, UPGRADE);
    assert_complete("XEP-0484", 1..=6, SCRIPTS, FAST);
}
