//! `RESULTS.md`, made from the JSON lines of the runs.
