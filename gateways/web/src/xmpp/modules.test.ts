// The small modules, each with stanzas after the examples of its specification.

import { describe, expect, it } from "vitest";
import { buildReplace, parseReplace } from "./corrections";
import { parseError, StanzaError } from "./errors";
import { parseXml } from "./fake_link";
import { buildFallback, parseBody, stripFallback } from "./fallback";
import { buildFile, parseFiles } from "./files";
import { parseDelay, parseTime } from "./forward";
import { occupantId, originId, stanzaId } from "./ids";
import { buildDecline, buildInvite, parseInvitation } from "./invites";
import { bareJid, domainOf, localOf, readJid, resourceOf } from "./jid";
import { buildDisplayed, parseChatState, parseDisplayed, parseReceipt, wantsReceipt } from "./markers";
import { parsePresence } from "./presence";
import { buildReactions, isEmoji, parseReactions } from "./reactions";
import { buildMentions, parseMentions } from "./references";
import { buildReply, NS_REPLY, parseReply, unquote } from "./replies";
import { buildModerate, parseRetract, parseTombstone } from "./retraction";
import { el, message, parseStored, serialize } from "./xml";

const read = (content: string, attributes = ""): Element => parseXml(`<message xmlns="jabber:client" ${attributes}>${content}</message>`);

describe("xml", () => {
  it("x12_whatever_a_text_holds_it_stays_text", () => {
    const nasty = `</body><script xmlns="x">alert(1)</script>&amp;]]>'"\u0000\ud800`;
    const built = message({ to: `a"'<>&@b` }, el("body", "jabber:client", {}, nasty));
    const again = parseStored(serialize(built));
    expect(again?.childElementCount).toBe(1);
    expect(again?.firstElementChild?.childElementCount).toBe(0);
    expect(again?.textContent).toBe(`</body><script xmlns="x">alert(1)</script>&amp;]]>'"`);
    expect(again?.getAttribute("to")).toBe(`a"'<>&@b`);
  });

  it("declares each namespace once, and where it changes", () => {
    const built = message({}, el("body", "jabber:client", {}, "hi"), el("active", "urn:a"));
    expect(serialize(built)).toBe(`<message xmlns="jabber:client"><body>hi</body><active xmlns="urn:a"/></message>`);
  });
});

describe("addresses (RFC 7622)", () => {
  it("have parts", () => {
    expect([bareJid("Romeo@M.example/Orch/ard"), resourceOf("r@m/Orch/ard"), localOf("r@m/x"), domainOf("r@m.example/x")]).toEqual([
      "romeo@m.example",
      "Orch/ard",
      "r",
      "m.example",
    ]);
  });

  it.each([
    ["juliet", "juliet@d.example"],
    ["Juliet@Capulet.example", "juliet@capulet.example"],
    ["xmpp:juliet@capulet.example?message;body=x", "juliet@capulet.example"],
    [" juliet@capulet.example/balcony ", "juliet@capulet.example"],
    ["jülïet@möntague.example", "jülïet@möntague.example"],
  ])("are read as typed: %s", (typed, jid) => {
    expect(readJid(typed, "d.example")).toBe(jid);
  });

  it.each(["", "@capulet.example", "a b@c.example", "a@b@c", "a@-b.example", "a@", 'a"@b.example', "javascript:alert(1)", `${"a".repeat(1024)}@b.example`])(
    "are none: %s",
    (typed) => {
      expect(readJid(typed, "d.example")).toBeUndefined();
    },
  );
});

describe("moments (XEP-0082, XEP-0203)", () => {
  it("are read", () => {
    expect(parseDelay(read(`<delay xmlns="urn:xmpp:delay" stamp="2002-09-10T23:08:25Z"/>`))).toBe(Date.UTC(2002, 8, 10, 23, 8, 25));
    expect(parseTime("1969-07-21T02:56:15Z")).toBeUndefined();
    expect(parseTime("2002-09-10T23:08:25.5+02:00")).toBe(Date.UTC(2002, 8, 10, 21, 8, 25, 500));
  });
  it.each(["", "yesterday", "2002-13-40T99:00:00Z", "1e9", "2002-09-10", "+275760-09-13T00:00:00.001Z"])("x20_are_none: %s", (text) => {
    expect(parseTime(text)).toBeUndefined();
  });
});

describe("errors (RFC 6120 §8.3)", () => {
  it("have a condition, a kind, a text, and an application's own word", () => {
    const stanza = parseXml(`<iq xmlns="jabber:client" type="error"><error type="modify">
      <not-acceptable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/>
      <text xmlns="urn:ietf:params:xml:ns:xmpp-stanzas">too large</text>
      <file-too-large xmlns="urn:xmpp:http:upload:0"/></error></iq>`);
    const error = parseError(stanza);
    expect(error).toBeInstanceOf(StanzaError);
    expect([error.condition, error.kind, error.text, error.specific?.name]).toEqual(["not-acceptable", "modify", "too large", "file-too-large"]);
  });
  it("without a known condition are undefined conditions", () => {
    expect(parseError(parseXml(`<iq xmlns="jabber:client" type="error"><error type="odd"><nonsense xmlns="x"/></error></iq>`)).condition).toBe("undefined-condition");
    expect(parseError(parseXml(`<iq xmlns="jabber:client" type="error"/>`)).kind).toBe("cancel");
  });
});

describe("ids (XEP-0359, XEP-0421)", () => {
  it("count when their archive gave them", () => {
    const stanza = read(`<stanza-id xmlns="urn:xmpp:sid:0" by="evil.example" id="bad"/><stanza-id xmlns="urn:xmpp:sid:0" by="Room@Muc.example" id="good"/>
      <origin-id xmlns="urn:xmpp:sid:0" id="mine"/><occupant-id xmlns="urn:xmpp:occupant-id:0" id="occ"/>`);
    expect([stanzaId(stanza, "room@muc.example"), originId(stanza), occupantId(stanza)]).toEqual(["good", "mine", "occ"]);
    expect(stanzaId(stanza, "me@example")).toBeUndefined();
  });
  it("of absurd length are none", () => {
    expect(originId(read(`<origin-id xmlns="urn:xmpp:sid:0" id="${"x".repeat(2000)}"/>`))).toBeUndefined();
  });
});

describe("fallbacks (XEP-0428)", () => {
  it("are counted in code points", () => {
    const body = "> 👍🏽 yes\nGreat 🎂";
    const stanza = read(`<fallback xmlns="urn:xmpp:fallback:0" for="${NS_REPLY}"><body start="0" end="9"/></fallback>`);
    expect(stripFallback(stanza, body, [NS_REPLY])).toEqual({ body: "Great 🎂", stripped: "> 👍🏽 yes\n" });
  });
  it("for what is not understood are shown", () => {
    const stanza = read(`<fallback xmlns="urn:xmpp:fallback:0" for="urn:other"><body/></fallback>`);
    expect(stripFallback(stanza, "text", [NS_REPLY]).body).toBe("text");
  });
  it.each([`start="5" end="2"`, `start="-1" end="3"`, `start="0" end="99999999999"`, `start="x" end="y"`])("x20_with_odd_numbers_break_nothing: %s", (range) => {
    const stanza = read(`<fallback xmlns="urn:xmpp:fallback:0" for="${NS_REPLY}"><body ${range}/></fallback>`);
    expect(["text", ""]).toContain(stripFallback(stanza, "text", [NS_REPLY]).body);
  });
  it("the body is the one without a language", () => {
    expect(parseBody(read(`<body xml:lang="cs">ahoj</body><body>hello</body>`))).toBe("hello");
    expect(parseBody(read(`<subject>x</subject>`))).toBeUndefined();
    expect(parseBody(read(`<body xmlns="http://www.w3.org/1999/xhtml">no</body>`))).toBeUndefined();
  });
});

describe("replies (XEP-0461)", () => {
  it("quote for others and are read without the quote", () => {
    const { body, elements } = buildReply({ id: "m1", to: "anna@example.com" }, "We should\nbake 🎂", "Great idea!");
    expect(body).toBe("> We should\n> bake 🎂\nGreat idea!");
    const stanza = message({}, elements);
    expect(parseReply(stanza)).toEqual({ id: "m1", to: "anna@example.com" });
    const { body: shown, stripped } = stripFallback(stanza, body, [NS_REPLY]);
    expect([shown, unquote(stripped)]).toEqual(["Great idea!", "We should\nbake 🎂"]);
  });
});

describe("corrections (XEP-0308)", () => {
  it("name the first message", () => {
    expect(parseReplace(message({}, buildReplace("bad1")))).toBe("bad1");
    expect(parseReplace(read(`<replace id="x"/>`))).toBeUndefined();
  });
});

describe("reactions (XEP-0444)", () => {
  it("are emojis, each once", () => {
    const stanza = read(`<reactions xmlns="urn:xmpp:reactions:0" id="m"><reaction>👋</reaction><reaction>👋</reaction><reaction>word</reaction><reaction>❤️</reaction></reactions>`);
    expect(parseReactions(stanza)).toEqual({ id: "m", emojis: ["👋", "❤️"] });
    expect(parseReactions(message({}, buildReactions({ id: "m", emojis: [] })))).toEqual({ id: "m", emojis: [] });
  });
  it.each(["👍", "👍🏽", "❤️", "🇨🇭", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "1️⃣", "☺"])("%s is an emoji", (text) => expect(isEmoji(text)).toBe(true));
  it.each(["", "a", "1", "#", "👍👍", "👍 ", "<b>", "\u202e", "👍".repeat(50)])("%j is none", (text) => expect(isEmoji(text)).toBe(false));
});

describe("retractions (XEP-0424, XEP-0425)", () => {
  it("by authors, by moderators, and in archives", () => {
    expect(parseRetract(read(`<retract xmlns="urn:xmpp:message-retract:1" id="w1"/>`))).toEqual({ id: "w1", moderator: undefined, reason: "" });
    const moderated = read(`<retract id="s1" xmlns="urn:xmpp:message-retract:1"><moderated by="room@muc.example/macbeth" xmlns="urn:xmpp:message-moderate:1"/><reason>bad</reason></retract>`);
    expect(parseRetract(moderated)).toEqual({ id: "s1", moderator: "room@muc.example/macbeth", reason: "bad" });
    const tombstone = read(`<retracted stamp="2019-09-20T23:09:32Z" xmlns="urn:xmpp:message-retract:1" id="r"/>`);
    expect(parseTombstone(tombstone)?.at).toBe(Date.UTC(2019, 8, 20, 23, 9, 32));
    expect(serialize(buildModerate("room@muc.example", "s1", ""))).toContain(`<retract xmlns="urn:xmpp:message-retract:1"/>`);
  });
});

describe("delivery and reading (XEP-0184, XEP-0333, XEP-0085)", () => {
  it("are read and written", () => {
    expect(parseReceipt(read(`<received xmlns="urn:xmpp:receipts" id="a"/>`))).toBe("a");
    expect(wantsReceipt(read(`<request xmlns="urn:xmpp:receipts"/>`))).toBe(true);
    expect(parseDisplayed(message({}, buildDisplayed("b")))).toBe("b");
    expect(parseChatState(read(`<composing xmlns="http://jabber.org/protocol/chatstates"/>`))).toBe("composing");
    expect(parseChatState(read(`<dancing xmlns="http://jabber.org/protocol/chatstates"/>`))).toBeUndefined();
  });
});

describe("mentions (XEP-0372)", () => {
  it("stand at stretches counted in code points", () => {
    const body = "👍 Juliet is the sun";
    const built = message({}, buildMentions(body, [{ begin: 3, end: 9, jid: "juliet@capulet.example" }]));
    expect(built.firstElementChild?.getAttribute("begin")).toBe("2");
    expect(parseMentions(built, body)).toEqual([{ begin: 3, end: 9, jid: "juliet@capulet.example" }]);
  });
  it("name people in rooms", () => {
    const built = message({}, buildMentions("Thane of C", [{ begin: 0, end: 10, jid: "room@muc.example/Thane of C?" }]));
    expect(parseMentions(built, "Thane of C")[0]?.jid).toBe("room@muc.example/Thane of C?");
  });
  it.each(["javascript:alert(1)", "https://evil.example", "xmpp:", "xmpp:%"])("are none: %s", (uri) => {
    expect(parseMentions(read(`<reference xmlns="urn:xmpp:reference:0" type="mention" begin="0" end="1" uri="${uri}"/>`), "x")).toEqual([]);
  });
});

describe("files (XEP-0447, XEP-0446, XEP-0066)", () => {
  it("come back as they were sent", () => {
    const file = {
      url: "https://download.montague.example/4a77/summit.jpg",
      name: "summit.jpg",
      kind: "image" as const,
      mediaType: "image/jpeg",
      size: 3032449,
      width: 4096,
      height: 2160,
      duration: undefined,
      description: "Photo from the summit.",
    };
    expect(parseFiles(message({}, buildFile(file, false)))).toEqual([file]);
  });
  it("are known by their address alone", () => {
    const [file] = parseFiles(read(`<x xmlns="jabber:x:oob"><url>https://a.example/x/my%20cat.png?y=1</url></x>`));
    expect([file?.name, file?.kind, file?.size]).toEqual(["my cat.png", "image", undefined]);
  });
  it.each([
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:image/svg+xml;base64,PHN2Zy8+",
    "blob:https://a.example/1",
    "file:///etc/passwd",
    "ftp://a.example/x",
    "vbscript:x",
    "aesgcm://a.example/x#00",
    "https://bank.example@evil.example/",
    "//evil.example/x",
    "",
  ])("are none with the address %s", (url) => {
    const escaped = url.replace(/&/g, "&amp;").replace(/</g, "&lt;");
    const attribute = escaped.replace(/"/g, "&quot;");
    expect(parseFiles(read(`<x xmlns="jabber:x:oob"><url>${escaped}</url></x>`))).toEqual([]);
    const shared = `<file-sharing xmlns="urn:xmpp:sfs:0"><sources><url-data xmlns="http://jabber.org/protocol/url-data" target="${attribute}"/></sources></file-sharing>`;
    expect(parseFiles(read(shared))).toEqual([]);
  });
  it("that are documents which run are no pictures", () => {
    const svg = `<file-sharing xmlns="urn:xmpp:sfs:0"><file xmlns="urn:xmpp:file:metadata:0"><media-type>image/svg+xml</media-type><name>evil\u202egnp.svg</name></file>
      <sources><url-data xmlns="http://jabber.org/protocol/url-data" target="https://a.example/x"/></sources></file-sharing>`;
    const [file] = parseFiles(read(svg));
    expect([file?.kind, file?.name]).toEqual(["file", "evilgnp.svg"]);
  });
});

describe("invitations (XEP-0249, XEP-0045 §7.8.2)", () => {
  it("direct, and through the room, which alone speaks for itself", () => {
    const direct = read(`<x xmlns="jabber:x:conference" jid="darkcave@macbeth.example" password="cauldron" reason="Hey!"/>`, `from="crone1@shakespeare.example/desktop"`);
    expect(parseInvitation(direct)).toEqual({ room: "darkcave@macbeth.example", from: "crone1@shakespeare.example/desktop", reason: "Hey!", password: "cauldron" });
    const mediated = read(`<x xmlns="http://jabber.org/protocol/muc#user"><invite from="crone1@shakespeare.example/desktop"><reason>Hey</reason></invite></x>`, `from="darkcave@chat.shakespeare.example"`);
    expect(parseInvitation(mediated)?.room).toBe("darkcave@chat.shakespeare.example");
    expect(parseInvitation(read(`<x xmlns="jabber:x:conference" jid="not a jid"/>`, `from="a@b.example"`))).toBeUndefined();
  });
  it("are written as rooms read them", () => {
    expect(serialize(buildInvite("r@m", ["a@b", "c@d"], "come"))).toBe(
      `<message xmlns="jabber:client" to="r@m"><x xmlns="http://jabber.org/protocol/muc#user"><invite to="a@b"><reason>come</reason></invite><invite to="c@d"><reason>come</reason></invite></x></message>`,
    );
    expect(serialize(buildDecline("r@m", "a@b"))).toContain(`<decline to="a@b"/>`);
  });
});

describe("presence (RFC 6121 §4.7)", () => {
  const presence = (content: string, attributes = ""): ReturnType<typeof parsePresence> =>
    parsePresence(parseXml(`<presence xmlns="jabber:client" from="r@m/o" ${attributes}>${content}</presence>`));
  it("has a show, a status and a priority", () => {
    const { show, status, priority, type } = presence("<show>dnd</show><status>Wooing</status><priority>5</priority>");
    expect([show, status, priority, type]).toEqual(["dnd", "Wooing", 5, "available"]);
  });
  it("x20_with_odd_values_is_plain", () => {
    expect(presence("<show>party</show><priority>999</priority>")).toMatchObject({ show: "online", priority: 0 });
    expect(presence("", `type="unavailable"`).show).toBe("offline");
  });
  it("tells a picture, or that there is none", () => {
    expect(presence(`<x xmlns="vcard-temp:x:update"><photo/></x>`).photoHash).toBe("");
    expect(presence(`<x xmlns="vcard-temp:x:update"/>`).photoHash).toBeUndefined();
  });
});

describe("indications", () => {
  it("of the whole body", () => {
    expect(serialize(buildFallback("urn:x"))).toBe(`<fallback xmlns="urn:xmpp:fallback:0" for="urn:x"><body/></fallback>`);
  });
});
