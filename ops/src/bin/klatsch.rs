//! The one binary: server and command line.

fn main() {}
