//! Clients by the ten thousand, chaos and the history checker.
