import { describe, expect, it } from "vitest";
import type { Content } from "./content";
import { candidate, content } from "./fake_peer";
import answerText from "./golden/answer.sdp?raw";
import offerText from "./golden/offer.sdp?raw";
import screenText from "./golden/screen.sdp?raw";
import { Negotiation } from "./negotiation";
import { Refused } from "./refusal";
import type { Refusal } from "./refusal";

/** Kept with the ends of lines that files have here. */
const crlf = (text: string): string => text.replace(/\r?\n/g, "\r\n");
const [offer, answer, screen] = [crlf(offerText), crlf(answerText), crlf(screenText)];

const THEIRS = { contents: [content("0", "initiator", "audio"), content("1", "initiator", "video")], bundle: ["0", "1"] };

function refusal(work: () => unknown): Refusal | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    throw error;
  }
  return undefined;
}

/** A caller whose call was taken. */
function caller(): Negotiation {
  const negotiation = new Negotiation("initiator");
  negotiation.offered(offer);
  negotiation.completed({ contents: THEIRS.contents.map(active), bundle: ["0", "1"] });
  return negotiation;
}

function active(one: Content): Content {
  const fingerprints = one.ice?.fingerprints.map((it) => ({ ...it, setup: "active" as const })) ?? [];
  return one.ice === undefined ? one : { ...one, ice: { ...one.ice, fingerprints } };
}

function without(part: "rtp" | "ice"): Content {
  return { ...content("0", "initiator", "audio"), [part]: undefined };
}

describe("who has offered what", () => {
  it("is told to them whole at first, and then only what is new", () => {
    const negotiation = new Negotiation("initiator");
    expect(negotiation.offered(offer).contents.map((it) => it.name)).toEqual(["0", "1"]);
    negotiation.completed(THEIRS);
    const added = negotiation.offered(screen);
    expect(added.contents.map((it) => [it.name, it.creator])).toEqual([["2", "initiator"]]);
    expect(added.bundle).toEqual(["0", "1", "2"]);
  });

  it("is told to the browser whole every time, in the same order", () => {
    const negotiation = new Negotiation("responder");
    negotiation.offer(THEIRS);
    expect(negotiation.answered(answer).contents.map((it) => it.name)).toEqual(["0", "1"]);
    const text = negotiation.offer({ contents: [content("s", "initiator", "video", ["slides"])], bundle: ["0", "1", "s"] });
    expect(text.match(/^a=mid:.*$/gm)?.map((it) => it.trim())).toEqual(["a=mid:0", "a=mid:1", "a=mid:s"]);
    expect(text).toContain("a=group:BUNDLE 0 1 s\r\n");
    expect(text).toContain("a=content:slides\r\n");
  });

  it("is refused where they leave it out", () => {
    const negotiation = new Negotiation("initiator");
    negotiation.offered(offer);
    const text = negotiation.completed({ contents: [active(content("0", "initiator", "audio"))], bundle: ["0"] });
    expect(text).toMatch(/^m=video 0 /m);
    expect(text).toContain("a=group:BUNDLE 0\r\n");
    expect(negotiation.alive().map((it) => it.name)).toEqual(["0"]);
  });

  it("can be taken back before it is answered", () => {
    const negotiation = caller();
    negotiation.offered(screen);
    negotiation.undo();
    expect(negotiation.alive().map((it) => it.name)).toEqual(["0", "1"]);
    negotiation.undo();
    expect(negotiation.alive()).toHaveLength(2);
  });

  it("is gone when they remove it, and its place stays", () => {
    const negotiation = caller();
    const text = negotiation.removed(["1"]);
    expect(text).toMatch(/^m=video 0 /m);
    expect(text.match(/^m=/gm)).toHaveLength(2);
    expect(refusal(() => negotiation.removed(["1"]))).toBe("unknown-content");
  });

  it("changes its direction by their word and ours", () => {
    const negotiation = caller();
    expect(negotiation.modified("1", "initiator").split("m=video")[1]).toContain("a=recvonly");
    expect(negotiation.agreed("1", "both").split("m=video")[1]).toContain("a=sendrecv");
    expect(refusal(() => negotiation.modified("9", "both"))).toBe("unknown-content");
  });

  it("leaves them the part in the handshake that we have not chosen", () => {
    const negotiation = new Negotiation("responder");
    negotiation.offer(THEIRS);
    negotiation.answered(answer);
    expect(negotiation.line("0")?.theirs?.ice?.fingerprints[0]?.setup).toBe("passive");
    expect(negotiation.agreed("0", "both")).toContain("a=setup:passive");
  });
});

describe("a content's name that is too long for a browser", () => {
  const long = content("this-is-the-audio-content", "initiator", "audio");

  it("is another there, and its own on the wire", () => {
    const negotiation = new Negotiation("responder");
    const text = negotiation.offer({ contents: [long], bundle: [long.name] });
    expect(text).toContain("a=mid:~0\r\n");
    expect(text).toContain("a=group:BUNDLE ~0\r\n");
    const [mine] = negotiation.answered(answer.replace(/^a=mid:0/m, "a=mid:~0").replace("BUNDLE 0 1", "BUNDLE ~0")).contents;
    expect(mine).toMatchObject({ name: long.name, creator: "initiator" });
    expect(negotiation.candidate("candidate:1 1 udp 1 192.0.2.3 9 typ host", "~0", "c1")?.name).toBe(long.name);
    expect(negotiation.candidates([candidate(long.name, "initiator")])[0]?.sdpMid).toBe("~0");
  });
});

describe("what a browser could not use", () => {
  const fresh = (): Negotiation => new Negotiation("responder");
  const take = (one: Content): (() => unknown) => () => fresh().offer({ contents: [one], bundle: [] });

  it("is refused by name", () => {
    expect(refusal(take(without("rtp")))).toBe("no-payloads");
    expect(refusal(take(without("ice")))).toBe("no-credentials");
    const { rtp, ice } = content("0", "initiator", "audio");
    if (rtp === undefined || ice === undefined) throw new Error("a content has both");
    expect(refusal(take({ ...without("rtp"), rtp: { ...rtp, mux: false } }))).toBe("no-mux");
    expect(refusal(take({ ...without("ice"), ice: { ...ice, fingerprints: [] } }))).toBe("no-fingerprint");
    expect(refusal(take({ ...without("ice"), ice: { ...ice, ufrag: undefined } }))).toBe("no-credentials");
  });

  it("is one more content than there may be, or one twice", () => {
    const negotiation = fresh();
    const many = Array.from({ length: 8 }, (_, index) => content(String(index), "initiator", "audio"));
    negotiation.offer({ contents: many, bundle: [] });
    const more = (name: string) => () => negotiation.offer({ contents: [content(name, "initiator", "audio")], bundle: [] });
    expect(refusal(more("3"))).toBe("duplicate-content");
    expect(refusal(more("8"))).toBe("too-many-contents");
  });

  it("changes nothing of what there was", () => {
    const negotiation = caller();
    const before = negotiation.lines;
    expect(refusal(() => negotiation.offer({ contents: [{ ...without("ice"), name: "x" }], bundle: [] }))).toBe("no-credentials");
    expect(negotiation.lines).toEqual(before);
  });

  it("may say the transport once for all that share it (RFC 8843 section 7.1.3)", () => {
    const shared = { ...content("1", "initiator", "video"), ice: undefined };
    const text = fresh().offer({ contents: [content("0", "initiator", "audio"), shared], bundle: ["0", "1"] });
    expect(text.match(/a=fingerprint:/g)).toHaveLength(2);
  });
});

describe("ways to each other", () => {
  it("are told as the browser has them", () => {
    const negotiation = caller();
    const told = negotiation.candidate("candidate:842163049 1 udp 1677729535 192.0.2.3 45664 typ srflx raddr 10.0.1.1 rport 8998 generation 0 ufrag EsAw network-id 1 network-cost 10", "0", "c1");
    expect(told?.ice?.candidates[0]).toEqual({
      component: 1,
      foundation: "842163049",
      generation: 0,
      id: "c1",
      ip: "192.0.2.3",
      network: 1,
      port: 45_664,
      priority: 1_677_729_535,
      type: "srflx",
      relAddr: "10.0.1.1",
      relPort: 8998,
    });
    expect(negotiation.candidate("candidate:1 1 tcp 1518280447 192.0.2.3 9 typ host tcptype active", "0", "c2")).toBeUndefined();
    expect(negotiation.candidate("candidate:1 1 udp 1 192.0.2.3 9 typ host", "7", "c3")).toBeUndefined();
  });

  it("are handed to the browser, without those for RTCP alone", () => {
    const negotiation = caller();
    const one = candidate("0", "initiator");
    const rtcp = { ...one, ice: one.ice && { ...one.ice, candidates: one.ice.candidates.map((it) => ({ ...it, component: 2 })) } };
    expect(negotiation.candidates([one, rtcp])).toEqual([
      { candidate: "candidate:1 1 udp 1 192.0.2.1 5000 typ host generation 0 ufrag abcd", sdpMid: "0" },
    ]);
    expect(refusal(() => negotiation.candidates([candidate("9", "initiator")]))).toBe("unknown-content");
  });

  it("t07_are_as_few_one_by_one_as_at_once", () => {
    const negotiation = caller();
    for (let port = 1; port <= 64; port += 1) negotiation.candidates([candidate("0", "initiator", port)]);
    expect(refusal(() => negotiation.candidates([candidate("0", "initiator", 65)]))).toBe("too-many-candidates");
  });

  it("begin anew with other credentials, for all that share a transport", () => {
    const negotiation = caller();
    const one = candidate("0", "initiator");
    expect(negotiation.restarted([one], "offer")).toBeUndefined();
    const fresh = { ...one, ice: one.ice && { ...one.ice, ufrag: "wxyz", pwd: "vutsrqponmlkjihgfedcba" } };
    expect(negotiation.isRestart(fresh)).toBe(true);
    const text = negotiation.restarted([fresh], "offer");
    expect(text?.match(/a=ice-ufrag:wxyz/g)).toHaveLength(2);
    expect(text?.match(/a=fingerprint:/g)).toHaveLength(2);
    expect(negotiation.isRestart(fresh)).toBe(false);
    expect(negotiation.transports().map((it) => [it.name, it.ice?.candidates])).toEqual([["0", []], ["1", []]]);
  });
});
