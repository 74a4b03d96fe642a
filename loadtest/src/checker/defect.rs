//! The promises that a history can show to be broken, by the names that reports use.

#[cfg(doc)]
use super::sight::{CONVERGED_MAX, GHOST_MAX};

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Defect {
    /// Acknowledged, but not in an archive (D1).
    LostAcked,
    /// Twice in one archive (D2).
    Duplicate,
    /// In an archive, but never sent so.
    Phantom,
    /// Refused, but in an archive (D5).
    FailedButArchived,
    /// Two messages of an account had the same id.
    IdReused,
    /// A message was delivered under another id than its archive's.
    IdChanged,
    /// Numbered ids that do not grow.
    IdNotIncreasing,
    /// Behind a later message of the same sender and conversation (D3).
    Reordered,
    /// In one party's archive, but not in the other's.
    ArchivesDiverge,
    /// A log reads differently from another node.
    NodesDiverge,
    /// Delivered, but not in the receiver's archive.
    DeliveredNotArchived,
    /// Delivered in another order than the archive's (D3).
    LiveOrder,
    /// Delivered twice on one connection.
    DeliveredTwice,
    /// A session received what came before and after, but not this (D4).
    LiveGap,
    /// A client was away for longer than [`GHOST_MAX`], and others still saw it (D6).
    Ghost,
    /// What a client saw of somebody was wrong for longer than [`CONVERGED_MAX`] though no fault
    /// was there (D6).
    PresenceLate,
    /// A node called another down that lived and was in reach, if only by a bad way.
    CalledDown,
    /// An archive could not be read.
    Unread,
    /// The driver met what the protocol does not allow, or the run did not come to rest.
    Trouble,
}

impl Defect {
    /// All of them.
    const ALL: [Self; 19] = [
        Self::LostAcked,
        Self::Duplicate,
        Self::Phantom,
        Self::FailedButArchived,
        Self::IdReused,
        Self::IdChanged,
        Self::IdNotIncreasing,
        Self::Reordered,
        Self::ArchivesDiverge,
        Self::NodesDiverge,
        Self::DeliveredNotArchived,
        Self::LiveOrder,
        Self::DeliveredTwice,
        Self::LiveGap,
        Self::Ghost,
        Self::PresenceLate,
        Self::CalledDown,
        Self::Unread,
        Self::Trouble,
    ];

    /// Whether a figure of a report counts a broken promise.
    pub(crate) fn is_name(figure: &str) -> bool {
        Self::ALL.iter().any(|defect| defect.name() == figure)
    }

    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LostAcked => "LOST-acked",
            Self::Duplicate => "duplicate-in-archive",
            Self::Phantom => "phantom",
            Self::FailedButArchived => "failed-but-archived",
            Self::IdReused => "stanza-id-reused",
            Self::IdChanged => "stanza-id-changed",
            Self::IdNotIncreasing => "stanza-id-not-increasing",
            Self::Reordered => "reordered",
            Self::ArchivesDiverge => "archives-diverge",
            Self::NodesDiverge => "nodes-diverge",
            Self::DeliveredNotArchived => "delivered-not-archived",
            Self::LiveOrder => "live-order",
            Self::DeliveredTwice => "delivered-twice",
            Self::LiveGap => "live-gap",
            Self::Ghost => "ghost",
            Self::PresenceLate => "presence-late",
            Self::CalledDown => "called-down",
            Self::Unread => "archive-unread",
            Self::Trouble => "trouble",
        }
    }
}
