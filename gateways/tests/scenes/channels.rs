//! JSON channels over a real socket, with XMPP clients on the other side.

mod abuse;
mod apps;
mod conversations;
mod logins;
mod polling;
mod talker;
mod whereabouts;
