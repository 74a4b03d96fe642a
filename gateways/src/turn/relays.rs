//! All relays of a node, as a state machine without a socket and without a clock: RFC 8656 for
//! UDP on both sides, and STUN's Binding (RFC 8489).
//!
//! Datagrams come in, calls of a [`World`] go out. Two relays of this node hand each other their
//! data directly, so that no socket ever sends to an address of this machine (row T01).
//! `requests.rs` answers requests, `proof.rs` says who asks.
//! Leaves out: TCP and TLS towards clients, TCP towards peers (RFC 6062), pairs of ports
//! (EVEN-PORT, RESERVATION-TOKEN), two families at once (ADDITIONAL-ADDRESS-FAMILY), mobility,
//! and ICMP.

mod proof;
mod requests;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use super::allocation::{Allocation, Client};
use super::keys::Keys;
use super::pace::Pace;
use super::peers::{self, Refused};
use super::stun::{Class, Message, Transaction, Writer, attribute, method};
use crate::listener::{Network, Rate};
use crate::metrics;

/// The numbers of channels: RFC 8656 §12 has 0x4FFF as the last; COMPAT: clients of RFC 5766
/// use 0x7FFF.
const CHANNELS: RangeInclusive<u16> = 0x4000..=0x7fff;

/// Bytes before the data of a channel.
const CHANNEL_HEAD: usize = 4;

/// What a state machine cannot do itself.
pub(super) trait World {
    /// Opens a socket for a relay at this address; answers its port.
    fn open(&mut self, address: IpAddr) -> Option<u16>;
    /// Closes the socket of a relay.
    fn close(&mut self, relay: SocketAddr);
    /// Sends to a client.
    fn to_client(&mut self, client: Client, datagram: &[u8]);
    /// Sends from a relay to a peer.
    fn to_peer(&mut self, relay: SocketAddr, peer: SocketAddr, data: &[u8]);
    /// Tells whether an address is one of this machine.
    fn is_own(&self, address: IpAddr) -> bool;
}

/// The time of a decision, on the clock that always goes on and on the wall's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    /// Seconds since 1970.
    pub(super) seconds: u64,
}

/// What holds for all relays.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// This machine as others see it, at most one address of a family.
    pub(super) addresses: Vec<IpAddr>,
    /// Networks that are peers although they are private.
    pub(super) allow_peers: Vec<Network>,
    pub(super) allocations_max: usize,
    pub(super) allocations_per_account: usize,
    /// Bytes a second of one allocation in one direction.
    pub(super) rate: Rate,
    pub(super) requests_per_second: u32,
    /// How long an allocation lasts at most.
    pub(super) allocation_max: Duration,
}

/// Why something was not done: the labels of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Malformed,
    TooFast,
    StaleNonce,
    OtherRealm,
    WrongCredentials,
    Expired,
    Revoked,
    OtherAccount,
    AccountQuota,
    Full,
    PermissionsFull,
    NoPermission,
    TooMuch,
    Peer(Refused),
}

impl Reason {
    fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooFast => "too_fast",
            Self::StaleNonce => "stale_nonce",
            Self::OtherRealm => "other_realm",
            Self::WrongCredentials => "wrong_credentials",
            Self::Expired => "expired_credentials",
            Self::Revoked => "revoked_credentials",
            Self::OtherAccount => "other_account",
            Self::AccountQuota => "account_quota",
            Self::Full => "full",
            Self::PermissionsFull => "permissions_full",
            Self::NoPermission => "no_permission",
            Self::TooMuch => "too_much",
            Self::Peer(refused) => refused.as_str(),
        }
    }
}

/// All relays.
pub(super) struct Relays {
    rules: Rules,
    keys: Keys,
    pace: Pace,
    allocations: HashMap<Client, Allocation>,
    /// Whose a relay is.
    relays: HashMap<SocketAddr, Client>,
    /// How many an account has.
    accounts: HashMap<Box<str>, usize>,
    /// Accounts that have changed: what they were given to use until then is worth nothing.
    revoked: HashMap<Box<str>, u64>,
    /// Indications sent: what makes each another one.
    indications: u64,
}

impl Relays {
    pub(super) fn new(rules: Rules, keys: Keys, now: Instant) -> Self {
        Self {
            pace: Pace::new(rules.requests_per_second, now),
            rules,
            keys,
            allocations: HashMap::new(),
            relays: HashMap::new(),
            accounts: HashMap::new(),
            revoked: HashMap::new(),
            indications: 0,
        }
    }

    /// A datagram from a client.
    pub(super) fn client_says(
        &mut self,
        client: Client,
        datagram: &[u8],
        now: Now,
        world: &mut impl World,
    ) {
        // RFC 8656 §12: the first two bits tell channels from messages.
        let outcome = match datagram.first().map(|byte| byte >> 6) {
            Some(0) => self.message(client, datagram, now, world),
            Some(1) => self.channel(client, datagram, now, world),
            _ => Err(Reason::Malformed),
        };
        if let Err(reason) = outcome {
            refused(reason);
        }
    }

    fn message(
        &mut self,
        client: Client,
        datagram: &[u8],
        now: Now,
        world: &mut impl World,
    ) -> Result<(), Reason> {
        let message = Message::parse(datagram).ok_or(Reason::Malformed)?;
        match (message.class, message.method) {
            (Class::Request, _) => self.request(client, &message, now, world),
            (Class::Indication, method::SEND) => self.send(client, &message, now, world),
            // A keep-alive (RFC 8489 §6.2), or an answer to nothing we asked.
            _ => Ok(()),
        }
    }

    /// RFC 8656 §11.2: data for a peer.
    fn send(
        &mut self,
        client: Client,
        message: &Message<'_>,
        now: Now,
        world: &mut impl World,
    ) -> Result<(), Reason> {
        let peer = message.address(attribute::XOR_PEER_ADDRESS);
        let data = message.get(attribute::DATA);
        let known = [attribute::XOR_PEER_ADDRESS, attribute::DATA];
        let (Some(peer), Some(data), true) = (peer, data, message.unknown(&known).is_empty())
        else {
            return Err(Reason::Malformed);
        };
        let is_permitted = self
            .living(client, now.instant)
            .is_some_and(|it| it.permits(peer.ip(), now.instant));
        if !is_permitted {
            return Err(Reason::NoPermission);
        }
        self.forward(client, peer, data, now, world)
    }

    /// RFC 8656 §12.6: data for the peer of a channel.
    fn channel(
        &mut self,
        client: Client,
        datagram: &[u8],
        now: Now,
        world: &mut impl World,
    ) -> Result<(), Reason> {
        let (number, data) = channel_data(datagram).ok_or(Reason::Malformed)?;
        let peer = self
            .living(client, now.instant)
            .and_then(|it| it.peer(number, now.instant));
        let peer = peer.ok_or(Reason::NoPermission)?;
        self.forward(client, peer, data, now, world)
    }

    /// Brings a client's data to a peer it may speak with.
    fn forward(
        &mut self,
        client: Client,
        peer: SocketAddr,
        data: &[u8],
        now: Now,
        world: &mut impl World,
    ) -> Result<(), Reason> {
        let rate = self.rules.rate;
        let Some(allocation) = self.allocations.get_mut(&client) else {
            return Err(Reason::NoPermission);
        };
        if !allocation.may_send(data.len(), rate, now.instant) {
            return Err(Reason::TooMuch);
        }
        let relay = allocation.relay;
        metrics::turn_relayed("to_peer", data.len());
        if let Some(other) = self.relays.get(&peer).copied() {
            return self.deliver(other, relay, data, now, world);
        }
        // A permission is for an address: at ours it means relays and nothing else.
        if self.is_ours_alone(peer.ip()) {
            return Err(Reason::Peer(Refused::Own));
        }
        world.to_peer(relay, peer, data);
        Ok(())
    }

    /// A datagram from a peer to a relay.
    pub(super) fn peer_says(
        &mut self,
        relay: SocketAddr,
        peer: SocketAddr,
        data: &[u8],
        now: Now,
        world: &mut impl World,
    ) {
        let outcome = match self.relays.get(&relay).copied() {
            // Other relays of this node do not come by the socket.
            Some(_) if self.is_ours_alone(peer.ip()) => Err(Reason::Peer(Refused::Own)),
            Some(client) => self.deliver(client, peer, data, now, world),
            None => Ok(()),
        };
        if let Err(reason) = outcome {
            refused(reason);
        }
    }

    /// RFC 8656 §11.3 and §12.7: brings a peer's data to the client.
    fn deliver(
        &mut self,
        client: Client,
        peer: SocketAddr,
        data: &[u8],
        now: Now,
        world: &mut impl World,
    ) -> Result<(), Reason> {
        let rate = self.rules.rate;
        self.indications = self.indications.wrapping_add(1);
        let (at, count) = (now.instant, self.indications);
        let allocation = self.allocations.get_mut(&client);
        let allocation = allocation.filter(|it| it.ends > at && it.permits(peer.ip(), at));
        let allocation = allocation.ok_or(Reason::NoPermission)?;
        if !allocation.may_receive(data.len(), rate, at) {
            return Err(Reason::TooMuch);
        }
        metrics::turn_relayed("to_client", data.len());
        let datagram = match allocation.number(peer, at) {
            Some(number) => on_channel(number, data),
            None => indication(peer, data, count),
        };
        world.to_client(client, &datagram);
        Ok(())
    }

    /// Ends what has not been refreshed.
    pub(super) fn sweep(&mut self, now: Now, world: &mut impl World) {
        self.end_those(|it| it.ends <= now.instant, world);
        // By then such names have ended by themselves.
        self.revoked.retain(|_, until| *until > now.seconds);
    }

    /// Ends all of them: the server stops.
    pub(super) fn end_all(&mut self, world: &mut impl World) {
        self.end_those(|_| true, world);
    }

    /// An account is locked, removed, or somebody else's: its calls end, and names that end
    /// until this time, in seconds since 1970, begin no others.
    pub(super) fn revoke(&mut self, account: &str, until: u64, world: &mut impl World) {
        self.revoked.insert(account.into(), until);
        self.end_those(|it| &*it.account == account, world);
    }

    fn end_those(&mut self, is_over: impl Fn(&Allocation) -> bool, world: &mut impl World) {
        let over = self.allocations.values().filter(|it| is_over(it));
        let over: Vec<Client> = over.map(|it| it.client).collect();
        for client in over {
            self.end(client, world);
        }
    }

    fn end(&mut self, client: Client, world: &mut impl World) {
        let Some(allocation) = self.allocations.remove(&client) else {
            return;
        };
        self.relays.remove(&allocation.relay);
        if let Some(count) = self.accounts.get_mut(&allocation.account) {
            *count -= 1;
            if *count == 0 {
                self.accounts.remove(&allocation.account);
            }
        }
        world.close(allocation.relay);
        metrics::turn_allocations(self.allocations.len());
    }

    /// What a client has been given, if it has not ended.
    fn living(&self, client: Client, now: Instant) -> Option<&Allocation> {
        self.allocations.get(&client).filter(|it| it.ends > now)
    }

    /// Tells whether an address is that of our relays, and no operator has opened it.
    fn is_ours_alone(&self, address: IpAddr) -> bool {
        self.rules.addresses.contains(&address) && !self.is_opened(address)
    }

    fn is_opened(&self, address: IpAddr) -> bool {
        let allowed = &self.rules.allow_peers;
        allowed.iter().any(|network| network.contains(address))
    }

    /// Tells whether clients may speak with somebody at this address.
    fn admit(&self, address: IpAddr, world: &impl World) -> Result<(), Reason> {
        // Where relays are: which ports are meant is decided when something is sent.
        if self.rules.addresses.contains(&address) {
            return Ok(());
        }
        let is_own = |address| world.is_own(address);
        peers::admit(address, &self.rules.allow_peers, is_own).map_err(Reason::Peer)
    }
}

/// Counts what was not done.
fn refused(reason: Reason) {
    metrics::turn_refused(reason.as_str());
}

/// RFC 8656 §12.4: number and data; over UDP nothing has to be padded.
fn channel_data(datagram: &[u8]) -> Option<(u16, &[u8])> {
    let [a, b, c, d, rest @ ..] = datagram else {
        return None;
    };
    let (number, length) = (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
    let data = rest.get(..usize::from(length))?;
    CHANNELS.contains(&number).then_some((number, data))
}

fn on_channel(number: u16, data: &[u8]) -> Vec<u8> {
    // Datagrams are shorter than 64 KiB.
    let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
    let mut datagram = Vec::with_capacity(CHANNEL_HEAD + data.len());
    datagram.extend_from_slice(&number.to_be_bytes());
    datagram.extend_from_slice(&length.to_be_bytes());
    datagram.extend_from_slice(data);
    datagram
}

/// Nobody answers an indication: that it is another one is enough.
fn indication(peer: SocketAddr, data: &[u8], count: u64) -> Vec<u8> {
    let mut transaction: Transaction = [0; 12];
    transaction[4..].copy_from_slice(&count.to_be_bytes());
    Writer::new(Class::Indication, method::DATA, transaction)
        .put_address(attribute::XOR_PEER_ADDRESS, peer)
        .put(attribute::DATA, data)
        .finish(false)
}

#[cfg(test)]
mod tests;
