// Input by people who want something: rows R03, R04, R05, R08 of the corpus of attacks as seen by a
// client, and the rules by which only authors touch their messages.

import { describe, expect, it } from "vitest";
import { el, iq } from "../xmpp/xml";
import { asks, fromJuliet, JULIET, ME, sentMessages, settle, signedIn } from "./testkit";

const EVE = "eve@evil.example";
const ROOM = "verona@rooms.montague.example";

const wrapped = (from: string, direction: "sent" | "received"): string => `<message xmlns="jabber:client" from="${from}" to="${ME}/orchard">
  <${direction} xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">
    <message xmlns="jabber:client" type="chat" from="${JULIET}/balcony" to="${ME}" id="c1"><body>come to the tomb</body></message>
  </forwarded></${direction}></message>`;

const result = (from: string, queryId: string): string => `<message xmlns="jabber:client" from="${from}" to="${ME}/orchard">
  <result xmlns="urn:xmpp:mam:2" queryid="${queryId}" id="77"><forwarded xmlns="urn:xmpp:forward:0">
    <delay xmlns="urn:xmpp:delay" stamp="2026-01-01T00:00:00Z"/>
    <message xmlns="jabber:client" type="chat" from="${JULIET}/balcony" to="${ME}" id="m1"><body>forged past</body></message>
  </forwarded></result></message>`;

describe("copies", () => {
  it.each([EVE, `${EVE}/x`, `${ME}/orchard`, `${ME}.evil.example`, "montague.example"])("r03_a_carbon_of_%s_shows_nothing", async (from) => {
    const { chat, link } = await signedIn();
    link.receive(wrapped(from, "received"));
    link.receive(wrapped(from, "sent"));
    expect(chat.conversations).toEqual([]);
    expect(chat.unread).toBe(0);
  });

  it("r03_a_carbon_of_our_own_account_is_shown", async () => {
    const { chat, link } = await signedIn();
    link.receive(wrapped(ME, "received"));
    expect(chat.conversation(JULIET)?.messages.map((it) => it.body)).toEqual(["come to the tomb"]);
  });

  it("r03_a_carbon_within_a_carbon_shows_nothing", async () => {
    const { chat, link } = await signedIn();
    const inner = wrapped(EVE, "received").replace('xmlns="jabber:client" from', 'xmlns="jabber:client" type="chat" from');
    link.receive(`<message xmlns="jabber:client" from="${ME}" to="${ME}/orchard"><received xmlns="urn:xmpp:carbons:2">
      <forwarded xmlns="urn:xmpp:forward:0">${inner}</forwarded></received></message>`);
    expect(chat.conversations).toEqual([]);
  });

  it("r03_a_sent_copy_of_somebody_elses_message_shows_nothing", async () => {
    const { chat, link } = await signedIn();
    link.receive(wrapped(ME, "sent"));
    expect(chat.conversation(JULIET)).toBeUndefined();
  });
});

describe("the contact list", () => {
  it.each([EVE, `${ME}/orchard`, "montague.example"])("r04_a_push_of_%s_is_refused", async (from) => {
    const { chat, link } = await signedIn();
    const before = chat.contacts.length;
    link.receive(`<iq xmlns="jabber:client" type="set" id="p1" from="${from}"><query xmlns="jabber:iq:roster"><item jid="${EVE}" name="Juliet" subscription="both"/></query></iq>`);
    await settle();
    expect(chat.contacts).toHaveLength(before);
    const reply = link.sent.find((it) => it.getAttribute("id") === "p1");
    expect(reply?.getAttribute("type")).toBe("error");
  });

  it("r04_a_push_of_our_own_account_is_taken", async () => {
    const { chat, link } = await signedIn();
    link.receive(`<iq xmlns="jabber:client" type="set" id="p2" from="${ME}"><query xmlns="jabber:iq:roster" ver="2"><item jid="tybalt@capulet.example" subscription="to"/></query></iq>`);
    await settle();
    expect(chat.contacts.map((it) => it.jid)).toContain("tybalt@capulet.example");
    expect(link.sent.find((it) => it.getAttribute("id") === "p2")?.getAttribute("type")).toBe("result");
  });
});

describe("archives", () => {
  it.each([EVE, ME, `${JULIET}/balcony`])("r05_a_result_of_%s_that_was_not_asked_for_shows_nothing", async (from) => {
    const { chat, link } = await signedIn();
    link.receive(result(from, "guessed"));
    expect(chat.conversations).toEqual([]);
  });

  it("r05_a_result_of_another_than_was_asked_shows_nothing", async () => {
    const { chat, link } = await signedIn();
    link.script((request) => {
      const query = request.firstElementChild;
      if (query?.namespaceURI !== "urn:xmpp:mam:2") return undefined;
      // Eve has guessed the query's id, and is quicker than the archive.
      link.receive(result(EVE, query.getAttribute("queryid") ?? ""));
      return `<fin xmlns="urn:xmpp:mam:2" complete="true"/>`;
    });
    chat.open(JULIET);
    await chat.loadOlder(JULIET);
    expect(chat.conversation(JULIET)?.messages).toEqual([]);
  });

  it("r05_an_answer_of_another_than_was_asked_counts_for_nothing", async () => {
    const { link } = await signedIn();
    const request = iq("get", JULIET, el("ping", "urn:xmpp:ping"));
    request.setAttribute("id", "known");
    const outcome = link.iq(request).then((answer) => answer.getAttribute("from"));
    link.receive(`<iq xmlns="jabber:client" type="result" id="known" from="${EVE}"/>`);
    // The scripted server's own answer comes a moment later, and is the one that counts.
    expect(await outcome).toBe(JULIET);
  });
});

describe("nodes", () => {
  const bookmark = (from: string): string => `<message xmlns="jabber:client" type="headline" from="${from}" to="${ME}/orchard">
    <event xmlns="http://jabber.org/protocol/pubsub#event"><items node="urn:xmpp:bookmarks:1"><item id="${ROOM}">
      <conference xmlns="urn:xmpp:bookmarks:1" autojoin="true" name="Verona"/></item></items></event></message>`;

  it("r08_a_bookmark_of_somebody_else_enters_no_room", async () => {
    const { chat, link } = await signedIn();
    link.receive(bookmark(EVE));
    await settle();
    expect(chat.conversations).toEqual([]);
    expect(link.sent.filter((it) => it.getAttribute("to")?.startsWith(ROOM))).toEqual([]);
  });

  it("r08_a_bookmark_of_our_own_account_enters_the_room", async () => {
    const { link } = await signedIn();
    link.receive(bookmark(ME));
    await asks(link, ROOM);
  });

  it("r08_what_others_say_we_have_read_counts_for_nothing", async () => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", "<body>hark</body>"));
    link.receive(`<message xmlns="jabber:client" type="headline" from="${EVE}"><event xmlns="http://jabber.org/protocol/pubsub#event">
      <items node="urn:xmpp:mds:displayed:0"><item id="${JULIET}"><displayed xmlns="urn:xmpp:mds:displayed:0"><stanza-id xmlns="urn:xmpp:sid:0" id="a-1" by="${ME}"/></displayed></item></items></event></message>`);
    expect(chat.conversation(JULIET)?.unread).toBe(1);
  });
});

describe("authors", () => {
  async function roomWith(...occupants: string[]) {
    const joined = await signedIn();
    const { chat, link } = joined;
    const entered = chat.joinRoom(ROOM);
    await asks(link, ROOM);
    for (const nick of occupants) {
      link.receive(`<presence xmlns="jabber:client" from="${ROOM}/${nick}"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="member" role="participant"/></x><occupant-id xmlns="urn:xmpp:occupant-id:0" id="o-${nick}"/></presence>`);
    }
    link.receive(`<presence xmlns="jabber:client" from="${ROOM}/romeo"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="member" role="participant"/><status code="110"/></x><occupant-id xmlns="urn:xmpp:occupant-id:0" id="o-romeo"/></presence>`);
    await entered;
    await settle();
    return joined;
  }
  const says = (nick: string, id: string, content: string, occupant = `o-${nick}`): string =>
    `<message xmlns="jabber:client" type="groupchat" id="${id}" from="${ROOM}/${nick}" to="${ME}/orchard">${content}
      <stanza-id xmlns="urn:xmpp:sid:0" by="${ROOM}" id="s-${id}"/><occupant-id xmlns="urn:xmpp:occupant-id:0" id="${occupant}"/></message>`;
  const bodies = (chat: Awaited<ReturnType<typeof signedIn>>["chat"]): string[] =>
    (chat.conversation(ROOM)?.messages ?? []).filter((it) => it.notice === undefined).map((it) => it.body);

  it("a correction by another author changes nothing and is a message of its own", async () => {
    const { chat, link } = await roomWith("tybalt", "eve");
    link.receive(says("tybalt", "1", "<body>peace</body>"));
    link.receive(says("eve", "2", `<body>war</body><replace xmlns="urn:xmpp:message-correct:0" id="1"/>`));
    expect(bodies(chat)).toEqual(["peace", "war"]);
  });

  it("a correction by somebody who has taken the author's nick changes nothing", async () => {
    const { chat, link } = await roomWith("tybalt");
    link.receive(says("tybalt", "1", "<body>peace</body>"));
    link.receive(says("tybalt", "2", `<body>war</body><replace xmlns="urn:xmpp:message-correct:0" id="1"/>`, "o-eve"));
    expect(bodies(chat)).toEqual(["peace", "war"]);
  });

  it("a correction by the author takes the place of the message", async () => {
    const { chat, link } = await roomWith("tybalt");
    link.receive(says("tybalt", "1", "<body>peace</body>"));
    link.receive(says("tybalt", "2", `<body>peace?</body><replace xmlns="urn:xmpp:message-correct:0" id="1"/>`));
    expect(bodies(chat)).toEqual(["peace?"]);
    expect(chat.conversation(ROOM)?.messages.at(-1)?.versions.map((it) => it.body)).toEqual(["peace"]);
  });

  it("a retraction by another author takes nothing away", async () => {
    const { chat, link } = await roomWith("tybalt", "eve");
    link.receive(says("tybalt", "1", "<body>peace</body>"));
    link.receive(says("eve", "2", `<retract xmlns="urn:xmpp:message-retract:1" id="s-1"/>`));
    expect(bodies(chat)).toEqual(["peace"]);
  });

  it("a retraction in a moderator's name that the room has not sent takes nothing away", async () => {
    const { chat, link } = await roomWith("tybalt", "eve");
    link.receive(says("tybalt", "1", "<body>peace</body>"));
    const moderated = `<retract xmlns="urn:xmpp:message-retract:1" id="s-1"><moderated xmlns="urn:xmpp:message-moderate:1" by="${ROOM}/prince"/></retract>`;
    link.receive(says("eve", "2", moderated));
    expect(bodies(chat)).toEqual(["peace"]);
    link.receive(`<message xmlns="jabber:client" type="groupchat" from="${ROOM}" id="3">${moderated}</message>`);
    const gone = chat.conversation(ROOM)?.messages.find((it) => it.id === "1");
    expect(gone?.retraction?.moderator).toBe("prince");
    expect(gone?.body).toBe("");
  });

  it("a room that we are not in says nothing", async () => {
    const { chat, link } = await signedIn();
    link.receive(says("eve", "1", "<body>you are in our room</body>"));
    expect(chat.conversations).toEqual([]);
  });

  it("a private talk in a room is not the room", async () => {
    const { chat, link } = await roomWith("eve");
    link.receive(`<message xmlns="jabber:client" type="chat" id="p" from="${ROOM}/eve" to="${ME}/orchard"><body>psst</body><x xmlns="http://jabber.org/protocol/muc#user"/></message>`);
    expect(bodies(chat)).toEqual([]);
    expect(chat.conversation(`${ROOM}/eve`)?.messages.map((it) => it.body)).toEqual(["psst"]);
  });

  it("a reaction by a stranger starts no conversation and touches no other", async () => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", "<body>hark</body>"));
    link.receive(`<message xmlns="jabber:client" type="chat" from="${EVE}/x" to="${ME}"><reactions xmlns="urn:xmpp:reactions:0" id="1"><reaction>👍</reaction></reactions></message>`);
    expect(chat.conversation(EVE)).toBeUndefined();
    expect(chat.conversation(JULIET)?.messages[0]?.reactions).toEqual([]);
  });

  it.each(["<b>x</b>", "not an emoji", "👍👍", "1", "<script/>"])("a reaction with %s is none", async (text) => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", "<body>hark</body>"));
    const escaped = text.replace(/</g, "&lt;");
    link.receive(fromJuliet("2", `<reactions xmlns="urn:xmpp:reactions:0" id="1"><reaction>${escaped}</reaction></reactions>`));
    expect(chat.conversation(JULIET)?.messages[0]?.reactions).toEqual([]);
  });

  it("a receipt or a marker by a stranger moves nothing", async () => {
    const { chat, link } = await signedIn();
    chat.send(JULIET, "hark");
    const id = sentMessages(link).at(-1)?.getAttribute("id") ?? "";
    link.acknowledge(id);
    link.receive(`<message xmlns="jabber:client" type="chat" from="${EVE}/x"><received xmlns="urn:xmpp:receipts" id="${id}"/></message>`);
    link.receive(`<message xmlns="jabber:client" type="chat" from="${EVE}/x"><displayed xmlns="urn:xmpp:chat-markers:0" id="${id}"/></message>`);
    expect(chat.conversation(JULIET)?.messages[0]?.state).toBe("sent");
    link.receive(`<message xmlns="jabber:client" type="chat" from="${JULIET}/x"><received xmlns="urn:xmpp:receipts" id="${id}"/></message>`);
    expect(chat.conversation(JULIET)?.messages[0]?.state).toBe("delivered");
  });

  it("a stranger learns neither that a message has arrived nor that it was seen", async () => {
    const { chat, link } = await signedIn();
    link.receive(`<message xmlns="jabber:client" type="chat" id="e" from="${EVE}/x" to="${ME}"><body>there?</body><request xmlns="urn:xmpp:receipts"/><markable xmlns="urn:xmpp:chat-markers:0"/><stanza-id xmlns="urn:xmpp:sid:0" by="${ME}" id="9"/></message>`);
    chat.open(EVE);
    chat.markRead(EVE);
    expect(sentMessages(link)).toEqual([]);
    expect(chat.conversation(EVE)?.unread).toBe(0);
  });
});

describe("bounds", () => {
  it("a giant body is cut", async () => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", `<body>${"x".repeat(200_000)}</body>`));
    const body = chat.conversation(JULIET)?.messages[0]?.body ?? "";
    expect(body.length).toBe(20_001);
    expect(body.endsWith("…")).toBe(true);
  });

  it("x20_a_moment_that_is_none_is_passed_over", async () => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", `<body>hark</body><delay xmlns="urn:xmpp:delay" stamp="99999999-99-99T99:99:99Z"/>`));
    const at = chat.conversation(JULIET)?.messages[0]?.at ?? 0;
    expect(Math.abs(at - Date.now())).toBeLessThan(5_000);
  });

  it("a name cannot turn text around", async () => {
    const { chat, link } = await signedIn();
    link.receive(`<iq xmlns="jabber:client" type="set" id="p" from="${ME}"><query xmlns="jabber:iq:roster"><item jid="${EVE}" name="Juliet\u202egpj.exe\u2066" subscription="both"/></query></iq>`);
    await settle();
    expect(chat.contacts.find((it) => it.jid === EVE)?.name).toBe("Julietgpj.exe");
  });

  it("an override in a body is dropped", async () => {
    const { chat, link } = await signedIn();
    link.receive(fromJuliet("1", "<body>abc\u202edef</body>"));
    expect(chat.conversation(JULIET)?.messages[0]?.body).toBe("abcdef");
  });

  it("requests of one evening do not fill the page", async () => {
    const { chat, link } = await signedIn();
    for (let count = 0; count < 300; count += 1) {
      link.receive(`<presence xmlns="jabber:client" type="subscribe" from="bot${String(count)}@evil.example"/>`);
    }
    expect(chat.requests.length).toBe(100);
  });
});
