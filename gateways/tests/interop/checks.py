"""Steps with a name and a deadline; one line of output for each: PASS or FAIL.

`run` counts those lines. A step that raises or takes too long fails and the next one
starts, so that one broken rule does not hide the state of the others.
"""

import asyncio
import sys
import time
import traceback
from contextlib import asynccontextmanager

STEP_SECONDS = 15  # far above what a healthy server needs, on a busy machine too


def expect(truth, what):
    if not truth:
        raise AssertionError(what)


def since(begin):
    return f"{time.monotonic() - begin:.1f} s"


class Checks:
    def __init__(self, suite):
        self.suite = suite
        self.failed = 0

    @asynccontextmanager
    async def step(self, name, seconds=STEP_SECONDS):
        begin = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                yield
        except Exception as error:  # any error is this step's result
            self.failed += 1
            reason = str(error) or type(error).__name__
            reason = " ".join(reason.split())[:300]
            print(f"FAIL {self.suite}: {name}: {reason} ({since(begin)})", flush=True)
            traceback.print_exc()
        else:
            print(f"PASS {self.suite}: {name} ({since(begin)})", flush=True)

    def finish(self):
        sys.exit(1 if self.failed else 0)
