//! A long and bad way between nodes, where the kernel need not have netem: what they say to each
//! other goes through this program, which holds every packet back, loses some, sends some twice,
//! and has them overtake each other.
//!
//! Each node's namespace has a tun device whose descriptor stays here, and routes by which only
//! what is for other nodes comes over it. Addresses are what they were, so connections live on.
//! Devices go with their descriptors and routes with their devices, however this program ends.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tokio_tun::Tun;

use crate::error::{LoadError, Result};
use crate::random::Random;

/// How late packets are, seconds.
const LATE: (f64, f64) = (0.1, 0.3);

/// Packets of a thousand that are lost.
const LOST_PERMILLE: u64 = 50;

/// And those that come twice.
const DOUBLED_PERMILLE: u64 = 10;

/// The longest packet: a tun device begins with Ethernet's.
const PACKET_BYTES_MAX: usize = 1500;

/// Of the packets of one node so many bytes are under way at once, and what is more is lost:
/// a hundred megabits a second, and many times what nodes say.
const UNDER_WAY_BYTES_MAX: usize = 4 << 20;

/// The devices, by the addresses of their nodes.
pub(super) type Devices = BTreeMap<Ipv4Addr, Tun>;

/// Makes a device here; a name of none is the kernel's to choose.
pub(super) fn open(name: &str) -> Result<Tun> {
    let refused = |error| LoadError::Usage(format!("a tun device: {error}"));
    let mut devices = Tun::builder().name(name).build().map_err(refused)?;
    let missing = || LoadError::Usage("no tun device".into());
    devices.pop().ok_or_else(missing)
}

/// A detour that is being taken. Dropped, it ends as well, but nobody learns how it was.
pub(crate) struct Detour {
    /// When this is gone, carriers end.
    is_open: watch::Sender<()>,
    carriers: JoinSet<Tally>,
}

impl Detour {
    /// Whether this machine has tun devices, and this user may make them.
    pub(crate) fn is_possible() -> bool {
        open("").is_ok()
    }

    pub(super) fn start(devices: Devices, random: &Random) -> Self {
        let (devices, is_open) = (Arc::new(devices), watch::Sender::new(()));
        let mut carriers = JoinSet::new();
        for (part, from) in (0..).zip(devices.keys().copied()) {
            let under_way = UnderWay::new(random.part(part));
            let devices = Arc::clone(&devices);
            carriers.spawn(carry(from, devices, under_way, is_open.subscribe()));
        }
        Self { is_open, carriers }
    }

    /// Ends it: what is under way is lost, and the direct way is back. Tells how packets fared,
    /// if those of every node were late.
    pub(crate) async fn end(mut self) -> Option<Tally> {
        drop(self.is_open);
        let (mut sum, mut is_everywhere) = (Tally::default(), true);
        while let Some(ended) = self.carriers.join_next().await {
            let tally = ended.unwrap_or_default();
            is_everywhere &= tally.late > 0;
            sum.add(&tally);
        }
        is_everywhere.then_some(sum)
    }
}

/// Carries what one node says to the others, until the detour ends or the device does.
async fn carry(
    from: Ipv4Addr,
    devices: Arc<Devices>,
    mut under_way: UnderWay,
    mut is_open: watch::Receiver<()>,
) -> Tally {
    let Some(device) = devices.get(&from) else {
        return under_way.tally;
    };
    let mut buffer = [0; PACKET_BYTES_MAX];
    loop {
        let due = under_way.due();
        tokio::select! {
            _ = is_open.changed() => return under_way.tally,
            read = device.recv(&mut buffer) => match read {
                Ok(length) => {
                    if let Some(packet) = Packet::read(&buffer[..length]) {
                        under_way.take(&packet, Instant::now());
                    }
                }
                Err(_) => return under_way.tally,
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                while let Some(packet) = under_way.arrived(Instant::now()) {
                    // What a node does not take is lost, as on any way.
                    let _ = devices.get(&packet.to).map(|it| it.try_send(&packet.bytes));
                }
            }
        }
    }
}

/// What one node says to another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Packet {
    to: Ipv4Addr,
    bytes: Vec<u8>,
}

impl Packet {
    /// Reads the destination (RFC 791 §3.1). Devices say things of IPv6 that nobody has asked for.
    fn read(bytes: &[u8]) -> Option<Self> {
        let is_version_4 = bytes.first().is_some_and(|first| first >> 4 == 4);
        let to: [u8; 4] = bytes.get(16..20)?.try_into().ok()?;
        is_version_4.then(|| Self {
            to: to.into(),
            bytes: bytes.to_vec(),
        })
    }
}

/// The packets of one node that have not arrived.
#[derive(Debug)]
struct UnderWay {
    random: Random,
    /// By when they arrive; then in the order in which they were sent.
    held: BTreeMap<(Instant, u64), (Instant, Packet)>,
    bytes: usize,
    sent: u64,
    /// The last sent of those that have arrived.
    foremost: u64,
    tally: Tally,
}

impl UnderWay {
    fn new(random: Random) -> Self {
        Self {
            random,
            held: BTreeMap::new(),
            bytes: 0,
            sent: 0,
            foremost: 0,
            tally: Tally::default(),
        }
    }

    /// Takes a packet, and decides what becomes of it.
    fn take(&mut self, packet: &Packet, now: Instant) {
        let is_too_much = self.bytes + packet.bytes.len() > UNDER_WAY_BYTES_MAX;
        if is_too_much || self.random.below(1000) < LOST_PERMILLE {
            self.tally.lost += 1;
            return;
        }
        self.hold(packet.clone(), now);
        if self.random.below(1000) < DOUBLED_PERMILLE {
            self.tally.doubled += 1;
            self.hold(packet.clone(), now);
        }
    }

    fn hold(&mut self, packet: Packet, now: Instant) {
        let late = Duration::from_secs_f64(self.random.between(LATE.0, LATE.1));
        self.sent += 1;
        self.bytes += packet.bytes.len();
        self.held.insert((now + late, self.sent), (now, packet));
    }

    /// When the next one arrives.
    fn due(&self) -> Option<Instant> {
        self.held.keys().next().map(|(due, _)| *due)
    }

    /// A packet that has arrived by now.
    fn arrived(&mut self, now: Instant) -> Option<Packet> {
        self.due().filter(|due| *due <= now)?;
        let ((_, number), (since, packet)) = self.held.pop_first()?;
        self.bytes -= packet.bytes.len();
        self.tally.late += 1;
        self.tally.lateness += now.saturating_duration_since(since);
        self.tally.overtaken += u64::from(number < self.foremost);
        self.foremost = self.foremost.max(number);
        Some(packet)
    }
}

/// How packets fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Arrived, and late: none is in time.
    late: u64,
    /// All their times under way.
    lateness: Duration,
    /// Of those, the ones that later ones have overtaken.
    overtaken: u64,
    lost: u64,
    doubled: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.late += other.late;
        self.lateness += other.lateness;
        self.overtaken += other.overtaken;
        self.lost += other.lost;
        self.doubled += other.doubled;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = self.lateness.as_secs_f64() * 1000.0 / self.late.max(1) as f64;
        write!(
            f,
            "{} packets came {milliseconds:.0} ms late on average, {} of them overtaken, {} twice, \
             and {} never",
            self.late, self.overtaken, self.doubled, self.lost
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(bytes: usize) -> Packet {
        let mut header = [0; 20];
        header[0] = 0x45;
        header[16..].copy_from_slice(&[10, 64, 1, 2]);
        let mut packet = Packet::read(&header).expect("it is one");
        packet.bytes.resize(bytes, 0);
        packet
    }

    /// One after the other, a millisecond apart; each with the milliseconds at which it arrives.
    fn sent(count: u64) -> (UnderWay, Vec<(u64, Packet)>) {
        let mut under_way = UnderWay::new(Random::new(7));
        let (start, mut arrivals) = (Instant::now(), Vec::new());
        for at in 0..count + 301 {
            let now = start + Duration::from_millis(at);
            if at < count {
                under_way.take(&packet(100), now);
            }
            while let Some(packet) = under_way.arrived(now) {
                arrivals.push((at, packet));
            }
        }
        (under_way, arrivals)
    }

    #[test]
    fn only_packets_of_version_4_have_somewhere_to_go() {
        assert_eq!(packet(20).to, Ipv4Addr::new(10, 64, 1, 2));
        assert_eq!(Packet::read(&[0x60; 48]), None);
        assert_eq!(Packet::read(&[0x45; 19]), None);
        assert_eq!(Packet::read(&[]), None);
    }

    #[test]
    fn nothing_comes_in_time_and_everything_soon() {
        let (mut under_way, arrivals) = sent(1);
        assert!((100..=300).contains(&arrivals[0].0), "{arrivals:?}");
        assert_eq!(under_way.due(), None);
        under_way.take(&packet(100), Instant::now());
        assert_eq!(under_way.arrived(Instant::now()), None);
    }

    #[test]
    fn some_are_lost_some_come_twice_and_they_overtake_each_other() {
        let (under_way, arrivals) = sent(10_000);
        let tally = under_way.tally;
        assert!((400..600).contains(&tally.lost), "{tally}");
        assert!((50..150).contains(&tally.doubled), "{tally}");
        assert!(tally.overtaken > 5000, "{tally}");
        let milliseconds = tally.lateness.as_millis() / u128::from(tally.late);
        assert!((190..=210).contains(&milliseconds), "{tally}");
        assert_eq!(tally.late, arrivals.len() as u64);
        assert_eq!(tally.late + tally.lost, 10_000 + tally.doubled);
    }

    #[test]
    fn what_is_under_way_is_bounded_and_makes_room_when_it_arrives() {
        let mut under_way = UnderWay::new(Random::new(7));
        let now = Instant::now();
        for _ in 0..2 * UNDER_WAY_BYTES_MAX / PACKET_BYTES_MAX {
            under_way.take(&packet(PACKET_BYTES_MAX), now);
        }
        // The last may come twice.
        let most = UNDER_WAY_BYTES_MAX + PACKET_BYTES_MAX;
        assert!((UNDER_WAY_BYTES_MAX / 2..=most).contains(&under_way.bytes));
        while under_way.arrived(now + Duration::from_secs(1)).is_some() {}
        assert_eq!(under_way.bytes, 0);
    }
}
