// What calls leave in a conversation.

import { describe, expect, it } from "vitest";
import { JULIET, ME, signedIn } from "./testkit";

describe("calls", () => {
  const step = (name: string, from: string, to: string, content = ""): string =>
    `<message xmlns="jabber:client" type="chat" from="${from}" to="${to}"><${name} xmlns="urn:xmpp:jingle-message:0" id="c1">${content}</${name}></message>`;
  const media = `<description xmlns="urn:xmpp:jingle:apps:rtp:1" media="audio"/><description xmlns="urn:xmpp:jingle:apps:rtp:1" media="video"/>`;

  it("that nobody answers are missed, and stay in the history", async () => {
    const { chat, link } = await signedIn();
    link.receive(step("propose", `${JULIET}/b`, ME, media));
    expect(chat.conversation(JULIET)?.messages[0]?.call).toEqual({ id: "c1", hasVideo: true, outcome: "missed", duration: undefined });
    link.receive(step("retract", `${JULIET}/b`, ME));
    expect(chat.conversation(JULIET)?.messages.map((it) => it.call?.outcome)).toEqual(["missed"]);
    expect(chat.unread).toBe(1);
  });

  it("that are answered are said to be", async () => {
    const { chat, link } = await signedIn();
    link.receive(step("propose", `${JULIET}/b`, ME, media));
    link.receive(step("proceed", `${JULIET}/b`, ME));
    expect(chat.conversation(JULIET)?.messages[0]?.call?.outcome).toBe("answered");
    chat.noteCall(JULIET, { id: "c1", hasVideo: true, outcome: "answered", duration: 61 }, Date.now(), false);
    expect(chat.conversation(JULIET)?.messages.map((it) => it.call?.duration)).toEqual([61]);
  });
});
