// When to try again: RFC 6120 §3.3 asks for a random wait that grows.

/** The first wait. */
const FIRST_MS = 1_000;
/** The longest: somebody who waits for a server looks every half minute. */
const LONGEST_MS = 30_000;

/**
 * The wait before an attempt, counted from 0. Between half and the whole of a doubling span, so
 * that the clients of a restarted server do not come back all at once.
 */
export function backoffMs(attempt: number, random: () => number = Math.random): number {
  const span = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(span / 2 + (span / 2) * random());
}
