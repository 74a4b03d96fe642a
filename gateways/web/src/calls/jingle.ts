// Jingle: XEP-0166 1.1.2, with groups (0338 1.0.0) and the informational messages of RTP sessions
// (0167 1.2.3 section 8).
//
// The element of an IQ as a plain value and back. What an action may do is machine.ts' business.
// Left out: security preconditions, and applications and transports other than RTP over ICE-UDP.

import { attr, child, children, childText, el } from "../xmpp/xml";
import type { Content, Party } from "./content";
import { NS_ICE, readIce, writeIce } from "./ice";
import { CONTENTS_MAX, NAME_MAX, Refused, VALUE_MAX, atMost, need, oneOf, token } from "./refusal";
import { NS_RTP, readRtp, readSenders, writeRtp } from "./rtp";

export const NS_JINGLE = "urn:xmpp:jingle:1";
export const NS_ERRORS = "urn:xmpp:jingle:errors:1";
export const NS_GROUPING = "urn:xmpp:jingle:apps:grouping:0";
export const NS_INFO = "urn:xmpp:jingle:apps:rtp:info:1";

/** The actions (section 7.2). */
export const ACTIONS = [
  "content-accept",
  "content-add",
  "content-modify",
  "content-reject",
  "content-remove",
  "description-info",
  "security-info",
  "session-accept",
  "session-info",
  "session-initiate",
  "session-terminate",
  "transport-accept",
  "transport-info",
  "transport-reject",
  "transport-replace",
] as const;

/** An action. */
export type Action = (typeof ACTIONS)[number];

/** The conditions (section 7.4). */
export const CONDITIONS = [
  "alternative-session",
  "busy",
  "cancel",
  "connectivity-error",
  "decline",
  "expired",
  "failed-application",
  "failed-transport",
  "general-error",
  "gone",
  "incompatible-parameters",
  "media-error",
  "security-error",
  "success",
  "timeout",
  "unsupported-applications",
  "unsupported-transports",
] as const;

/** Why something ends. */
export type Condition = (typeof CONDITIONS)[number];

/** A reason, and what is said about it. */
export interface Reason {
  readonly condition: Condition;
  readonly text: string;
}

/** An informational message (0167 section 8); of all contents where none is named. */
export interface Info {
  readonly what: "active" | "hold" | "mute" | "ringing" | "unhold" | "unmute";
  readonly content: { readonly creator: Party; readonly name: string } | undefined;
}

/** A `jingle` element. */
export interface Jingle {
  readonly action: Action;
  readonly sid: string;
  readonly initiator: string | undefined;
  readonly responder: string | undefined;
  readonly contents: readonly Content[];
  /** The names of the contents that share one transport (0338); none without a group. */
  readonly bundle: readonly string[];
  readonly reason: Reason | undefined;
  readonly info: Info | undefined;
  /** The session-info holds something that is not known, to be answered by an error. */
  readonly hasUnknownInfo: boolean;
}

const PARTIES: readonly Party[] = ["initiator", "responder"];
const INFOS = ["active", "hold", "mute", "ringing", "unhold", "unmute"] as const;

/**
 * Reads a `jingle` element.
 *
 * @throws Refused
 */
export function readJingle(element: Element): Jingle {
  if (element.localName !== "jingle" || element.namespaceURI !== NS_JINGLE) throw new Refused("not-jingle");
  const action = oneOf(attr(element, "action"), ACTIONS, "bad-action");
  const contents = readContents(element, action);
  const info = action === "session-info" ? Array.from(element.children) : [];
  return {
    action,
    sid: readSid(attr(element, "sid")),
    initiator: jid(attr(element, "initiator")),
    responder: jid(attr(element, "responder")),
    contents,
    bundle: readBundle(element),
    reason: readReason(child(element, "reason", NS_JINGLE)),
    info: readInfo(info[0]),
    hasUnknownInfo: info[0] !== undefined && readInfo(info[0]) === undefined,
  };
}

/** A session's id: anything short; it is compared, and stands in no line of SDP. */
export function readSid(text: string | undefined): string {
  const sid = need(text, "bad-sid");
  if (sid.length > NAME_MAX) throw new Refused("bad-sid");
  return sid;
}

/** RFC 7622 section 3.1: three parts of 1023 bytes. */
const JID_MAX = 3071;

function jid(text: string | undefined): string | undefined {
  if (text !== undefined && text.length > JID_MAX) throw new Refused("bad-jid");
  return text;
}

/** The actions that describe contents as a whole. */
const DESCRIBING: readonly Action[] = ["session-initiate", "session-accept", "content-add", "content-accept"];

function readContents(element: Element, action: Action): Content[] {
  const all = atMost(children(element, "content", NS_JINGLE), CONTENTS_MAX, "too-many-contents");
  const contents = all.map((it) => readContent(it, DESCRIBING.includes(action)));
  if (new Set(contents.map((it) => it.name)).size !== contents.length) throw new Refused("duplicate-content");
  const needsSome = action.startsWith("content-") || action === "transport-info" || DESCRIBING.includes(action);
  if (needsSome && contents.length === 0) throw new Refused("no-contents");
  return contents;
}

function readContent(element: Element, isWhole: boolean): Content {
  const rtp = child(element, "description", NS_RTP);
  const ice = child(element, "transport", NS_ICE);
  if (isWhole) {
    need(rtp, "unsupported-application");
    need(ice, "unsupported-transport");
  }
  return {
    creator: oneOf(attr(element, "creator") ?? "initiator", PARTIES, "bad-creator"),
    name: token(attr(element, "name"), "bad-name"),
    senders: readSenders(attr(element, "senders")),
    rtp: rtp === undefined ? undefined : readRtp(rtp),
    ice: ice === undefined ? undefined : readIce(ice),
  };
}

function readBundle(element: Element): string[] {
  const groups = children(element, "group", NS_GROUPING);
  const bundle = groups.find((it) => attr(it, "semantics") === "BUNDLE");
  const names = atMost(children(bundle, "content", NS_GROUPING), CONTENTS_MAX, "too-many-contents");
  return names.map((it) => token(attr(it, "name"), "bad-name"));
}

/** Reads a `reason`; one with a condition of its own is a general error. */
export function readReason(element: Element | undefined): Reason | undefined {
  if (element === undefined) return undefined;
  const names = children(element, "*", NS_JINGLE).map((it) => it.localName);
  const condition = CONDITIONS.find((it) => names.includes(it)) ?? "general-error";
  return { condition, text: (childText(element, "text", NS_JINGLE) ?? "").slice(0, VALUE_MAX) };
}

function readInfo(element: Element | undefined): Info | undefined {
  const what = INFOS.find((it) => it === element?.localName);
  if (element?.namespaceURI !== NS_INFO || what === undefined) return undefined;
  const name = attr(element, "name");
  if (name === undefined) return { what, content: undefined };
  const creator = oneOf(attr(element, "creator") ?? "initiator", PARTIES, "bad-creator");
  return { what, content: { creator, name: token(name, "bad-name") } };
}

/** Writes a `jingle` element. */
export function writeJingle(jingle: Jingle): Element {
  const { action, sid, initiator, responder, bundle, reason, info } = jingle;
  return el(
    "jingle",
    NS_JINGLE,
    { action, sid, initiator, responder },
    bundle.length === 0 ? undefined : writeBundle(bundle),
    jingle.contents.map(writeContent),
    reason === undefined ? undefined : writeReason(reason),
    info === undefined ? undefined : writeInfo(info),
  );
}

function writeBundle(names: readonly string[]): Element {
  const contents = names.map((name) => el("content", NS_GROUPING, { name }));
  return el("group", NS_GROUPING, { semantics: "BUNDLE" }, contents);
}

function writeContent(content: Content): Element {
  const { creator, name, senders, rtp, ice } = content;
  return el(
    "content",
    NS_JINGLE,
    { creator, name, senders },
    rtp === undefined ? undefined : writeRtp(rtp),
    ice === undefined ? undefined : writeIce(ice),
  );
}

/** Writes a `reason`, with the namespace said where it stands in another's element (0353). */
export function writeReason({ condition, text }: Reason): Element {
  return el("reason", NS_JINGLE, {}, el(condition, NS_JINGLE), text === "" ? undefined : el("text", NS_JINGLE, {}, text));
}

/** 0167 section 8.4: a mute names the content that it is about; the others are about all. */
function writeInfo({ what, content }: Info): Element {
  const isNamed = content !== undefined && (what === "mute" || what === "unmute");
  return el(what, NS_INFO, isNamed ? { creator: content.creator, name: content.name } : {});
}
