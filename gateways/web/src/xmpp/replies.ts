// Message Replies: XEP-0461 version 0.2.0, with the quote for clients without them (§3.1).

import { buildFallback } from "./fallback";
import { shortId } from "./ids";
import { codePoints, cut } from "./text";
import { attr, child, el } from "./xml";

/** The namespace. */
export const NS_REPLY = "urn:xmpp:reply:0";

/** What is answered. */
export interface Reply {
  readonly id: string;
  /** Who wrote it; empty where it is not said. */
  readonly to: string;
}

/** Characters of a quote: what is answered, not the whole of it. */
const QUOTE_CHARS_MAX = 300;

/** Reads what a message answers. */
export function parseReply(message: Element): Reply | undefined {
  const reply = child(message, "reply", NS_REPLY);
  const id = shortId(attr(reply, "id"));
  return id === undefined ? undefined : { id, to: attr(reply, "to") ?? "" };
}

/** The text of what is answered, out of the quote in the fallback: lines with a sign, without it. */
export function unquote(stripped: string): string {
  const lines = stripped.split("\n").filter((it) => it.startsWith(">"));
  return lines.map((it) => it.slice(1).replace(/^ /, "")).join("\n").trim();
}

/** The body with a quote before it, and what says so. */
export function buildReply(reply: Reply, quoted: string, body: string): { body: string; elements: Element[] } {
  const lines = cut(quoted, QUOTE_CHARS_MAX).split("\n");
  const quote = lines.map((it) => `> ${it}\n`).join("");
  return {
    body: `${quote}${body}`,
    elements: [
      el("reply", NS_REPLY, { id: reply.id, to: reply.to }),
      buildFallback(NS_REPLY, { start: 0, end: codePoints(quote) }),
    ],
  };
}
