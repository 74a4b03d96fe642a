//! One relay that a client has been given: with whom it may speak, and how much (RFC 8656 §3.2,
//! §9, §12).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::keys::LongTermKey;
use super::stun::Transaction;
use crate::listener::{Bucket, Rate};

/// §9: how long a permission lasts.
const PERMISSION: Duration = Duration::from_secs(300);

/// §12: how long a channel lasts.
const CHANNEL: Duration = Duration::from_secs(600);

/// Permissions of one allocation: as many candidates as a call may have (row T07).
pub(super) const PERMISSIONS_MAX: usize = 64;

/// Channels of one allocation: one for each such candidate.
const CHANNELS_MAX: usize = 64;

/// From where a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Client {
    /// The number of the socket it speaks to.
    pub(super) socket: usize,
    /// Its address.
    pub(super) address: SocketAddr,
}

/// Why a channel is not bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoChannel {
    /// The number has another peer, or the peer another number.
    Taken,
    /// There are enough.
    Full,
}

/// What a client has been given.
pub(super) struct Allocation {
    pub(super) client: Client,
    /// As whom it was asked for; nobody else may change it (§5).
    pub(super) name: Box<str>,
    /// Who is counted for it.
    pub(super) account: Box<str>,
    pub(super) key: LongTermKey,
    /// The request that made it: the same once more gets the same answer (§7.2).
    pub(super) transaction: Transaction,
    /// Where peers reach it, as they are told.
    pub(super) relay: SocketAddr,
    /// When it ends unless it is refreshed.
    pub(super) ends: Instant,
    /// When it ends whatever is asked.
    pub(super) ends_at_last: Instant,
    permissions: HashMap<IpAddr, Instant>,
    channels: HashMap<u16, (SocketAddr, Instant)>,
    numbers: HashMap<SocketAddr, u16>,
    to_peers: Bucket,
    to_client: Bucket,
}

/// What an allocation begins with.
pub(super) struct Beginning {
    pub(super) client: Client,
    pub(super) name: Box<str>,
    pub(super) account: Box<str>,
    pub(super) key: LongTermKey,
    pub(super) transaction: Transaction,
    pub(super) relay: SocketAddr,
    pub(super) ends_at_last: Instant,
}

impl Allocation {
    pub(super) fn new(beginning: Beginning, rate: Rate, now: Instant) -> Self {
        Self {
            client: beginning.client,
            name: beginning.name,
            account: beginning.account,
            key: beginning.key,
            transaction: beginning.transaction,
            relay: beginning.relay,
            ends: now,
            ends_at_last: beginning.ends_at_last,
            permissions: HashMap::new(),
            channels: HashMap::new(),
            numbers: HashMap::new(),
            to_peers: Bucket::full(rate, now),
            to_client: Bucket::full(rate, now),
        }
    }

    /// Lasts so much longer, but not for ever; tells how long.
    pub(super) fn refresh(&mut self, lifetime: Duration, now: Instant) -> Duration {
        self.ends = self.ends_at_last.min(now + lifetime);
        self.ends.saturating_duration_since(now)
    }

    /// How long it still lasts.
    pub(super) fn left(&self, now: Instant) -> Duration {
        self.ends.saturating_duration_since(now)
    }

    /// Lets peers speak with the client; all of them or, where there are too many, none.
    pub(super) fn permit(&mut self, peers: &[IpAddr], now: Instant) -> bool {
        if self.permissions.len() + peers.len() > PERMISSIONS_MAX {
            self.permissions.retain(|_, ends| *ends > now);
        }
        let is_new = |ip: &&IpAddr| !self.permissions.contains_key(*ip);
        let mut new: Vec<&IpAddr> = peers.iter().filter(is_new).collect();
        new.sort_unstable();
        new.dedup();
        if self.permissions.len() + new.len() > PERMISSIONS_MAX {
            return false;
        }
        let ends = now + PERMISSION;
        self.permissions.extend(peers.iter().map(|ip| (*ip, ends)));
        true
    }

    /// Tells whether a peer may speak with the client, and the client with it.
    pub(super) fn permits(&self, peer: IpAddr, now: Instant) -> bool {
        self.permissions.get(&peer).is_some_and(|ends| *ends > now)
    }

    /// §12.2: gives a peer a number, or makes one that it has last longer.
    pub(super) fn bind(
        &mut self,
        number: u16,
        peer: SocketAddr,
        now: Instant,
    ) -> Result<(), NoChannel> {
        self.forget_channels(now);
        let has_other = self.channels.get(&number).is_some_and(|it| it.0 != peer);
        let has_number = self.numbers.get(&peer).is_some_and(|it| *it != number);
        if has_other || has_number {
            return Err(NoChannel::Taken);
        }
        let is_new = !self.channels.contains_key(&number);
        if is_new && self.channels.len() >= CHANNELS_MAX {
            return Err(NoChannel::Full);
        }
        // A channel permits its peer as well, or it would be of no use.
        if !self.permit(&[peer.ip()], now) {
            return Err(NoChannel::Full);
        }
        self.channels.insert(number, (peer, now + CHANNEL));
        self.numbers.insert(peer, number);
        Ok(())
    }

    /// The peer of a number.
    pub(super) fn peer(&self, number: u16, now: Instant) -> Option<SocketAddr> {
        let (peer, ends) = self.channels.get(&number)?;
        (*ends > now).then_some(*peer)
    }

    /// The number of a peer.
    pub(super) fn number(&self, peer: SocketAddr, now: Instant) -> Option<u16> {
        let number = *self.numbers.get(&peer)?;
        self.peer(number, now).map(|_| number)
    }

    /// Tells whether the client may send so many bytes more.
    pub(super) fn may_send(&mut self, bytes: usize, rate: Rate, now: Instant) -> bool {
        takes(&mut self.to_peers, bytes, rate, now)
    }

    /// Tells whether the client may be sent so many bytes more.
    pub(super) fn may_receive(&mut self, bytes: usize, rate: Rate, now: Instant) -> bool {
        takes(&mut self.to_client, bytes, rate, now)
    }

    fn forget_channels(&mut self, now: Instant) {
        self.channels.retain(|_, (_, ends)| *ends > now);
        let channels = &self.channels;
        self.numbers
            .retain(|_, number| channels.contains_key(number));
    }
}

/// Whole datagrams pass or none: what is taken for half of one is lost with it, which slows a
/// sender who goes on as if nothing were.
fn takes(bucket: &mut Bucket, bytes: usize, rate: Rate, now: Instant) -> bool {
    let bytes = bytes as f64;
    bucket.take_up_to(bytes, rate, now) >= bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const RATE: Rate = Rate {
        per_second: 1_000.0,
        burst: 1_000.0,
    };

    fn allocation(now: Instant) -> Allocation {
        let beginning = Beginning {
            client: Client {
                socket: 0,
                address: "192.0.2.1:1".parse().unwrap(),
            },
            name: "1:a".into(),
            account: "a".into(),
            key: [0; 16],
            transaction: [0; 12],
            relay: "192.0.2.9:49160".parse().unwrap(),
            ends_at_last: now + Duration::from_secs(7200),
        };
        Allocation::new(beginning, RATE, now)
    }

    fn ip(number: usize) -> IpAddr {
        Ipv4Addr::from_bits(number as u32).into()
    }

    fn peer(number: usize) -> SocketAddr {
        (ip(number), 9).into()
    }

    #[test]
    fn t07_permissions_are_as_many_as_a_call_has_candidates() {
        let now = Instant::now();
        let mut it = allocation(now);
        let many: Vec<IpAddr> = (0..PERMISSIONS_MAX).map(ip).collect();
        assert!(it.permit(&many, now));
        assert!(it.permit(&many, now), "the same are no more");
        assert!(!it.permit(&[ip(1000)], now));
        assert!(!it.permits(ip(1000), now) && it.permits(ip(0), now));
        let later = now + PERMISSION;
        assert!(!it.permits(ip(0), later));
        assert!(it.permit(&[ip(1000)], later), "what has ended makes room");
        let too_many: Vec<IpAddr> = (0..=PERMISSIONS_MAX).map(ip).collect();
        assert!(!allocation(now).permit(&too_many, now));
    }

    #[test]
    fn channel_binds_one_peer_to_one_number() {
        let now = Instant::now();
        let mut it = allocation(now);
        assert_eq!(it.bind(0x4000, peer(1), now), Ok(()));
        assert_eq!(it.bind(0x4000, peer(1), now), Ok(()), "made to last longer");
        assert_eq!(it.bind(0x4000, peer(2), now), Err(NoChannel::Taken));
        assert_eq!(it.bind(0x4001, peer(1), now), Err(NoChannel::Taken));
        assert!(it.permits(ip(1), now) && !it.permits(ip(2), now));
        assert_eq!(it.peer(0x4000, now), Some(peer(1)));
        assert_eq!(it.number(peer(1), now), Some(0x4000));
        let later = now + CHANNEL;
        assert_eq!(
            (it.peer(0x4000, later), it.number(peer(1), later)),
            (None, None)
        );
        assert_eq!(it.bind(0x4000, peer(2), later), Ok(()), "free again");
    }

    #[test]
    fn t07_channels_are_as_many_as_a_call_has_candidates() {
        let now = Instant::now();
        let mut it = allocation(now);
        for number in 0..CHANNELS_MAX {
            assert_eq!(it.bind(0x4000 + number as u16, peer(number), now), Ok(()));
        }
        assert_eq!(it.bind(0x5000, peer(1000), now), Err(NoChannel::Full));
        assert!(!it.permits(ip(1000), now));
    }

    #[test]
    fn t02_bytes_pass_at_their_rate_in_each_direction() {
        let now = Instant::now();
        let mut it = allocation(now);
        assert!(it.may_send(1_000, RATE, now) && it.may_receive(1_000, RATE, now));
        assert!(!it.may_send(1, RATE, now) && !it.may_receive(1, RATE, now));
        let later = now + Duration::from_millis(500);
        assert!(it.may_send(500, RATE, later) && !it.may_send(1, RATE, later));
    }

    #[test]
    fn lifetime_ends_at_last() {
        let now = Instant::now();
        let mut it = allocation(now);
        let hour = Duration::from_secs(3600);
        assert_eq!(it.refresh(hour, now), hour);
        let late = now + hour + hour / 2;
        assert_eq!(it.refresh(hour, late), hour / 2);
        assert_eq!(it.left(now + hour * 2), Duration::ZERO);
    }
}
