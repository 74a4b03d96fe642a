"""People of a Kolab directory log in with slixmpp; see `run`, which starts everything.

Proves, against a real slapd: address, alias and short name lead to the account of the primary
address; wrong and empty passwords, names of two people, and disabled people do not get in;
somebody who is disabled loses the session; a directory that is gone ends nothing, says
`temporary-auth-failure` to whoever comes, and is found again when it is back.
"""

import asyncio
import base64
import ssl

import loopback
from checks import Checks, expect
from person import PLUGINS, Person

from directory import ldap, slapd, slapd_is_gone, until

HEADER = (
    "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams'>"
)


def set_status(uid, status):
    change = f"replace: inetUserStatus\ninetUserStatus: {status}\n"
    ldap("ldapmodify", f"dn: uid={uid},ou=People,dc=example,dc=org\nchangetype: modify\n{change}")


async def answer(name, password, domain="example.org"):
    """What a PLAIN login is told, without a library that knows better."""
    reader, writer = await asyncio.open_connection(loopback.ADDRESS, 5222)

    async def hear(*ends):
        heard = ""
        while not any(end in heard for end in ends):
            data = await asyncio.wait_for(reader.read(4096), 20)
            expect(data, f"closed after {heard[-200:]}")
            heard += data.decode()
        return heard

    writer.write(HEADER.format(domain).encode())
    await hear("</stream:features>")
    writer.write(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
    await hear("<proceed")
    await writer.start_tls(ssl.create_default_context(), server_hostname=domain)
    writer.write(HEADER.format(domain).encode())
    features = await hear("</stream:features>")
    expect("SCRAM" not in features, "SCRAM is offered, which a directory cannot do")
    login = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
    ns = "urn:ietf:params:xml:ns:xmpp-sasl"
    writer.write(f"<auth xmlns='{ns}' mechanism='PLAIN'>{login}</auth>".encode())
    heard = await hear("<success", "</failure>")
    writer.close()
    return "success" if "<success" in heard else heard.split("<failure")[1].split("<")[1].split("/")[0]


async def bound(account, password):
    person = Person(account, password=password)
    await person.login(available=False)
    jid = person.boundjid.bare
    await person.logout()
    return jid


async def main():
    checks = Checks("kolab")
    step = checks.step
    john = "john.doe@example.org"
    for name, account in (
        ("the primary address", john),
        ("an alias", "j.doe@example.org"),
        ("the short name", "doe@example.org"),
    ):
        async with step(f"login by {name} is bound to the primary address"):
            expect(await bound(account, "doe-secret") == john, "another account")
    async with step("l09 müller@example.net is Käthe, of another domain of the same directory"):
        jid = await bound("müller@example.net", "mueller-secret")
        expect(jid == "kaethe.mueller@example.net", jid)
    for name, login, expected in (
        ("wrong password", ("doe", "wrong"), "not-authorized"),
        ("nobody", ("nobody", "doe-secret"), "not-authorized"),
        ("l01 empty password", ("doe", ""), "not-authorized"),
        ("l01 empty name", ("", "doe-secret"), "not-authorized"),
        ("l02 filter as name", ("*)(uid=*))(|(uid=*", "doe-secret"), "not-authorized"),
        ("l03 DN as name", ("uid=doe,ou=People,dc=example,dc=org", "doe-secret"), "not-authorized"),
        ("service account", ("kolab-service", "svc-secret"), "not-authorized"),
        ("address elsewhere", ("john@elsewhere.invalid", "doe-secret"), "not-authorized"),
        ("whole address", (john, "doe-secret"), "success"),
    ):
        async with step(f"{name}: {expected}"):
            told = await answer(*login)
            expect(told == expected, told)
    async with step("l04 name that two people have: not-authorized"):
        ldap(
            "ldapadd",
            "dn: uid=twin,ou=People,dc=example,dc=org\nobjectClass: top\nobjectClass: person\n"
            "objectClass: organizationalPerson\nobjectClass: inetOrgPerson\n"
            "objectClass: mailRecipient\nobjectClass: kolabInetOrgPerson\nuid: twin\n"
            "cn: Twin\nsn: Twin\nmail: twin@example.org\nalias: poe@example.org\n"
            "userPassword: poe-secret\n",
        )
        told = await answer("poe@example.org", "poe-secret")
        expect(told == "not-authorized", told)
        told = await answer("jane.poe", "poe-secret")
        expect(told == "success", told)
    async with step("l06 somebody who is disabled loses the session, and does not get back in", 30):
        jane = await Person("jane.poe@example.org", password="poe-secret").login(available=False)
        set_status("poe", "inactive")
        await jane.got("disconnected", seconds=20)
        told = await answer("jane.poe", "poe-secret")
        expect(told == "account-disabled", told)
        told = await answer("jane.poe", "wrong")
        expect(told == "not-authorized", told)
        set_status("poe", "active")
        told = await answer("jane.poe", "poe-secret")
        expect(told == "success", told)
        await jane.logout()
    async with step("l08 directory is gone: sessions stay, logins are told to come back", 60):
        doe = await Person(john, password="doe-secret").login(available=False)
        slapd(start=False)
        await until("the end of slapd", slapd_is_gone)
        told = await answer("jane.poe@example.org", "another-password")
        expect(told == "temporary-auth-failure", told)
        # Looked at again and again meanwhile, which finds nobody to ask.
        for _ in range(3):
            await asyncio.sleep(2)  # recheck_seconds
            await doe.plugin["xep_0199"].ping("example.org")
        slapd(start=True)
        told = "temporary-auth-failure"
        for _ in range(100):
            told = await answer("jane.poe@example.org", "poe-secret")
            if told == "success":
                break
            await asyncio.sleep(0.3)
        expect(told == "success", told)
        await doe.plugin["xep_0199"].ping("example.org")
        await doe.logout()
    checks.finish()


PLUGINS.pop("xep_0092", None)
asyncio.run(main())
