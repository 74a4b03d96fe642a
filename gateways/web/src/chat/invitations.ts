// Invitations to rooms: ours to others, and our answers to theirs.

import { NoAnswer } from "../xmpp/errors";
import { buildDecline, buildInvite, NS_CONFERENCE } from "../xmpp/invites";
import { bareJid } from "../xmpp/jid";
import { el, message as build } from "../xmpp/xml";
import type { Core } from "./core.svelte";
import type { BareJid, Message } from "./model";

/**
 * Invites people: through the room where it makes members of them, else directly.
 *
 * @throws NoAnswer
 */
export function invite({ link, rooms }: Core, jid: BareJid, people: readonly BareJid[], reason: string): void {
  const sendOrFail = (stanza: Element): void => {
    if (!link.send(stanza)) throw new NoAnswer("disconnected");
  };
  const room = rooms.get(jid);
  if (room?.isMembersOnly === true) {
    sendOrFail(buildInvite(jid, people, reason));
    return;
  }
  for (const to of people) {
    const x = el("x", NS_CONFERENCE, { jid, reason: reason === "" ? undefined : reason, password: room?.password });
    sendOrFail(build({ to }, x));
  }
}

/** Says no to an invitation. */
export function decline({ link }: Core, { invitation, sender }: Message): void {
  // Only an invitation through the room can be declined (§7.8.2); a direct one is passed over.
  if (invitation === undefined || bareJid(sender.jid) !== invitation.room) return;
  link.send(buildDecline(invitation.room, invitation.from));
}
