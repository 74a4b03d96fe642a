import { describe, expect, it } from "vitest";
import type { Affiliation, Member, Role, Room } from "../../chat/model";
import { memberActions } from "./member_actions";

const room = (myAffiliation: Affiliation, myRole: Role, more: Partial<Room> = {}): Room => ({
  jid: "r@rooms.x", name: "r", description: "", subject: "", join: "joined", joinError: undefined, myNick: "me",
  myAffiliation, myRole, members: [], isMembersOnly: false, isModerated: false, isNonAnonymous: true, isPersistent: true,
  hasPassword: false, canModerateMessages: false, ...more,
});
const member = (affiliation: Affiliation, more: Partial<Member> = {}): Member => ({
  nick: "anna", jid: "anna@x", occupantId: undefined, affiliation, role: "participant",
  presence: { show: "online", status: "", idleSince: undefined }, avatar: undefined, isMe: false, ...more,
});

describe("what may be done to a member", () => {
  it("is only talking, for somebody without standing", () => {
    expect(memberActions(room("none", "participant"), member("none"))).toEqual(["message"]);
    expect(memberActions(room("none", "participant"), member("none", { jid: undefined }))).toEqual([]);
  });
  it("is nothing to ourselves, and nothing from outside", () => {
    expect(memberActions(room("owner", "moderator"), member("owner", { isMe: true }))).toEqual([]);
    expect(memberActions(room("owner", "moderator", { join: "left" }), member("none"))).toEqual([]);
  });
  it("never touches one's superiors or equals, but for owners", () => {
    expect(memberActions(room("admin", "moderator"), member("owner"))).toEqual(["message"]);
    expect(memberActions(room("admin", "moderator"), member("admin"))).toEqual(["message"]);
    expect(memberActions(room("owner", "moderator"), member("owner"))).toEqual(["message", "make-admin", "make-member", "make-none"]);
  });
  it("lets admins ban and owners appoint", () => {
    expect(memberActions(room("admin", "moderator"), member("none"))).toEqual(["message", "kick", "make-member", "ban"]);
    expect(memberActions(room("owner", "moderator"), member("member"))).toEqual(["message", "kick", "make-owner", "make-admin", "make-none", "ban"]);
  });
  it("gives and takes voice in moderated rooms", () => {
    const moderated = room("none", "moderator", { isModerated: true });
    expect(memberActions(moderated, member("none", { role: "visitor" }))).toContain("give-voice");
    expect(memberActions(moderated, member("none"))).toContain("mute-voice");
    expect(memberActions(moderated, member("admin"))).not.toContain("mute-voice");
  });
  it("lifts a ban, and leaves somebody banned alone otherwise", () => {
    expect(memberActions(room("admin", "moderator"), member("outcast", { nick: "" }))).toEqual(["unban"]);
    expect(memberActions(room("member", "participant"), member("outcast"))).toEqual([]);
  });
});
