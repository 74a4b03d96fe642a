// Fallback Indication: XEP-0428 version 0.2.1; character counting: XEP-0426 version 0.3.0.
//
// What stands in a body only for clients that understand less than we do is not shown.

import { attr, child, children, el, NS_CLIENT, wholeNumber } from "./xml";
import { unitIndex } from "./text";

/** The namespace. */
export const NS_FALLBACK = "urn:xmpp:fallback:0";

/** A stretch of the body, in code points; the whole of it without an end. */
interface Range {
  readonly start: number;
  readonly end: number | undefined;
}

/** Ranges of one message that are read. */
const RANGES_MAX = 20;
const POSITION_MAX = 1_000_000;

/** The stretches of the body that stand in for something in one of these namespaces. */
function ranges(message: Element, understood: readonly string[]): Range[] {
  const fallbacks = children(message, "fallback", NS_FALLBACK).slice(0, RANGES_MAX);
  return fallbacks
    .filter((it) => understood.includes(attr(it, "for") ?? ""))
    .flatMap((it) => {
      const bodies = children(it, "body", NS_FALLBACK).slice(0, RANGES_MAX);
      // Without children the whole message is meant (§2.2).
      return it.childElementCount === 0 ? [{ start: 0, end: undefined }] : bodies.map(parseRange);
    });
}

function parseRange(body: Element): Range {
  const start = wholeNumber(attr(body, "start"), 0, POSITION_MAX);
  const end = wholeNumber(attr(body, "end"), 0, POSITION_MAX);
  return start === undefined || end === undefined ? { start: 0, end: undefined } : { start, end };
}

/** The body without what stands in for what we understand, and what was taken out. */
export function stripFallback(
  message: Element,
  body: string,
  understood: readonly string[],
): { readonly body: string; readonly stripped: string } {
  const cuts = ranges(message, understood).map((it) => [
    unitIndex(body, it.start),
    it.end === undefined ? body.length : unitIndex(body, it.end),
  ]);
  let kept = "";
  let stripped = "";
  for (let at = 0; at < body.length; at += 1) {
    const isCut = cuts.some(([from = 0, to = 0]) => at >= from && at < to);
    if (isCut) stripped += body[at];
    else kept += body[at];
  }
  return { body: kept, stripped };
}

/** Whether the whole body stands in for something in this namespace. */
export function isWholeFallback(message: Element, ns: string): boolean {
  return ranges(message, [ns]).some((it) => it.end === undefined);
}

/** Builds the indication: of the whole body, or of a stretch in code points. */
export function buildFallback(forNs: string, range?: { readonly start: number; readonly end: number }): Element {
  const body = range === undefined ? el("body", NS_FALLBACK) : el("body", NS_FALLBACK, { ...range });
  return el("fallback", NS_FALLBACK, { for: forNs }, body);
}

/** The body of a message: the one without a language, else the first (RFC 6121 §5.2.3). */
export function parseBody(message: Element): string | undefined {
  const bodies = children(message, "body", NS_CLIENT);
  const body = bodies.find((it) => !it.hasAttribute("xml:lang")) ?? bodies[0];
  return body?.textContent ?? undefined;
}

/** Whether there is any body. */
export function hasBody(message: Element): boolean {
  return child(message, "body", NS_CLIENT) !== undefined;
}
