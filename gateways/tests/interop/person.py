"""A slixmpp client that keeps what happened to it, for scripts that wait and assert.

Proves nothing by itself. `Person.got` takes an event that came or will come, `Person.had`
looks at those that came, and `Person.flush` makes sure that nothing is still on its way.
"""

import asyncio
import uuid

import loopback
from checks import expect
from slixmpp import ClientXMPP

SERVER = "localhost"
PLUGINS = {
    "xep_0030": None,
    "xep_0085": None,
    "xep_0092": {"software_name": "interop", "version": "1", "os": "none"},
    "xep_0184": {"auto_ack": True, "auto_request": False},
    "xep_0191": None,
    "xep_0198": None,
    "xep_0199": None,
    "xep_0202": None,
    "xep_0203": None,
    "xep_0280": None,
    "xep_0308": None,
    "xep_0313": None,
    "xep_0333": None,
    "xep_0334": None,
    "xep_0352": None,
    "xep_0359": None,
    "xep_0444": None,
}
# Every event that a step may wait for, in the order it came.
EVENTS = [
    "message", "message_error", "presence", "roster_update", "receipt_received",
    "carbon_received", "carbon_sent", "chatstate_composing", "message_correction",
    "marker_displayed", "reactions", "blocked", "unblocked", "session_start", "session_resumed",
    "failed_auth", "failed_all_auth", "disconnected", "sm_enabled", "sm_failed", "stanza_acked",
]  # fmt: skip


class Person(ClientXMPP):
    """A client that keeps what happened to it, so that no step misses an event."""

    def __init__(self, account, resource=None, password=None, **options):
        name = account.split("@")[0]
        jid = f"{account}/{resource}" if resource else account
        super().__init__(jid, password or f"pw-{name}", **options)
        self.label = jid
        self.enable_direct_tls = False
        self.auto_authorize = None  # answer no subscription request by itself
        self.auto_subscribe = False
        for plugin, config in PLUGINS.items():
            self.register_plugin(plugin, config)
        self.happened = asyncio.Queue()
        self.kept = []
        for event in EVENTS:
            self.add_event_handler(
                event, lambda data, event=event: self.happened.put_nowait((event, data))
            )

    async def got(self, event, test=lambda data: True, seconds=8):
        """Takes the first matching event, past or future; the others stay."""
        for index, (name, data) in enumerate(self.kept):
            if name == event and test(data):
                del self.kept[index]
                return data
        try:
            async with asyncio.timeout(seconds):
                while True:
                    name, data = await self.happened.get()
                    if name == event and test(data):
                        return data
                    expect(name != "failed_all_auth", f"{self.label}: no mechanism worked")
                    self.kept.append((name, data))
        except TimeoutError:
            seen = ", ".join(name for name, _ in self.kept[-8:])
            raise AssertionError(f"{self.label}: no such {event} (last seen: {seen})") from None

    async def flush(self):
        """After a round trip to the server, everything it had sent before is here."""
        await self.plugin["xep_0199"].ping(SERVER)
        while not self.happened.empty():
            self.kept.append(self.happened.get_nowait())

    def had(self, event, test=lambda data: True):
        return [data for name, data in self.kept if name == event and test(data)]

    def forget(self):
        self.kept = []
        while not self.happened.empty():
            self.happened.get_nowait()

    async def login(self, available=True):
        self.connect(loopback.ADDRESS, 5222)
        await self.got("session_start")
        await self.got("sm_enabled")
        await self.get_roster()
        if available:
            self.send_presence()
            await self.got("presence", lambda p: p["from"] == self.boundjid)
        return self

    async def logout(self):
        if self.transport:
            self.disconnect()
            await self.got("disconnected")

    def chat(self, to, body, **payloads):
        message = self.make_message(mto=to, mbody=body, mtype="chat")
        message["id"] = uuid.uuid4().hex
        for name, value in payloads.items():
            message[name] = value
        message.send()
        return message["id"]

    def item(self, jid):
        return self.client_roster[jid]
