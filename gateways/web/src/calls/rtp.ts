// Jingle RTP descriptions: XEP-0167 1.2.3, with feedback (0293 1.0.2), header extensions
// (0294 1.1.2), sources (0339 1.0.1) and categories (0507 0.1.0).
//
// Reading refuses what could not stand in a line of SDP, and more of anything than a call needs.

import { attr, child, children, el } from "../xmpp/xml";
import type { Extension, Feedback, Parameter, Payload, Rtp, Senders, Source, SourceGroup } from "./content";
import {
  EXTENSIONS_MAX,
  FEEDBACK_MAX,
  PARAMETERS_MAX,
  PAYLOADS_MAX,
  SOURCES_MAX,
  atMost,
  oneOf,
  printable,
  token,
  whole,
} from "./refusal";

export const NS_RTP = "urn:xmpp:jingle:apps:rtp:1";
export const NS_FEEDBACK = "urn:xmpp:jingle:apps:rtp:rtcp-fb:0";
export const NS_EXTENSIONS = "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0";
export const NS_SOURCES = "urn:xmpp:jingle:apps:rtp:ssma:0";
export const NS_CATEGORY = "urn:xmpp:jingle:apps:category:0";

const SENDERS: readonly Senders[] = ["both", "initiator", "responder", "none"];
const UINT32_MAX = 0xffff_ffff;

/** Reads who sends; both where nothing is said (0166 section 7.3). */
export function readSenders(text: string | undefined): Senders {
  return oneOf(text ?? "both", SENDERS, "bad-senders");
}

/** Reads a `description`. */
export function readRtp(description: Element): Rtp {
  const media = oneOf(attr(description, "media"), ["audio", "video"], "bad-media");
  const payloads = atMost(children(description, "payload-type", NS_RTP), PAYLOADS_MAX, "too-many-payloads");
  const sources = atMost(children(description, "source", NS_SOURCES), SOURCES_MAX, "too-many-sources");
  const groups = atMost(children(description, "ssrc-group", NS_SOURCES), SOURCES_MAX, "too-many-sources");
  return {
    media,
    payloads: payloads.map(readPayload),
    feedback: readFeedbacks(description),
    extensions: readExtensions(description),
    allowsMixed: child(description, "extmap-allow-mixed", NS_EXTENSIONS) !== undefined,
    sources: sources.map(readSource),
    groups: groups.map(readGroup),
    mux: child(description, "rtcp-mux", NS_RTP) !== undefined,
    categories: children(description, "category", NS_CATEGORY)
      .slice(0, FEEDBACK_MAX)
      .map((it) => token(attr(it, "name"), "bad-name")),
  };
}

function readPayload(element: Element): Payload {
  const number = (name: string, max: number): number | undefined => {
    const text = attr(element, name);
    return text === undefined ? undefined : whole(text, 0, max, "bad-payload");
  };
  return {
    id: whole(attr(element, "id"), 0, 127, "bad-payload"),
    // A static type may go without; no browser offers one of these without its name.
    name: token(attr(element, "name"), "bad-payload"),
    clockrate: number("clockrate", UINT32_MAX),
    channels: number("channels", 255) ?? 1,
    ptime: number("ptime", 10_000),
    maxptime: number("maxptime", 10_000),
    parameters: readParameters(element, NS_RTP).map(onlyOne),
    feedback: readFeedbacks(element),
  };
}

function readParameters(element: Element, ns: string): Parameter[] {
  const all = atMost(children(element, "parameter", ns), PARAMETERS_MAX, "too-many-parameters");
  return all.map((it) => readParameter(attr(it, "name"), attr(it, "value")));
}

/** A value without a name is a whole `fmtp`, as `0-15` of telephone events in Conversations. */
function readParameter(name: string | undefined, value: string | undefined): Parameter {
  if (name === undefined) return { name: piece(value), value: undefined };
  return { name: piece(name), value: value === undefined ? undefined : printable(value, "bad-parameter") };
}

/** A part of a parameter list, of which neither a semicolon nor a blank or `=` can make two. */
function piece(text: string | undefined): string {
  return /^[^\s;=:]+$/.test(text ?? "") ? printable(text ?? "", "bad-parameter") : token(undefined, "bad-parameter");
}

/** A value with a semicolon in it would be two parameters in SDP. */
function onlyOne(parameter: Parameter): Parameter {
  return parameter.value?.includes(";") === true ? { name: piece(undefined), value: undefined } : parameter;
}

function readFeedbacks(element: Element): Feedback[] {
  const all = atMost(children(element, "rtcp-fb", NS_FEEDBACK), FEEDBACK_MAX, "too-many-feedbacks");
  return all.map((it) => {
    const subtype = attr(it, "subtype");
    return {
      type: token(attr(it, "type"), "bad-feedback"),
      subtype: subtype === undefined ? undefined : token(subtype, "bad-feedback"),
    };
  });
}

function readExtensions(element: Element): Extension[] {
  const all = atMost(children(element, "rtp-hdrext", NS_EXTENSIONS), EXTENSIONS_MAX, "too-many-extensions");
  return all.map((it) => ({
    // RFC 8285 section 4.2, 4.3: fifteen is a sign of its own, above 255 is not for the wire.
    id: whole(attr(it, "id"), 1, 255, "bad-extension"),
    uri: readUri(attr(it, "uri")),
    senders: readSenders(attr(it, "senders")),
  }));
}

function readUri(text: string | undefined): string {
  const uri = printable(text ?? " ", "bad-extension");
  if (uri.includes(" ")) return token(undefined, "bad-extension");
  return uri;
}

function readSource(element: Element): Source {
  return {
    ssrc: whole(attr(element, "ssrc"), 0, UINT32_MAX, "bad-source"),
    parameters: readParameters(element, NS_SOURCES),
  };
}

function readGroup(element: Element): SourceGroup {
  const sources = atMost(children(element, "source", NS_SOURCES), SOURCES_MAX, "too-many-sources");
  return {
    semantics: token(attr(element, "semantics"), "bad-source"),
    ssrcs: sources.map((it) => whole(attr(it, "ssrc"), 0, UINT32_MAX, "bad-source")),
  };
}

/** Writes a `description`. */
export function writeRtp(rtp: Rtp): Element {
  return el(
    "description",
    NS_RTP,
    { media: rtp.media },
    rtp.categories.map((name) => el("category", NS_CATEGORY, { name })),
    rtp.payloads.map(writePayload),
    rtp.feedback.map(writeFeedback),
    rtp.extensions.map(writeExtension),
    rtp.allowsMixed ? el("extmap-allow-mixed", NS_EXTENSIONS) : undefined,
    rtp.sources.map((it) =>
      el("source", NS_SOURCES, { ssrc: it.ssrc }, it.parameters.map((one) => writeParameter(one, NS_SOURCES))),
    ),
    rtp.groups.map((it) =>
      el("ssrc-group", NS_SOURCES, { semantics: it.semantics }, it.ssrcs.map((ssrc) => el("source", NS_SOURCES, { ssrc }))),
    ),
    rtp.mux ? el("rtcp-mux", NS_RTP) : undefined,
  );
}

function writePayload(payload: Payload): Element {
  const { id, name, clockrate, channels, ptime, maxptime } = payload;
  return el(
    "payload-type",
    NS_RTP,
    { id, name, clockrate, channels: channels === 1 ? undefined : channels, ptime, maxptime },
    payload.parameters.map((it) => writeParameter(it, NS_RTP)),
    payload.feedback.map(writeFeedback),
  );
}

function writeParameter({ name, value }: Parameter, ns: string): Element {
  return el("parameter", ns, { name, value });
}

function writeFeedback({ type, subtype }: Feedback): Element {
  return el("rtcp-fb", NS_FEEDBACK, { type, subtype });
}

function writeExtension({ id, uri, senders }: Extension): Element {
  return el("rtp-hdrext", NS_EXTENSIONS, { id, uri, senders: senders === "both" ? undefined : senders });
}
