// Steps with a deadline, for suites whose first failure ends them.

import { basename } from "node:path";
import process from "node:process";

/** Far above what a healthy server and a busy machine need. */
export const STEP_MS = 30_000;

const suite = basename(process.argv[1] ?? "", ".mjs");
let failed = 0;
const onFailure = [];

/** Something is looked at when a step has failed. */
export const whenFailed = (look) => void onFailure.push(look);
export const hasFailed = () => failed > 0;

/** Says that something is well, or not. */
export function report(isWell, what) {
  if (!isWell) failed += 1;
  console.log(`${isWell ? "PASS" : "FAIL"} ${suite}: ${what}`);
}

/** Runs a step, which has so long; the first failure ends the suite. */
export async function step(name, run, milliseconds = 4 * STEP_MS) {
  if (failed) return;
  const begin = performance.now();
  const seconds = () => `${((performance.now() - begin) / 1000).toFixed(1)} s`;
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${milliseconds / 1000} s`)), milliseconds);
  });
  try {
    await Promise.race([run(), deadline]);
    report(true, `${name} (${seconds()})`);
  } catch (error) {
    report(false, `${name}: ${`${error.message ?? error}`.split("\n")[0]} (${seconds()})`);
    console.log(error.stack);
    for (const look of onFailure) await look();
  } finally {
    clearTimeout(timer);
  }
}

export function expect(truth, what) {
  if (!truth) throw new Error(what);
}

/** Asks again until the answer is a truth; that answer. */
export async function until(ask, what) {
  const end = Date.now() + STEP_MS;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    expect(Date.now() < end, `${what}: not within ${STEP_MS / 1000} s`);
    await new Promise((done) => setTimeout(done, 100));
  }
}
