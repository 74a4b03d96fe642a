// Mentions: References, XEP-0372 version 0.7.0 §3.2.

import { bareJid, readJid } from "./jid";
import { codePoints, unitIndex } from "./text";
import { attr, children, el, wholeNumber } from "./xml";

/** The namespace. */
export const NS_REFERENCE = "urn:xmpp:reference:0";

/** Somebody is mentioned, at a stretch of the body in UTF-16 units. */
export interface MentionRange {
  readonly begin: number;
  readonly end: number;
  /** A bare JID, or the address of somebody in a room. */
  readonly jid: string;
}

/** Mentions of one message that are read: "@everybody", one by one, in a large room. */
const MENTIONS_MAX = 100;
const POSITION_MAX = 1_000_000;

/** Reads the mentions of a body as it was sent. */
export function parseMentions(message: Element, body: string): MentionRange[] {
  return children(message, "reference", NS_REFERENCE)
    .filter((it) => attr(it, "type") === "mention")
    .slice(0, MENTIONS_MAX)
    .flatMap((it) => {
      const begin = unitIndex(body, wholeNumber(attr(it, "begin"), 0, POSITION_MAX) ?? 0);
      const end = unitIndex(body, wholeNumber(attr(it, "end"), 0, POSITION_MAX) ?? 0);
      const jid = parseUri(attr(it, "uri") ?? "");
      return jid === undefined ? [] : [{ begin, end: Math.max(begin, end), jid }];
    });
}

/** The address in an `xmpp:` URI; the resource stays, for it names people in rooms. */
function parseUri(uri: string): string | undefined {
  const bare = /^xmpp:/i.test(uri) ? readJid(decode(uri)) : undefined;
  const resource = /^xmpp:[^/?]+\/([^?]+)/i.exec(uri)?.[1];
  return bare === undefined || resource === undefined ? bare : `${bare}/${decode(resource)}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Builds mentions at stretches of the body in UTF-16 units. */
export function buildMentions(body: string, mentions: readonly MentionRange[]): Element[] {
  return mentions.slice(0, MENTIONS_MAX).map((it) =>
    el("reference", NS_REFERENCE, {
      type: "mention",
      begin: codePoints(body.slice(0, it.begin)),
      end: codePoints(body.slice(0, it.end)),
      uri: uriOf(it.jid),
    }),
  );
}

function uriOf(jid: string): string {
  const bare = bareJid(jid);
  const resource = jid.slice(bare.length + 1);
  const path = resource === "" ? "" : `/${encodeURIComponent(resource)}`;
  return `xmpp:${encodeURI(bare)}${path}`;
}
