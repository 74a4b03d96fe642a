//! Tests the repository itself.

fn main() {}
