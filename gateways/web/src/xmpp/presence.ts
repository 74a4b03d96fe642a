// Presence: RFC 6121 §4; with idle times (XEP-0319 version 1.0.3), pictures' hashes (XEP-0153
// version 1.1.1), nicknames (XEP-0172 version 1.1) and capabilities (XEP-0115 version 1.6.0).

import type { Show } from "../chat/model";
import { typeOf } from "./dispatcher";
import { parseTime } from "./forward";
import { attr, child, childText, el, NS_CLIENT, presence as build, textOf } from "./xml";

/** The namespace of capabilities. */
export const NS_CAPS = "http://jabber.org/protocol/caps";
/** The namespace of idle times. */
export const NS_IDLE = "urn:xmpp:idle:1";
/** The namespace of pictures' hashes. */
export const NS_VCARD_UPDATE = "vcard-temp:x:update";
/** The namespace of nicknames. */
export const NS_NICK = "http://jabber.org/protocol/nick";

/** Characters of a status that are kept: a few sentences. */
const STATUS_CHARS_MAX = 1_000;

/** What a presence says, of whatever type. */
export interface PresenceInfo {
  readonly from: string;
  /** `available`, `unavailable`, `subscribe`, `subscribed`, `unsubscribe`, `unsubscribed`, `error`. */
  readonly type: string;
  readonly show: Show;
  readonly status: string;
  readonly priority: number;
  readonly idleSince: number | undefined;
  readonly nick: string;
  /** `undefined`: nothing is said; empty: there is none (XEP-0153 §3). */
  readonly photoHash: string | undefined;
  readonly caps: Caps | undefined;
}

/** What somebody's client can do, by a name that everybody can check (XEP-0115 §4). */
export interface Caps {
  readonly node: string;
  readonly ver: string;
  readonly hash: string;
}

/** Reads a presence. */
export function parsePresence(stanza: Element): PresenceInfo {
  const type = typeOf(stanza);
  const photo = child(child(stanza, "x", NS_VCARD_UPDATE), "photo", NS_VCARD_UPDATE);
  return {
    from: attr(stanza, "from") ?? "",
    type,
    show: type === "available" ? parseShow(childText(stanza, "show", NS_CLIENT)) : "offline",
    status: (childText(stanza, "status", NS_CLIENT) ?? "").slice(0, STATUS_CHARS_MAX),
    priority: parsePriority(childText(stanza, "priority", NS_CLIENT)),
    idleSince: parseTime(attr(child(stanza, "idle", NS_IDLE), "since")),
    nick: (childText(stanza, "nick", NS_NICK) ?? "").slice(0, STATUS_CHARS_MAX),
    photoHash: photo === undefined ? undefined : textOf(photo).toLowerCase(),
    caps: parseCaps(child(stanza, "c", NS_CAPS)),
  };
}

function parseShow(text: string | undefined): Show {
  return text === "chat" || text === "away" || text === "xa" || text === "dnd" ? text : "online";
}

function parsePriority(text: string | undefined): number {
  const value = /^-?\d{1,3}$/.test(text?.trim() ?? "") ? Number(text) : 0;
  // §4.7.2.3: out of range is as good as not said.
  return value >= -128 && value <= 127 ? value : 0;
}

function parseCaps(c: Element | undefined): Caps | undefined {
  const [node, ver, hash] = [attr(c, "node"), attr(c, "ver"), attr(c, "hash")];
  return node === undefined || ver === undefined || hash === undefined ? undefined : { node, ver, hash };
}

/** Builds our presence for everybody, or for one place. */
export function buildPresence(options: {
  readonly show: Exclude<Show, "offline">;
  readonly status: string;
  readonly caps?: Caps | undefined;
  readonly idleSince?: number | undefined;
  readonly to?: string;
}): Element {
  const { show, status, caps, idleSince, to } = options;
  return build(
    { to },
    show === "online" ? undefined : el("show", NS_CLIENT, {}, show),
    status === "" ? undefined : el("status", NS_CLIENT, {}, status),
    caps && el("c", NS_CAPS, { ...caps }),
    idleSince === undefined ? undefined : el("idle", NS_IDLE, { since: new Date(idleSince).toISOString() }),
  );
}

/** Which of two resources is the one to talk to: by priority, then by availability. */
export function isBetter(one: { priority: number; show: Show }, other: { priority: number; show: Show }): boolean {
  if (one.priority !== other.priority) return one.priority > other.priority;
  return ORDER.indexOf(one.show) < ORDER.indexOf(other.show);
}

const ORDER: readonly Show[] = ["chat", "online", "dnd", "away", "xa", "offline"];
