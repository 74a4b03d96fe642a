"""Sends the name `localhost` to the loopback address where the server under test listens.

Proves nothing by itself: it lets test code that insists on the domain `localhost` and on
the default ports 5222 and 5223 meet a server of its own, however many run on the machine,
without a changed line in that code. The address comes from KLATSCH_ADDRESS (127.x.y.z).
"""

import os
import socket

ADDRESS = os.environ.get("KLATSCH_ADDRESS", "127.0.0.1")

_getaddrinfo = socket.getaddrinfo


def _answer(host, *args, **kwargs):
    if host in ("localhost", b"localhost"):
        host = ADDRESS
    return _getaddrinfo(host, *args, **kwargs)


socket.getaddrinfo = _answer
