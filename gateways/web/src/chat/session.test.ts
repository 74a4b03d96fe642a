// Signing in and out, and what a visit leaves for the next.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { describe, expect, it } from "vitest";
import { FakeLink } from "../xmpp/fake_link";
import { serialize } from "../xmpp/xml";
import { assemble } from "./create.svelte";
import { comeBack, fromJuliet, JULIET, ME, settle, signedIn, storages } from "./testkit";

describe("signing in", () => {
  it("leaves keys and no password, and asks for copies, contacts and presence", async () => {
    const { chat, link } = await signedIn();
    expect(chat.state).toBe("online");
    expect(chat.contacts.map((it) => it.name)).toEqual(["Juliet", "nurse"]);
    const sent = link.sent.map(serialize);
    expect(sent.some((it) => it.includes("urn:xmpp:carbons:2"))).toBe(true);
    expect(sent.some((it) => it.startsWith("<presence") && it.includes("http://jabber.org/protocol/caps"))).toBe(true);
    expect(sent.join("")).not.toContain("secret");
  });

  it("with what is no name fails without asking anybody", async () => {
    const link = new FakeLink();
    const chat = assemble(link, { url: "ws://localhost/", domain: "montague.example" }, { storages: storages(), databases: undefined, tab: "t" });
    await expect(chat.signIn({ user: "a b@c", password: "x" })).rejects.toMatchObject({ reason: "not-authorized" });
    expect(chat.state).toBe("signed-out");
  });

  it("what was there before is shown before the connection is up, and the draft with it", async () => {
    const databases = new IDBFactory();
    const kept = storages();
    kept.local.setItem("klatsch.session", JSON.stringify({ jid: ME, keys: { name: "SHA-256", salt: "", iter: 4096, ck: "ck", sk: "" }, isPublic: false }));
    const first = await signedIn({ databases, storages: kept });
    first.link.receive(fromJuliet("1", "<body>hark</body>"));
    first.chat.setDraft(JULIET, { body: "but soft", replyTo: undefined, edits: undefined, at: 1 });
    first.chat.leavePage();
    await settle();
    await settle();
    const link = new FakeLink();
    link.connect = () => new Promise(() => undefined);
    const chat = assemble(link, { url: "ws://localhost/", domain: "montague.example" }, { storages: kept, databases, tab: "tab" });
    await chat.restore();
    expect(chat.state).toBe("restoring");
    expect(chat.contacts.map((it) => it.jid)).toContain(JULIET);
    expect(chat.conversations[0]?.messages.map((it) => it.body)).toEqual(["hark"]);
    expect(chat.conversations[0]?.draft?.body).toBe("but soft");
    expect(chat.unread).toBe(1);
  });

  it("keeps a token, and no copies are asked for that the session has already", async () => {
    const kept = storages();
    const { chat, link } = await signedIn({ storages: kept });
    link.leave({ token: "token-1" });
    expect(JSON.parse(kept.local.getItem("klatsch.session") ?? "")).toEqual({ jid: ME, token: "token-1", isPublic: false });
    const agent = kept.local.getItem("klatsch.agent");
    expect(link.credentials).toEqual([{ jid: ME, password: "secret", agent, url: "ws://localhost/ws" }]);
    const before = link.sent.length;
    link.hasCarbons = true;
    await comeBack(link);
    expect(link.sent.slice(before).some((it) => serialize(it).includes("urn:xmpp:carbons:2"))).toBe(false);
    expect(chat.state).toBe("online");
  });

  it("on a public computer leaves the token to the tab", async () => {
    const kept = storages();
    const link = new FakeLink();
    const chat = assemble(link, { url: "ws://localhost/", domain: "montague.example" }, { storages: kept, databases: undefined, tab: "t" });
    await chat.signIn({ user: "romeo", password: "secret", isPublicComputer: true });
    link.leave({ token: "token-1" });
    expect(kept.local.length).toBe(0);
    expect(kept.session.getItem("klatsch.session")).toContain("token-1");
  });

  it("by a token that is over ends at the form, and nothing of it stays", async () => {
    const kept = storages();
    const { chat, link } = await signedIn({ storages: kept });
    link.leave({ token: "token-1" });
    link.fail("expired");
    await settle();
    expect([chat.state, chat.error]).toEqual(["signed-out", "expired"]);
    expect(kept.local.getItem("klatsch.session")).toBeNull();
  });

  it("goes on with the token that another tab was given", async () => {
    const kept = storages();
    const { chat, link } = await signedIn({ storages: kept });
    link.leave({ token: "token-1" });
    kept.local.setItem("klatsch.session", JSON.stringify({ jid: ME, token: "token-2", isPublic: false }));
    link.fail("expired");
    await settle();
    expect([chat.state, chat.error, link.credentials.at(-1)?.token]).toEqual(["online", undefined, "token-2"]);
    link.fail("expired");
    await settle();
    expect([chat.state, chat.error]).toEqual(["signed-out", "expired"]);
  });

  it("leaves alone what somebody else has signed in with meanwhile", async () => {
    const kept = storages();
    const { chat, link } = await signedIn({ storages: kept });
    link.leave({ token: "token-1" });
    const other = JSON.stringify({ jid: JULIET, token: "hers", isPublic: false });
    kept.local.setItem("klatsch.session", other);
    link.fail("expired");
    await settle();
    expect([chat.state, kept.local.getItem("klatsch.session")]).toEqual(["signed-out", other]);
  });

  it("out forgets everything", async () => {
    const databases = new IDBFactory();
    const kept = storages();
    kept.local.setItem("klatsch.session", "{}");
    const { chat, link } = await signedIn({ databases, storages: kept });
    link.receive(fromJuliet("1", "<body>hark</body>"));
    await chat.signOut();
    expect([chat.state, chat.contacts, chat.conversations, chat.unread]).toEqual(["signed-out", [], [], 0]);
    expect(kept.local.length).toBe(0);
    expect(await databases.databases()).toEqual([]);
  });
});
