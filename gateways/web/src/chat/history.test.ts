// The archive: pages, holes, and places in the past.

import { describe, expect, it } from "vitest";
import { answering, archive, comeBack, fromJuliet, JULIET, ME, says, settle, signedIn } from "./testkit";

describe("history", () => {
  it("comes page by page, in order, without doubles, to its beginning", async () => {
    const { chat, link } = await signedIn();
    answering.link = link;
    link.script(archive(120, says));
    chat.open(JULIET);
    await settle();
    const bodies = (): string[] => (chat.conversation(JULIET)?.messages ?? []).map((it) => it.body);
    expect([bodies().length, bodies()[0], bodies().at(-1)]).toEqual([50, "line 71", "line 120"]);
    expect(await chat.loadOlder(JULIET)).toBe(true);
    const keys = chat.conversation(JULIET)?.messages.map((it) => it.key) ?? [];
    expect([bodies().length, bodies()[0]]).toEqual([100, "line 21"]);
    expect(await chat.loadOlder(JULIET)).toBe(true);
    expect(await chat.loadOlder(JULIET)).toBe(false);
    expect([bodies().length, bodies()[0], chat.conversation(JULIET)?.hasOlder]).toEqual([120, "line 1", false]);
    // The anchor is stable: what was there is there, under the same keys.
    expect(chat.conversation(JULIET)?.messages.slice(-100).map((it) => it.key)).toEqual(keys);
  });

  it("goes on behind any number of entries with nothing to show", async () => {
    const { chat, link } = await signedIn();
    answering.link = link;
    const receipt = `<message xmlns="jabber:client" type="chat" from="${ME}/orchard" to="${JULIET}"><received xmlns="urn:xmpp:receipts" id="x"/></message>`;
    link.script(archive(1_000, (number) => (number <= 10 ? says(number) : receipt)));
    chat.open(JULIET);
    await settle();
    expect(chat.conversation(JULIET)?.messages).toEqual([]);
    for (let count = 0; count < 5 && chat.conversation(JULIET)?.messages.length === 0; count += 1) await chat.loadOlder(JULIET);
    expect(chat.conversation(JULIET)?.messages).toHaveLength(10);
  });

  it("what was missed is fetched from where it was read up to", async () => {
    const { chat, link } = await signedIn();
    answering.link = link;
    link.receive(fromJuliet("m1", "<body>line 1</body>", "1"));
    link.goOffline();
    link.script(archive(250, says));
    await comeBack(link);
    expect(chat.conversation(JULIET)?.messages).toHaveLength(250);
    expect(chat.conversation(JULIET)?.unread).toBe(250);
    const after = link.sent.flatMap((it) => [...it.getElementsByTagName("after")].map((one) => one.textContent));
    expect(after).toEqual(["1", "101", "201"]);
  });

  it("a hole that is too large is marked, and closes as it is read", async () => {
    const { chat, link } = await signedIn();
    answering.link = link;
    link.receive(fromJuliet("m1", "<body>line 1</body>", "1"));
    link.goOffline();
    link.script(archive(2_200, says));
    await comeBack(link);
    const marked = () => chat.conversation(JULIET)?.messages.find((it) => it.isAfterGap);
    expect(marked()?.body).toBe("line 2101");
    for (let count = 0; count < 5 && marked() !== undefined; count += 1) {
      const message = marked();
      if (message !== undefined) await chat.loadGap(JULIET, message);
    }
    expect(marked()).toBeUndefined();
    const numbers = (chat.conversation(JULIET)?.messages ?? []).map((it) => Number(it.body.slice(5)));
    expect(numbers.slice(-150)).toEqual(Array.from({ length: 150 }, (_, index) => 2_051 + index));
  });

  it("memory is bounded: what is far away is forgotten and comes back", async () => {
    const { chat, link } = await signedIn();
    answering.link = link;
    link.script(archive(1_300, says));
    chat.open(JULIET);
    await settle();
    while (await chat.loadOlder(JULIET));
    const conversation = chat.conversation(JULIET);
    expect(conversation?.messages.length).toBeLessThanOrEqual(1_000);
    expect([conversation?.messages[0]?.body, conversation?.hasNewer]).toEqual(["line 1", true]);
    await chat.jumpToLatest(JULIET);
    expect([conversation?.messages.at(-1)?.body, conversation?.hasNewer]).toEqual(["line 1300", false]);
  });

  it("a place in the past is shown with what is around it, and leads on to the newest", async () => {
    const { chat, link } = await signedIn();
    answering.link = link;
    link.script(archive(200, says));
    chat.open(JULIET);
    await settle();
    const key = await chat.jumpTo(JULIET, { archiveId: "50" });
    const messages = () => chat.conversation(JULIET)?.messages ?? [];
    expect(messages().find((it) => it.key === key)?.body).toBe("line 50");
    expect([messages()[0]?.body, messages().at(-1)?.body]).toEqual(["line 25", "line 74"]);
    link.receive(fromJuliet("new", "<body>now</body>", "201"));
    expect(messages().at(-1)?.body).toBe("line 74");
    expect(chat.conversation(JULIET)?.lastMessage?.body).toBe("now");
    while (await chat.loadNewer(JULIET));
    expect(messages().at(-1)?.body).toBe("line 200");
  });

  it("a correction that is met before its message stands for it until it comes", async () => {
    const { chat, link } = await signedIn();
    answering.link = link;
    const of = (number: number): string =>
      number === 100 ? says(100).replace("</message>", `<replace xmlns="urn:xmpp:message-correct:0" id="m3"/></message>`) : says(number);
    link.script(archive(100, of));
    chat.open(JULIET);
    await settle();
    expect(chat.conversation(JULIET)?.messages.at(-1)?.body).toBe("line 100");
    await chat.loadOlder(JULIET);
    const messages = chat.conversation(JULIET)?.messages ?? [];
    expect(messages.find((it) => it.id === "m3")).toMatchObject({ body: "line 100", versions: [{ body: "line 3" }] });
    expect(messages.at(-1)?.body).toBe("line 99");
  });
});
