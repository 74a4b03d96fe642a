"""A slixmpp component serves a host of its own, beside two people with slixmpp clients.

Proves, with a component library nobody here wrote: the handshake and its refusal (XEP-0114),
stanzas in both directions, discovery of the component and by it (XEP-0030), ping (XEP-0199),
and notifications to the component as an app server (XEP-0357), which are told once.

Accounts: kate and leon @localhost, whose passwords are pw-kate and pw-leon; the component
bot.localhost with the secret pw-bot at port 5347.
"""

import asyncio
import logging
import sys

import loopback
from checks import Checks, expect
from person import Person
from slixmpp import ComponentXMPP
from slixmpp.xmlstream import ET

KATE, LEON, BOT = "kate@localhost", "leon@localhost", "bot.localhost"
PUSH, PUBSUB = "urn:xmpp:push:0", "http://jabber.org/protocol/pubsub"


class Bot(ComponentXMPP):
    """Echoes what people say, and keeps the notifications it gets."""

    def __init__(self, secret="pw-bot"):
        super().__init__(BOT, secret, loopback.ADDRESS, 5347)
        for plugin in ("xep_0030", "xep_0199"):
            self.register_plugin(plugin)
        self["xep_0030"].add_identity(category="gateway", itype="test", name="Echo")
        self.ended = asyncio.get_running_loop().create_future()
        self.ready = asyncio.get_running_loop().create_future()
        self.pushed = asyncio.Queue()
        self.add_event_handler("session_start", lambda _: self.settle(self.ready, True))
        self.add_event_handler("stream_error", lambda e: self.settle(self.ended, e["condition"]))
        self.add_event_handler("message", self.echo)
        self.add_filter("in", self.take_push)

    @staticmethod
    def settle(future, value):
        if not future.done():
            future.set_result(value)

    def echo(self, message):
        if message["type"] == "chat" and message["body"]:
            message.reply(f"You said: {message['body']}").send()

    def take_push(self, stanza):
        publish = stanza.xml.find(f"{{{PUBSUB}}}pubsub/{{{PUBSUB}}}publish")
        if publish is None:
            return stanza
        self.pushed.put_nowait(publish.get("node"))
        answer = self.make_iq_result(id=stanza["id"], ito=stanza["from"], ifrom=stanza["to"])
        answer.send()
        return None


async def main():
    checks = Checks("component")
    kate, leon = Person(KATE, "one"), Person(LEON, "one")
    await kate.login()
    await leon.login()
    async with checks.step("a wrong secret is refused"):
        stranger = Bot("a guess")
        stranger.connect()
        condition = await asyncio.wait_for(stranger.ended, 8)
        expect(condition == "not-authorized", condition)
        stranger.abort()
    bot = Bot()
    async with checks.step("the component shakes hands"):
        bot.connect()
        await asyncio.wait_for(bot.ready, 8)
    async with checks.step("a second one is refused with conflict"):
        second = Bot()
        second.connect()
        condition = await asyncio.wait_for(second.ended, 8)
        expect(condition == "conflict", condition)
        second.abort()
    async with checks.step("people find it and what it is"):
        items = await kate["xep_0030"].get_items("localhost")
        expect(BOT in {item[0] for item in items["disco_items"]["items"]}, items)
        info = await kate["xep_0030"].get_info(BOT)
        expect(("gateway", "test", None, "Echo") in info["disco_info"]["identities"], info)
    async with checks.step("it is pinged, and pings"):
        await kate["xep_0199"].send_ping(BOT, timeout=8)
        await bot["xep_0199"].send_ping("localhost", ifrom=BOT, timeout=8)
        await bot["xep_0199"].send_ping(kate.boundjid.full, ifrom=BOT, timeout=8)
    async with checks.step("it answers what people say"):
        kate.send_message(mto=f"echo@{BOT}", mbody="hello", mtype="chat")
        answer = await kate.got("message", lambda m: m["body"] == "You said: hello")
        expect(answer["from"].bare == f"echo@{BOT}", answer["from"])
    async with checks.step("as an app server it is told once of each message"):
        enable = kate.make_iq_set()
        enable.xml.append(ET.Element(f"{{{PUSH}}}enable", {"jid": BOT, "node": "phone"}))
        await enable.send(timeout=8)
        await kate.logout()
        for text in ("one", "two"):
            leon.send_message(mto=KATE, mbody=text, mtype="chat")
        for _ in range(2):
            node = await asyncio.wait_for(bot.pushed.get(), 8)
            expect(node == "phone", node)
        await leon.flush()
        await bot["xep_0199"].send_ping("localhost", ifrom=BOT, timeout=8)
        expect(bot.pushed.empty(), "told more often")
    leon.abort()
    bot.abort()
    checks.finish()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # slixmpp leaves tasks behind
    asyncio.run(main())
