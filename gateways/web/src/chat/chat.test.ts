// A chat from the outside: what a person does, what the server sees, what comes back.

import "fake-indexeddb/auto";
import { IDBFactory } from "fake-indexeddb";
import { describe, expect, it } from "vitest";
import type { FakeLink, Script } from "../xmpp/fake_link";
import { attr, serialize } from "../xmpp/xml";
import { assemble } from "./create.svelte";
import { FakeLink as Link } from "../xmpp/fake_link";
import { asks, comeBack, fromJuliet, JULIET, ME, sentMessages, settle, signedIn, storages, until } from "./testkit";

const ROOM = "verona@rooms.montague.example";

/** An archive of numbered messages, of which it answers pages as a server does. */
function archive(count: number, of: (number: number) => string): Script {
  return (request) => {
    const query = request.firstElementChild;
    if (query?.namespaceURI !== "urn:xmpp:mam:2" || query.localName !== "query") return undefined;
    const link = current;
    const set = query.getElementsByTagName("set")[0];
    const value = (name: string): string | undefined => set?.getElementsByTagName(name)[0]?.textContent ?? undefined;
    const max = Number(value("max") ?? "50");
    const [before, after] = [value("before"), value("after")];
    const all = Array.from({ length: count }, (_, index) => index + 1);
    const range = after !== undefined ? all.filter((it) => it > Number(after)) : all.filter((it) => before === undefined || before === "" || it < Number(before));
    const page = after !== undefined ? range.slice(0, max) : range.slice(-max);
    const from = attr(request, "to") ?? ME;
    for (const number of page) {
      link?.receive(`<message xmlns="jabber:client" from="${from}" to="${ME}/orchard"><result xmlns="urn:xmpp:mam:2" queryid="${attr(query, "queryid") ?? ""}" id="${String(number)}">
        <forwarded xmlns="urn:xmpp:forward:0"><delay xmlns="urn:xmpp:delay" stamp="2026-01-01T00:${String(Math.floor(number / 60) % 60).padStart(2, "0")}:${String(number % 60).padStart(2, "0")}Z"/>${of(number)}</forwarded></result></message>`);
    }
    const complete = page.length === range.length ? ` complete="true"` : "";
    return `<fin xmlns="urn:xmpp:mam:2"${complete}><set xmlns="http://jabber.org/protocol/rsm"><first>${String(page[0] ?? "")}</first><last>${String(page.at(-1) ?? "")}</last></set></fin>`;
  };
}
let current: FakeLink | undefined;
const says = (number: number): string =>
  `<message xmlns="jabber:client" type="chat" id="m${String(number)}" from="${JULIET}/balcony" to="${ME}"><body>line ${String(number)}</body></message>`;

async function enter(chat: Awaited<ReturnType<typeof signedIn>>["chat"], link: FakeLink, more = ""): Promise<void> {
  const entered = chat.joinRoom(ROOM);
  await asks(link, ROOM);
  link.receive(`<presence xmlns="jabber:client" from="${ROOM}/romeo"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="owner" role="moderator"/><status code="110"/>${more}</x><occupant-id xmlns="urn:xmpp:occupant-id:0" id="o-romeo"/></presence>`);
  await entered;
  await settle();
}

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
    const link = new Link();
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
    const link = new Link();
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
    const link = new Link();
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

  it("out has the token forgotten, once for all tabs", async () => {
    const one = await signedIn();
    await one.chat.signOut();
    const other = await signedIn();
    await other.chat.signedOutElsewhere();
    expect([one.link.forgets, other.link.forgets, other.chat.state]).toEqual([true, false, "signed-out"]);
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
    current = link;
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

describe("history", () => {
  it("comes page by page, in order, without doubles, to its beginning", async () => {
    const { chat, link } = await signedIn();
    current = link;
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
    current = link;
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
    current = link;
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
    current = link;
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
    current = link;
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
    current = link;
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
    current = link;
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

describe("rooms", () => {
  it("are entered, kept in a bookmark, and say who is there", async () => {
    const { chat, link } = await signedIn();
    await enter(chat, link);
    const conversation = chat.conversation(ROOM);
    expect([conversation?.kind, conversation?.room?.join, conversation?.room?.myNick]).toEqual(["room", "joined", "romeo"]);
    link.receive(`<presence xmlns="jabber:client" from="${ROOM}/tybalt"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="member" role="participant"/></x></presence>`);
    expect(conversation?.room?.members.map((it) => it.nick)).toEqual(["romeo", "tybalt"]);
    expect(link.sent.map(serialize).some((it) => it.includes("urn:xmpp:bookmarks:1") && it.includes(`autojoin="true"`))).toBe(true);
  });

  it("our message there is sent when the room has reflected it", async () => {
    const { chat, link } = await signedIn();
    await enter(chat, link);
    chat.send(ROOM, "peace");
    const id = sentMessages(link).at(-1)?.getAttribute("id") ?? "";
    const said = () => chat.conversation(ROOM)?.messages.filter((it) => it.notice === undefined) ?? [];
    link.acknowledge(id);
    expect(said()[0]?.state).toBe("sending");
    link.receive(`<message xmlns="jabber:client" type="groupchat" id="${id}" from="${ROOM}/romeo" to="${ME}/orchard"><body>peace</body><origin-id xmlns="urn:xmpp:sid:0" id="${id}"/>
      <stanza-id xmlns="urn:xmpp:sid:0" by="${ROOM}" id="5"/><occupant-id xmlns="urn:xmpp:occupant-id:0" id="o-romeo"/></message>`);
    expect(said().map((it) => [it.state, it.archiveId, it.sender.isMe])).toEqual([["sent", "5", true]]);
  });

  it("a word with our nick, a mention and a reply call for attention", async () => {
    const { chat, link } = await signedIn();
    await enter(chat, link);
    const say = (id: string, content: string): void =>
      link.receive(`<message xmlns="jabber:client" type="groupchat" id="${id}" from="${ROOM}/tybalt" to="${ME}/orchard">${content}<stanza-id xmlns="urn:xmpp:sid:0" by="${ROOM}" id="${id}"/></message>`);
    say("1", "<body>romeos are many</body>");
    say("2", "<body>Romeo, draw!</body>");
    say("3", `<body>you there</body><reference xmlns="urn:xmpp:reference:0" type="mention" begin="0" end="3" uri="xmpp:${ME}"/>`);
    say("4", `<body>what?</body><reply xmlns="urn:xmpp:reply:0" id="x" to="${ROOM}/romeo"/>`);
    const mentioned = chat.conversation(ROOM)?.messages.filter((it) => it.mentionsMe).map((it) => it.id);
    expect(mentioned).toEqual(["2", "3", "4"]);
    expect([chat.conversation(ROOM)?.unread, chat.conversation(ROOM)?.mentions]).toEqual([4, 3]);
  });

  it("that do not let us in say why", async () => {
    const { chat, link } = await signedIn();
    const entered = chat.joinRoom(ROOM);
    const refused = expect(entered).rejects.toMatchObject({ reason: "members-only" });
    await asks(link, ROOM);
    link.receive(`<presence xmlns="jabber:client" type="error" from="${ROOM}/romeo"><error type="auth"><registration-required xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></presence>`);
    await refused;
    expect(chat.conversation(ROOM)?.room).toMatchObject({ join: "failed", joinError: "members-only" });
  });

  it("where our nick is taken let us in under another", async () => {
    const { chat, link } = await signedIn();
    void chat.joinRoom(ROOM);
    await asks(link, `${ROOM}/romeo`);
    link.receive(`<presence xmlns="jabber:client" type="error" from="${ROOM}/romeo"><error type="cancel"><conflict xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></presence>`);
    await asks(link, `${ROOM}/romeo_`);
  });

  it("are made, configured, and people invited to them", async () => {
    const service: Script = (request) => {
      const ns = request.firstElementChild?.namespaceURI;
      if (ns === "http://jabber.org/protocol/disco#items") return `<query xmlns="${ns}"><item jid="rooms.montague.example"/></query>`;
      if (ns !== "http://jabber.org/protocol/disco#info") return undefined;
      if (attr(request, "to") === "rooms.montague.example") return `<query xmlns="${ns}"><identity category="conference" type="text"/></query>`;
      return `<query xmlns="${ns}"><identity category="conference" type="text" name="The Ball"/><feature var="muc_membersonly"/></query>`;
    };
    const { chat, link } = await signedIn({ scripts: [service] });
    const options = { name: "The Ball", description: "", isMembersOnly: true, isHidden: true, isModerated: false, isNonAnonymous: true, password: "" };
    await until(() => chat.abilities.roomService !== undefined);
    const made = chat.createRoom(options, [JULIET]);
    await asks(link, "the-ball");
    const to = link.sent.at(-1)?.getAttribute("to") ?? "";
    expect(to).toMatch(/^the-ball-[a-z0-9]+@rooms\.montague\.example\/romeo$/);
    link.receive(`<presence xmlns="jabber:client" from="${to}"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="owner" role="moderator"/><status code="110"/><status code="201"/></x></presence>`);
    const jid = await made;
    expect(link.sent.map(serialize).some((it) => it.includes("muc#roomconfig_membersonly"))).toBe(true);
    const invitation = sentMessages(link).at(-1);
    expect([invitation?.getAttribute("to"), invitation?.getElementsByTagName("invite")[0]?.getAttribute("to")]).toEqual([jid, JULIET]);
    expect(chat.conversation(jid)?.name).toBe("The Ball");
  });

  it("that put us out say why, and those that are no more are forgotten", async () => {
    const { chat, link } = await signedIn();
    await enter(chat, link);
    link.receive(`<presence xmlns="jabber:client" type="unavailable" from="${ROOM}/romeo"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="outcast" role="none"><reason>brawling</reason></item><status code="301"/><status code="110"/></x></presence>`);
    expect(chat.conversation(ROOM)?.room).toMatchObject({ join: "failed", joinError: "banned", members: [] });
    expect(chat.conversation(ROOM)?.messages.at(-1)?.notice).toMatchObject({ what: "banned", detail: "brawling" });
  });

  it("that are destroyed are told of without the code for ourselves, and forgotten", async () => {
    const { chat, link } = await signedIn();
    await enter(chat, link);
    link.receive(`<presence xmlns="jabber:client" type="unavailable" from="${ROOM}/romeo"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="none" role="none"/><destroy><reason>Macbeth doth come.</reason></destroy></x></presence>`);
    expect(chat.conversation(ROOM)?.room).toMatchObject({ join: "failed", joinError: "gone" });
    expect(chat.conversation(ROOM)?.messages.at(-1)?.notice).toMatchObject({ what: "destroyed", detail: "Macbeth doth come." });
    await until(() => link.sent.some((it) => it.getElementsByTagName("retract").length > 0));
  });

  it("after a lost session are entered again and what was missed there is fetched", async () => {
    const scripts: Script[] = [
      (request) => {
        const payload = request.firstElementChild;
        if (payload?.namespaceURI === "http://jabber.org/protocol/disco#info" && attr(request, "to") === ROOM) {
          return `<query xmlns="http://jabber.org/protocol/disco#info"><feature var="urn:xmpp:mam:2"/></query>`;
        }
        const isBookmarks = payload?.getElementsByTagName("items")[0]?.getAttribute("node") === "urn:xmpp:bookmarks:1";
        if (!isBookmarks || attr(request, "type") !== "get") return undefined;
        return `<pubsub xmlns="http://jabber.org/protocol/pubsub"><items node="urn:xmpp:bookmarks:1"><item id="${ROOM}"><conference xmlns="urn:xmpp:bookmarks:1" autojoin="true" name="Verona"><nick>romeo</nick></conference></item></items></pubsub>`;
      },
    ];
    const { chat, link } = await signedIn({ scripts });
    current = link;
    const self = `<presence xmlns="jabber:client" from="${ROOM}/romeo"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="owner" role="moderator"/><status code="110"/></x></presence>`;
    await asks(link, ROOM);
    link.receive(self);
    await settle();
    expect([chat.conversation(ROOM)?.room?.join, chat.conversation(ROOM)?.name]).toEqual(["joined", "Verona"]);
    link.goOffline();
    link.script((request) => (attr(request, "to") === ROOM ? archive(3, (number) => says(number).replace(`type="chat"`, `type="groupchat"`).replace(`${JULIET}/balcony`, `${ROOM}/tybalt`))(request) : undefined));
    link.sent.length = 0;
    link.goOnline(false);
    await asks(link, ROOM);
    expect(chat.conversation(ROOM)?.room?.join).toBe("joining");
    link.receive(self);
    await settle();
    await settle();
    expect(chat.conversation(ROOM)?.messages.map((it) => it.body)).toEqual(["line 1", "line 2", "line 3"]);
  });
});

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
