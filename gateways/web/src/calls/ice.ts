// Jingle ICE-UDP transports: XEP-0176 1.1.1, with the fingerprints of DTLS-SRTP (0320 1.0.0).
//
// Left out: TCP candidates, which 0176 does not know. What a peer names as an address goes to the
// browser's ICE agent, so it has to be an address (row T07).

import { attr, children, el, textOf } from "../xmpp/xml";
import type { Candidate, Fingerprint, Ice } from "./content";
import { CANDIDATES_MAX, Refused, atMost, oneOf, token, whole } from "./refusal";

export const NS_ICE = "urn:xmpp:jingle:transports:ice-udp:1";
export const NS_DTLS = "urn:xmpp:jingle:apps:dtls:0";

const SETUPS = ["active", "passive", "actpass"] as const;
const TYPES = ["host", "srflx", "prflx", "relay"] as const;
// RFC 8839 section 5.4: of letters, digits, `+` and `/`; four and twenty-two of them at least.
const UFRAG = /^[A-Za-z0-9+/]{4,256}$/;
const PWD = /^[A-Za-z0-9+/]{22,256}$/;
/** Two certificates' fingerprints under two hashes are four; nobody sends more. */
const FINGERPRINTS_MAX = 4;
/** The hash functions of RFC 8122 section 5 that are still good, and the bytes of their values. */
const HASHES: ReadonlyMap<string, number> = new Map([
  ["sha-256", 32],
  ["sha-384", 48],
  ["sha-512", 64],
]);

/** Reads a `transport`. Candidates of another protocol or type than is known are passed over. */
export function readIce(transport: Element): Ice {
  const fingerprints = children(transport, "fingerprint", NS_DTLS);
  const candidates = atMost(children(transport, "candidate", NS_ICE), CANDIDATES_MAX, "too-many-candidates");
  return {
    ufrag: credential(attr(transport, "ufrag"), UFRAG),
    pwd: credential(attr(transport, "pwd"), PWD),
    fingerprints: atMost(fingerprints, FINGERPRINTS_MAX, "bad-fingerprint").map(readFingerprint),
    candidates: candidates.filter(isKnown).map(readCandidate),
  };
}

function credential(text: string | undefined, form: RegExp): string | undefined {
  if (text !== undefined && !form.test(text)) throw new Refused("bad-credentials");
  return text;
}

function readFingerprint(element: Element): Fingerprint {
  const hash = (attr(element, "hash") ?? "").toLowerCase();
  const value = textOf(element).trim().toUpperCase();
  const bytes = HASHES.get(hash);
  const isWhole = bytes !== undefined && value.length === bytes * 3 - 1;
  if (!isWhole || !/^[0-9A-F]{2}(:[0-9A-F]{2})*$/.test(value)) throw new Refused("bad-fingerprint");
  const setup = attr(element, "setup");
  return {
    hash,
    value,
    setup: setup === undefined ? undefined : oneOf(setup, SETUPS, "bad-fingerprint"),
  };
}

function isKnown(element: Element): boolean {
  const isUdp = (attr(element, "protocol") ?? "").toLowerCase() === "udp";
  return isUdp && TYPES.some((type) => type === attr(element, "type"));
}

function readCandidate(element: Element): Candidate {
  const number = (name: string, min: number, max: number): number =>
    whole(attr(element, name), min, max, "bad-candidate");
  const optional = (name: string, max: number): number =>
    attr(element, name) === undefined ? 0 : number(name, 0, max);
  const relAddr = attr(element, "rel-addr");
  return {
    component: number("component", 1, 2),
    foundation: foundation(attr(element, "foundation")),
    generation: optional("generation", 65_535),
    id: token(attr(element, "id") ?? "none", "bad-candidate"),
    ip: address(attr(element, "ip")),
    network: optional("network", 65_535),
    port: number("port", 1, 65_535),
    priority: number("priority", 0, 0xffff_ffff),
    type: oneOf(attr(element, "type"), TYPES, "bad-candidate"),
    relAddr: relAddr === undefined ? undefined : address(relAddr),
    relPort: attr(element, "rel-port") === undefined ? undefined : number("rel-port", 0, 65_535),
  };
}

/** RFC 8839 section 5.1: one to thirty-two `ice-char`s. */
function foundation(text: string | undefined): string {
  if (text === undefined || !/^[A-Za-z0-9+/]{1,32}$/.test(text)) throw new Refused("bad-candidate");
  return text;
}

/** An IPv4 or IPv6 address, or a browser's name for one it hides (`….local`). */
function address(text: string | undefined): string {
  const isAddress = text !== undefined && (isIpv4(text) || isIpv6(text) || /^[0-9a-f-]{1,63}\.local$/i.test(text));
  if (!isAddress) throw new Refused("bad-candidate");
  return text;
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}

function isIpv6(text: string): boolean {
  return text.length <= 45 && text.includes(":") && /^[0-9a-f:]+(\d+\.\d+\.\d+\.\d+)?$/i.test(text);
}

/** Writes a `transport`. */
export function writeIce(ice: Ice): Element {
  return el(
    "transport",
    NS_ICE,
    { ufrag: ice.ufrag, pwd: ice.pwd },
    ice.fingerprints.map(({ hash, setup, value }) => el("fingerprint", NS_DTLS, { hash, setup }, value)),
    ice.candidates.map(writeCandidate),
  );
}

function writeCandidate(candidate: Candidate): Element {
  const { component, foundation, generation, id, ip, network, port, priority, type, relAddr, relPort } = candidate;
  return el("candidate", NS_ICE, {
    component,
    foundation,
    generation,
    id,
    ip,
    network,
    port,
    priority,
    protocol: "udp",
    type,
    "rel-addr": relAddr,
    "rel-port": relPort,
  });
}

/** Reads a candidate of the browser's own; `undefined` for one that 0176 has no words for. */
export function parseCandidate(line: string, id: string): Candidate | undefined {
  const [head, component, protocol, priority, ip, port, , type, ...rest] = line.replace(/^a=/, "").split(" ");
  const kind = TYPES.find((known) => known === type);
  if (head === undefined || ip === undefined || kind === undefined || protocol?.toLowerCase() !== "udp") return undefined;
  const after = (name: string): string | undefined => {
    const at = rest.indexOf(name);
    return at % 2 === 0 ? rest[at + 1] : undefined;
  };
  const relPort = after("rport");
  return {
    component: Number(component),
    foundation: head.replace(/^candidate:/, ""),
    generation: Number(after("generation") ?? 0),
    id,
    ip,
    network: Number(after("network-id") ?? 0),
    port: Number(port),
    priority: Number(priority),
    type: kind,
    relAddr: after("raddr"),
    relPort: relPort === undefined ? undefined : Number(relPort),
  };
}

/** A candidate as a browser reads it. */
export function printCandidate(candidate: Candidate, ufrag: string | undefined): string {
  const { foundation, component, priority, ip, port, type, relAddr, relPort, generation } = candidate;
  const related = relAddr === undefined ? "" : ` raddr ${relAddr} rport ${relPort ?? 0}`;
  const whose = ufrag === undefined ? "" : ` ufrag ${ufrag}`;
  return `candidate:${foundation} ${component} udp ${priority} ${ip} ${port} typ ${type}${related} generation ${generation}${whose}`;
}
