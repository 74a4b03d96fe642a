"""Somebody's password is changed in a real directory, which klatsch asks at a Unix socket; see
`passwords.sh`.

Proves: a login by password over ldapi://; a token (XEP-0484) that came with it; with another
password in the directory the token is good no longer, the session ends, the old password does
not get in, and what comes with the new one lives on.
"""

import asyncio
import base64
import hmac
import os
import ssl
import subprocess

import loopback
from checks import Checks, expect

LDAP = f"ldap://127.0.0.1:{os.environ['LDAP_PORT']}"
MANAGER = ["-x", "-H", LDAP, "-D", "cn=Directory Manager,dc=example,dc=org", "-w", "dm-secret"]
DOE = "uid=doe,ou=People,dc=example,dc=org"
AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770"
HEADER = (
    "<?xml version='1.0'?><stream:stream to='example.org' version='1.0' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)
TOKEN = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
BIND = "<bind xmlns='urn:xmpp:bind:0'/>"


class Stream:
    """A login in one go (XEP-0388) without a library that knows better."""

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(loopback.ADDRESS, 5222)
        self.say(HEADER)
        await self.hear("</stream:features>")
        self.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        await self.hear("<proceed")
        await self.writer.start_tls(ssl.create_default_context(), server_hostname="example.org")
        self.say(HEADER)
        await self.hear("</stream:features>")
        return self

    def say(self, text):
        self.writer.write(text.encode())

    async def hear(self, *ends):
        heard = ""
        while not any(end in heard for end in ends):
            data = await asyncio.wait_for(self.reader.read(4096), 20)
            expect(data, f"closed after {heard[-200:]}")
            heard += data.decode()
        return heard

    async def login(self, mechanism, data, wishes):
        data = base64.b64encode(data).decode()
        self.say(
            f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'><initial-response>{data}"
            f"</initial-response><user-agent id='{AGENT}'/>{wishes}{BIND}</authenticate>"
        )
        return await self.hear("</success>", "</failure>")


async def by_password(password):
    stream = await Stream().open()
    return stream, await stream.login("PLAIN", f"\0doe\0{password}".encode(), TOKEN)


async def by_token(token):
    proof = hmac.digest(token.encode(), b"Initiator", "sha256")
    stream = await Stream().open()
    heard = await stream.login("HT-SHA-256-NONE", b"doe\0" + proof, "<fast xmlns='urn:xmpp:fast:0'/>")
    stream.writer.close()
    return heard


def token_in(heard):
    expect("<success" in heard and " token=" in heard, heard[-300:])
    rest = heard.split(" token=")[1]
    return rest[1:].split(rest[0])[0]


def search(attribute):
    command = ["ldapsearch", "-LLL", *MANAGER, "-b", DOE, "-s", "base", attribute]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def main():
    checks = Checks("kolab")
    step = checks.step
    session, tokens = None, []
    async with step("login over ldapi:// brings a token, and the token logs in"):
        _, heard = await by_password("doe-secret")
        tokens.append(token_in(heard))
        heard = await by_token(tokens[0])
        expect("<success" in heard, heard[-300:])
        # It was the same installation's, whose session it has taken the place of.
        session, _ = await by_password("doe-secret")
    async with step("a14 another password in the directory: the token is good no longer", 30):
        # Looks have seen what was before, and the directory writes down whole seconds.
        await asyncio.sleep(5)  # two of recheck_seconds
        change = ["ldappasswd", *MANAGER, "-s", "another-secret", DOE]
        subprocess.run(change, check=True, stdout=subprocess.DEVNULL)
        expect("pwdChangedTime" in search("pwdChangedTime"), "the directory does not say when")
        heard = await by_token(tokens[0])
        expect("<credentials-expired" in heard, heard[-300:])
    async with step("a14 another password in the directory: the session ends", 30):
        heard = await session.hear("</stream:stream>")
        expect("<not-authorized" in heard, heard[-300:])
    async with step("a14 another password in the directory: the old one does not get in"):
        _, heard = await by_password("doe-secret")
        expect("<not-authorized" in heard, heard[-300:])
    async with step("a14 what comes with the new password lives on", 30):
        session, heard = await by_password("another-secret")
        token = token_in(heard)
        await asyncio.sleep(5)  # two looks of recheck_seconds
        session.say("<iq type='get' id='alive'><ping xmlns='urn:xmpp:ping'/></iq>")
        await session.hear("alive")
        heard = await by_token(token)
        expect("<success" in heard, heard[-300:])
    checks.finish()


asyncio.run(main())
