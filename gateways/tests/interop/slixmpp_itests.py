"""Runs slixmpp's own integration tests (the `itests` of its sdist) against the server.

Proves that each of them ends as `slixmpp.expect` says: `pass`, or `waits: REASON` for what
another issue brings. A test that the table does not name, a named one that is gone, a
failure of a passing one and a pass of a waiting one are all failures of this run.

Usage: slixmpp_itests.py ITESTS_PARENT TABLE pass|waits|list

The tests are not edited. They read accounts from the environment (CI_ACCOUNT1 …), trust
what SSL_CERT_FILE names, and find `localhost` through loopback.py. Run it outside the
unpacked sdist, whose pure Python tree would shadow the installed slixmpp.
"""

import asyncio
import functools
import logging
import sys
import time
import unittest
from pathlib import Path

import loopback  # noqa: F401  (imported for its effect)

# A waiting test often waits for what cannot come; the slowest that passes takes 9 s.
SECONDS = {"pass": 30, "waits": 12}


def read_table(path):
    """Returns {test name: status}; a name listed twice is an error."""
    table = {}
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        name, status = line.split(None, 1)
        if name in table or not (status == "pass" or status.startswith("waits: ")):
            sys.exit(f"{path}:{number}: {line}")
        table[name] = status
    return table


def find_tests(parent):
    """Returns {test name: test case} for every test method below `itests`."""
    sys.path.insert(0, str(parent))
    tests = {}

    def walk(suite):
        for item in suite:
            if isinstance(item, unittest.TestSuite):
                walk(item)
            else:
                tests[item.id().removeprefix("itests.")] = item

    walk(unittest.TestLoader().discover(str(parent / "itests"), top_level_dir=str(parent)))
    return tests


def limit(test, name, seconds):
    """Gives one coroutine method of a test a deadline."""
    method = getattr(test, name)

    @functools.wraps(method)  # keeps the marks of unittest.skipIf
    async def bounded():
        async with asyncio.timeout(seconds):
            await method()

    setattr(test, name, bounded)


def outcome(test, seconds):
    """Runs a test and returns ("passed" | "failed" | "skipped", why)."""
    if isinstance(test, unittest.IsolatedAsyncioTestCase):
        limit(test, "asyncSetUp", seconds)
        limit(test, test._testMethodName, seconds)
    result = unittest.TestResult()
    test.run(result)
    problems = result.errors + result.failures
    if problems:
        return "failed", problems[0][1].strip().splitlines()[-1]
    if result.skipped:
        return "skipped", result.skipped[0][1]
    return "passed", ""


def main():
    parent, table, which = Path(sys.argv[1]).resolve(), read_table(sys.argv[2]), sys.argv[3]
    logging.disable(logging.ERROR)
    tests = find_tests(parent)
    if which == "list":
        print("\n".join(sorted(tests)))
        return
    failed = 0

    def report(good, text):
        nonlocal failed
        failed += not good
        print(f"{'PASS' if good else 'FAIL'} slixmpp itest {text}", flush=True)

    if which == "pass":
        for name in sorted(tests.keys() ^ table.keys()):
            report(False, f"{name}: " + ("not in the table" if name in tests else "is gone"))
    for name, status in sorted(table.items()):
        if name not in tests or status.split(":")[0] != which:
            continue
        begin = time.monotonic()
        result, why = outcome(tests[name], SECONDS[which])
        seconds = f"{time.monotonic() - begin:.1f} s"
        if which == "pass":
            report(result == "passed", f"{name}: {result} {why} ({seconds})")
        elif result == "passed":
            report(False, f"{name}: passes now, but the table says '{status}'")
        else:
            print(f"WAIT slixmpp itest {name}: {status} ({seconds}; {result}: {why})", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
