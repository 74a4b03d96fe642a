// What a Jingle session consists of, as plain values: XEP-0166 1.1.2, 0167 1.2.3, 0176 1.1.1,
// 0293 1.0.2, 0294 1.1.2, 0320 1.0.0, 0339 1.0.1, 0507 0.1.0.
//
// rtp.ts and ice.ts read and write these as XML, mapping.ts as SDP. Left out: SDES keys (0167
// section 7), for a browser speaks DTLS only, and bandwidth, which it estimates itself.

/** The two sides of a session. */
export type Party = "initiator" | "responder";

/** Who sends a content, or may (0166 section 7.3). */
export type Senders = "both" | "initiator" | "responder" | "none";

/** A name with a value, or a name alone. */
export interface Parameter {
  readonly name: string;
  readonly value: string | undefined;
}

/** A kind of feedback over RTCP (0293). */
export interface Feedback {
  readonly type: string;
  readonly subtype: string | undefined;
}

/** An encoding (0167 section 5). */
export interface Payload {
  readonly id: number;
  readonly name: string;
  readonly clockrate: number | undefined;
  readonly channels: number;
  readonly ptime: number | undefined;
  readonly maxptime: number | undefined;
  readonly parameters: readonly Parameter[];
  readonly feedback: readonly Feedback[];
}

/** A header extension (0294). */
export interface Extension {
  readonly id: number;
  readonly uri: string;
  readonly senders: Senders;
}

/** A source of packets (0339). */
export interface Source {
  readonly ssrc: number;
  readonly parameters: readonly Parameter[];
}

/** Sources that belong together, as a stream and its repairs (0339). */
export interface SourceGroup {
  readonly semantics: string;
  readonly ssrcs: readonly number[];
}

/** What is sent, and how it is encoded. */
export interface Rtp {
  readonly media: "audio" | "video";
  readonly payloads: readonly Payload[];
  /** Feedback for all encodings. */
  readonly feedback: readonly Feedback[];
  readonly extensions: readonly Extension[];
  readonly allowsMixed: boolean;
  readonly sources: readonly Source[];
  readonly groups: readonly SourceGroup[];
  readonly mux: boolean;
  /** What is to be seen: `slides` is a screen (0507). */
  readonly categories: readonly string[];
}

/** Where a side may be reached (0176 section 5.3). */
export interface Candidate {
  readonly component: number;
  readonly foundation: string;
  readonly generation: number;
  readonly id: string;
  readonly ip: string;
  readonly network: number;
  readonly port: number;
  readonly priority: number;
  readonly type: "host" | "srflx" | "prflx" | "relay";
  readonly relAddr: string | undefined;
  readonly relPort: number | undefined;
}

/** The part a side takes in the DTLS handshake (RFC 4145). */
export type Setup = "active" | "passive" | "actpass";

/** Whose certificate the handshake has to show (0320). */
export interface Fingerprint {
  readonly hash: string;
  readonly value: string;
  readonly setup: Setup | undefined;
}

/** How the packets travel. */
export interface Ice {
  readonly ufrag: string | undefined;
  readonly pwd: string | undefined;
  readonly fingerprints: readonly Fingerprint[];
  readonly candidates: readonly Candidate[];
}

/** One medium of a session. */
export interface Content {
  readonly creator: Party;
  /** The `mid` in SDP (0338). */
  readonly name: string;
  readonly senders: Senders;
  readonly rtp: Rtp | undefined;
  readonly ice: Ice | undefined;
}

/** Contents with the names of those that share one transport (0338); nobody's names for none. */
export interface Description {
  readonly contents: readonly Content[];
  readonly bundle: readonly string[];
}

/** The other side. */
export function other(party: Party): Party {
  return party === "initiator" ? "responder" : "initiator";
}
