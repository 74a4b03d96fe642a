"""Fresh accounts for aioxmpp's end-to-end tests, which are run by hand: ../INTEROP.md.

aioxmpp's own provisioner with passwords gives the same accounts to every test, and what one
leaves behind in a roster or a node, the next one finds. This one takes the next of many accounts
that were made before, user0, user1, ..., for every client.
"""

import itertools

import aioxmpp
from aioxmpp.e2etest import provision


class FreshAccounts(provision._AutoConfiguredProvisioner):
    def configure(self, section):
        super().configure(section)
        self._host = section.get("host")
        self._port = section.getint("port", fallback=5222)
        self._domain = aioxmpp.JID.fromstr(section.get("domain", fallback=self._host))
        self._security = aioxmpp.make_security_layer(
            section.get("password"), **provision.configure_tls_config(section)
        )
        self._quirks = provision.configure_quirks(section)
        self._numbers = itertools.count()

    async def _make_client(self, logger):
        peer = (self._host, self._port, aioxmpp.connector.STARTTLSConnector())
        return aioxmpp.PresenceManagedClient(
            self._domain.replace(localpart=f"user{next(self._numbers)}"),
            self._security,
            override_peer=[peer],
            logger=logger,
        )
