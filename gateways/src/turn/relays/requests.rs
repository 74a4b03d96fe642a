//! Requests and their answers: Binding (RFC 8489 §12), and Allocate, Refresh, CreatePermission
//! and ChannelBind (RFC 8656 §7, §8, §10, §12).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::proof::{Caller, Denied, With};
use super::{CHANNELS, Now, Reason, Relays, World, refused};
use crate::metrics;
use crate::turn::allocation::{Allocation, Beginning, Client, NoChannel, PERMISSIONS_MAX};
use crate::turn::stun::{Class, Message, Writer, attribute, method};

/// RFC 8656 §3.2: how long an allocation lasts if nobody says.
const LIFETIME: Duration = Duration::from_secs(600);

/// §7.2: the longest that can be asked for.
const LIFETIME_MAX: Duration = Duration::from_secs(3600);

/// The protocol number of UDP.
const UDP: u8 = 17;

/// What becomes of a request.
type Answer = Result<Writer, Denied>;

impl Relays {
    /// Answers a request, unless its sender asks too much.
    pub(super) fn request(
        &mut self,
        client: Client,
        request: &Message<'_>,
        now: Now,
        world: &mut impl World,
    ) -> Result<(), Reason> {
        if !self.pace.allows(client.address.ip(), now.instant) {
            return Err(Reason::TooFast);
        }
        let answer = match request.method {
            method::BINDING => binding(client, request),
            method::ALLOCATE => self.allocate(client, request, now, world),
            method::REFRESH => self.refresh(client, request, now, world),
            method::CREATE_PERMISSION => self.create_permission(client, request, now, world),
            method::CHANNEL_BIND => self.channel_bind(client, request, now, world),
            _ => Err(Denied::plain(400, "")),
        };
        let answer = answer.unwrap_or_else(|denied| {
            denied.reason.into_iter().for_each(refused);
            self.denial(request, client, denied, now)
        });
        world.to_client(client, &answer.finish(request.is_fingerprinted));
        Ok(())
    }

    /// RFC 8656 §7.2.
    fn allocate(
        &mut self,
        client: Client,
        request: &Message<'_>,
        now: Now,
        world: &mut impl World,
    ) -> Answer {
        let caller = self.prove(request, client, now)?;
        // What has ended is not swept yet.
        if self.living(client, now.instant).is_none() {
            self.end(client, world);
        }
        if let Some(there) = self.allocations.get(&client) {
            // The answer was lost: the same once more.
            if there.transaction == request.transaction {
                return Ok(allocated(there, request, there.left(now.instant)));
            }
            return Err(Denied::known(437, "there is one", caller.key));
        }
        let address = self.address_asked_for(request, &caller)?;
        self.has_room_for(&caller)?;
        let full = || Denied::known(508, "no port is free", caller.key).because(Reason::Full);
        let port = world.open(address).ok_or_else(full)?;
        let relay = SocketAddr::new(address, port);
        Ok(self.begin(client, request, &caller, relay, now))
    }

    /// The address of the relay that a request wants; no socket is opened for a bad request.
    fn address_asked_for(
        &self,
        request: &Message<'_>,
        caller: &Caller<'_>,
    ) -> Result<IpAddr, Denied> {
        let known = [
            attribute::REQUESTED_TRANSPORT,
            attribute::REQUESTED_ADDRESS_FAMILY,
            attribute::LIFETIME,
            attribute::EVEN_PORT,
            attribute::RESERVATION_TOKEN,
        ];
        refuse_unknown(request, &known)?;
        let denied = |code, words| Err(Denied::known(code, words, caller.key));
        match request.get(attribute::REQUESTED_TRANSPORT) {
            Some([UDP, _, _, _]) => {}
            Some([_, _, _, _]) => return denied(442, "UDP only"),
            _ => return denied(400, "no transport"),
        }
        let pairs = [attribute::EVEN_PORT, attribute::RESERVATION_TOKEN];
        if pairs.iter().any(|kind| request.get(*kind).is_some()) {
            return denied(508, "no pairs of ports");
        }
        let is_ipv6 = match request.get(attribute::REQUESTED_ADDRESS_FAMILY) {
            None | Some([1, _, _, _]) => false,
            Some([2, _, _, _]) => true,
            Some(_) => return denied(440, "no such family"),
        };
        let mut addresses = self.rules.addresses.iter();
        match addresses.find(|address| address.is_ipv6() == is_ipv6) {
            Some(address) => Ok(*address),
            None => denied(440, "no address of this family"),
        }
    }

    /// Row T02: nobody has all relays.
    fn has_room_for(&self, caller: &Caller<'_>) -> Result<(), Denied> {
        let has = self.accounts.get(caller.account).copied().unwrap_or(0);
        if has >= self.rules.allocations_per_account {
            let denied = Denied::known(486, "the account has enough", caller.key);
            return Err(denied.because(Reason::AccountQuota));
        }
        if self.allocations.len() >= self.rules.allocations_max {
            return Err(Denied::known(508, "all are taken", caller.key).because(Reason::Full));
        }
        Ok(())
    }

    fn begin(
        &mut self,
        client: Client,
        request: &Message<'_>,
        caller: &Caller<'_>,
        relay: SocketAddr,
        now: Now,
    ) -> Writer {
        let beginning = Beginning {
            client,
            name: caller.name.into(),
            account: caller.account.into(),
            key: caller.key,
            transaction: request.transaction,
            relay,
            ends_at_last: now.instant + self.rules.allocation_max,
        };
        let mut allocation = Allocation::new(beginning, self.rules.rate, now.instant);
        let lifetime = allocation.refresh(lifetime(request), now.instant);
        let answer = allocated(&allocation, request, lifetime);
        *self.accounts.entry(allocation.account.clone()).or_default() += 1;
        self.relays.insert(relay, client);
        self.allocations.insert(client, allocation);
        metrics::turn_allocated(self.allocations.len());
        answer
    }

    /// RFC 8656 §8.2: a lifetime of zero ends it.
    fn refresh(
        &mut self,
        client: Client,
        request: &Message<'_>,
        now: Now,
        world: &mut impl World,
    ) -> Answer {
        let caller = self.prove(request, client, now)?;
        let known = [attribute::LIFETIME, attribute::REQUESTED_ADDRESS_FAMILY];
        refuse_unknown(request, &known)?;
        let allocation = self.its(client, &caller, now)?;
        let family = request.get(attribute::REQUESTED_ADDRESS_FAMILY);
        let own = if allocation.relay.is_ipv4() { 1 } else { 2 };
        if family.is_some_and(|value| value.first() != Some(&own)) {
            return Err(Denied::known(443, "another family", caller.key));
        }
        let left = match request.number(attribute::LIFETIME) {
            Some(0) => {
                self.end(client, world);
                Duration::ZERO
            }
            _ => allocation.refresh(lifetime(request), now.instant),
        };
        let answer = Writer::answer(request, Class::Success);
        Ok(answer
            .put(attribute::LIFETIME, &seconds(left))
            .sign(&caller.key))
    }

    /// RFC 8656 §10.2: all peers or none.
    fn create_permission(
        &mut self,
        client: Client,
        request: &Message<'_>,
        now: Now,
        world: &mut impl World,
    ) -> Answer {
        let caller = self.prove(request, client, now)?;
        refuse_unknown(request, &[attribute::XOR_PEER_ADDRESS])?;
        let peers = request.addresses(attribute::XOR_PEER_ADDRESS);
        let Some(peers) = peers.filter(|peers| !peers.is_empty()) else {
            return Err(Denied::known(400, "no peer", caller.key));
        };
        self.its(client, &caller, now)?;
        // Before each of them costs a call of the system.
        if peers.len() > PERMISSIONS_MAX {
            return Err(too_many(&caller));
        }
        for peer in &peers {
            self.is_peer(client, *peer, &caller, world)?;
        }
        let addresses: Vec<IpAddr> = peers.iter().map(SocketAddr::ip).collect();
        if !self
            .its(client, &caller, now)?
            .permit(&addresses, now.instant)
        {
            return Err(too_many(&caller));
        }
        Ok(Writer::answer(request, Class::Success).sign(&caller.key))
    }

    /// RFC 8656 §12.2.
    fn channel_bind(
        &mut self,
        client: Client,
        request: &Message<'_>,
        now: Now,
        world: &mut impl World,
    ) -> Answer {
        let caller = self.prove(request, client, now)?;
        let known = [attribute::CHANNEL_NUMBER, attribute::XOR_PEER_ADDRESS];
        refuse_unknown(request, &known)?;
        self.its(client, &caller, now)?;
        let bad = |words| Denied::known(400, words, caller.key);
        // The number, and two bytes for later.
        let number = request.number(attribute::CHANNEL_NUMBER);
        let number = number.and_then(|number| u16::try_from(number >> 16).ok());
        let number = number.filter(|number| CHANNELS.contains(number));
        let number = number.ok_or_else(|| bad("no number of a channel"))?;
        let peer = request.address(attribute::XOR_PEER_ADDRESS);
        let peer = peer.ok_or_else(|| bad("no peer"))?;
        self.is_peer(client, peer, &caller, world)?;
        match self
            .its(client, &caller, now)?
            .bind(number, peer, now.instant)
        {
            Ok(()) => Ok(Writer::answer(request, Class::Success).sign(&caller.key)),
            Err(NoChannel::Taken) => Err(bad("the number or the peer has another")),
            Err(NoChannel::Full) => Err(too_many(&caller)),
        }
    }

    /// What the caller has been given at this place.
    fn its(
        &mut self,
        client: Client,
        caller: &Caller<'_>,
        now: Now,
    ) -> Result<&mut Allocation, Denied> {
        let found = self.allocations.get_mut(&client);
        found
            .filter(|it| it.ends > now.instant)
            .ok_or_else(|| Denied::known(437, "no allocation", caller.key))
    }

    /// Tells whether a client may speak with a peer.
    fn is_peer(
        &self,
        client: Client,
        peer: SocketAddr,
        caller: &Caller<'_>,
        world: &impl World,
    ) -> Result<(), Denied> {
        let own = self.allocations.get(&client).map(|it| it.relay);
        // Before the family, so that every form of an inner address is refused by its name.
        self.admit(peer.ip(), world).map_err(|reason| {
            let denied = Denied::known(403, "no peer of relays", caller.key);
            denied.because(reason)
        })?;
        if own.is_some_and(|own| own.is_ipv4() != peer.is_ipv4()) {
            return Err(Denied::known(443, "another family", caller.key));
        }
        Ok(())
    }
}

/// RFC 8489 §12: the client as we see it.
fn binding(client: Client, request: &Message<'_>) -> Answer {
    refuse_unknown(request, &[])?;
    let answer = Writer::answer(request, Class::Success);
    Ok(answer.put_address(attribute::XOR_MAPPED_ADDRESS, client.address))
}

/// RFC 8656 §7.3.
fn allocated(allocation: &Allocation, request: &Message<'_>, lifetime: Duration) -> Writer {
    Writer::answer(request, Class::Success)
        .put_address(attribute::XOR_RELAYED_ADDRESS, allocation.relay)
        .put_address(attribute::XOR_MAPPED_ADDRESS, allocation.client.address)
        .put(attribute::LIFETIME, &seconds(lifetime))
        .sign(&allocation.key)
}

/// §7.2: what is asked for, within bounds. Shorter than usual is for nobody's good.
fn lifetime(request: &Message<'_>) -> Duration {
    let asked = request.number(attribute::LIFETIME).unwrap_or(0);
    Duration::from_secs(asked.into()).clamp(LIFETIME, LIFETIME_MAX)
}

fn seconds(duration: Duration) -> [u8; 4] {
    let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    seconds.to_be_bytes()
}

fn too_many(caller: &Caller<'_>) -> Denied {
    Denied::known(508, "enough peers", caller.key).because(Reason::PermissionsFull)
}

/// RFC 8489 §6.3.1: names what it does not understand and should.
fn refuse_unknown(request: &Message<'_>, known: &[u16]) -> Result<(), Denied> {
    let unknown = request.unknown(known);
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Denied {
        with: With::Unknown(unknown),
        ..Denied::plain(420, "")
    })
}
