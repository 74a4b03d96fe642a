// Who may do what to whom in a room (XEP-0045 §5, tables 4, 5, 7 and 8). Pure.

import type { Affiliation, Member, Room } from "../../chat/model";

export type MemberAction =
  | "message" | "kick" | "mute-voice" | "give-voice" | "ban" | "unban"
  | "make-none" | "make-member" | "make-admin" | "make-owner";

const RANK: Readonly<Record<Affiliation, number>> = { outcast: 0, none: 1, member: 2, admin: 3, owner: 4 };

/** What we may do to a member; the room refuses the rest. */
export function memberActions(room: Room, member: Member): MemberAction[] {
  if (member.isMe || room.join !== "joined") return [];
  const actions: MemberAction[] = [];
  const isHere = member.nick !== "";
  const isBelow = RANK[member.affiliation] < RANK[room.myAffiliation];
  const isAdmin = RANK[room.myAffiliation] >= RANK.admin;
  const isOwner = room.myAffiliation === "owner";
  const { jid } = member;
  if (jid !== undefined && member.affiliation !== "outcast") actions.push("message");
  if (member.affiliation === "outcast") return isAdmin ? [...actions, "unban"] : actions;
  if (isHere && room.myRole === "moderator") {
    // §8.4: voice is only taken from who has no more standing than us.
    if (room.isModerated && RANK[member.affiliation] < RANK.admin) {
      actions.push(member.role === "visitor" ? "give-voice" : "mute-voice");
    }
    if (RANK[member.affiliation] < RANK.admin || isBelow) actions.push("kick");
  }
  if (jid === undefined) return actions;
  if (isOwner) {
    if (member.affiliation !== "owner") actions.push("make-owner");
    if (member.affiliation !== "admin") actions.push("make-admin");
  }
  if (isAdmin && (isBelow || isOwner)) {
    if (member.affiliation !== "member") actions.push("make-member");
    if (member.affiliation !== "none") actions.push("make-none");
    if (isBelow) actions.push("ban");
  }
  return actions;
}
