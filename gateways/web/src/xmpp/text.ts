// Text that others wrote, made fit to be shown.
//
// Unicode can turn what is read around (UAX #9): a name or a file's name with such signs says
// something else than it shows ("photo_gpj.exe"). In names they are dropped, and with them what
// cannot be seen at all; in bodies the overrides are, which no language needs.

/** Characters of a body that are kept: a long letter. The rest is cut, and an ellipsis says so. */
export const BODY_CHARS_MAX = 20_000;
/** Characters of a name. */
export const NAME_CHARS_MAX = 200;

/** Embeddings, overrides, isolates and marks. */
const DIRECTIONS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
/** Overrides alone. */
const OVERRIDES = /[\u202d\u202e]/g;
/** Controls, what has no width, and what stands for no character; joiners, which emoji need, stay. */
const INVISIBLE = /[\p{Cc}\u00ad\u034f\u115f\u1160\u180e\u200b\u2028\u2029\u2060-\u2064\u206a-\u206f\u3164\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;
/** Signs that stack on one letter without end ("Zalgo"): a few are spelling, the rest is mess. */
const STACKED = /(\p{M}{4})\p{M}+/gu;

/** A name in one line, without signs that are not seen. */
export function nameText(text: string): string {
  const plain = text.slice(0, NAME_CHARS_MAX * 4).replace(DIRECTIONS, "").replace(INVISIBLE, " ");
  return cut(plain.replace(STACKED, "$1").replace(/\s+/g, " ").trim(), NAME_CHARS_MAX);
}

/** A body: bounded, without overrides, with lines ended in one way. */
export function bodyText(text: string): string {
  return cut(text.replace(/\r\n?/g, "\n").replace(OVERRIDES, "").replace(STACKED, "$1"), BODY_CHARS_MAX);
}

/** The beginning of a text, never half a character. */
export function cut(text: string, charsMax: number): string {
  if (text.length <= charsMax) return text;
  const end = isHigh(text.charCodeAt(charsMax - 1)) ? charsMax - 1 : charsMax;
  return `${text.slice(0, end)}…`;
}

function isHigh(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

/** The position in UTF-16 of a position in code points (XEP-0426), at most the end. */
export function unitIndex(text: string, codePoints: number): number {
  let at = 0;
  for (let count = 0; count < codePoints && at < text.length; count += 1) {
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  return at;
}

/** The number of code points of a text, which is how XMPP counts (XEP-0426). */
export function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}
