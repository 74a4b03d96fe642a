// Jingle Message Initiation: XEP-0353 version 0.8.0.
//
// The messages around a session: a call is proposed to an account, rings on all of its devices and
// is taken by one. Reading is as strict as section 4 is about what is sent: `type='chat'`, one
// element. Older versions' `<accept/>` is read as a `<proceed/>` of another device of our own.

import { attr, child, children, el, message } from "../xmpp/xml";
import { readReason, readSid, writeReason } from "./jingle";
import type { Reason } from "./jingle";
import { NS_RTP } from "./rtp";

export const NS_JMI = "urn:xmpp:jingle-message:0";
const NS_HINTS = "urn:xmpp:hints";

/** What is said. */
export const WORDS = ["propose", "ringing", "proceed", "accept", "reject", "retract", "finish"] as const;

/** A message of a call. */
export interface Jmi {
  readonly what: (typeof WORDS)[number];
  readonly sid: string;
  /** What is proposed. */
  readonly media: readonly ("audio" | "video")[];
  readonly reason: Reason | undefined;
  /** Both have called at the same time, and this one yields (section 6.1). */
  readonly isTieBreak: boolean;
  /** The session that goes on in this one's place (section 6.2). */
  readonly migratedTo: string | undefined;
}

/** Media of one proposal that are looked at; there are two kinds. */
const MEDIA_MAX = 4;

/** Reads the message's element; `undefined` for none, or one that is not well made. */
export function readJmi(stanza: Element): Jmi | undefined {
  const element = children(stanza, "*", NS_JMI)[0];
  const what = WORDS.find((word) => word === element?.localName);
  if (element === undefined || what === undefined || attr(stanza, "type") !== "chat") return undefined;
  const media = children(element, "description", NS_RTP).slice(0, MEDIA_MAX).map((it) => attr(it, "media"));
  try {
    return {
      what,
      sid: readSid(attr(element, "id")),
      media: (["audio", "video"] as const).filter((kind) => media.includes(kind)),
      reason: readReason(child(element, "reason", "urn:xmpp:jingle:1")),
      isTieBreak: child(element, "tie-break", NS_JMI) !== undefined,
      migratedTo: attr(child(element, "migrated", NS_JMI), "to"),
    };
  } catch {
    return undefined;
  }
}

/** A message of a call with nothing but its name and session. */
export function say(what: Jmi["what"], sid: string, more: Partial<Jmi> = {}): Jmi {
  return { what, sid, media: [], reason: undefined, isTieBreak: false, migratedTo: undefined, ...more };
}

/** Writes the whole message (section 4: of type chat, with the hint to keep it). */
export function writeJmi(to: string, jmi: Jmi): Element {
  const { what, sid, media, reason, isTieBreak, migratedTo } = jmi;
  const element = el(
    what,
    NS_JMI,
    { id: sid },
    media.map((kind) => el("description", NS_RTP, { media: kind })),
    reason === undefined ? undefined : writeReason(reason),
    isTieBreak ? el("tie-break", NS_JMI) : undefined,
    migratedTo === undefined ? undefined : el("migrated", NS_JMI, { to: migratedTo }),
  );
  return message({ to, type: "chat" }, element, el("store", NS_HINTS));
}

/** Whether the first id sorts before the second, byte by byte (RFC 4790 section 9.3). */
export function isLower(one: string, two: string): boolean {
  const [a, b] = [new TextEncoder().encode(one), new TextEncoder().encode(two)];
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const [left = 0, right = 0] = [a[at], b[at]];
    if (left !== right) return left < right;
  }
  return a.length < b.length;
}
