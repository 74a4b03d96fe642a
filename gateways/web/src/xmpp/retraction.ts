// Message Retraction: XEP-0424 version 0.4.2; by moderators: XEP-0425 version 0.3.0.

import { parseTime } from "./forward";
import { shortId } from "./ids";
import { bodyText } from "./text";
import { attr, child, childText, el, iq } from "./xml";

/** The namespace of retractions. */
export const NS_RETRACT = "urn:xmpp:message-retract:1";
/** The namespace of moderation. */
export const NS_MODERATE = "urn:xmpp:message-moderate:1";

/** A message is to go. */
export interface Retract {
  /** The author's id in direct chats, the room's in rooms. */
  readonly id: string;
  /** Who does it in the room's name; `undefined`: the author does. */
  readonly moderator: string | undefined;
  readonly reason: string;
}

/** A message that was here. */
export interface Tombstone {
  readonly at: number | undefined;
  readonly moderator: string | undefined;
  readonly reason: string;
}

/** Reads a retraction. */
export function parseRetract(message: Element): Retract | undefined {
  const retract = child(message, "retract", NS_RETRACT);
  const id = shortId(attr(retract, "id"));
  return id === undefined ? undefined : { id, ...parseModerated(retract) };
}

/** Reads what an archive keeps in a message's place (XEP-0424 §5). */
export function parseTombstone(message: Element): Tombstone | undefined {
  const retracted = child(message, "retracted", NS_RETRACT);
  if (retracted === undefined) return undefined;
  return { at: parseTime(attr(retracted, "stamp")), ...parseModerated(retracted) };
}

function parseModerated(parent: Element | undefined): { moderator: string | undefined; reason: string } {
  const moderated = child(parent, "moderated", NS_MODERATE);
  const reason = childText(parent, "reason", NS_RETRACT) ?? childText(moderated, "reason", NS_MODERATE) ?? "";
  return { moderator: moderated === undefined ? undefined : (attr(moderated, "by") ?? ""), reason: bodyText(reason) };
}

/** Builds a retraction by the author. */
export function buildRetract(id: string): Element {
  return el("retract", NS_RETRACT, { id });
}

/** Builds the request of a moderator. */
export function buildModerate(room: string, archiveId: string, reason: string): Element {
  const moderate = el(
    "moderate",
    NS_MODERATE,
    { id: archiveId },
    el("retract", NS_RETRACT),
    reason === "" ? undefined : el("reason", NS_MODERATE, {}, reason),
  );
  return iq("set", room, moderate);
}
