// Who has offered what: the media of a session in the order in which this browser counts them.
//
// Jingle names contents and says only what is new (XEP-0166 1.1.2 section 7.2); JSEP (RFC 8829)
// wants every description whole, its media in the same order for ever. This keeps both sides'
// contents, writes the other side's descriptions for the browser and reads the browser's own.
// Actions that Jingle does not answer (content-remove, content-modify, a restart of ICE) are
// answered here on the other side's behalf.

import { other } from "./content";
import type { Content, Description, Ice, Party, Senders, Setup } from "./content";
import { parseCandidate, printCandidate } from "./ice";
import { readBundle, readSdp, writeSdp } from "./mapping";
import type { Slot } from "./mapping";
import { CANDIDATES_MAX, CONTENTS_MAX, Refused, need } from "./refusal";
import { parse, print } from "./sdp";
import type { Sdp } from "./sdp";

/** One medium. */
export interface Line {
  readonly name: string;
  readonly creator: Party;
  readonly ours: Content | undefined;
  readonly theirs: Content | undefined;
  /** Refused, or removed since; its place may be taken by another. */
  readonly isRejected: boolean;
}

/** Media that a session has had, dead ones too: each time somebody shares a screen is one. */
const LINES_MAX = 64;

/** Characters of a `mid` that a browser takes (Chromium 156: what an RTP header's extension holds). */
const MID_MAX = 16;

/** What both sides have said so far. */
export class Negotiation {
  lines: Line[] = [];
  /** The media that share one transport. */
  bundle: string[] = [];
  private before: { lines: Line[]; bundle: string[] } | undefined;
  private readonly counts = new Map<string, number>();
  private readonly mids = new Map<string, string>();

  constructor(private readonly self: Party) {}

  /** Reads our offer; returns what is new in it. */
  offered(text: string): Description {
    this.before = { lines: this.lines, bundle: this.bundle };
    const sdp = parse(text);
    const slots = this.read(sdp, this.self);
    const known = new Set(this.alive().map((line) => line.name));
    this.lines = slots.map((slot) => this.merge(slot));
    const isNew = (content: Content): boolean => !known.has(content.name);
    const contents = slots.filter((slot) => !slot.isRejected).map((slot) => slot.content).filter(isNew);
    return { contents, bundle: this.names(sdp) };
  }

  private merge({ content, isRejected }: Slot): Line {
    const { name, creator } = content;
    const theirs = this.line(name)?.theirs;
    return { name, creator, ours: content, theirs, isRejected };
  }

  /** Their answer to our offer, as the browser wants it: what they leave out, they refuse. */
  completed(answer: Description): string {
    const byName = new Map(answer.contents.map((content) => [content.name, content]));
    for (const name of byName.keys()) need(this.line(name), "unknown-content");
    const isFirst = this.lines.every((line) => line.theirs === undefined);
    this.lines = this.lines.map((line) => {
      const theirs = byName.get(line.name) ?? line.theirs;
      return { ...line, theirs, isRejected: line.isRejected || theirs === undefined };
    });
    this.setBundle(isFirst, answer);
    for (const content of answer.contents) check(content, this.isShared(content));
    this.before = undefined;
    return this.write("answer");
  }

  /** Their offer of more, or of anything at first, as the browser wants it. */
  offer(theirs: Description): string {
    this.before = { lines: this.lines, bundle: this.bundle };
    const isFirst = this.lines.length === 0;
    for (const content of theirs.contents) this.take(content);
    this.setBundle(isFirst, theirs);
    try {
      for (const content of theirs.contents) check(content, this.isShared(content));
    } catch (error) {
      this.undo();
      throw error;
    }
    return this.write("offer");
  }

  private take(content: Content): void {
    const alive = this.alive();
    if (alive.some((line) => line.name === content.name)) throw new Refused("duplicate-content");
    if (alive.length >= CONTENTS_MAX || this.lines.length >= LINES_MAX) throw new Refused("too-many-contents");
    const { name } = content;
    // A name may come back after its content was removed; the browser wants it to be unique.
    if (this.lines.some((line) => line.name === name)) throw new Refused("duplicate-content");
    this.lines = [...this.lines, { name, creator: other(this.self), ours: undefined, theirs: content, isRejected: false }];
  }

  /** Reads our answer; returns what of theirs that was new we have taken, and how. */
  answered(text: string): Description {
    const sdp = parse(text);
    const slots = this.read(sdp, other(this.self));
    const isNew = new Set(this.lines.filter((line) => line.ours === undefined).map((line) => line.name));
    this.lines = this.lines.map((line) => {
      const slot = slots.find((it) => it.content.name === line.name);
      if (slot === undefined) return line;
      const theirs = line.theirs === undefined ? undefined : settle(line.theirs, slot.content.ice);
      return { ...line, ours: slot.content, theirs, isRejected: slot.isRejected };
    });
    this.bundle = this.names(sdp);
    this.before = undefined;
    const taken = slots.filter((slot) => !slot.isRejected && isNew.has(slot.content.name));
    return { contents: taken.map((slot) => slot.content), bundle: this.bundle };
  }

  /** Takes back our offer, or theirs, that was not answered. */
  undo(): void {
    if (this.before === undefined) return;
    ({ lines: this.lines, bundle: this.bundle } = this.before);
    this.before = undefined;
  }

  /** They have removed contents; the offer that says so to the browser. */
  removed(names: readonly string[]): string {
    const dead = names.map((name) => need(this.line(name), "unknown-content"));
    this.lines = this.lines.map((line) => (dead.includes(line) ? { ...line, isRejected: true } : line));
    return this.write("offer");
  }

  /** They send a content from now on, or do no longer; the offer that says so to the browser. */
  modified(name: string, senders: Senders): string {
    this.setSenders(name, senders);
    return this.write("offer");
  }

  /** Our own change of who sends, taken by them as it is; the answer that says so to the browser. */
  agreed(name: string, senders: Senders): string {
    this.setSenders(name, senders);
    return this.write("answer");
  }

  private setSenders(name: string, senders: Senders): void {
    need(this.line(name)?.theirs, "unknown-content");
    this.lines = this.lines.map((line) =>
      line.name === name && line.theirs !== undefined ? { ...line, theirs: { ...line.theirs, senders } } : line,
    );
  }

  /** They start ICE anew; the offer or the answer that says so, `undefined` for nothing new. */
  restarted(contents: readonly Content[], type: "offer" | "answer"): string | undefined {
    const fresh = contents.filter((content) => this.isRestart(content));
    if (fresh.length === 0) return undefined;
    for (const { name } of fresh) this.counts.delete(name);
    this.lines = this.lines.map((line) => {
      const ice = fresh.find((content) => content.name === line.name)?.ice ?? this.sharedRestart(line, fresh);
      return ice === undefined || line.theirs === undefined ? line : { ...line, theirs: { ...line.theirs, ice: renew(line.theirs.ice, ice) } };
    });
    return this.write(type);
  }

  /** Whether this transport has other credentials than those we know. */
  isRestart({ name, ice }: Content): boolean {
    const known = this.line(name)?.theirs?.ice?.ufrag;
    return ice?.ufrag !== undefined && ice.pwd !== undefined && known !== undefined && ice.ufrag !== known;
  }

  private sharedRestart(line: Line, fresh: readonly Content[]): Ice | undefined {
    if (!this.bundle.includes(line.name)) return undefined;
    return fresh.find((content) => this.bundle.includes(content.name))?.ice;
  }

  /** Our transports, without candidates: what says that we start ICE anew. */
  transports(): Content[] {
    return this.alive().flatMap(({ name, creator, ours }) => {
      const ice = ours?.ice;
      return ice === undefined ? [] : [transport(creator, name, { ...ice, fingerprints: [], candidates: [] })];
    });
  }

  /** A candidate of ours as Jingle says it; `undefined` for one that it has no words for. */
  candidate(line: string, mid: string, id: string): Content | undefined {
    const name = this.nameOf(mid);
    const known = this.line(name);
    const candidate = parseCandidate(line, id);
    if (known?.ours?.ice === undefined || candidate === undefined) return undefined;
    const { ufrag, pwd } = known.ours.ice;
    return transport(known.creator, name, { ufrag, pwd, fingerprints: [], candidates: [candidate] });
  }

  /** Their candidates for the browser. */
  candidates(contents: readonly Content[]): RTCIceCandidateInit[] {
    return contents.flatMap(({ name, ice }) => {
      const line = need(this.line(name), "unknown-content");
      this.count(name, ice?.candidates.length ?? 0);
      const ufrag = ice?.ufrag ?? line.theirs?.ice?.ufrag;
      // Who multiplexes RTCP has no use for the second component (RFC 5761).
      const useful = ice?.candidates.filter((it) => it.component === 1) ?? [];
      return useful.map((it) => ({ candidate: printCandidate(it, ufrag), sdpMid: this.mid(name) }));
    });
  }

  /** Row T07: candidates that come one by one are as many as those that come at once. */
  private count(name: string, more: number): void {
    const count = (this.counts.get(name) ?? 0) + more;
    if (count > CANDIDATES_MAX) throw new Refused("too-many-candidates");
    this.counts.set(name, count);
  }

  /** The media that live. */
  alive(): Line[] {
    return this.lines.filter((line) => !line.isRejected);
  }

  line(name: string): Line | undefined {
    return this.alive().find((line) => line.name === name);
  }

  private setBundle(isFirst: boolean, { contents, bundle }: Description): void {
    if (isFirst) {
      this.bundle = bundle.filter((name) => this.line(name) !== undefined);
      return;
    }
    const shared = this.line(this.bundle[0] ?? "")?.theirs?.ice?.ufrag;
    const joins = contents.filter(({ name, ice }) => bundle.includes(name) || (shared !== undefined && ice?.ufrag === shared));
    const fresh = joins.map((content) => content.name).filter((name) => !this.bundle.includes(name));
    this.bundle = [...this.bundle, ...fresh];
  }

  /** Whether another content says how this one's packets travel. */
  private isShared(content: Content): boolean {
    const leader = this.bundle.map((name) => this.line(name)?.theirs).find((it) => it !== undefined);
    return leader !== undefined && leader.name !== content.name && this.bundle.includes(content.name);
  }

  /** What the browser calls a content; the same, unless that is too long for it. */
  mid(name: string): string {
    if (name.length <= MID_MAX) return name;
    const known = this.mids.get(name) ?? `~${this.mids.size}`;
    this.mids.set(name, known);
    return known;
  }

  private nameOf(mid: string): string {
    return [...this.mids].find(([, known]) => known === mid)?.[0] ?? mid;
  }

  /** The browser's own description; what is not known yet was created by `creator`. */
  private read(sdp: Sdp, creator: Party): Slot[] {
    const slots = readSdp(sdp, this.self, (mid) => this.line(this.nameOf(mid))?.creator ?? creator);
    return slots.map((slot) => ({ ...slot, content: { ...slot.content, name: this.nameOf(slot.content.name) } }));
  }

  private names(sdp: Sdp): string[] {
    return readBundle(sdp).map((mid) => this.nameOf(mid));
  }

  private write(type: "offer" | "answer"): string {
    const slots = this.lines.map((line): Slot => {
      const content = need(line.theirs ?? line.ours, "unknown-content");
      return { content: { ...content, name: this.mid(line.name) }, isRejected: line.isRejected };
    });
    const bundle = this.bundle.map((name) => this.mid(name));
    return print(writeSdp(slots, bundle, other(this.self), type));
  }
}

/** What a browser needs of a content; the rest of what it says is free. */
function check({ rtp, ice }: Content, isShared: boolean): void {
  if (rtp === undefined || rtp.payloads.length === 0) throw new Refused("no-payloads");
  if (!rtp.mux) throw new Refused("no-mux");
  if (isShared) return;
  if (ice?.ufrag === undefined || ice.pwd === undefined) throw new Refused("no-credentials");
  if (ice.fingerprints.length === 0) throw new Refused("no-fingerprint");
}

function transport(creator: Party, name: string, ice: Ice): Content {
  return { creator, name, senders: "both", rtp: undefined, ice };
}

/** New credentials beside the certificate that stays. */
function renew(known: Ice | undefined, fresh: Ice): Ice {
  return { ufrag: fresh.ufrag, pwd: fresh.pwd, fingerprints: known?.fingerprints ?? [], candidates: [] };
}

/** The part that is left to them in the handshake, now that ours is chosen. */
function settle(theirs: Content, ours: Ice | undefined): Content {
  const chosen = ours?.fingerprints[0]?.setup;
  const setup: Setup | undefined = chosen === "active" ? "passive" : chosen === "passive" ? "active" : undefined;
  if (theirs.ice === undefined || setup === undefined) return theirs;
  const fingerprints = theirs.ice.fingerprints.map((it) => ({ ...it, setup }));
  return { ...theirs, ice: { ...theirs.ice, fingerprints } };
}
