"""The directory of these tests: how it is changed, stopped and started. Proves nothing by itself."""

import asyncio
import os
import subprocess

from checks import expect

WORK = os.environ["KOLAB_WORK"]
LDAP = f"ldap://127.0.0.1:{os.environ['LDAP_PORT']}"
# Another directory than slapd-up.sh's says by these who manages it, and how it starts.
MANAGER_DN = os.environ.get("LDAP_MANAGER", "cn=Directory Manager,dc=example,dc=org")
MANAGER_PASSWORD = os.environ.get("LDAP_MANAGER_PASSWORD", "dm-secret")
MANAGER = ["-x", "-H", LDAP, "-D", MANAGER_DN, "-w", MANAGER_PASSWORD]
PID_FILE = os.environ.get("LDAP_PID_FILE", f"{WORK}/ld/slapd.pid")
START = os.environ.get("LDAP_START")


def ldap(command, ldif):
    subprocess.run([command, *MANAGER], input=ldif.encode(), check=True, stdout=subprocess.DEVNULL)


def slapd(start):
    """Stops the directory by its pid, or starts it as slapd-up.sh has."""
    if start and START:
        subprocess.run(START, shell=True, check=True)
        return
    if start:
        urls = f"{LDAP} ldaps://127.0.0.1:{os.environ['LDAPS_PORT']}"
        subprocess.run(["slapd", "-f", f"{WORK}/ld/slapd.conf", "-h", urls], check=True)
        return
    with open(PID_FILE) as file:
        pid = int(file.read())
    os.kill(pid, 15)


async def until(what, wanted, seconds=20):
    deadline = asyncio.get_running_loop().time() + seconds
    while not wanted():
        expect(asyncio.get_running_loop().time() < deadline, f"never came: {what}")
        await asyncio.sleep(0.05)


def slapd_is_gone():
    command = ["ldapwhoami", "-x", "-H", LDAP, "-D", "uid=doe,ou=People,dc=example,dc=org"]
    outcome = subprocess.run([*command, "-w", "doe-secret"], capture_output=True)
    return outcome.returncode != 0
