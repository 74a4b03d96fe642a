// The modules that ask a server: what they send, and what they make of the answers.

import { describe, expect, it } from "vitest";
import { sniff } from "./avatar";
import { backoffMs } from "./backoff";
import { buildBookmark, parseBookmark, parseNotify } from "./bookmarks";
import { CapsCache, capsVersion, verificationString } from "./caps";
import { buildSubmit, parseForm } from "./data_forms";
import { Dispatcher } from "./dispatcher";
import { fetchInfo } from "./disco";
import { NoAnswer, StanzaError } from "./errors";
import { FakeLink, parseXml } from "./fake_link";
import { parseInvitationLink } from "./invitation";
import { buildQuery, queryArchive } from "./mam";
import { buildDisplayedUpTo, parseDisplayedUpTo } from "./mds";
import { isJoined, joinError, parseOccupant } from "./muc";
import { fetchConfig } from "./muc_admin";
import { buildEnable, parseRegistered, readSubscription } from "./push";
import { parseFound, searchPeople } from "./people_search";
import { registrationError } from "./registration";
import { restrictParser } from "./trusted";
import { maxOfError, parseSlot } from "./upload";
import { child, el, iq, serialize } from "./xml";

function online(): FakeLink {
  const link = new FakeLink();
  link.goOnline(false);
  return link;
}

describe("requests (RFC 6120 §8.2.3)", () => {
  const dispatcher = (sent: Element[] = []): Dispatcher =>
    new Dispatcher(
      (stanza) => sent.push(stanza) > 0,
      () => "me@here.example/x",
    );

  it("are answered by whom they were sent to and by nobody else", async () => {
    const it = dispatcher();
    const request = iq("get", "pubsub.here.example", el("x", "urn:x"));
    const answer = it.request(request);
    const id = request.getAttribute("id") ?? "";
    for (const from of ["evil.example", "here.example", "me@here.example", ""]) {
      it.receive(parseXml(`<iq xmlns="jabber:client" type="result" id="${id}" from="${from}"><evil xmlns="e"/></iq>`));
    }
    it.receive(parseXml(`<iq xmlns="jabber:client" type="result" id="${id}" from="pubsub.here.example"/>`));
    expect((await answer).getAttribute("from")).toBe("pubsub.here.example");
  });

  it.each(["", `from="me@here.example"`, `from="here.example"`])("to ourselves are answered by our server: %s", async (from) => {
    const it = dispatcher();
    const request = iq("get", undefined, el("x", "urn:x"));
    const answer = it.request(request);
    it.receive(parseXml(`<iq xmlns="jabber:client" type="result" id="${request.getAttribute("id") ?? ""}" ${from}/>`));
    expect((await answer).getAttribute("type")).toBe("result");
  });

  it("end with an error, after a time, or with the session", async () => {
    const it = dispatcher();
    const first = iq("get", "a.example", el("x", "urn:x"));
    const refused = it.request(first);
    it.receive(parseXml(`<iq xmlns="jabber:client" type="error" id="${first.getAttribute("id") ?? ""}" from="a.example"><error type="cancel"><item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></iq>`));
    await expect(refused).rejects.toMatchObject({ condition: "item-not-found" });
    await expect(it.request(iq("get", "a.example"), 1)).rejects.toBeInstanceOf(NoAnswer);
    const lost = it.request(iq("get", "a.example"));
    it.failAll();
    await expect(lost).rejects.toMatchObject({ why: "disconnected" });
  });

  it("of others are always answered, also when nobody knows them or a handler fails", async () => {
    const sent: Element[] = [];
    const it = dispatcher(sent);
    it.answer("get", "urn:fails", () => {
      throw new Error("secret detail");
    });
    it.receive(parseXml(`<iq xmlns="jabber:client" type="get" id="1" from="a@b/c"><x xmlns="urn:unknown"/></iq>`));
    it.receive(parseXml(`<iq xmlns="jabber:client" type="get" id="2" from="a@b/c"><x xmlns="urn:fails"/></iq>`));
    await new Promise((resolve) => setTimeout(resolve, 0));
    const texts = sent.map(serialize);
    expect(texts[0]).toContain("service-unavailable");
    expect(texts[1]).toContain("internal-server-error");
    expect(texts.join("")).not.toContain("secret");
  });

  it("a handler that throws hurts no other", () => {
    const it = dispatcher();
    const heard: string[] = [];
    it.on({ name: "message" }, () => {
      throw new Error("broken");
    });
    it.on({ name: "message" }, () => void heard.push("second"));
    const error = console.error;
    console.error = () => undefined;
    it.receive(parseXml(`<message xmlns="jabber:client"/>`));
    console.error = error;
    expect(heard).toEqual(["second"]);
  });

  it("what is in no stanza's namespace is heard by nobody", () => {
    const it = dispatcher();
    const heard: Element[] = [];
    it.on({}, (stanza) => void heard.push(stanza));
    it.receive(parseXml(`<message xmlns="urn:evil"/>`));
    expect(heard).toEqual([]);
  });
});

describe("waiting (RFC 6120 §3.3)", () => {
  it("grows, is bounded, and is never the same for all", () => {
    expect([0, 1, 2, 10, 1000].map((it) => backoffMs(it, () => 1))).toEqual([1000, 2000, 4000, 30000, 30000]);
    expect(backoffMs(3, () => 0)).toBe(4000);
  });
});

describe("capabilities (XEP-0115 §5)", () => {
  const identity = { category: "client", type: "pc", lang: "", name: "Exodus 0.9.1" };
  const features = [
    "http://jabber.org/protocol/caps",
    "http://jabber.org/protocol/disco#info",
    "http://jabber.org/protocol/disco#items",
    "http://jabber.org/protocol/muc",
  ];
  it("make the name of the example of §5.2", async () => {
    expect(await capsVersion(verificationString([identity], features))).toBe("QgayPKawpkPSDYmwT/WM94uAlu0=");
  });
  it("are believed only when they make the name that was announced", async () => {
    const link = online();
    const query = (more: string): string =>
      `<query xmlns="http://jabber.org/protocol/disco#info"><identity category="client" type="pc" name="Exodus 0.9.1"/>${features.map((it) => `<feature var="${it}"/>`).join("")}${more}</query>`;
    let answer = query(`<feature var="urn:xmpp:evil"/>`);
    link.script(() => answer);
    const caps = { node: "n", ver: "QgayPKawpkPSDYmwT/WM94uAlu0=", hash: "sha-1" };
    const cache = new CapsCache(link);
    expect((await cache.features("a@b/c", caps)).size).toBe(0);
    answer = query("");
    expect((await cache.features("a@b/c", caps)).has("http://jabber.org/protocol/muc")).toBe(true);
    const asked = link.sent.length;
    await cache.features("d@e/f", caps);
    expect(link.sent.length).toBe(asked);
  });
});

describe("forms (XEP-0004)", () => {
  it("are read and answered", () => {
    const form = parseForm(parseXml(`<q xmlns="q"><x xmlns="jabber:x:data" type="form"><title>T</title><field var="a" type="boolean"><value>1</value></field><field var="b"><value>x</value><value>y</value></field></x></q>`));
    expect(form?.fields.get("b")?.values).toEqual(["x", "y"]);
    expect(serialize(buildSubmit("urn:f", { a: true, b: ["x"], c: undefined }))).toBe(
      `<x xmlns="jabber:x:data" type="submit"><field var="FORM_TYPE" type="hidden"><value>urn:f</value></field><field var="a"><value>1</value></field><field var="b"><value>x</value></field></x>`,
    );
  });
});

describe("archives (XEP-0313)", () => {
  it("are asked for pages, by address, time and words", () => {
    const query = buildQuery({ with: "juliet@capulet.example", start: Date.UTC(2010, 5, 7), text: "sun", page: { max: 10, before: "" } }, "q1");
    const text = serialize(query);
    expect(text).toContain(`<field var="with"><value>juliet@capulet.example</value></field>`);
    expect(text).toContain("2010-06-07T00:00:00.000Z");
    expect(text).toContain("{urn:xmpp:fulltext:0}fulltext");
    expect(text).toContain("<max>10</max><before/>");
  });
  it("give a page and what comes before and after", async () => {
    const link = online();
    link.script((request) => {
      const id = child(request, "query", "urn:xmpp:mam:2")?.getAttribute("queryid") ?? "";
      for (const number of [1, 2]) {
        link.receive(`<message xmlns="jabber:client" to="${link.jid}"><result xmlns="urn:xmpp:mam:2" queryid="${id}" id="${String(number)}"><forwarded xmlns="urn:xmpp:forward:0"><delay xmlns="urn:xmpp:delay" stamp="2010-07-10T23:08:25Z"/><message xmlns="jabber:client"><body>${String(number)}</body></message></forwarded></result></message>`);
      }
      return `<fin xmlns="urn:xmpp:mam:2"><set xmlns="http://jabber.org/protocol/rsm"><first index="0">1</first><last>2</last><count>7</count></set></fin>`;
    });
    // Without a sender it is somebody's who has none: results of our archive come from our account.
    const none = await queryArchive(link, link.bareJid, { page: { max: 10 } });
    expect(none.entries).toEqual([]);
    expect([none.first, none.last, none.count, none.isComplete]).toEqual(["1", "2", 7, false]);
  });
});

describe("reading (XEP-0490)", () => {
  it("is told by conversation, with the id of the archive", () => {
    const built = buildDisplayedUpTo({ conversation: "romeo@montague.example", id: "0f710f2b" }, "juliet@capulet.example");
    const payload = child(child(child(child(built, "pubsub", "http://jabber.org/protocol/pubsub"), "publish", "http://jabber.org/protocol/pubsub"), "item", "http://jabber.org/protocol/pubsub"), "displayed", "urn:xmpp:mds:displayed:0");
    expect(parseDisplayedUpTo({ id: "romeo@montague.example", payload })).toEqual({ conversation: "romeo@montague.example", id: "0f710f2b" });
    expect(parseDisplayedUpTo({ id: "x", payload: el("displayed", "urn:other") })).toBeUndefined();
  });
});

describe("bookmarks (XEP-0402, XEP-0492)", () => {
  const payload = parseXml(`<conference xmlns="urn:xmpp:bookmarks:1" name="The Orchard" autojoin="1"><nick>JC</nick><extensions>
    <state xmlns="http://myclient.example/bookmark/state" minimized="true"/>
    <notify xmlns="urn:xmpp:notification-settings:1"><never identity-category="client" identity-type="phone"/><on-mention/></notify></extensions></conference>`);
  const bookmark = parseBookmark({ id: "orchard@rooms.shakespeare.example", payload });

  it("are read with their settings", () => {
    expect(bookmark).toMatchObject({ jid: "orchard@rooms.shakespeare.example", name: "The Orchard", isAutojoin: true, nick: "JC", notify: "on-mention" });
  });
  it("keep what other clients have put into them", () => {
    if (bookmark === undefined) throw new Error("no bookmark");
    const text = serialize(buildBookmark({ ...bookmark, notify: "always" }));
    expect(text).toContain(`minimized="true"`);
    expect(text).toContain(`<always/><never identity-category="client" identity-type="phone"/>`);
    expect(text).not.toContain("on-mention");
    expect(text).toContain("pubsub#access_model");
  });
  it("what is meant for this kind of client counts most", () => {
    const notify = parseXml(`<notify xmlns="urn:xmpp:notification-settings:1"><always/><never identity-category="client"/><on-mention identity-category="client" identity-type="web"/></notify>`);
    expect(parseNotify(notify)).toBe("on-mention");
  });
});

describe("rooms (XEP-0045)", () => {
  it("say who is there", () => {
    const occupant = parseOccupant(
      parseXml(`<presence xmlns="jabber:client" from="coven@chat.shakespeare.example/thirdwitch"><x xmlns="http://jabber.org/protocol/muc#user">
        <item affiliation="member" role="participant" jid="hag66@shakespeare.example/pda"/><status code="110"/><status code="210"/></x></presence>`),
    );
    expect(occupant).toMatchObject({ room: "coven@chat.shakespeare.example", nick: "thirdwitch", isSelf: true, affiliation: "member", role: "participant", jid: "hag66@shakespeare.example" });
  });
  it("say who is called otherwise", () => {
    const left = parseOccupant(
      parseXml(`<presence xmlns="jabber:client" type="unavailable" from="c@m/old"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="none" role="participant" nick="new"/><status code="303"/></x></presence>`),
    );
    expect([left?.isAvailable, left?.newNick]).toEqual([false, "new"]);
  });
  it.each([
    ["not-authorized", "password"],
    ["forbidden", "banned"],
    ["registration-required", "members-only"],
    ["conflict", "nick-taken"],
    ["service-unavailable", "full"],
    ["internal-server-error", "unreachable"],
  ])("say why nobody is let in: %s", (condition, reason) => {
    const stanza = parseXml(`<presence xmlns="jabber:client" type="error"><error type="auth"><${condition} xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error></presence>`);
    expect(joinError(stanza)).toBe(reason);
  });
  it.each([
    ["", true],
    [`<error type="cancel"><not-acceptable xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`, false],
    [`<error type="cancel"><feature-not-implemented xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`, true],
    [`<error type="wait"><remote-server-timeout xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></error>`, true],
  ])("tell whether we are inside (XEP-0410 §3): %s", async (answer, inside) => {
    const link = online();
    link.script(() => answer);
    expect(await isJoined(link, "r@m", "me")).toBe(inside);
  });
  it("have a configuration", async () => {
    const link = online();
    link.script(
      () => `<query xmlns="http://jabber.org/protocol/muc#owner"><x xmlns="jabber:x:data" type="form"><field var="muc#roomconfig_roomname"><value>A Dark Cave</value></field>
        <field var="muc#roomconfig_membersonly"><value>1</value></field><field var="muc#roomconfig_whois"><value>anyone</value></field></x></query>`,
    );
    expect(await fetchConfig(link, "r@m")).toMatchObject({ name: "A Dark Cave", isMembersOnly: true, isNonAnonymous: true, isHidden: true, password: "" });
  });
});

describe("uploads (XEP-0363)", () => {
  const slot = (put: string, get = "https://download.montague.example/x", headers = ""): Element =>
    parseXml(`<iq xmlns="jabber:client"><slot xmlns="urn:xmpp:http:upload:0"><put url="${put}">${headers}</put><get url="${get}"/></slot></iq>`);
  it("go where the service says, with the headers that are allowed", () => {
    const headers = `<header name="Authorization">Basic \nx</header><header name="Host">evil</header><header name="Expires">0</header>`;
    expect(parseSlot(slot("https://upload.montague.example/x", undefined, headers))).toEqual({
      put: "https://upload.montague.example/x",
      get: "https://download.montague.example/x",
      headers: { authorization: "Basic x", expires: "0" },
    });
  });
  it.each(["http://evil.example/x", "javascript:alert(1)", "file:///x", ""])("never go to %s", (url) => {
    expect(() => parseSlot(slot(url))).toThrow(StanzaError);
  });
  it("are told how large they may be", () => {
    const element = parseXml(`<error xmlns="jabber:client"><file-too-large xmlns="urn:xmpp:http:upload:0"><max-file-size>20000</max-file-size></file-too-large></error>`);
    expect(maxOfError(new StanzaError("not-acceptable", "modify", "", undefined, element))).toBe(20000);
  });
});

describe("pictures (XEP-0084)", () => {
  it("are what their bytes are", () => {
    expect(sniff(new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))).toBe("image/png");
    expect(sniff(new Uint8Array([0xff, 0xd8, 0xff, 0xe0]))).toBe("image/jpeg");
    expect(sniff(new TextEncoder().encode("<svg onload='alert(1)'/>"))).toBeUndefined();
  });
});

describe("push (XEP-0357)", () => {
  it("is registered with the app server and enabled with its secret", () => {
    expect(readSubscription({ endpoint: "https://p.example/1", keys: { p256dh: "k", auth: "a" } })).toEqual({ endpoint: "https://p.example/1", p256dh: "k", auth: "a" });
    expect(readSubscription({ endpoint: "https://p.example/1" })).toBeUndefined();
    const answer = parseXml(`<iq xmlns="jabber:client"><registered xmlns="urn:klatsch:web-push:0" node="n" secret="s"/></iq>`);
    const { node, secret } = parseRegistered(answer);
    const text = serialize(buildEnable("push.example", node, secret));
    expect(text).toContain(`<enable xmlns="urn:xmpp:push:0" jid="push.example" node="n">`);
    expect(text).toContain(`<field var="secret"><value>s</value></field>`);
  });
});

describe("invitations (XEP-0401)", () => {
  const answer = (fields: string): Element =>
    parseXml(`<iq xmlns="jabber:client"><command xmlns="http://jabber.org/protocol/commands"><x xmlns="jabber:x:data" type="result">${fields}</x></command></iq>`);
  it("are a page, else an address", () => {
    const uri = `<field var="uri"><value>xmpp:a@b?roster;preauth=1</value></field>`;
    expect(parseInvitationLink(answer(`${uri}<field var="landing-url"><value>https://b.example/i/1</value></field>`))).toBe("https://b.example/i/1");
    expect(parseInvitationLink(answer(`${uri}<field var="landing-url"><value>javascript:alert(1)</value></field>`))).toBe("xmpp:a@b?roster;preauth=1");
    expect(() => parseInvitationLink(answer(""))).toThrow(StanzaError);
  });
});

describe("registration (XEP-0077, XEP-0445)", () => {
  it.each([
    [new StanzaError("conflict"), "taken"],
    [new StanzaError("not-acceptable", "modify", "a password has at least 8 characters"), "weak-password"],
    [new StanzaError("not-acceptable", "modify", "this is no name"), "bad-name"],
    [new StanzaError("item-not-found"), "bad-invitation"],
    [new StanzaError("forbidden"), "closed"],
    [new NoAnswer("timeout"), "unreachable"],
  ])("says what went wrong: %s", (error, why) => {
    expect(registrationError(error)).toBe(why);
  });
});

describe("discovery (XEP-0030)", () => {
  it("gives identities and features", async () => {
    const link = online();
    link.script(() => `<query xmlns="http://jabber.org/protocol/disco#info"><identity category="server" type="im"/><feature var="urn:a"/><feature/></query>`);
    const info = await fetchInfo(link, "example.org");
    expect([info.identities[0]?.category, [...info.features]]).toEqual(["server", ["urn:a"]]);
  });
});

describe("the parser", () => {
  it("reads XML and nothing else where the page allows no HTML of text", () => {
    const scope = {
      trustedTypes: { createPolicy: (_: string, rules: { createHTML(text: string): string }) => rules },
      DOMParser,
    };
    restrictParser(scope);
    const parser = new scope.DOMParser();
    expect(parser.parseFromString("<a/>", "text/xml").documentElement.localName).toBe("a");
    expect(() => parser.parseFromString("<b>", "text/html")).toThrow(TypeError);
    expect(() => parser.parseFromString("<svg/>", "image/svg+xml")).toThrow(TypeError);
  });
});

describe("people of a directory (XEP-0055)", () => {
  const field = (name: string, value: string): string => `<field var="${name}"><value>${value}</value></field>`;
  const found = (items: string): string =>
    `<query xmlns="jabber:iq:search"><x xmlns="jabber:x:data" type="result">${items}</x></query>`;

  it("are asked for in the field that takes names and addresses", async () => {
    const link = online();
    link.script(() => found(`<item>${field("jid", "jane@x.example")}${field("nick", "Poe, Jane")}</item>`));
    expect(await searchPeople(link, "people.x.example", "po")).toEqual([{ jid: "jane@x.example", name: "Poe, Jane" }]);
    const asked = link.sent.at(-1);
    expect([asked?.getAttribute("type"), asked?.getAttribute("to")]).toEqual(["set", "people.x.example"]);
    expect(asked && serialize(asked)).toContain(`<field var="any"><value>po</value></field>`);
  });

  it("without an address are nobody, and without a name their address", () => {
    const items = `<item>${field("nick", "Nobody")}</item><item>${field("jid", "a@x.example")}</item>`;
    const answer = parseXml(`<iq xmlns="jabber:client" type="result">${found(items)}</iq>`);
    expect(parseFound(answer)).toEqual([{ jid: "a@x.example", name: "a@x.example" }]);
  });
});
