// Invitations to rooms: direct (XEP-0249 version 1.2) and through the room (XEP-0045 version
// 1.35.2 §7.8.2, with refusals).

import type { Invitation } from "../chat/model";
import { readJid } from "./jid";
import { bodyText } from "./text";
import { attr, child, childText, el, message as build } from "./xml";

/** The namespace of direct invitations. */
export const NS_CONFERENCE = "jabber:x:conference";
/** The namespace of what a room tells its people. */
export const NS_MUC_USER = "http://jabber.org/protocol/muc#user";

/** Reads an invitation. One through a room counts only when the room itself carries it. */
export function parseInvitation(message: Element): Invitation | undefined {
  const from = attr(message, "from") ?? "";
  const user = child(message, "x", NS_MUC_USER);
  const invite = child(user, "invite", NS_MUC_USER);
  if (invite !== undefined) {
    const room = readJid(from);
    if (room === undefined) return undefined;
    const reason = bodyText(childText(invite, "reason", NS_MUC_USER) ?? "");
    return { room, from: attr(invite, "from") ?? "", reason, password: childText(user, "password", NS_MUC_USER) };
  }
  const direct = child(message, "x", NS_CONFERENCE);
  const room = readJid(attr(direct, "jid") ?? "");
  if (direct === undefined || room === undefined) return undefined;
  return { room, from, reason: bodyText(attr(direct, "reason") ?? ""), password: attr(direct, "password") };
}

/** Builds an invitation that the room carries: it makes a member where one has to be one. */
export function buildInvite(room: string, people: readonly string[], reason: string): Element {
  const invites = people.map((to) =>
    el("invite", NS_MUC_USER, { to }, reason === "" ? undefined : el("reason", NS_MUC_USER, {}, reason)),
  );
  return build({ to: room }, el("x", NS_MUC_USER, {}, invites));
}

/** Builds the refusal of an invitation that came through the room. */
export function buildDecline(room: string, inviter: string, reason = ""): Element {
  const text = reason === "" ? undefined : el("reason", NS_MUC_USER, {}, reason);
  return build({ to: room }, el("x", NS_MUC_USER, {}, el("decline", NS_MUC_USER, { to: inviter }, text)));
}
