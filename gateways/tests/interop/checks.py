"""Steps with a name and a deadline; one line of output for each: PASS or FAIL.

`run` counts those lines. A step that raises or takes too long fails and the next one
starts, so that one broken rule does not hide the state of the others.
"""

import asyncio
import sys
import traceback
from contextlib import asynccontextmanager

STEP_SECONDS = 15  # far above what a healthy server needs, on a busy machine too


class Checks:
    def __init__(self, suite):
        self.suite = suite
        self.failed = 0

    @asynccontextmanager
    async def step(self, name, seconds=STEP_SECONDS):
        try:
            async with asyncio.timeout(seconds):
                yield
        except Exception as error:  # any error is this step's result
            self.failed += 1
            reason = str(error) or type(error).__name__
            print(f"FAIL {self.suite}: {name}: {' '.join(reason.split())[:300]}", flush=True)
            traceback.print_exc()
        else:
            print(f"PASS {self.suite}: {name}", flush=True)

    def finish(self):
        sys.exit(1 if self.failed else 0)
