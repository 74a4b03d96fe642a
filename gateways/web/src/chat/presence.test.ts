// Who is there, and who asks to see it.

import { describe, expect, it } from "vitest";
import { JULIET, signedIn } from "./testkit";

describe("presence", () => {
  it("is that of the resource most worth talking to", async () => {
    const { chat, link } = await signedIn();
    const say = (resource: string, content: string, type = ""): void =>
      link.receive(`<presence xmlns="jabber:client" from="${JULIET}/${resource}" ${type}>${content}</presence>`);
    const juliet = chat.contacts.find((it) => it.jid === JULIET);
    expect(juliet?.presence.show).toBe("offline");
    say("phone", "<show>away</show><status>asleep</status>");
    expect(juliet?.presence).toMatchObject({ show: "away", status: "asleep" });
    say("balcony", "<priority>1</priority>");
    expect(juliet?.presence.show).toBe("online");
    say("balcony", "", `type="unavailable"`);
    expect(juliet?.presence.show).toBe("away");
    say("phone", "<status>gone</status>", `type="unavailable"`);
    expect(juliet?.presence).toMatchObject({ show: "offline", status: "gone" });
  });

  it("of whom we do not know is nothing", async () => {
    const { chat, link } = await signedIn();
    const before = chat.contacts.length;
    link.receive(`<presence xmlns="jabber:client" from="eve@evil.example/x"/>`);
    expect(chat.contacts).toHaveLength(before);
  });

  it("asked for is a request that can be accepted", async () => {
    const { chat, link } = await signedIn();
    link.receive(`<presence xmlns="jabber:client" type="subscribe" from="paris@verona.example"><status>let us wed</status><nick xmlns="http://jabber.org/protocol/nick">Paris</nick></presence>`);
    const [request] = chat.requests;
    expect(request).toEqual({ jid: "paris@verona.example", name: "Paris", text: "let us wed" });
    if (request !== undefined) await chat.accept(request);
    expect(chat.requests).toEqual([]);
    const types = link.sent.filter((it) => it.localName === "presence").map((it) => it.getAttribute("type"));
    expect(types.slice(-2)).toEqual(["subscribed", "subscribe"]);
  });
});
