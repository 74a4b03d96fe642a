// Rooms, as an occupant: Multi-User Chat, XEP-0045 version 1.35.2 §7; self-ping: XEP-0410 1.1.0.

import type { Affiliation, JoinError, Role } from "../chat/model";
import { parseError, StanzaError } from "./errors";
import { occupantId } from "./ids";
import { NS_MUC_USER } from "./invites";
import { bareJid, readJid, resourceOf } from "./jid";
import type { XmppLink } from "./link";
import { parsePresence, type PresenceInfo } from "./presence";
import { bodyText } from "./text";
import { append, attr, child, children, childText, el, iq, message, NS_CLIENT, presence } from "./xml";

/** The namespace of entering. */
export const NS_MUC = "http://jabber.org/protocol/muc";
const NS_PING = "urn:xmpp:ping";

/** Status codes (§15.6.2) that this client heeds. */
export const CODE = {
  nonAnonymous: 100,
  configurationChanged: 104,
  self: 110,
  created: 201,
  banned: 301,
  renamed: 303,
  kicked: 307,
  notMember: 321,
  membersOnly: 322,
  shutdown: 332,
  technical: 333,
} as const;

/** What a room says of an occupant. */
export interface OccupantPresence {
  readonly room: string;
  readonly nick: string;
  readonly isAvailable: boolean;
  readonly isSelf: boolean;
  readonly affiliation: Affiliation;
  readonly role: Role;
  /** The real bare JID, where the room tells it. */
  readonly jid: string | undefined;
  readonly occupantId: string | undefined;
  readonly codes: ReadonlySet<number>;
  /** After a change of nick, the new one. */
  readonly newNick: string | undefined;
  readonly reason: string;
  readonly isDestroyed: boolean;
  readonly info: PresenceInfo;
}

const AFFILIATIONS: readonly string[] = ["owner", "admin", "member", "none", "outcast"];
const ROLES: readonly string[] = ["moderator", "participant", "visitor", "none"];

/** Reads an affiliation. */
export function readAffiliation(text: string | undefined): Affiliation {
  return AFFILIATIONS.includes(text ?? "") ? (text as Affiliation) : "none";
}

/** Reads a role. */
export function readRole(text: string | undefined): Role {
  return ROLES.includes(text ?? "") ? (text as Role) : "none";
}

/** Reads the presence of an occupant; `undefined` for what is none. */
export function parseOccupant(stanza: Element): OccupantPresence | undefined {
  const info = parsePresence(stanza);
  const user = child(stanza, "x", NS_MUC_USER);
  const nick = resourceOf(info.from);
  const isKnown = info.type === "available" || info.type === "unavailable";
  if (user === undefined || nick === "" || !isKnown) return undefined;
  const item = child(user, "item", NS_MUC_USER);
  const destroy = child(user, "destroy", NS_MUC_USER);
  const codes = parseCodes(user);
  const reason = childText(item, "reason", NS_MUC_USER) ?? childText(destroy, "reason", NS_MUC_USER) ?? "";
  return {
    room: bareJid(info.from),
    nick,
    isAvailable: info.type === "available",
    isSelf: codes.has(CODE.self),
    affiliation: readAffiliation(attr(item, "affiliation")),
    role: readRole(attr(item, "role")),
    jid: readJid(attr(item, "jid") ?? ""),
    occupantId: occupantId(stanza),
    codes,
    newNick: codes.has(CODE.renamed) ? attr(item, "nick") : undefined,
    reason: bodyText(reason),
    isDestroyed: destroy !== undefined,
    info,
  };
}

/** The status codes of an element. */
export function parseCodes(user: Element | undefined): ReadonlySet<number> {
  const codes = children(user, "status", NS_MUC_USER).map((it) => Number(attr(it, "code")));
  return new Set(codes.filter((it) => Number.isInteger(it)));
}

/** Builds the entrance: history comes out of the archive, not from here (§7.2.13). */
export function buildJoin(room: string, nick: string, password: string | undefined, own: Element): Element {
  const x = el(
    "x",
    NS_MUC,
    {},
    el("history", NS_MUC, { maxstanzas: 0 }),
    password === undefined ? undefined : el("password", NS_MUC, {}, password),
  );
  own.setAttribute("to", `${room}/${nick}`);
  return append(own, x);
}

/** Builds the exit (§7.14). */
export function buildLeave(room: string, nick: string): Element {
  return presence({ to: `${room}/${nick}`, type: "unavailable" });
}

/** Builds a change of nick (§7.6). */
export function buildNickChange(room: string, nick: string): Element {
  return presence({ to: `${room}/${nick}` });
}

/** Builds a change of the subject (§8.1). */
export function buildSubject(room: string, subject: string): Element {
  return message({ to: room, type: "groupchat" }, el("subject", NS_CLIENT, {}, subject));
}

/** Why a room cannot be entered (§7.2). */
export function joinError(stanza: Element): JoinError {
  return JOIN_ERRORS[parseError(stanza).condition] ?? "unreachable";
}

const JOIN_ERRORS: Readonly<Record<string, JoinError>> = {
  "not-authorized": "password",
  forbidden: "banned",
  "registration-required": "members-only",
  conflict: "nick-taken",
  "jid-malformed": "nick-taken",
  "not-acceptable": "nick-taken",
  "service-unavailable": "full",
  "resource-constraint": "full",
  gone: "gone",
  "item-not-found": "not-found",
  "not-allowed": "not-allowed",
};

/** Whether we are still in a room, by asking ourselves (XEP-0410 §3). */
export async function isJoined(link: XmppLink, room: string, nick: string): Promise<boolean> {
  try {
    await link.iq(iq("get", `${room}/${nick}`, el("ping", NS_PING)));
    return true;
  } catch (error) {
    if (!(error instanceof StanzaError)) return true;
    // §3.2: these tell that somebody of ours is in there, or that nothing is sure.
    const insideStill = ["service-unavailable", "feature-not-implemented", "item-not-found"];
    return insideStill.includes(error.condition) || error.kind === "wait";
  }
}
