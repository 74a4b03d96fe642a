// Rooms of many.

import { describe, expect, it } from "vitest";
import type { Script } from "../xmpp/fake_link";
import { attr, serialize } from "../xmpp/xml";
import { answering, archive, asks, enter, JULIET, ME, ROOM, says, sentMessages, settle, signedIn, until } from "./testkit";

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
    answering.link = link;
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
