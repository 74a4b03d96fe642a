import { describe, expect, it } from "vitest";
import { parseXml } from "../xmpp/fake_link";
import { serialize } from "../xmpp/xml";
import { isLower, readJmi, say, writeJmi } from "./jmi";

const message = (inside: string, type = "chat"): Element =>
  parseXml(`<message xmlns="jabber:client" from="romeo@montague.example/orchard" type="${type}">${inside}</message>`);

describe("messages around a call (XEP-0353)", () => {
  it("are of type chat and ask to be kept", () => {
    const stanza = writeJmi("juliet@capulet.example", say("propose", "s1", { media: ["audio", "video"] }));
    expect(stanza.getAttribute("type")).toBe("chat");
    expect(stanza.getElementsByTagNameNS("urn:xmpp:hints", "store")).toHaveLength(1);
    expect(serialize(stanza)).toContain('<description xmlns="urn:xmpp:jingle:apps:rtp:1" media="video"/>');
  });

  it("come back as they were written", () => {
    const retract = say("retract", "s1", { reason: { condition: "expired", text: "Tie-Break" }, isTieBreak: true });
    const finish = say("finish", "s1", { reason: { condition: "expired", text: "" }, migratedTo: "s2" });
    for (const jmi of [say("propose", "s1", { media: ["audio"] }), say("ringing", "s1"), retract, finish]) {
      expect(readJmi(parseXml(serialize(writeJmi("a@b", jmi))))).toEqual(jmi);
    }
  });

  it("are read from the specification's own examples", () => {
    const reject = `<reject xmlns='urn:xmpp:jingle-message:0' id='ca3cf894'>
      <reason xmlns="urn:xmpp:jingle:1"><busy/><text>Busy</text></reason></reject><store xmlns="urn:xmpp:hints"/>`;
    expect(readJmi(message(reject))).toEqual(say("reject", "ca3cf894", { reason: { condition: "busy", text: "Busy" } }));
  });

  it("are nothing without an id, of another type, of another word or namespace", () => {
    expect(readJmi(message("<propose xmlns='urn:xmpp:jingle-message:0'/>"))).toBeUndefined();
    expect(readJmi(message("<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>", "normal"))).toBeUndefined();
    expect(readJmi(message("<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>", "groupchat"))).toBeUndefined();
    expect(readJmi(message("<explode xmlns='urn:xmpp:jingle-message:0' id='1'/>"))).toBeUndefined();
    expect(readJmi(message("<propose xmlns='urn:xmpp:jingle-message:1' id='1'/>"))).toBeUndefined();
    expect(readJmi(message(`<propose xmlns='urn:xmpp:jingle-message:0' id='${"x".repeat(500)}'/>`))).toBeUndefined();
  });
});

describe("the lower of two sessions (RFC 4790 section 9.3)", () => {
  it("is the one whose bytes sort first, whatever the signs", () => {
    expect(isLower("ca3cf894", "fecbea35")).toBe(true);
    expect(isLower("fecbea35", "ca3cf894")).toBe(false);
    expect(isLower("A", "a")).toBe(true);
    expect(isLower("a", "ab")).toBe(true);
    expect(isLower("a", "a")).toBe(false);
    // UTF-16 would sort these the other way round.
    expect(isLower("\uffee", "\u{10000}")).toBe(true);
  });
});
