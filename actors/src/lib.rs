//! Who lives: sessions, presence shards, their supervisors and router.
