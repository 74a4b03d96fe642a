"""Two people chat with aioxmpp 0.13.3, a client that is strict about what it reads.

Proves: STARTTLS and login, resource binding, disco before use, the initial roster and its
pushes, subscription and presence by subscription, a chat message in both directions, a
tracked message with its receipt (XEP-0184), carbons (0280), blocking (0191), ping (0199),
version (0092), and resumption after a dropped socket (0198). aioxmpp answers anything that
is not valid against its schema with an error, so a stray or malformed element shows here.

Accounts: carol and dave @localhost, new, with the passwords pw-carol and pw-dave.
"""

import asyncio
import contextlib
import logging
import sys
import warnings

import loopback

warnings.simplefilter("ignore")  # aioxmpp is from before Python 3.8's deprecations

import aioxmpp  # noqa: E402
import aioxmpp.mdr  # noqa: E402
import OpenSSL.SSL  # noqa: E402
from aioxmpp.security_layer import default_ssl_context, make  # noqa: E402
from checks import Checks, expect  # noqa: E402

CAROL, DAVE = (aioxmpp.JID.fromstr(f"{name}@localhost") for name in ("carol", "dave"))
SERVER = aioxmpp.JID.fromstr("localhost")
SERVICES = {
    "roster": aioxmpp.RosterClient,
    "presence": aioxmpp.PresenceClient,
    "own_presence": aioxmpp.PresenceServer,
    "disco": aioxmpp.DiscoClient,
    "carbons": aioxmpp.CarbonsClient,
    "blocking": aioxmpp.BlockingClient,
    "receipts": aioxmpp.DeliveryReceiptsService,
    "messages": aioxmpp.dispatcher.SimpleMessageDispatcher,
}


def tls_context():
    """aioxmpp's own context, with the trust store that SSL_CERT_FILE names."""
    context = default_ssl_context()
    context.set_default_verify_paths()
    context.set_verify(OpenSSL.SSL.VERIFY_PEER, lambda conn, cert, errno, depth, ok: errno == 0)
    return context


class Person:
    """A client with its services, and queues of what it was told."""

    def __init__(self, jid, resource):
        self.jid = jid.replace(resource=resource)
        self.client = aioxmpp.Client(
            self.jid,
            make(f"pw-{jid.localpart}", ssl_context_factory=tls_context),
            override_peer=[(loopback.ADDRESS, 5222, aioxmpp.connector.STARTTLSConnector())],
        )
        for name, service in SERVICES.items():
            setattr(self, name, self.client.summon(service))
        self.texts, self.subscribers = asyncio.Queue(), asyncio.Queue()
        for kind in (aioxmpp.MessageType.CHAT, aioxmpp.MessageType.NORMAL):
            self.messages.register_callback(kind, None, self._hear)
        self.roster.on_subscribe.connect(self.subscribers.put_nowait)

    def _hear(self, message):
        for copy, kind in ((message.xep0280_sent, "sent"), (message.xep0280_received, "received")):
            if copy is not None:
                self.texts.put_nowait((kind, copy.stanza.body.any()))
        if message.body:
            self.texts.put_nowait(("direct", message.body.any()))

    @contextlib.asynccontextmanager
    async def online(self):
        presence = aioxmpp.PresenceState(True)
        async with self.client.connected(presence=presence):
            yield self

    async def say(self, to, text):
        message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=to)
        message.body[None] = text
        message.autoset_id()
        await self.client.send(message)

    async def sees(self, jid):
        """Waits until a resource is known as available."""
        while self.presence.get_stanza(jid) is None:
            await asyncio.sleep(0.02)

    def subscription(self, jid):
        item = self.roster.items.get(jid)
        return item.subscription if item else "absent"

    async def has_subscription(self, jid, wanted):
        while self.subscription(jid) != wanted:
            await asyncio.sleep(0.02)


async def conversation(step, carol, dave):
    async with step("log in with TLS, bind the resource and fetch the roster"):
        for person in (carol, dave):
            expect(person.client.local_jid == person.jid, person.client.local_jid)
            expect(person.client.stream.sm_enabled, "no stream management")
            expect(person.client.stream.sm_resumable, "not resumable")
            expect(not person.roster.items, "the roster is not empty")
    async with step("both subscribe to each other and see each other"):
        for asking, granting in ((carol, dave), (dave, carol)):
            asking.roster.subscribe(granting.jid.bare())
            request = await granting.subscribers.get()
            expect(request.from_ == asking.jid.bare(), request.from_)
            granting.roster.approve(asking.jid.bare())
            await asking.sees(granting.jid)
        await carol.has_subscription(DAVE, "both")
        await dave.has_subscription(CAROL, "both")
    async with step("a message to the account, and an answer to the resource"):
        await carol.say(DAVE, "Grüß dich, Dave 👋")
        expect(await dave.texts.get() == ("direct", "Grüß dich, Dave 👋"), "another text")
        await dave.say(carol.jid, "Hello Carol")
        expect(await carol.texts.get() == ("direct", "Hello Carol"), "another text")
    async with step("a tracked message ends as delivered to the recipient"):
        message = aioxmpp.Message(type_=aioxmpp.MessageType.CHAT, to=dave.jid)
        message.body[None] = "Please confirm"
        message.autoset_id()
        tracker = carol.receipts.attach_tracker(message)
        delivered = asyncio.get_running_loop().create_future()

        def changed(state, response=None):
            if state == aioxmpp.tracking.MessageState.DELIVERED_TO_RECIPIENT:
                delivered.set_result(True)

        tracker.on_state_changed.connect(changed)
        heard = asyncio.get_running_loop().create_future()
        dave.messages.unregister_callback(aioxmpp.MessageType.CHAT, None)
        dave.messages.register_callback(aioxmpp.MessageType.CHAT, None, heard.set_result)
        carol.client.enqueue(message)
        received = await heard
        expect(received.xep0184_request_receipt, "the request was lost")
        await dave.client.send(aioxmpp.mdr.compose_receipt(received))
        await delivered
        dave.messages.unregister_callback(aioxmpp.MessageType.CHAT, None)
        dave.messages.register_callback(aioxmpp.MessageType.CHAT, None, dave._hear)
    async with step("a second resource gets carbons"):
        second = Person(CAROL, "second")
        async with second.online():
            await second.carbons.enable()
            await carol.say(dave.jid, "Copied as sent")
            expect(await second.texts.get() == ("sent", "Copied as sent"), "no copy of it")
            await dave.say(carol.jid, "Copied as received")
            expect(await second.texts.get() == ("received", "Copied as received"), "no copy of it")
        expect(await dave.texts.get() == ("direct", "Copied as sent"), "the original is missing")
        expect(
            await carol.texts.get() == ("direct", "Copied as received"), "the original is missing"
        )
    async with step("the server's features, version and ping are well-formed"):
        info = await carol.disco.query_info(SERVER)
        expect("urn:xmpp:carbons:2" in info.features, info.features)
        await carol.disco.query_items(SERVER)
        await carol.disco.query_info(CAROL)
        version = await aioxmpp.version.query_version(carol.client.stream, SERVER)
        expect(version.name, "no name")
        await aioxmpp.ping.ping(carol.client, SERVER)
    async with step("a roster change is pushed"):
        await carol.roster.set_entry(DAVE, name="Dave", add_to_groups={"Work"})
        while carol.roster.items[DAVE].name != "Dave":
            await asyncio.sleep(0.02)
        expect(carol.roster.items[DAVE].groups == {"Work"}, carol.roster.items[DAVE].groups)
    async with step("blocking hides and refuses, unblocking brings back"):
        gone, back = asyncio.Event(), asyncio.Event()
        dave.presence.on_unavailable.connect(lambda jid, stanza: gone.set())
        await carol.blocking.block_jids([DAVE])
        await gone.wait()
        while DAVE not in carol.blocking.blocklist:  # the push may come behind the answer
            await asyncio.sleep(0.02)
        dave.presence.on_available.connect(lambda jid, stanza: back.set())
        await carol.blocking.unblock_jids([DAVE])
        await back.wait()
        while DAVE in carol.blocking.blocklist:
            await asyncio.sleep(0.02)
    async with step("a dropped socket is resumed and nothing is lost"):
        resumed = asyncio.Event()
        carol.client.on_stream_resumed.connect(resumed.set)
        # As from the kernel; its own transport.abort() passes for an end that was wanted.
        carol.client.stream._xmlstream.transport._force_close(ConnectionResetError())
        for number in range(3):
            await dave.say(carol.jid, f"During the gap {number}")
        await resumed.wait()
        texts = [await carol.texts.get() for _ in range(3)]
        expect(texts == [("direct", f"During the gap {number}") for number in range(3)], texts)
        expect(carol.texts.empty(), "one of them twice")
        await carol.say(DAVE, "Here again")
        expect(await dave.texts.get() == ("direct", "Here again"), "another text")


async def main():
    checks = Checks("aioxmpp")
    carol, dave = Person(CAROL, "one"), Person(DAVE, "one")
    async with checks.step("two clients connect", 30):
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(carol.online())
            await stack.enter_async_context(dave.online())
            checks_in = stack.pop_all()
    async with checks_in:
        await conversation(checks.step, carol, dave)
        async with checks.step("leaving is clean"):
            left = asyncio.Event()
            dave.presence.on_unavailable.connect(lambda jid, stanza: left.set())
            stopped = asyncio.Event()
            carol.client.on_stopped.connect(stopped.set)
            carol.client.stop()
            await left.wait()
            await stopped.wait()
    checks.finish()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(main())
