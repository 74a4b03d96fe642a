//! Scenes: a real server on loopback and clients that speak to it, named by what they show.
//!
//! Tests named after a row (`x04_…`) are that row of the attack corpus.

mod client;
mod server;

mod exhaustion;
mod http;
mod login;
mod slow;
mod too_much;
mod websocket;
