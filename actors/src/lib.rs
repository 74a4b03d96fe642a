//! Who lives: sessions, presence shards, their supervisors and router.
//!
//! - [`node`]: starts everything; [`sessions`]: the handle gateways use
//! - [`session`]: one bound resource; [`farewell`]: what happens at its end
//! - [`presence_shard`]: a slice of who is bound and available
//! - [`room`]: one room; its keeper starts and ends it; [`rooms`]: the handle for operators
//! - [`people`]: what gateways see of accounts without a session
//! - [`colleagues`]: the people and groups of the organisation's directory
//! - [`components`]: programs that serve hosts of their own
//! - [`log_writer`]: group commit
//! - [`directory`]: address → session; [`slot`]: where sessions are; [`mail`]: what travels
//! - [`peers`]: the other nodes; [`replica`]: what nodes show each other
//! - [`router`]: stanza → session, account or refusal
//! - [`capabilities`]: what clients can do
//! - [`account_change`]: accounts made, changed and removed; [`derivation`]: passwords to keys
//! - [`administration`]: what administrators ask and do; [`invitations`]: accounts that people make for themselves
//! - [`accounts`]: what the store remembers, at hand; [`world`]: what all of them share
//! - [`supervisor`]: who restarts whom; [`timers`]: who is woken when
//! - [`files`]: contents of files between nodes
//! - [`searches`], [`strangers`]: how much of something an account may do
//! - [`strain`]: how much waits in memory, and what is refused when it is too much

mod absence;
pub mod account_change;
pub mod accounts;
pub mod administration;
#[cfg(feature = "broken")]
mod broken;
pub mod capabilities;
mod claims;
pub mod colleagues;
mod comparison;
pub mod components;
pub mod derivation;
pub mod directory;
mod faces;
pub mod farewell;
pub mod files;
pub mod given;
pub mod invitations;
pub mod log_writer;
pub mod mail;
pub mod metrics;
mod moving;
mod news;
pub mod node;
pub mod peers;
pub mod people;
pub mod presence_shard;
mod provision;
pub mod push;
pub mod replica;
pub mod room;
pub mod rooms;
pub mod router;
pub mod searches;
pub mod session;
pub mod sessions;
pub mod slot;
pub mod strain;
pub mod strangers;
pub mod supervisor;
pub mod timers;
pub mod topics;
pub mod upkeep;
pub mod web_push;
pub mod world;
