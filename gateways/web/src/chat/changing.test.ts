// Messages that change: edits, reactions, what is taken back, replies.

import { describe, expect, it } from "vitest";
import { fromJuliet, JULIET, sentMessages, signedIn } from "./testkit";

describe("changing", () => {
  it("an edit shows at once, keeps the old wording, and names the first message each time", async () => {
    const { chat, link } = await signedIn();
    chat.send(JULIET, "one");
    const message = () => chat.conversation(JULIET)?.messages[0];
    const first = message();
    if (first === undefined) throw new Error("no message");
    chat.edit(JULIET, first, "two");
    chat.edit(JULIET, message() ?? first, "three");
    expect(message()?.body).toBe("three");
    expect(message()?.versions.map((it) => it.body)).toEqual(["one", "two"]);
    const replaced = sentMessages(link).slice(1).map((it) => it.getElementsByTagName("replace")[0]?.getAttribute("id"));
    expect(replaced).toEqual([first.id, first.id]);
  });

  it("an edit that the archive tells once more changes neither wording nor time", async () => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", "<body>one</body>", "1"));
    const correction = `<body>two</body><replace xmlns="urn:xmpp:message-correct:0" id="1"/>`;
    link.receive(fromJuliet("2", correction, "2"));
    const before = chat.conversation(JULIET)?.messages;
    link.receive(fromJuliet("2", correction, "2"));
    expect(chat.conversation(JULIET)?.messages).toEqual(before);
    expect(before?.map((it) => [it.body, it.versions.length, it.archiveId])).toEqual([["two", 1, "1"]]);
  });

  it("reactions are added, taken away, and name everybody", async () => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", "<body>hark</body>"));
    const message = () => chat.conversation(JULIET)?.messages[0];
    const react = (emoji: string): void => {
      const it = message();
      if (it !== undefined) chat.react(JULIET, it, emoji);
    };
    react("👍");
    link.receive(fromJuliet("2", `<reactions xmlns="urn:xmpp:reactions:0" id="1"><reaction>👍</reaction><reaction>🌹</reaction></reactions>`));
    expect(message()?.reactions).toEqual([
      { emoji: "👍", names: ["romeo", "Juliet"], isMine: true },
      { emoji: "🌹", names: ["Juliet"], isMine: false },
    ]);
    react("👍");
    expect(message()?.reactions.find((it) => it.emoji === "👍")?.isMine).toBe(false);
    expect(sentMessages(link).at(-1)?.getElementsByTagName("reaction")).toHaveLength(0);
  });

  it("what is taken back leaves a trace and no text", async () => {
    const { chat, link } = await signedIn();
    chat.send(JULIET, "oops");
    const [message] = chat.conversation(JULIET)?.messages ?? [];
    if (message !== undefined) chat.retract(JULIET, message);
    expect(chat.conversation(JULIET)?.messages[0]).toMatchObject({ body: "", retraction: { moderator: undefined } });
    expect(sentMessages(link).at(-1)?.getElementsByTagName("retract")[0]?.getAttribute("id")).toBe(message?.id);
  });

  it("a reply quotes for others and refers for us", async () => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", "<body>wherefore\nart thou</body>"));
    const [message] = chat.conversation(JULIET)?.messages ?? [];
    if (message !== undefined) chat.send(JULIET, "here", { replyTo: message });
    const stanza = sentMessages(link).at(-1);
    expect(stanza?.getElementsByTagName("body")[0]?.textContent).toBe("> wherefore\n> art thou\nhere");
    expect(stanza?.getElementsByTagName("reply")[0]?.getAttribute("id")).toBe("1");
    expect(chat.conversation(JULIET)?.messages.at(-1)).toMatchObject({ body: "here", replyTo: { id: "1", quote: "wherefore\nart thou" } });
  });
});
