"""Logs in once with STARTTLS and SASL PLAIN, with nothing but Python's own library.

Usage: login.py LOCALPART PASSWORD     exits 0 when <success/> came, 1 when <failure/> came.
Proves that an account made elsewhere (the sign-up form, the command line) can log in.
"""

import base64
import os
import socket
import ssl
import sys

HEADER = (
    "<?xml version='1.0'?><stream:stream to='localhost' version='1.0' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)


def read_until(connection, *ends):
    """Reads until one of the given texts came, and returns it."""
    got = ""
    while True:
        for end in ends:
            if end in got:
                return end
        data = connection.recv(4096)
        if not data:
            sys.exit(f"closed after: {got[-200:]}")
        got += data.decode(errors="replace")


def main():
    localpart, password = sys.argv[1:]
    plain = socket.create_connection((os.environ["KLATSCH_ADDRESS"], 5222), timeout=10)
    plain.sendall(HEADER.encode())
    read_until(plain, "</stream:features>")
    plain.sendall(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    read_until(plain, "<proceed")
    secure = ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
    secure.sendall(HEADER.encode())
    read_until(secure, "</stream:features>")
    token = base64.b64encode(f"\0{localpart}\0{password}".encode()).decode()
    secure.sendall(
        f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{token}</auth>".encode()
    )
    sys.exit(0 if read_until(secure, "<success", "<failure") == "<success" else 1)


main()
