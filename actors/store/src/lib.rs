//! What klatsch remembers: accounts, rosters and logs.
