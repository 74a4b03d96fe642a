//! What klatsch remembers: accounts, rosters, block lists, rooms, logs, nodes, what people keep, and
//! whom a directory has.
//!
//! [`Store`] is the handle everybody uses; one file per subject says what it can do and how
//! that fails. `sqlite` keeps it on disk, `postgres` for several nodes, `memory` in tests. The
//! store never reads a clock: the time comes in with each call.

mod cache;
mod memory;
mod plan;
mod postgres;
mod rows;
mod sqlite;

pub mod accounts;
pub mod blocklist;
pub mod claims;
pub mod colleagues;
pub mod error;
pub mod invitations;
pub mod kept;
pub mod lives;
pub mod log;
pub mod moving;
pub mod preferences;
pub mod pubsub;
pub mod push;
pub mod renaming;
pub mod rooms;
pub mod roster;
pub mod snapshot;
pub mod spent;
pub mod store;
pub mod tokens;
pub mod uploads;
pub mod waiting;
pub mod web_push;

pub use accounts::{Account, Credentials};
pub use claims::Claim;
pub use colleagues::Colleagues;
pub use error::{Result, StoreError};
pub use lives::{KnownNode, Life};
pub use log::{
    Append, Appended, Arrival, Arrived, Dedup, LogAppend, LogAppended, Placed, Restore, Sent,
};
pub use memory::{Reach, Reached};
pub use rooms::{RoomAppend, RoomAppended};
pub use snapshot::Snapshot;
pub use store::Store;
pub use uploads::{Begun, ContentHash, Reserved, Upload};
pub use waiting::{PutAway, WaitingSession};
