//! A laboratory on one machine: servers as real processes, each in a network namespace of its
//! own on one bridge, a PostgreSQL in another, and means to cut, freeze and kill all of it.
//!
//! The clients live where the driver does and reach every node whatever is cut between nodes.
//! Making namespaces takes root; without them there is one node on loopback. Everything carries
//! the run's own prefix and is removed when its owner is dropped, after errors and signals too;
//! only a driver that is itself killed with -9 leaves it behind.

pub(crate) mod command;
pub(crate) mod detour;
pub(crate) mod laboratory;
pub(crate) mod network;
pub(crate) mod node;
mod people;
pub(crate) mod postgres;
pub(crate) mod server;
