// The files under golden/ are descriptions as Chromium 156 makes them: `offer.sdp` of a caller with
// microphone and camera, `answer.sdp` to it, `screen.sdp` when the caller shows a screen besides, and
// `dino.xml`, a session as a client without BUNDLE opens it (modelled on Dino 0.5).

import { describe, expect, it } from "vitest";
import { parseXml } from "../xmpp/fake_link";
import { serialize } from "../xmpp/xml";
import type { Party } from "./content";
import answerText from "./golden/answer.sdp?raw";
import dino from "./golden/dino.xml?raw";
import offerText from "./golden/offer.sdp?raw";
import screenText from "./golden/screen.sdp?raw";
import { readJingle, writeJingle } from "./jingle";
import type { Jingle } from "./jingle";
import { describe as describeSlots, msidOf, readBundle, readSdp, writeSdp } from "./mapping";
import { Negotiation } from "./negotiation";
import { parse, print } from "./sdp";

/** Kept with the ends of lines that files have here. */
const crlf = (text: string): string => text.replace(/\r?\n/g, "\r\n");
const [offer, answer, screen] = [crlf(offerText), crlf(answerText), crlf(screenText)];

function toJingle(text: string, party: Party): Jingle {
  const sdp = parse(text);
  const { contents, bundle } = describeSlots(readSdp(sdp, party, () => "initiator"), readBundle(sdp));
  const action = party === "initiator" ? "session-initiate" : "session-accept";
  return { action, sid: "s1", initiator: undefined, responder: undefined, contents, bundle, reason: undefined, info: undefined, hasUnknownInfo: false };
}

/** Through XML and back, as the other side gets it. */
function across(text: string, party: Party): string {
  const type = party === "initiator" ? "offer" : "answer";
  const { contents, bundle } = readJingle(parseXml(serialize(writeJingle(toJingle(text, party)))));
  return print(writeSdp(contents.map((content) => ({ content, isRejected: false })), bundle, party, type));
}

/** Lines that say nothing to a browser that WebRTC does not imply, or that Jingle has no words for. */
const LOST = /^a=(?:rtcp:|rtcp-rsize|rtcp-xr:|msid-semantic|extmap-allow-mixed|ice-options|bundle-only|candidate:|ssrc:\d+ msid:|content:)/;

/** The lines that count, medium by medium. */
function essence(text: string): string[][] {
  const media = text.split(/^(?=m=)/m).slice(1);
  return media.map((section) =>
    section
      .split("\r\n")
      .filter((line) => line !== "" && !LOST.test(line) && !line.startsWith("c="))
      .map((line) => line.replace(/^(m=\w+) \d+/, "$1 9").replace(/; /g, ";"))
      .sort(),
  );
}

describe("a description of Chromium", () => {
  it.each([
    ["offer", offer, "initiator"],
    ["answer", answer, "responder"],
    ["screen", screen, "initiator"],
  ] satisfies [string, string, Party][])("%s comes out of Jingle as it went in", (_, text, party) => {
    expect(essence(across(text, party))).toEqual(essence(text));
  });

  it("is this in Jingle", async () => {
    const xml = serialize(writeJingle(toJingle(offer, "initiator"))).replace(/></g, ">\n<");
    await expect(`${xml}\n`).toMatchFileSnapshot("golden/offer.xml");
  });

  it("keeps what it bundles", () => {
    expect(toJingle(offer, "initiator").bundle).toEqual(["0", "1"]);
    expect(across(offer, "initiator")).toContain("a=group:BUNDLE 0 1\r\n");
  });

  it("says who sends as Jingle does", () => {
    const text = offer.replace("a=sendrecv", "a=sendonly");
    expect(toJingle(text, "initiator").contents[0]?.senders).toBe("initiator");
    expect(toJingle(text, "responder").contents[0]?.senders).toBe("responder");
    expect(across(text, "initiator")).toContain("a=sendonly\r\n");
    expect(across(offer.replace("a=sendrecv", "a=recvonly"), "responder")).toContain("a=recvonly\r\n");
    expect(toJingle(offer.replace("a=sendrecv", "a=inactive"), "initiator").contents[0]?.senders).toBe("none");
  });

  it("leaves out a medium that is refused, not one that waits for the bundle", () => {
    const refused = answer.replace(/^m=video \d+/m, "m=video 0");
    expect(toJingle(refused, "responder").contents.map((it) => it.name)).toEqual(["0"]);
    const bundled = offer.replace(/^m=video \d+/m, "m=video 0").replace("a=mid:1", "a=mid:1\r\na=bundle-only");
    expect(toJingle(bundled, "initiator").contents.map((it) => it.name)).toEqual(["0", "1"]);
  });
});

describe("the part in the handshake", () => {
  it("is left open in an offer and chosen in an answer (RFC 8842 section 5)", () => {
    expect(across(offer, "initiator")).toContain("a=setup:actpass\r\n");
    expect(across(answer, "responder")).toContain("a=setup:active\r\n");
    expect(across(answer.replace(/a=setup:active/g, "a=setup:passive"), "responder")).toContain("a=setup:passive\r\n");
    expect(across(answer.replace(/a=setup:active/g, "a=setup:actpass"), "responder")).toContain("a=setup:active\r\n");
  });
});

describe("a stream's name", () => {
  it("is made of tokens, whatever a browser puts around it", () => {
    expect(msidOf("{8f2a-1} {77 b}")).toBe("8f2a-1 77");
    expect(msidOf("- 41ad")).toBe("- 41ad");
    expect(msidOf("one two three")).toBe("one two");
    expect(msidOf("{ }")).toBe("");
  });
});

describe("a client without BUNDLE", () => {
  const initiate = readJingle(parseXml(dino));

  it("is offered to the browser with a transport for each medium", () => {
    const text = new Negotiation("responder").offer(initiate);
    expect(text).not.toContain("a=group");
    expect(text.match(/a=ice-ufrag:(\w+)/g)).toEqual(["a=ice-ufrag:dinA", "a=ice-ufrag:dinV"]);
    expect(text.match(/^m=\w+ 9/gm)).toEqual(["m=audio 9", "m=video 9"]);
  });

  it("refuses our bundle by not speaking of it", () => {
    const negotiation = new Negotiation("initiator");
    negotiation.offered(offer);
    const theirs = readJingle(parseXml(dino.replace("session-initiate", "session-accept").replace(/name='audio'/, "name='0'").replace(/name='video'/, "name='1'").replace(/actpass/g, "active")));
    const text = negotiation.completed(theirs);
    expect(text).not.toContain("a=group");
    expect(text).toContain("a=setup:active\r\n");
  });
});
