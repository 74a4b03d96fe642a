//! Scenes: a real server on loopback and clients that speak to it, named by what they show.
//!
//! Tests named after a row (`x04_…`) are that row of the attack corpus.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod book;
mod client;
mod requests;
mod server;
mod socket;

mod administration;
mod api;
mod archive;
mod bosh;
mod calls;
mod channels;
mod component;
mod crowd;
mod elsewhere;
mod examples;
mod exhaustion;
mod farewell;
mod http;
mod last_activity;
mod login;
mod nodes;
mod pace;
mod people;
mod provider;
mod ringing;
mod slow;
mod strangers;
mod today;
mod too_much;
mod upload;
mod web;
mod web_push;
mod websocket;
