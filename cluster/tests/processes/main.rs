//! Nodes in processes of their own, over real sockets: `examples/node` does what it is told.
//!
//! Deadlines are generous; how exactly they are kept is shown with a clock moved by hand
//! (`src/membership/tests.rs`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod bombs;
mod node;
mod scenes;
