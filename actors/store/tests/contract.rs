//! What every backend promises, as tests; each runs on all of them.

#![expect(
    clippy::unwrap_used,
    reason = "a test may fail loudly, also in its helpers"
)]

#[path = "contract/accounts.rs"]
mod accounts;
#[path = "contract/archive.rs"]
mod archive;
#[path = "contract/arrivals.rs"]
mod arrivals;
#[path = "contract/blocklist.rs"]
mod blocklist;
#[path = "contract/claims.rs"]
mod claims;
#[path = "contract/colleagues.rs"]
mod colleagues;
#[path = "contract/invitations.rs"]
mod invitations;
#[path = "contract/lives.rs"]
mod lives;
#[path = "contract/log.rs"]
mod log;
#[path = "contract/moving.rs"]
mod moving;
#[path = "contract/nodes.rs"]
mod nodes;
#[path = "contract/preferences.rs"]
mod preferences;
#[path = "contract/push.rs"]
mod push;
#[path = "contract/renaming.rs"]
mod renaming;
#[path = "contract/replay.rs"]
mod replay;
#[path = "contract/room_list.rs"]
mod room_list;
#[path = "contract/room_log.rs"]
mod room_log;
#[path = "contract/rooms.rs"]
mod rooms;
#[path = "contract/roster.rs"]
mod roster;
#[path = "contract/search.rs"]
mod search;
#[path = "contract/several_nodes.rs"]
mod several_nodes;
#[path = "contract/silence.rs"]
mod silence;
#[path = "contract/spent.rs"]
mod spent;
#[path = "contract/support.rs"]
mod support;
#[path = "contract/together.rs"]
mod together;
#[path = "contract/tokens.rs"]
mod tokens;
#[path = "contract/uploads.rs"]
mod uploads;
#[path = "contract/waiting.rs"]
mod waiting;
#[path = "contract/web_push.rs"]
mod web_push;
