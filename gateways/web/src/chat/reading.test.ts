// What is read, by whom, and who is told; typing.

import { describe, expect, it } from "vitest";
import { serialize } from "../xmpp/xml";
import { fromJuliet, JULIET, ME, sentMessages, signedIn } from "./testkit";

describe("reading", () => {
  it("counts what others wrote, and tells both sides when it is read", async () => {
    const { chat, link } = await signedIn();
    for (const id of ["1", "2"]) link.receive(fromJuliet(id, `<body>hark</body><markable xmlns="urn:xmpp:chat-markers:0"/>`));
    expect(chat.unread).toBe(2);
    chat.open(JULIET);
    expect(chat.current?.dividerKey).toBe("a-1");
    chat.markRead(JULIET);
    expect([chat.unread, chat.current?.dividerKey]).toEqual([0, "a-1"]);
    const mds = link.sent.map(serialize).find((it) => it.includes("publish") && it.includes("urn:xmpp:mds:displayed:0"));
    expect(mds).toContain(`id="a-2"`);
    expect(sentMessages(link).at(-1)?.getElementsByTagName("displayed")[0]?.getAttribute("id")).toBe("2");
    const count = link.sent.length;
    chat.markRead(JULIET);
    expect(link.sent).toHaveLength(count);
  });

  it("on another device counts here, and never goes back", async () => {
    const { chat, link } = await signedIn();
    const read: string[] = [];
    chat.onRead((jid) => read.push(jid));
    for (const id of ["1", "2", "3"]) link.receive(fromJuliet(id, "<body>hark</body>"));
    const tell = (id: string): void =>
      link.receive(`<message xmlns="jabber:client" type="headline" from="${ME}"><event xmlns="http://jabber.org/protocol/pubsub#event"><items node="urn:xmpp:mds:displayed:0">
        <item id="${JULIET}"><displayed xmlns="urn:xmpp:mds:displayed:0"><stanza-id xmlns="urn:xmpp:sid:0" by="${ME}" id="${id}"/></displayed></item></items></event></message>`);
    tell("a-2");
    expect([chat.unread, read]).toEqual([1, []]);
    tell("a-1");
    expect(chat.unread).toBe(1);
    tell("a-3");
    expect([chat.unread, read]).toEqual([0, [JULIET]]);
  });

  it("what we write ourselves is read up to there", async () => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", "<body>hark</body>"));
    chat.send(JULIET, "yes");
    expect(chat.unread).toBe(0);
  });

  it("notices are for what nobody looks at", async () => {
    const { chat, link } = await signedIn();
    const told: string[] = [];
    chat.onNotice((notice) => told.push(`${notice.kind} ${notice.from}`));
    link.receive(fromJuliet("1", "<body>one</body>"));
    chat.open(JULIET);
    chat.setAttention(true, true);
    link.receive(fromJuliet("2", "<body>two</body>"));
    chat.setAttention(false, false);
    link.receive(fromJuliet("3", "<body>three</body>"));
    await chat.setNotify(JULIET, "never");
    link.receive(fromJuliet("4", "<body>four</body>"));
    expect(told).toEqual(["message Juliet", "message Juliet"]);
    expect(chat.unread).toBe(0);
  });

  it("typing is shown until the message comes", async () => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", "<body>one</body>"));
    link.receive(`<message xmlns="jabber:client" type="chat" from="${JULIET}/b"><composing xmlns="http://jabber.org/protocol/chatstates"/></message>`);
    expect(chat.conversation(JULIET)?.typing).toEqual(["Juliet"]);
    link.receive(fromJuliet("2", `<body>two</body><active xmlns="http://jabber.org/protocol/chatstates"/>`));
    expect(chat.conversation(JULIET)?.typing).toEqual([]);
  });

  it("our typing is told seldom, and to nobody who does not see us", async () => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", "<body>one</body>"));
    for (let count = 0; count < 50; count += 1) chat.setTyping(JULIET, true);
    expect(sentMessages(link)).toHaveLength(1);
    chat.setTyping(JULIET, false);
    expect(sentMessages(link).at(-1)?.firstElementChild?.localName).toBe("active");
    chat.open("eve@evil.example");
    chat.setTyping("eve@evil.example", true);
    expect(sentMessages(link)).toHaveLength(2);
  });
});
