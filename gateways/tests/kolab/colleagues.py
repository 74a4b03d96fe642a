"""People and groups of a Kolab directory are each other's colleagues; see `run`.

Proves, against a real slapd: whoever shares a group is in each other's roster without having
asked, at once when the directory says so; a further address leads to its owner; whose address
changes keeps the archive, under the new address and reachable by the old one; a picture is shown;
groups in themselves and broken entries are named and stop nothing; nothing is lost while the
directory is away, nor when it has lost everybody.
"""

import asyncio
import os
import subprocess

from checks import Checks, expect
from person import PLUGINS, Person

from directory import ldap, slapd, slapd_is_gone, until

WORK = os.environ["KOLAB_WORK"]
KLATSCH = [os.environ["KLATSCH_BIN"], "--config", f"{WORK}/klatsch.toml", "--data", f"{WORK}/data"]
PEOPLE = "ou=People,dc=example,dc=org"
GROUPS = "ou=Groups,dc=example,dc=org"
# Sixteen pixels of one colour, as a JPEG.
PICTURE = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABQODxIPDRQSEBIXFRQYHjIhHhwcHj0sLiQySUBMS0dARkVQWnNiUFVt"
    "VkVGZIhlbXd7gYKBTmCNl4x9lnN+gXz/2wBDARUXFx4aHjshITt8U0ZTfHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8"
    "fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHz/wAARCAAQABADASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAA"
    "AAX/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFAEBAAAAAAAAAAAAAAAAAAAABP/EABQRAQAAAAAAAAAAAAAAAAAA"
    "AAD/2gAMAwEAAhEDEQA/AIYBo7//2Q=="
)
JOHN, JANE, KAETHE = "john.doe@example.org", "jane.poe@example.org", "kaethe.mueller@example.net"


def klatsch(*arguments, may_fail=False):
    done = subprocess.run([*KLATSCH, *arguments], capture_output=True, text=True)
    expect(may_fail or done.returncode == 0, f"{arguments}: {done.stderr.strip()}")
    return done.stdout + done.stderr


def sync(*arguments, **options):
    return klatsch("directory", "sync", *arguments, **options)


def modify(dn, change):
    ldap("ldapmodify", f"dn: {dn}\nchangetype: modify\n{change}\n")


def move(name, to):
    ldap(
        "ldapmodify",
        f"dn: ou={name},dc=example,dc=org\nchangetype: modrdn\nnewrdn: ou={to}\ndeleteoldrdn: 1\n",
    )


def person(uid, mail):
    return (
        f"dn: uid={uid},{PEOPLE}\nobjectClass: top\nobjectClass: person\n"
        "objectClass: organizationalPerson\nobjectClass: inetOrgPerson\n"
        "objectClass: mailRecipient\nobjectClass: kolabInetOrgPerson\n"
        f"uid: {uid}\ncn: {uid}\nsn: {uid}\nmail: {mail}\nuserPassword: {uid}-secret\n"
    )


def group(name, *members):
    names = "".join(f"uniqueMember: {member}\n" for member in members)
    return (
        f"dn: cn={name},{GROUPS}\nobjectClass: top\nobjectClass: groupOfUniqueNames\n"
        f"objectClass: kolabGroupOfUniqueNames\ncn: {name}\n{names}"
    )


def groups_of(client, contact):
    """The groups under which a contact stands; None: it is not there."""
    roster = client.client_roster
    if contact not in roster.keys() or roster[contact]["subscription"] == "remove":
        return None
    return sorted(roster[contact]["groups"])


async def archived(client):
    found = await client.plugin["xep_0313"].retrieve(iterator=False)
    return [str(it["mam_result"]["forwarded"]["stanza"]["body"]) for it in found["mam"]["results"]]


async def roster(checks, doe):
    async with checks.step("colleagues are in the roster, under their group, with their names"):
        expect(groups_of(doe, JANE) == ["staff"], f"{groups_of(doe, JANE)}")
        expect(groups_of(doe, KAETHE) == ["staff"], f"{groups_of(doe, KAETHE)}")
        expect(doe.client_roster[JANE]["name"] == "Poe, Jane", doe.client_roster[JANE]["name"])
        expect(doe.client_roster[JANE]["subscription"] == "both", "not both")
    async with checks.step("colleagues see each other's presence without having asked"):
        jane = await Person(JANE, password="poe-secret").login()
        await doe.got("presence", lambda it: it["from"].bare == JANE and it["type"] == "available")
        await jane.logout()
    async with checks.step("picture of the directory is on the vCard, made anew"):
        modify(f"uid=poe,{PEOPLE}", f"replace: jpegPhoto\njpegPhoto:: {PICTURE}")
        sync()
        vcard = await doe.plugin["xep_0054"].get_vcard(JANE)
        photo = vcard["vcard_temp"]["PHOTO"]
        expect(photo["TYPE"] == "image/jpeg" and len(photo["BINVAL"]) > 100, f"{photo}")
    async with checks.step("change of a group is pushed to who is online"):
        modify(f"cn=staff,{GROUPS}", f"delete: uniqueMember\nuniqueMember: uid=poe,{PEOPLE}")
        sync()
        await until("the push that Jane is gone", lambda: groups_of(doe, JANE) is None)
        modify(f"cn=staff,{GROUPS}", f"add: uniqueMember\nuniqueMember: UID=Poe, {PEOPLE}")
        sync()
        await until("the push that Jane is back", lambda: groups_of(doe, JANE) == ["staff"])
    async with checks.step("who is new is found at the next reading, without a word"):
        ldap("ldapadd", person("new", "new@example.org"))
        modify(f"cn=staff,{GROUPS}", f"add: uniqueMember\nuniqueMember: uid=new,{PEOPLE}")
        await until("the push of who is new", lambda: groups_of(doe, "new@example.org") == ["staff"])


async def addresses(checks, doe):
    async with checks.step("message to who has never logged in waits for them"):
        doe.send_message("new@example.org", "welcome")
        new = await Person("new@example.org", password="new-secret").login()
        await new.got("message", lambda it: it["body"] == "welcome")
        await new.logout()
    async with checks.step("further address that was just given leads to its owner"):
        modify(f"uid=poe,{PEOPLE}", "add: alias\nalias: jane@example.org")
        sync()
        jane = await Person(JANE, password="poe-secret").login()
        doe.send_message("jane@example.org", "by another name")
        await jane.got("message", lambda it: it["body"] == "by another name")
        await jane.logout()
    async with checks.step("who has another address keeps the archive, and is found by the old one"):
        jane = await Person(JANE, password="poe-secret").login()
        modify(f"uid=poe,{PEOPLE}", "replace: mail\nmail: jane.doe@example.org")
        sync()
        await jane.got("disconnected")
        await jane.logout()
        jane = await Person("jane.doe@example.org", password="poe-secret").login()
        expect(jane.boundjid.bare == "jane.doe@example.org", jane.boundjid.bare)
        expect("by another name" in await archived(jane), "the archive is gone")
        doe.send_message(JANE, "by the old name")
        await jane.got("message", lambda it: it["body"] == "by the old name")
        await until("her new address", lambda: groups_of(doe, "jane.doe@example.org") == ["staff"])
        expect(groups_of(doe, JANE) is None, "the old address is still there")
        await jane.logout()
        modify(f"uid=poe,{PEOPLE}", f"replace: mail\nmail: {JANE}")
        sync()
        await until("her first address", lambda: groups_of(doe, JANE) == ["staff"])


async def faults(checks, doe):
    async with checks.step("l07 group in itself and broken entries are named and stop nothing"):
        ldap("ldapadd", group("ring", f"cn=ring,{GROUPS}", f"uid=doe,{PEOPLE}"))
        ldap("ldapadd", person("broken", "no address"))
        ldap("ldapadd", person("double", JOHN))
        told = sync()
        for wanted in (
            f"cn=ring,{GROUPS}: it is a member of itself",
            f"uid=broken,{PEOPLE}: its mail address cannot be a JID",
            f"uid=double,{PEOPLE}: somebody else has its mail address",
        ):
            expect(wanted in told, f"{wanted} in {told}")
        for uid in ("broken", "double"):
            ldap("ldapdelete", f"uid={uid},{PEOPLE}\n")
        ldap("ldapdelete", f"cn=ring,{GROUPS}\n")
        sync()
    async with checks.step("directory that has lost everybody is not believed"):
        move("People", "Away")
        ldap("ldapadd", f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: People\n")
        told = sync(may_fail=True)
        expect("4 of 4 people are not in the directory any more" in told, told)
        expect(groups_of(doe, JANE) == ["staff"], "a colleague is gone")
        ldap("ldapdelete", f"{PEOPLE}\n")
        move("Away", "People")
        told = sync()
        expect("4 people, 1 groups; 0 changed" in told, told)


async def away(checks, doe):
    async with checks.step("directory is gone: everything stays", 60):
        before = klatsch("directory", "status").splitlines()[-2]
        slapd(start=False)
        await until("the end of slapd", slapd_is_gone)
        told = sync(may_fail=True)
        expect("refused" in told.lower() or "closed" in told.lower(), told)
        expect(groups_of(doe, JANE) == ["staff"], "a colleague is gone")
        fresh = await Person(JOHN, resource="second", password="doe-secret").login()
        expect(groups_of(fresh, JANE) == ["staff"], "a colleague is gone for who comes now")
        await fresh.logout()
        slapd(start=True)
        await until("slapd again", lambda: not slapd_is_gone())
        after = sync().splitlines()[-2]
        expect(before.split(";")[0] == after.split(";")[0], f"{before} / {after}")


async def main():
    checks = Checks("kolab")
    async with checks.step("people and groups of the directory are read at the start"):
        told = ""
        for _ in range(100):
            told = klatsch("directory", "status")
            if "3 people, 1 groups" in told:
                break
            await asyncio.sleep(0.1)
        expect("3 people, 1 groups" in told, told)
        expect("this node reads the directory" in told, told)
    doe = await Person(JOHN, password="doe-secret").login()
    await roster(checks, doe)
    await addresses(checks, doe)
    await faults(checks, doe)
    await away(checks, doe)
    await doe.logout()
    checks.finish()


PLUGINS.pop("xep_0092", None)
PLUGINS["xep_0054"] = None
asyncio.run(main())
