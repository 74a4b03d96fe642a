"""Two people chat with slixmpp, through everything that a day brings.

Proves, with a client library nobody here wrote: each login mechanism; roster, subscriptions
and presence (RFC 6121); chat, receipts, corrections, markers and reactions (XEP-0184, 0308,
0333, 0444); carbons (0280); what the server tells about itself (0030, 0092, 0199, 0202);
blocking (0191); resumption after a dropped socket (0198); client state (0352); offline
messages (0160, 0203); catching up from the archive (0313, 0059) by the ids seen live (0359).

Accounts: alice and bob @localhost, new, with the passwords pw-alice and pw-bob.
"""

import asyncio
import logging
import ssl
import sys
from contextlib import asynccontextmanager
from datetime import datetime, timezone

import loopback
from checks import Checks, expect
from person import SERVER, Person
from slixmpp.exceptions import IqError

ALICE, BOB = "alice@localhost", "bob@localhost"


def body_is(text):
    return lambda message: message["body"] == text


def presence_of(jid, kind):
    return lambda p: p["from"].bare == jid and p["type"] == kind


def carbon(kind, text):
    return lambda m: m[kind]["body"] == text


def bodies(messages):
    return [message["body"] for message in messages if message["body"]]


class Day:
    """One day of alice and bob, step by step."""

    def __init__(self, checks):
        self.step = checks.step
        self.alice = Person(ALICE, "one")
        self.bob = Person(BOB, "one")
        self.second = Person(ALICE, "two")
        self.said = []  # every body exchanged between alice and bob that an archive keeps

    def say(self, sender, to, body, **payloads):
        self.said.append(body)
        return sender.chat(to, body, **payloads)

    @asynccontextmanager
    async def quiet_step(self, name):
        """A step that begins with nothing left over from earlier ones."""
        async with self.step(name):
            for person in (self.alice, self.bob, self.second):
                if person.transport:
                    await person.flush()
                person.forget()
            yield

    async def mechanisms(self):
        for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"):
            async with self.step(f"login with {mechanism} over TLS"):
                person = Person(ALICE, sasl_mech=mechanism)
                try:
                    await person.login(available=False)
                    expect(isinstance(person.socket, ssl.SSLObject), "no TLS")
                finally:
                    await person.logout()
        async with self.step("login with TLS 1.2, whose channel binding slixmpp knows another way"):
            # It tries every -PLUS mechanism with tls-unique, which is not offered, before others.
            person = Person(ALICE)
            context = person.get_ssl_context()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            person.get_ssl_context = lambda: context
            try:
                await person.login(available=False)
                expect(person.socket.version() == "TLSv1.2", person.socket.version())
            finally:
                await person.logout()
        async with self.step("login with direct TLS"):
            person = Person(ALICE)
            person.enable_direct_tls, person.enable_starttls = True, False
            try:
                person.connect(loopback.ADDRESS, 5223)
                await person.got("session_start")
            finally:
                await person.logout()
        async with self.step("a wrong password is refused as not-authorized"):
            person = Person(ALICE, password="wrong", sasl_mech="SCRAM-SHA-1")
            try:
                person.connect(loopback.ADDRESS, 5222)
                failure = await person.got("failed_auth")
                expect(failure["condition"] == "not-authorized", failure["condition"])
            finally:
                person.abort()
        async with self.step("an unknown account is refused like a wrong password"):
            person = Person("nobody@localhost", sasl_mech="SCRAM-SHA-1")
            try:
                person.connect(loopback.ADDRESS, 5222)
                failure = await person.got("failed_auth")
                expect(failure["condition"] == "not-authorized", failure["condition"])
            finally:
                person.abort()

    async def subscriptions(self):
        alice, bob, second = self.alice, self.bob, self.second
        async with self.step("log in with a resource of one's choice"):
            for person, jid in ((alice, ALICE), (bob, BOB), (second, ALICE)):
                await person.login()
                expect(person.boundjid.bare == jid, person.boundjid)
            expect(alice.boundjid.resource == "one", alice.boundjid)
            expect(second.boundjid.resource == "two", second.boundjid)
        async with self.step("a new account's roster is empty and has a version"):
            expect("rosterver" in alice.features, "no rosterver feature")
            expect(not [j for j in alice.client_roster if j != ALICE], "not empty")
        async with self.quiet_step("adding a contact reaches every resource as a roster push"):
            await alice.update_roster(BOB, name="Bob", groups=["Friends"])
            for person in (alice, second):
                await person.got("roster_update", lambda iq: BOB in iq["roster"]["items"])
                expect(person.item(BOB)["name"] == "Bob", "name")
                expect(person.item(BOB)["groups"] == ["Friends"], "groups")
        async with self.quiet_step("a subscription is asked for, granted and shows presence"):
            alice.send_presence_subscription(BOB, ptype="subscribe")
            asked = await bob.got("presence", presence_of(ALICE, "subscribe"))
            expect(asked["from"] == ALICE, f"from {asked['from']}, which is not the bare JID")
            await alice.flush()
            expect(alice.item(BOB)["pending_out"], "no ask='subscribe' in the roster")
            bob.send_presence_subscription(ALICE, ptype="subscribed")
            await alice.got("presence", presence_of(BOB, "subscribed"))
            seen = await alice.got("presence", presence_of(BOB, "available"))
            expect(seen["from"] == bob.boundjid, seen["from"])
            await alice.flush()
            expect(alice.item(BOB)["subscription"] == "to", alice.item(BOB)["subscription"])
            await bob.flush()
            expect(bob.item(ALICE)["subscription"] == "from", bob.item(ALICE)["subscription"])
        async with self.quiet_step("the other direction makes it both"):
            bob.send_presence_subscription(ALICE, ptype="subscribe")
            for person in (alice, second):
                await person.got("presence", presence_of(BOB, "subscribe"))
            alice.send_presence_subscription(BOB, ptype="subscribed")
            seen = {
                str((await bob.got("presence", presence_of(ALICE, "available")))["from"])
                for _ in "12"
            }
            expect(seen == {alice.boundjid.full, second.boundjid.full}, seen)
            for person, peer in ((alice, BOB), (second, BOB), (bob, ALICE)):
                await person.flush()
                expect(person.item(peer)["subscription"] == "both", f"{person.label}: not both")
        async with self.quiet_step("a status change is seen by the contact"):
            bob.send_presence(pshow="dnd", pstatus="busy", ppriority=5)
            seen = await alice.got("presence", lambda p: p["from"] == bob.boundjid)
            expect((seen["show"], seen["status"]) == ("dnd", "busy"), seen)
            bob.send_presence()
            await alice.got("presence", lambda p: p["from"] == bob.boundjid)
        async with self.quiet_step("a later login is told who is there"):
            third = await Person(ALICE, "three").login()
            await third.got("presence", lambda p: p["from"] == bob.boundjid)
            await third.got("presence", lambda p: p["from"] == alice.boundjid)
            third.disconnect()
            gone = await bob.got(
                "presence", lambda p: p["from"].resource == "three" and p["type"] == "unavailable"
            )
            expect(gone["from"] == third.boundjid, gone["from"])

    async def messages(self):
        alice, bob = self.alice, self.bob
        async with self.quiet_step("a message arrives as it was sent, with the archive's id"):
            sent = self.say(alice, BOB, "Hello Bob & <all>! 🦦")
            message = await bob.got("message", body_is("Hello Bob & <all>! 🦦"))
            expect(message["id"] == sent, "another id")
            expect(message["from"] == alice.boundjid, message["from"])
            expect(message["type"] == "chat", message["type"])
            expect(message["stanza_id"]["id"], "no stanza-id")
            expect(message["stanza_id"]["by"] == BOB, message["stanza_id"]["by"])
        async with self.quiet_step("a receipt comes back"):
            sent = self.say(alice, bob.boundjid.full, "Did you get this?", request_receipt=True)
            receipt = await alice.got("receipt_received")
            expect(receipt["receipt"] == sent, receipt["receipt"])
        async with self.quiet_step("a correction, a marker and reactions are carried"):
            sent = self.say(alice, BOB, "Teh message")
            await bob.got("message", body_is("Teh message"))
            self.said.append("The message")
            correction = alice.plugin["xep_0308"].build_correction(
                sent, BOB, mtype="chat", mbody="The message"
            )
            correction.send()
            corrected = await bob.got("message_correction")
            expect(corrected["replace"]["id"] == sent, corrected)
            bob.plugin["xep_0333"].send_marker(alice.boundjid.full, sent, "displayed", mtype="chat")
            marker = await alice.got("marker_displayed")
            expect(marker["displayed"]["id"] == sent, marker)
            bob.plugin["xep_0444"].send_reactions(alice.boundjid.full, sent, ["👍"])
            reaction = await alice.got("reactions")
            expect(reaction["reactions"]["id"] == sent, reaction)
        async with self.quiet_step("a chat state arrives while both are there"):
            state = alice.make_message(mto=bob.boundjid.full, mtype="chat")
            state["chat_state"] = "composing"
            state.send()
            await bob.got("chatstate_composing")
        async with self.quiet_step("a message to an account that does not exist is an error"):
            alice.chat("nobody@localhost", "Anyone?")
            error = await alice.got("message_error", lambda m: m["from"].bare == "nobody@localhost")
            expect(
                error["error"]["condition"] == "service-unavailable", error["error"]["condition"]
            )
        async with self.quiet_step("an iq to an account that does not exist is an error"):
            try:
                await alice.plugin["xep_0092"].get_version("nobody@localhost/x", timeout=8)
                expect(False, "an answer")
            except IqError as error:
                expect(error.condition == "service-unavailable", error.condition)

    async def carbons(self):
        alice, bob, second = self.alice, self.bob, self.second
        async with self.quiet_step("carbons are off until asked for, then on"):
            await second.plugin["xep_0280"].enable()
        async with self.quiet_step("what another resource sends is copied"):
            self.say(alice, BOB, "Sent from one")
            copy = await second.got("carbon_sent", carbon("carbon_sent", "Sent from one"))
            expect(copy["from"] == ALICE, f"from {copy['from']}, which is not the own bare JID")
            expect(copy["carbon_sent"]["from"] == alice.boundjid, copy["carbon_sent"]["from"])
            expect(not alice.had("carbon_sent"), "the sender got a copy")
        async with self.quiet_step("what another resource receives is copied"):
            self.say(bob, alice.boundjid.full, "To one only")
            await alice.got("message", body_is("To one only"))
            copy = await second.got("carbon_received", carbon("carbon_received", "To one only"))
            expect(copy["carbon_received"]["to"] == alice.boundjid, copy["carbon_received"]["to"])
        async with self.quiet_step("a private message is not copied"):
            message = alice.make_message(mto=bob.boundjid.full, mbody="Between us", mtype="chat")
            message["carbon_private"] = True
            message.enable("no-copy")
            self.said.append("Between us")
            message.send()
            await bob.got("message", body_is("Between us"))
            await second.flush()
            expect(not second.had("carbon_sent"), "a copy")
        async with self.quiet_step("one message to the bare JID reaches both resources once"):
            self.say(bob, ALICE, "To both")
            for person in (bob, alice, second):
                await person.flush()
            await alice.got("message", body_is("To both"))
            direct = second.had("message", body_is("To both"))
            copied = second.had("carbon_received", carbon("carbon_received", "To both"))
            expect(len(direct) + len(copied) == 1, f"{len(direct)} and {len(copied)} copied")

    async def discovery(self):
        alice = self.alice
        async with self.quiet_step("the server tells what it can"):
            info = await alice.plugin["xep_0030"].get_info(SERVER)
            features = info["disco_info"]["features"]
            missing = {
                "http://jabber.org/protocol/disco#info",
                "http://jabber.org/protocol/disco#items",
                "jabber:iq:version",
                "urn:xmpp:blocking",
                "urn:xmpp:carbons:2",
                "urn:xmpp:ping",
                "urn:xmpp:time",
            } - set(features)
            expect(not missing, f"missing: {missing}")
            kinds = {(i[0], i[1]) for i in info["disco_info"]["identities"]}
            expect(("server", "im") in kinds, kinds)
        async with self.quiet_step("the own account tells of its archive"):
            info = await alice.plugin["xep_0030"].get_info(ALICE)
            missing = {"urn:xmpp:mam:2", "urn:xmpp:sid:0"} - set(info["disco_info"]["features"])
            expect(not missing, f"missing: {missing}")
            kinds = {(i[0], i[1]) for i in info["disco_info"]["identities"]}
            expect(("account", "registered") in kinds, kinds)
        async with self.quiet_step("the server's items can be listed"):
            await alice.plugin["xep_0030"].get_items(SERVER)
        async with self.quiet_step("version, time and ping are answered"):
            version = await alice.plugin["xep_0092"].get_version(SERVER)
            expect(version["software_version"]["name"], "no name")
            time = await alice.plugin["xep_0202"].get_entity_time(SERVER)
            # Read by hand: slixmpp 1.17 expects a time without the Z that XEP-0082 asks for.
            utc = time.xml.findtext(".//{urn:xmpp:time}utc")
            expect(utc and utc.endswith("Z"), f"utc is {utc}")
            await alice.plugin["xep_0199"].ping(SERVER)
        async with self.quiet_step("a request nobody knows is an error, not silence"):
            iq = alice.make_iq_get(queryxmlns="urn:example:unknown", ito=SERVER)
            try:
                await iq.send(timeout=8)
                expect(False, "a result")
            except IqError as error:
                expect(
                    error.condition in ("service-unavailable", "feature-not-implemented"),
                    error.condition,
                )

    async def blocking(self):
        alice, bob, second = self.alice, self.bob, self.second
        async with self.quiet_step("who is blocked sees one leave; every resource hears of it"):
            await second.plugin["xep_0191"].get_blocked()  # only who asked gets pushes
            await alice.plugin["xep_0191"].get_blocked()
            await alice.plugin["xep_0191"].block(BOB)
            await second.got("blocked")
            await bob.got(
                "presence", lambda p: p["from"] == alice.boundjid and p["type"] == "unavailable"
            )
        async with self.quiet_step(
            "a blocked sender gets service-unavailable, and nothing arrives"
        ):
            bob.chat(ALICE, "Let me in")
            error = await bob.got("message_error")
            expect(
                error["error"]["condition"] == "service-unavailable", error["error"]["condition"]
            )
            for person in (alice, second):
                await person.flush()
                expect(not person.had("message", body_is("Let me in")), f"{person.label} got it")
        async with self.quiet_step("writing to somebody one has blocked is not acceptable"):
            alice.chat(BOB, "Shouting through the wall")
            error = await alice.got("message_error")
            expect(error["error"]["condition"] == "not-acceptable", error["error"]["condition"])
            blocked = error.xml.find(".//{urn:xmpp:blocking:errors}blocked")
            expect(blocked is not None, "no <blocked/> in the error")
        async with self.quiet_step("unblocking shows one's presence again"):
            await alice.plugin["xep_0191"].unblock(BOB)
            await second.got("unblocked")
            await bob.got(
                "presence", lambda p: p["from"] == alice.boundjid and p["type"] == "available"
            )
            expect(await alice.plugin["xep_0191"].get_blocked_jids() == set(), "still blocked")

    async def client_state(self):
        alice, bob = self.alice, self.bob
        async with self.quiet_step("an inactive client gets messages at once, and all when active"):
            alice.plugin["xep_0352"].send_inactive()
            bob.send_presence(pshow="away")
            self.say(bob, ALICE, "Wake up")
            await alice.got("message", body_is("Wake up"))
            alice.plugin["xep_0352"].send_active()
            await alice.got("presence", lambda p: p["from"] == bob.boundjid and p["show"] == "away")
            bob.send_presence()

    async def resumption(self):
        alice, bob = self.alice, self.bob
        async with self.quiet_step("the server acknowledges what it was sent"):
            self.say(alice, BOB, "Ack me")
            await alice.flush()
            alice.plugin["xep_0198"].request_ack()
            await alice.got("stanza_acked", lambda s: s.name == "message" and s["body"] == "Ack me")
        async with self.quiet_step("a dropped socket is resumed: nothing lost, nothing twice"):
            jid = alice.boundjid.full
            alice.transport.abort()
            await alice.got("disconnected")
            for number in range(1, 4):
                self.say(bob, ALICE, f"While you were away {number}")
            await bob.flush()
            expect(
                not bob.had("presence", presence_of(ALICE, "unavailable")), "bob saw alice leave"
            )
            expect(not bob.had("message_error"), "bob got an error")
            alice.connect(loopback.ADDRESS, 5222)
            await alice.got("session_resumed")
            expect(alice.boundjid.full == jid, alice.boundjid)
            # What waited may be read from the log behind the answer to a ping.
            got = [await alice.got("message", lambda m: m["body"]) for _ in range(3)]
            expect(bodies(got) == [f"While you were away {n}" for n in range(1, 4)], bodies(got))
            await alice.flush()
            expect(not bodies(alice.had("message")), "one of them twice")
        async with self.quiet_step("after resuming, both directions work"):
            self.say(alice, BOB, "Back again")
            await bob.got("message", body_is("Back again"))
            self.say(bob, ALICE, "Welcome back")
            await alice.got("message", body_is("Welcome back"))
        async with self.quiet_step("what the client sent into a dead socket arrives once"):
            self.say(alice, BOB, "Sent before the cut")
            await alice.flush()
            self.said.append("Sent into the cut")
            lost = alice.make_message(mto=BOB, mbody="Sent into the cut", mtype="chat")
            # As if the bytes never left: the stanza waits for its ack, the socket is gone.
            alice.plugin["xep_0198"]._handle_outgoing(lost)
            alice.transport.abort()
            await alice.got("disconnected")
            alice.connect(loopback.ADDRESS, 5222)
            await alice.got("session_resumed")
            await bob.got("message", body_is("Sent into the cut"))
            await alice.flush()
            await bob.flush()
            again = bob.had("message", body_is("Sent into the cut"))
            expect(not again, "it arrived twice")

    async def offline(self):
        alice, bob, second = self.alice, self.bob, self.second
        texts = [f"Offline {number}" for number in range(1, 4)]
        async with self.quiet_step("leaving is seen, and messages wait"):
            await alice.logout()
            await second.logout()
            for resource in ("one", "two"):
                await bob.got(
                    "presence",
                    lambda p, r=resource: (
                        p["from"] == f"{ALICE}/{r}" and p["type"] == "unavailable"
                    ),
                )
            for text in texts:
                self.say(bob, ALICE, text)
            await bob.flush()
            expect(not bob.had("message_error"), "bob got an error")
        self.alice = alice = Person(ALICE, "one")
        async with self.step("the next login gets them in order, with the time they were sent"):
            await alice.login()
            got = [await alice.got("message", lambda m: m["body"]) for _ in texts]
            expect(bodies(got) == texts, bodies(got))
            expect(all(m["delay"]["stamp"] for m in got), "no delay stamp")
            # The answer to the server's last request for an acknowledgement is on its way.
            await alice.flush()
            await alice.flush()
        self.second = second = Person(ALICE, "two")
        async with self.step("a login after that gets none of them"):
            await second.login()
            await second.flush()
            seen = bodies(second.had("message"))
            expect(not seen, seen)

    async def archive(self):
        alice, bob = self.alice, self.bob
        async with self.quiet_step("the archive has every message once, in order"):
            found, ids = [], []
            async for result in alice.plugin["xep_0313"].iterate(with_jid=BOB, rsm={"max": 5}):
                ids.append(result["mam_result"]["id"])
                forwarded = result["mam_result"]["forwarded"]
                expect(forwarded["delay"]["stamp"], "no delay stamp")
                if forwarded["stanza"]["body"]:
                    found.append(forwarded["stanza"]["body"])
            expect(len(ids) == len(set(ids)), "an id twice")
            expect(found == self.said, f"{len(found)} found, {len(self.said)} said: {found}")
        async with self.quiet_step("the archive reads backwards as well"):
            found = []
            async for result in alice.plugin["xep_0313"].iterate(
                with_jid=BOB, reverse=True, rsm={"max": 4}
            ):
                text = result["mam_result"]["forwarded"]["stanza"]["body"]
                found += [text] if text else []
            expect(found == self.said[::-1], found)
        async with self.quiet_step("both archives agree"):
            found = []
            async for result in bob.plugin["xep_0313"].iterate(with_jid=ALICE, rsm={"max": 50}):
                text = result["mam_result"]["forwarded"]["stanza"]["body"]
                if text and text != "Let me in":  # whether a refused message is kept is open
                    found.append(text)
            expect(found == self.said, found)
        async with self.quiet_step("the id seen live is where to go on in the archive"):
            self.say(bob, ALICE, "The last one seen")
            live = await alice.got("message", body_is("The last one seen"))
            for text in ("Missed 1", "Missed 2"):
                self.say(bob, ALICE, text)
                await alice.got("message", body_is(text))
            page = await alice.plugin["xep_0313"].retrieve(
                rsm={"after": live["stanza_id"]["id"], "max": 10}
            )
            found = bodies(r["mam_result"]["forwarded"]["stanza"] for r in page["mam"]["results"])
            expect(found == ["Missed 1", "Missed 2"], found)
            expect(page["mam_fin"].xml.get("complete") == "true", "not complete")
        async with self.quiet_step("an unknown id to go on from is item-not-found"):
            try:
                await alice.plugin["xep_0313"].retrieve(
                    rsm={"after": "no-such-id", "max": 10}, timeout=8
                )
                expect(False, "a result")
            except IqError as error:
                expect(error.condition == "item-not-found", error.condition)
        async with self.quiet_step("nobody reads another's archive"):
            try:
                await bob.plugin["xep_0313"].retrieve(jid=ALICE, timeout=8)
                expect(False, "a result")
            except IqError as error:
                refusals = ("forbidden", "service-unavailable", "not-allowed", "item-not-found")
                expect(error.condition in refusals, error.condition)
        async with self.quiet_step("the archive tells its query fields"):
            fields = (await alice.plugin["xep_0313"].get_fields()).get_fields()
            expect({"start", "end", "with"} <= set(fields), set(fields))

    async def replay(self):
        """A client that lost its session sends again what it saw no ack for (XEP-0198 §4)."""
        alice, bob = self.alice, self.bob
        third = await Person(ALICE, "three").login()
        first = alice.make_message(mto=BOB, mbody="Once, I hope", mtype="chat")
        first["origin_id"]["id"] = first["id"]
        first.send()
        await alice.flush()

        def again(stamp=None):
            message = third.make_message(mto=BOB, mbody="Once, I hope", mtype="chat")
            message["id"] = message["origin_id"]["id"] = first["id"]
            if stamp:
                message["delay"]["stamp"] = stamp
            message.send()

        async with self.step("sent again by another session under its origin-id, it arrives once"):
            await bob.got("message", body_is("Once, I hope"))
            again()
            await third.flush()
            await bob.flush()
            expect(not bob.had("message", body_is("Once, I hope")), "it arrived twice")
            expect(not third.had("message_error"), "an error came back")
        async with self.step("… even with the time of its first sending, as XEP-0198 asks for"):
            again(datetime.now(timezone.utc))
            await third.flush()
            await bob.flush()
            expect(not bob.had("message", body_is("Once, I hope")), "it arrived twice")
            expect(not third.had("message_error"), "an error came back")
        await third.logout()

    async def parting(self):
        alice, bob = self.alice, self.bob
        async with self.quiet_step("removing a contact ends both subscriptions"):
            # RFC 6121 §2.5.2 and §3.2.2: unavailable from every resource, then unsubscribed.
            await alice.del_roster_item(BOB)
            await alice.got(
                "roster_update",
                lambda iq: iq["roster"]["items"].get(BOB, {}).get("subscription") == "remove",
            )
            await bob.got("presence", presence_of(ALICE, "unsubscribed"))
            await bob.got(
                "presence", lambda p: p["from"] == alice.boundjid and p["type"] == "unavailable"
            )
            await bob.flush()
            expect(bob.item(ALICE)["subscription"] == "none", bob.item(ALICE)["subscription"])
        async with self.quiet_step("the same resource again ends the older session with conflict"):
            stream_error = asyncio.get_running_loop().create_future()
            alice.add_event_handler(
                "stream_error", lambda e: stream_error.done() or stream_error.set_result(e)
            )
            newer = Person(ALICE, "one")
            await newer.login()
            if newer.boundjid.resource == "one":
                error = await asyncio.wait_for(stream_error, 8)
                expect(error["condition"] == "conflict", error["condition"])
            await newer.logout()


async def main():
    checks = Checks("slixmpp")
    day = Day(checks)
    await day.mechanisms()
    await day.subscriptions()
    await day.messages()
    await day.carbons()
    await day.discovery()
    await day.blocking()
    await day.client_state()
    await day.resumption()
    await day.offline()
    await day.archive()
    await day.replay()
    await day.parting()
    for person in (day.alice, day.bob, day.second):
        person.abort()
    checks.finish()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # slixmpp leaves tasks behind
    asyncio.run(main())
