// What is sent: at once, later, once more, or not at all.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { describe, expect, it } from "vitest";
import { answering, archive, comeBack, JULIET, ME, sentMessages, settle, signedIn, storages, until } from "./testkit";

describe("sending", () => {
  it("shows at once, and is sent, delivered and read as the others tell", async () => {
    const { chat, link } = await signedIn();
    chat.send(JULIET, "hark");
    const state = (): string | undefined => chat.conversation(JULIET)?.messages[0]?.state;
    expect(state()).toBe("sending");
    const id = sentMessages(link)[0]?.getAttribute("id") ?? "";
    link.acknowledge(id);
    expect(state()).toBe("sent");
    link.receive(`<message xmlns="jabber:client" type="chat" from="${JULIET}/b"><received xmlns="urn:xmpp:receipts" id="${id}"/></message>`);
    expect(state()).toBe("delivered");
    link.receive(`<message xmlns="jabber:client" type="chat" from="${JULIET}/b"><displayed xmlns="urn:xmpp:chat-markers:0" id="${id}"/></message>`);
    expect(state()).toBe("read");
    link.receive(`<message xmlns="jabber:client" type="chat" from="${JULIET}/b"><received xmlns="urn:xmpp:receipts" id="${id}"/></message>`);
    expect(state()).toBe("read");
  });

  it("without a connection waits, survives the page, and happens once", async () => {
    const databases = new IDBFactory();
    const kept = storages();
    kept.local.setItem("klatsch.session", JSON.stringify({ jid: ME, keys: { name: "SHA-256", salt: "", iter: 4096, ck: "ck", sk: "" }, isPublic: false }));
    const first = await signedIn({ databases, storages: kept });
    first.link.goOffline();
    first.chat.send(JULIET, "wait for me");
    expect(first.chat.state).toBe("offline");
    expect(sentMessages(first.link)).toEqual([]);
    first.chat.leavePage();
    await settle();
    await settle();
    const { link, chat } = await signedIn({ databases, storages: kept });
    await until(() => sentMessages(link).length > 0);
    expect(sentMessages(link).map((it) => it.textContent)).toEqual(["wait for me"]);
    link.acknowledge(sentMessages(link)[0]?.getAttribute("id") ?? "");
    expect(chat.conversation(JULIET)?.messages.map((it) => it.state)).toEqual(["sent"]);
    link.goOffline();
    await comeBack(link);
    expect(sentMessages(link)).toHaveLength(1);
  });

  it("that was under way when the session was lost is looked for in the archive, not sent twice", async () => {
    const { chat, link } = await signedIn();
    answering.link = link;
    chat.send(JULIET, "once");
    const stanza = sentMessages(link)[0];
    const id = stanza?.getAttribute("id") ?? "";
    link.goOffline();
    link.script(archive(1, () => `<message xmlns="jabber:client" type="chat" id="${id}" from="${ME}/orchard" to="${JULIET}"><body>once</body><origin-id xmlns="urn:xmpp:sid:0" id="${id}"/></message>`));
    await comeBack(link);
    expect(sentMessages(link)).toHaveLength(1);
    expect(chat.conversation(JULIET)?.messages.map((it) => [it.body, it.state, it.archiveId])).toEqual([["once", "sent", "1"]]);
  });

  it("that was under way and has not arrived is sent again with the same id", async () => {
    const { chat, link } = await signedIn();
    chat.send(JULIET, "again");
    link.goOffline();
    await comeBack(link);
    const ids = sentMessages(link).map((it) => it.getAttribute("id"));
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBe(ids[1]);
    expect(chat.conversation(JULIET)?.messages).toHaveLength(1);
  });

  it("over a resumed session is not repeated: the library does that", async () => {
    const { chat, link } = await signedIn();
    chat.send(JULIET, "x");
    link.goOffline();
    chat.send(JULIET, "y");
    link.goOnline(true);
    await settle();
    expect(sentMessages(link).map((it) => it.textContent)).toEqual(["x", "y"]);
  });

  it("what is refused has failed, and can be sent again or forgotten", async () => {
    const { chat, link } = await signedIn();
    chat.send(JULIET, "hark");
    const id = sentMessages(link)[0]?.getAttribute("id") ?? "";
    link.receive(`<message xmlns="jabber:client" type="error" id="${id}" from="${JULIET}"><error type="cancel"><service-unavailable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></message>`);
    const [failed] = chat.conversation(JULIET)?.messages ?? [];
    expect([failed?.state, failed?.error]).toEqual(["failed", "service-unavailable"]);
    if (failed === undefined) return;
    chat.resend(JULIET, failed);
    expect(chat.conversation(JULIET)?.messages[0]?.state).toBe("sending");
    expect(sentMessages(link)).toHaveLength(2);
    chat.discard(JULIET, failed);
    expect(chat.conversation(JULIET)?.messages).toEqual([]);
  });

  it("too much at once fails here and not at the server", async () => {
    const { chat, link } = await signedIn();
    chat.send(JULIET, "x".repeat(300_000));
    expect(sentMessages(link)).toEqual([]);
    expect(chat.conversation(JULIET)?.messages[0]).toMatchObject({ state: "failed", error: "too-large" });
  });
});
