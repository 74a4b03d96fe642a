import { describe, expect, it } from "vitest";
import { parseXml } from "../xmpp/fake_link";
import { serialize } from "../xmpp/xml";
import { FINGERPRINT, candidate, content } from "./fake_peer";
import { readJingle, writeJingle } from "./jingle";
import type { Jingle } from "./jingle";
import { Refused } from "./refusal";

const PWD = "asd88fgpdd777uzjYhagZg";

/** A session-initiate with parts of it replaced. */
function initiate(parts: Partial<Record<"contents" | "payloads" | "transport" | "name" | "description", string>> = {}): Element {
  const payloads = parts.payloads ?? "<payload-type id='111' name='opus' clockrate='48000' channels='2'/>";
  const transport =
    parts.transport ??
    `<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='8hhy' pwd='${PWD}'>
      <fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256' setup='actpass'>${FINGERPRINT}</fingerprint></transport>`;
  const description =
    parts.description ?? `<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'>${payloads}<rtcp-mux/></description>`;
  const contents = parts.contents ?? `<content creator='initiator' name='${parts.name ?? "voice"}'>${description}${transport}</content>`;
  return parseXml(`<jingle xmlns='urn:xmpp:jingle:1' action='session-initiate' sid='s1'
    initiator='romeo@montague.example/orchard'>${contents}</jingle>`);
}

function transport(inside: string): Element {
  return initiate({
    transport: `<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='8hhy' pwd='${PWD}'>${inside}</transport>`,
  });
}

function candidateXml(more: Record<string, string> = {}): string {
  const attributes: Record<string, string> = {
    component: "1",
    foundation: "1",
    generation: "0",
    id: "el0747fg11",
    ip: "10.0.1.1",
    network: "1",
    port: "8998",
    priority: "2130706431",
    protocol: "udp",
    type: "host",
    ...more,
  };
  return `<candidate ${Object.entries(attributes).map(([name, value]) => `${name}="${value}"`).join(" ")}/>`;
}

function refusalOf(element: Element): string {
  try {
    readJingle(element);
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    throw error;
  }
  return "nothing";
}

describe("a session's request (XEP-0166, 0167, 0176)", () => {
  it("is read from the specification's own example", () => {
    const jingle = readJingle(transport(`${candidateXml()}${candidateXml({ type: "srflx", "rel-addr": "10.0.1.1", "rel-port": "8998" })}`));
    expect(jingle.action).toBe("session-initiate");
    expect(jingle.contents[0]).toMatchObject({ name: "voice", creator: "initiator", senders: "both" });
    expect(jingle.contents[0]?.rtp?.payloads[0]).toMatchObject({ id: 111, name: "opus", clockrate: 48_000, channels: 2 });
    expect(jingle.contents[0]?.ice?.candidates).toHaveLength(2);
    expect(jingle.contents[0]?.ice?.candidates[1]).toMatchObject({ type: "srflx", relAddr: "10.0.1.1", relPort: 8998 });
  });

  it("comes back as it was written", () => {
    const jingle: Jingle = {
      action: "content-add",
      sid: "s1",
      initiator: "romeo@montague.example/orchard",
      responder: undefined,
      contents: [content("0", "initiator", "audio"), content("7", "responder", "video", ["slides"])],
      bundle: ["0", "7"],
      reason: { condition: "media-error", text: "no camera" },
      info: undefined,
      hasUnknownInfo: false,
    };
    expect(readJingle(parseXml(serialize(writeJingle(jingle))))).toEqual(jingle);
    const trickle: Jingle = { ...jingle, action: "transport-info", contents: [candidate("0", "initiator")], bundle: [], reason: undefined };
    expect(readJingle(parseXml(serialize(writeJingle(trickle))))).toEqual(trickle);
  });

  it("says who is muted, and tells what is not known from what is nothing", () => {
    const info = (inside: string): Jingle =>
      readJingle(parseXml(`<jingle xmlns='urn:xmpp:jingle:1' action='session-info' sid='s1'>${inside}</jingle>`));
    expect(info("<mute xmlns='urn:xmpp:jingle:apps:rtp:info:1' creator='responder' name='voice'/>").info).toEqual({
      what: "mute",
      content: { creator: "responder", name: "voice" },
    });
    expect(info("").info).toBeUndefined();
    expect(info("").hasUnknownInfo).toBe(false);
    expect(info("<dance xmlns='urn:xmpp:jingle:apps:rtp:info:1'/>").hasUnknownInfo).toBe(true);
  });

  it("takes a telephone event's parameter without a name, as Conversations writes it", () => {
    const payloads = "<payload-type id='110' name='telephone-event' clockrate='8000'><parameter value='0-15'/></payload-type>";
    expect(readJingle(initiate({ payloads })).contents[0]?.rtp?.payloads[0]?.parameters).toEqual([{ name: "0-15", value: undefined }]);
  });

  it("passes over candidates of protocols and types that it does not know", () => {
    const jingle = readJingle(transport(`${candidateXml({ protocol: "tcp" })}${candidateXml({ type: "carrier-pigeon" })}${candidateXml()}`));
    expect(jingle.contents[0]?.ice?.candidates).toHaveLength(1);
  });
});

describe("row T07: a description that would be a bomb is refused by name", () => {
  it("t07_a_component_that_there_is_none", () => {
    expect(refusalOf(transport(candidateXml({ component: "1000" })))).toBe("bad-candidate");
    expect(refusalOf(transport(candidateXml({ component: "0" })))).toBe("bad-candidate");
  });

  it("t07_a_hundred_thousand_candidates", () => {
    expect(refusalOf(transport(candidateXml().repeat(65)))).toBe("too-many-candidates");
    expect(refusalOf(transport(candidateXml().repeat(64)))).toBe("nothing");
  });

  it("t07_more_of_anything_than_a_call_has", () => {
    const one = "<content creator='initiator' name='c%'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content>";
    const contents = Array.from({ length: 9 }, (_, index) => one.replace("%", String(index))).join("");
    expect(refusalOf(initiate({ contents }))).toBe("too-many-contents");
    expect(refusalOf(initiate({ payloads: "<payload-type id='96' name='x'/>".repeat(97) }))).toBe("too-many-payloads");
    const inside = (text: string): string => `<payload-type id='96' name='x'>${text}</payload-type>`;
    expect(refusalOf(initiate({ payloads: inside("<parameter name='a' value='b'/>".repeat(33)) }))).toBe("too-many-parameters");
    const feedback = "<rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='nack'/>";
    expect(refusalOf(initiate({ payloads: inside(feedback.repeat(17)) }))).toBe("too-many-feedbacks");
    const extension = "<rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='1' uri='urn:x'/>";
    expect(refusalOf(initiate({ payloads: extension.repeat(33) }))).toBe("too-many-extensions");
    const source = "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='1'/>";
    expect(refusalOf(initiate({ payloads: source.repeat(17) }))).toBe("too-many-sources");
  });
});

describe("what would be a line of SDP of its own is refused by name", () => {
  const inPayload = (text: string): Element => initiate({ payloads: `<payload-type id='96' name='x'>${text}</payload-type>` });

  it.each([
    ["a name with a line end", initiate({ name: "a&#10;a=fingerprint:x" }), "bad-name"],
    ["a name with a blank", initiate({ name: "a b" }), "bad-name"],
    ["an encoding with a line end", initiate({ payloads: "<payload-type id='96' name='x&#13;&#10;a=y'/>" }), "bad-payload"],
    ["an encoding that is no number", initiate({ payloads: "<payload-type id='96 0' name='x'/>" }), "bad-payload"],
    ["an encoding above 127", initiate({ payloads: "<payload-type id='128' name='x'/>" }), "bad-payload"],
    ["a clock that is no number", initiate({ payloads: "<payload-type id='96' name='x' clockrate='1e3'/>" }), "bad-payload"],
    ["a parameter with a semicolon", inPayload("<parameter name='a' value='b;c=d'/>"), "bad-parameter"],
    ["a parameter with a line end", inPayload("<parameter name='a' value='b&#10;a=x'/>"), "bad-parameter"],
    ["a parameter of a thousand signs", inPayload(`<parameter name='a' value='${"b".repeat(1000)}'/>`), "bad-parameter"],
    ["feedback with a blank", inPayload("<rtcp-fb xmlns='urn:xmpp:jingle:apps:rtp:rtcp-fb:0' type='a b'/>"), "bad-feedback"],
    ["an extension's address with a blank", initiate({ payloads: "<rtp-hdrext xmlns='urn:xmpp:jingle:apps:rtp:rtp-hdrext:0' id='1' uri='urn:x y'/>" }), "bad-extension"],
    ["a source that is no number", initiate({ payloads: "<source xmlns='urn:xmpp:jingle:apps:rtp:ssma:0' ssrc='-1'/>" }), "bad-source"],
    ["an address that is a name", transport(candidateXml({ ip: "internal.example" })), "bad-candidate"],
    ["an address with a line end", transport(candidateXml({ ip: "10.0.0.1&#10;a=x" })), "bad-candidate"],
    ["a port that there is none", transport(candidateXml({ port: "65536" })), "bad-candidate"],
    ["a foundation with a blank", transport(candidateXml({ foundation: "1 1" })), "bad-candidate"],
    ["a fingerprint that is too short", transport("<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='sha-256'>00:11</fingerprint>"), "bad-fingerprint"],
    ["a fingerprint of a hash that is broken", transport("<fingerprint xmlns='urn:xmpp:jingle:apps:dtls:0' hash='md5'>00:11</fingerprint>"), "bad-fingerprint"],
    ["a password with a blank", initiate({ transport: "<transport xmlns='urn:xmpp:jingle:transports:ice-udp:1' ufrag='8hhy' pwd='aaaaaaaaaaaaaaaaaaaaaa b'/>" }), "bad-credentials"],
  ])("%s", (_, element, refusal) => {
    expect(refusalOf(element)).toBe(refusal);
  });

  it.each([
    ["no contents", initiate({ contents: "" }), "no-contents"],
    ["two contents of one name", initiate({ contents: "<content creator='initiator' name='a'><description xmlns='urn:xmpp:jingle:apps:rtp:1' media='audio'/><transport xmlns='urn:xmpp:jingle:transports:ice-udp:1'/></content>".repeat(2) }), "duplicate-content"],
    ["another application", initiate({ description: "<description xmlns='urn:xmpp:jingle:apps:file-transfer:5'/>" }), "unsupported-application"],
    ["another transport", initiate({ transport: "<transport xmlns='urn:xmpp:jingle:transports:s5b:1'/>" }), "unsupported-transport"],
    ["another medium", initiate({ description: "<description xmlns='urn:xmpp:jingle:apps:rtp:1' media='smell'/>" }), "bad-media"],
    ["another element", parseXml("<jingle xmlns='urn:xmpp:jingle:0' action='session-initiate' sid='1'/>"), "not-jingle"],
    ["another action", parseXml("<jingle xmlns='urn:xmpp:jingle:1' action='session-explode' sid='1'/>"), "bad-action"],
    ["no session", parseXml("<jingle xmlns='urn:xmpp:jingle:1' action='session-info'/>"), "bad-sid"],
  ])("%s", (_, element, refusal) => {
    expect(refusalOf(element)).toBe(refusal);
  });
});
