"""Somebody who uses slixmpp, told what to do by a suite, line by line.

Proves nothing by itself: slixmpp.mjs has the steps. A line on the standard input is a JSON object
with `do` and what it takes; the answer is a line `{"done": …}` or `{"failed": …}`. `await` waits for
a stanza that came or will come, and answers with what is in it.

    python slixmpp_person.py NAME        the account NAME@localhost with the password password-of-NAME
    python slixmpp_person.py NAME@DOMAIN PASSWORD
"""

import asyncio
import json
import logging
import sys
import urllib.request
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "interop"))

import loopback  # noqa: E402, F401  (sends the name localhost to the server under test)
from person import EVENTS, Person  # noqa: E402
from slixmpp.xmlstream import ET  # noqa: E402

SECONDS = 30  # far above what a healthy server needs, on a busy machine too
NS_UPLOAD = "urn:xmpp:http:upload:0"
EVENTS += [
    "message_reply", "message_retract", "groupchat_direct_invite", "groupchat_invite",
    "groupchat_message", "groupchat_subject",
]  # fmt: skip
PLUGINS = ["0045", "0066", "0249", "0424", "0428", "0446", "0447", "0461"]


def told(message):
    """What a stanza holds, as far as steps ask for it."""
    xml = message.xml
    url = xml.find(".//{http://jabber.org/protocol/url-data}url-data")
    return {
        "id": message["id"],
        "from": str(message["from"]),
        "type": message["type"],
        "body": message["body"],
        "archived": message["stanza_id"]["id"],
        "replaces": message["replace"]["id"],
        "reacts_to": message["reactions"]["id"],
        "reactions": sorted(message["reactions"].get_values()) if xml.find("{urn:xmpp:reactions:0}reactions") is not None else [],
        "answers": message["reply"]["id"],
        "without_quote": message["reply"].strip_fallback_content() if message["reply"]["id"] else "",
        "retracts": message["retract"]["id"],
        "file": None if url is None else url.get("target"),
        "file_name": message["sfs"]["file"]["name"] if url is not None else None,
    }


class Told:
    """One method for each thing to do."""

    def __init__(self, account, password):
        self.person = Person(account, "slixmpp", password=password)
        for number in PLUGINS:
            self.person.register_plugin(f"xep_{number}")

    def send(self, message):
        message["id"] = message["id"] or uuid.uuid4().hex
        message.send()
        return message["id"]

    def message(self, to, body, kind="chat"):
        return self.person.make_message(mto=to, mbody=body, mtype=kind)

    async def login(self):
        await self.person.login()
        await self.person.plugin["xep_0280"].enable()

    async def logout(self):
        await self.person.logout()

    async def befriend(self, who):
        """Adds a contact, and grants what the contact asks for."""
        await self.person.update_roster(who)
        self.person.send_presence_subscription(who, ptype="subscribe")

    async def grant(self, who):
        await self.person.got("presence", lambda p: p["from"].bare == who and p["type"] == "subscribe", SECONDS)
        self.person.send_presence_subscription(who, ptype="subscribed")

    async def chat(self, to, body, kind="chat"):
        return self.send(self.message(to, body, kind))

    async def typing(self, to):
        message = self.person.make_message(mto=to, mtype="chat")
        message["chat_state"] = "composing"
        self.send(message)

    async def edit(self, to, id, body):
        message = self.message(to, body)
        message["replace"]["id"] = id
        return self.send(message)

    async def react(self, to, id, emoji, kind="chat"):
        message = self.person.make_message(mto=to, mtype=kind)
        self.person.plugin["xep_0444"].set_reactions(message, id, emoji)
        message.enable("store")
        return self.send(message)

    async def reply(self, to, id, author, quoted, body):
        reply = self.person.plugin["xep_0461"].make_reply(author, id, quoted, mto=to, mbody=body, mtype="chat")
        return self.send(reply)

    async def retract(self, to, id):
        self.person.plugin["xep_0424"].send_retraction(to, id)

    async def displayed(self, to, id):
        self.person.plugin["xep_0333"].send_marker(to, id, "displayed", mtype="chat")

    async def upload(self, to, name, text, media_type):
        """A file through a slot (XEP-0363), told of as Stateless File Sharing (XEP-0447)."""
        content = text.encode()
        iq = self.person.make_iq_get(ito="upload.localhost")
        iq.append(
            ET.Element(f"{{{NS_UPLOAD}}}request", {"filename": name, "size": str(len(content)), "content-type": media_type})
        )
        slot = (await iq.send(timeout=SECONDS)).xml
        put, get = (slot.find(f".//{{{NS_UPLOAD}}}{way}").get("url") for way in ("put", "get"))
        request = urllib.request.Request(put, content, {"Content-Type": media_type}, method="PUT")
        await asyncio.to_thread(urllib.request.urlopen, request, timeout=SECONDS)
        message = self.message(to, get)
        sfs = self.person.plugin["xep_0447"].get_sfs(uris=[get], media_type=media_type, disposition="attachment", data=content)
        sfs["file"]["name"] = name
        message.append(sfs)
        message["oob"]["url"] = get
        return self.send(message)

    async def fetch(self, url):
        answer = await asyncio.to_thread(urllib.request.urlopen, url, timeout=SECONDS)
        return answer.read().decode()

    async def invited(self):
        """The room of the next invitation."""
        invitation = asyncio.create_task(self.person.got("groupchat_invite", seconds=SECONDS))
        direct = asyncio.create_task(self.person.got("groupchat_direct_invite", seconds=SECONDS))
        done, pending = await asyncio.wait({invitation, direct}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        message = done.pop().result()
        return message["groupchat_invite"]["jid"] or message["from"].bare

    async def join(self, room, nick):
        await self.person.plugin["xep_0045"].join_muc_wait(room, nick, timeout=SECONDS, maxstanzas=0)

    async def subject(self, room, text):
        self.person.plugin["xep_0045"].set_subject(room, text)

    async def sees(self, who, show):
        """Waits until a contact is shown so: available without more is `online`."""

        def is_so(presence):
            kind = "offline" if presence.xml.get("type") == "unavailable" else presence["show"] or "online"
            return presence["from"].bare == who and kind == show

        await self.person.got("presence", is_so, SECONDS)

    async def wait(self, event, **wanted):
        """Takes the first such event whose stanza holds what is wanted."""

        def fits(message):
            seen = told(message)
            return all(seen[name] == value for name, value in wanted.items())

        return told(await self.person.got(event, fits, SECONDS))


async def main(account, password=None):
    name, _, domain = account.partition("@")
    does = Told(f"{name}@{domain or 'localhost'}", password or f"password-of-{name}")
    lines = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        request = json.loads(line)
        try:
            answer = {"done": await getattr(does, request.pop("do"))(**request)}
        except Exception as error:  # whatever it is, the step that asked fails with it
            logging.exception("a step")
            answer = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    does.person.abort()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(main(*sys.argv[1:]))
