// Contents of a Jingle session to media of a session description and back: XEP-0167 1.2.3
// section 6, 0176 1.1.1, 0293 1.0.2, 0294 1.1.2, 0320 1.0.0, 0338 1.0.0, 0339 1.0.1, 0507 0.1.0.
//
// Both directions name whose description it is, for Jingle says who sends (`initiator`) where SDP
// says whether *I* do (`sendonly`). Lost on the way, and missed by nobody: the lines of RTCP's
// address, `rtcp-rsize`, `rtcp-xr` and `ice-options`, which WebRTC implies or does without.

import { other } from "./content";
import type { Content, Description, Feedback, Fingerprint, Ice, Parameter, Party, Payload, Rtp, Senders, Setup } from "./content";
import { parseCandidate, printCandidate } from "./ice";
import type { Attribute, Sdp, Section } from "./sdp";
import { has, value, values } from "./sdp";

/** A medium's place in a description: a content, or one that is refused or gone. */
export interface Slot {
  readonly content: Content;
  readonly isRejected: boolean;
}

// --- from SDP ---

/** Reads the browser's own description, made by `party`. */
export function readSdp(sdp: Sdp, party: Party, creatorOf: (name: string) => Party): Slot[] {
  return sdp.sections.map((section, index) => {
    const name = value(section, "mid") ?? String(index);
    return {
      content: {
        creator: creatorOf(name),
        name,
        senders: readDirection(section, party),
        rtp: readMedia(section, sdp, party),
        ice: readTransport(section, sdp),
      },
      // RFC 8843 section 6: port 0 with `bundle-only` is an offer, without it a refusal.
      isRejected: section.port === 0 && !has(section, "bundle-only"),
    };
  });
}

/** The names of the media that share one transport. */
export function readBundle(sdp: Sdp): string[] {
  const group = values(sdp, "group").find((it) => it.startsWith("BUNDLE "));
  return group === undefined ? [] : group.split(" ").slice(1);
}

function readDirection(section: Section, party: Party): Senders {
  if (has(section, "sendonly")) return party;
  if (has(section, "recvonly")) return other(party);
  return has(section, "inactive") ? "none" : "both";
}

function readMedia(section: Section, sdp: Sdp, party: Party): Rtp {
  const sources = readSources(section);
  return {
    media: section.kind === "video" ? "video" : "audio",
    payloads: section.formats.flatMap((format) => readPayload(section, format)),
    feedback: readFeedback(section, "*"),
    extensions: values(section, "extmap").flatMap((text) => readExtension(text, party)),
    allowsMixed: has(sdp, "extmap-allow-mixed") || has(section, "extmap-allow-mixed"),
    sources,
    groups: values(section, "ssrc-group").map((text) => {
      const [semantics = "", ...ssrcs] = text.split(" ");
      return { semantics, ssrcs: ssrcs.map(Number) };
    }),
    mux: has(section, "rtcp-mux"),
    categories: value(section, "content")?.split(",") ?? [],
  };
}

function readPayload(section: Section, format: string): Payload[] {
  const map = values(section, "rtpmap").find((it) => it.startsWith(`${format} `));
  const [name, clockrate, channels] = map?.slice(format.length + 1).split("/") ?? [];
  if (name === undefined) return [];
  const fmtp = values(section, "fmtp").find((it) => it.startsWith(`${format} `));
  const time = (attribute: string): number | undefined => {
    const text = value(section, attribute);
    return text === undefined ? undefined : Number(text);
  };
  return [
    {
      id: Number(format),
      name,
      clockrate: clockrate === undefined ? undefined : Number(clockrate),
      channels: channels === undefined ? 1 : Number(channels),
      ptime: time("ptime"),
      maxptime: time("maxptime"),
      parameters: fmtp === undefined ? [] : readParameters(fmtp.slice(format.length + 1)),
      feedback: readFeedback(section, format),
    },
  ];
}

function readParameters(text: string): Parameter[] {
  const parts = text.split(";").map((part) => part.trim());
  return parts.filter((part) => part !== "").map((part) => {
    const equals = part.indexOf("=");
    if (equals < 0) return { name: part, value: undefined };
    return { name: part.slice(0, equals), value: part.slice(equals + 1) };
  });
}

function readFeedback(section: Section, format: string): Feedback[] {
  const mine = values(section, "rtcp-fb").filter((it) => it.startsWith(`${format} `));
  return mine.map((text) => {
    const [, type = "", ...rest] = text.split(" ");
    return { type, subtype: rest.length === 0 ? undefined : rest.join(" ") };
  });
}

function readExtension(text: string, party: Party): Rtp["extensions"] {
  const found = /^(\d+)(?:\/(\w+))? (\S+)/.exec(text);
  if (found === null) return [];
  const [, id, direction, uri = ""] = found;
  const senders = direction === "sendonly" ? party : direction === "recvonly" ? other(party) : direction === "inactive" ? "none" : "both";
  return [{ id: Number(id), uri, senders }];
}

/** The sources with their names, and the stream and track they belong to. */
function readSources(section: Section): Rtp["sources"] {
  const found = new Map<number, Parameter[]>();
  for (const text of values(section, "ssrc")) {
    const [ssrc = "", rest = ""] = splitOnce(text, " ");
    const [name = "", value] = splitOnce(rest, ":");
    const list = found.get(Number(ssrc)) ?? [];
    if (name !== "msid") list.push({ name, value });
    found.set(Number(ssrc), list);
  }
  const msid = value(section, "msid");
  return Array.from(found, ([ssrc, parameters]) => ({
    ssrc,
    parameters: msid === undefined ? parameters : [...parameters, { name: "msid", value: msidOf(msid) }],
  }));
}

function splitOnce(text: string, by: string): [string, string | undefined] {
  const at = text.indexOf(by);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + by.length)];
}

/**
 * A stream and a track as two tokens.
 *
 * COMPAT: Firefox puts braces around its ids and Movim passed blanks on; Conversations and Monal
 * refuse a call with either (2026).
 */
export function msidOf(text: string): string {
  const parts = text.split(" ").map((part) => part.replace(/[^A-Za-z0-9_.+-]/g, ""));
  return parts.filter((part) => part !== "").slice(0, 2).join(" ");
}

function readTransport(section: Section, sdp: Sdp): Ice {
  const setup = SETUPS.find((it) => it === (value(section, "setup") ?? value(sdp, "setup")));
  const fingerprints = [...values(section, "fingerprint"), ...values(sdp, "fingerprint")];
  return {
    ufrag: value(section, "ice-ufrag") ?? value(sdp, "ice-ufrag"),
    pwd: value(section, "ice-pwd") ?? value(sdp, "ice-pwd"),
    fingerprints: fingerprints.map((text): Fingerprint => {
      const [hash = "", fingerprint = ""] = text.split(" ");
      return { hash, value: fingerprint, setup };
    }),
    candidates: values(section, "candidate").flatMap((line, index) => {
      const candidate = parseCandidate(line, `${value(section, "mid") ?? ""}-${index}`);
      return candidate === undefined ? [] : [candidate];
    }),
  };
}

const SETUPS: readonly Setup[] = ["active", "passive", "actpass"];

// --- to SDP ---

/** Writes what `party` offers or answers. */
export function writeSdp(slots: readonly Slot[], bundle: readonly string[], party: Party, type: "offer" | "answer"): Sdp {
  const alive = slots.filter((slot) => !slot.isRejected).map((slot) => slot.content);
  const bundled = bundle.filter((name) => alive.some((content) => content.name === name));
  const shared = alive.find((content) => content.name === bundled[0])?.ice;
  const attributes: Attribute[] = [];
  if (bundled.length > 0) attributes.push({ name: "group", value: `BUNDLE ${bundled.join(" ")}` });
  return {
    attributes,
    sections: slots.map((slot) => {
      // Who bundles need say how the packets travel only once (RFC 8843 section 7.1.3).
      const own = slot.content.ice;
      const isComplete = own?.ufrag !== undefined && own.fingerprints.length > 0;
      const ice = isComplete || !bundled.includes(slot.content.name) ? own : shared;
      return writeSection({ ...slot.content, ice }, slot.isRejected, party, type);
    }),
  };
}

function writeSection(content: Content, isRejected: boolean, party: Party, type: "offer" | "answer"): Section {
  const { name, rtp, ice } = content;
  const payloads = rtp?.payloads ?? [];
  const section: Section = {
    kind: rtp?.media ?? "audio",
    port: isRejected ? 0 : 9,
    protocol: "UDP/TLS/RTP/SAVPF",
    formats: payloads.length === 0 ? ["0"] : payloads.map((payload) => String(payload.id)),
    attributes: [{ name: "mid", value: name }],
  };
  const add = (attribute: string, text?: string): void => {
    section.attributes.push({ name: attribute, value: text });
  };
  if (isRejected) {
    add("inactive");
    return section;
  }
  add(writeDirection(content.senders, party));
  if (ice !== undefined) writeTransport(ice, type, add);
  if (rtp !== undefined) writeMedia(rtp, party, add);
  return section;
}

type Add = (attribute: string, text?: string) => void;

function writeDirection(senders: Senders, party: Party): string {
  if (senders === "both") return "sendrecv";
  if (senders === "none") return "inactive";
  return senders === party ? "sendonly" : "recvonly";
}

function writeTransport(ice: Ice, type: "offer" | "answer", add: Add): void {
  if (ice.ufrag !== undefined && ice.pwd !== undefined) {
    add("ice-ufrag", ice.ufrag);
    add("ice-pwd", ice.pwd);
    add("ice-options", "trickle");
  }
  for (const { hash, value } of ice.fingerprints) add("fingerprint", `${hash} ${value}`);
  const setup = ice.fingerprints[0]?.setup;
  // RFC 8842 section 5.2: an offer leaves the choice, an answer makes it.
  add("setup", type === "offer" ? "actpass" : setup === "passive" ? "passive" : "active");
  for (const candidate of ice.candidates) add("candidate", printCandidate(candidate, undefined).slice("candidate:".length));
}

function writeMedia(rtp: Rtp, party: Party, add: Add): void {
  if (rtp.mux) add("rtcp-mux");
  for (const payload of rtp.payloads) writePayload(payload, rtp.media, add);
  for (const feedback of rtp.feedback) add("rtcp-fb", writeFeedback("*", feedback));
  for (const { id, uri, senders } of rtp.extensions) {
    const direction = senders === "both" ? "" : `/${writeDirection(senders, party)}`;
    add("extmap", `${id}${direction} ${uri}`);
  }
  if (rtp.allowsMixed) add("extmap-allow-mixed");
  if (rtp.categories.length > 0) add("content", rtp.categories.join(","));
  writeSources(rtp, add);
}

function writePayload(payload: Payload, media: Rtp["media"], add: Add): void {
  const { id, name, channels, ptime, maxptime, parameters } = payload;
  // RFC 3551 section 6: what goes without is speech at 8 kHz, or a picture at 90.
  const clockrate = payload.clockrate ?? (media === "audio" ? 8_000 : 90_000);
  add("rtpmap", `${id} ${name}/${clockrate}${channels === 1 ? "" : `/${channels}`}`);
  if (parameters.length > 0) {
    const all = parameters.map((it) => (it.value === undefined ? it.name : `${it.name}=${it.value}`));
    add("fmtp", `${id} ${all.join(";")}`);
  }
  for (const feedback of payload.feedback) add("rtcp-fb", writeFeedback(String(id), feedback));
  if (ptime !== undefined) add("ptime", String(ptime));
  if (maxptime !== undefined) add("maxptime", String(maxptime));
}

function writeFeedback(format: string, { type, subtype }: Feedback): string {
  return subtype === undefined ? `${format} ${type}` : `${format} ${type} ${subtype}`;
}

function writeSources(rtp: Rtp, add: Add): void {
  const msid = rtp.sources.flatMap((it) => it.parameters).find((it) => it.name === "msid")?.value;
  if (msid !== undefined && msidOf(msid) !== "") add("msid", msidOf(msid));
  for (const { semantics, ssrcs } of rtp.groups) add("ssrc-group", `${semantics} ${ssrcs.join(" ")}`);
  for (const { ssrc, parameters } of rtp.sources) {
    // A source without a canonical name is none for a browser (RFC 5576 section 6.1).
    const cname = parameters.find((it) => it.name === "cname")?.value;
    if (cname !== undefined) add("ssrc", `${ssrc} cname:${cname}`);
  }
}

/** The description of these contents alone. */
export function describe(slots: readonly Slot[], bundle: readonly string[]): Description {
  const contents = slots.filter((slot) => !slot.isRejected).map((slot) => slot.content);
  return { contents, bundle };
}
