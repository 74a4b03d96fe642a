// The edge of calls: stanzas in and out, media, timers, and the one call there is.
//
// XEP-0353 0.8.0, XEP-0166 1.1.2. Everything is decided in desk.ts and machine.ts; here it is carried
// out. The media and the views are loaded when a call begins, not before.

import { bareJid } from "../xmpp/jid";
import { NS_CARBONS, parseCarbon } from "../xmpp/carbons";
import { StanzaError } from "../xmpp/errors";
import type { ErrorKind, Condition } from "../xmpp/errors";
import { parseDelay } from "../xmpp/forward";
import type { Unsubscribe, XmppLink } from "../xmpp/link";
import { attr, child, iq } from "../xmpp/xml";
import type { Action, Call, Event, Kind, Media, TimerName } from "./call";
import { hear, overhear, request } from "./desk";
import type { Around, Refusal, Ruling } from "./desk";
import type { DeviceChoice } from "./devices";
import { noted } from "./history";
import type { Noted } from "./history";
import { NS_ERRORS, NS_JINGLE, readJingle, writeJingle } from "./jingle";
import type { Jingle } from "./jingle";
import { NS_JMI, readJmi, writeJmi } from "./jmi";
import { begin, step } from "./machine";
import type { Peer, PeerOptions, Streams } from "./peer";
import { Refused } from "./refusal";
import { fetchServers, hasRelay } from "./services";

/** Stanzas that wait for a connection that is lost: those of a call that goes on meanwhile. */
const UNSENT_MAX = 64;
/** A request of a session is answered by a client that is there. */
const ANSWER_MS = 20_000;

/** What the calls need of the rest. */
export interface Surroundings {
  readonly link: XmppLink;
  readonly isContact: (bare: string) => boolean;
  readonly isRoom: (bare: string) => boolean;
  /** Makes the media of a call; resolves when their code is loaded. */
  readonly makePeer: (options: PeerOptions) => Promise<Peer>;
  readonly devices: () => DeviceChoice;
  /** Puts a call that is over into the history. */
  readonly note: (noted: Noted) => void;
  /** The call, or what there is to see of it, has changed. */
  readonly changed: (call: Call | undefined, streams: Streams | undefined) => void;
  readonly now: () => number;
  /** For tests: nothing goes but through the relay. */
  readonly isRelayed?: boolean;
}

/** The calls of a signed-in person: one at a time. */
export class CallService {
  #call: Call | undefined;
  #media: MediaOf | undefined;
  readonly #timers = new Map<TimerName, ReturnType<typeof setTimeout>>();
  readonly #off: Unsubscribe[];
  #unsent: Element[] = [];

  constructor(private readonly around: Surroundings) {
    const { link } = around;
    this.#off = [
      link.on({ name: "message", ns: NS_JMI }, (stanza) => this.#jmi(stanza, parseDelay(stanza) ?? around.now())),
      link.on({ name: "message", ns: NS_CARBONS }, (stanza) => this.#copy(stanza)),
      link.answer("set", NS_JINGLE, (stanza) => this.#request(stanza)),
      link.on({ name: "presence", type: "unavailable" }, (stanza) => this.#gone(stanza)),
      link.listen("online", () => this.#flush()),
    ];
  }

  /** The call there is, or the last one. */
  get call(): Call | undefined {
    return this.#call;
  }

  get peer(): Peer | undefined {
    return this.#media?.peer;
  }

  /** Calls somebody; nothing while there is a call, or no connection. */
  start(peer: string, hasVideo: boolean): void {
    if (this.#isBusy() || this.around.link.state !== "online") return;
    const { link, now, isContact } = this.around;
    const sid = crypto.randomUUID();
    const first = begin({ sid, me: link.jid, peer: bareJid(peer), isContact: isContact(bareJid(peer)), hasVideo, at: now() });
    this.#follow({ calls: [first.call], actions: first.actions });
  }

  accept(hasVideo: boolean): void {
    this.#tell({ is: "accept", hasVideo });
  }

  decline(): void {
    this.#tell({ is: "decline" });
  }

  hangUp(): void {
    this.#tell({ is: "hang-up" });
  }

  mute(isOn: boolean): void {
    this.#tell({ is: "mute", isOn });
  }

  /** Shows the camera or the screen, or does no longer; false where it may not. */
  async switch(kind: Kind, isOn: boolean): Promise<boolean> {
    const media = this.#media;
    try {
      if (isOn) await media?.peer?.acquire(kind);
    } catch {
      return false;
    }
    if (media === this.#media) this.#tell({ is: "switch", kind, isOn });
    return true;
  }

  /** Forgets a call that is over. */
  dismiss(): void {
    if (this.#isBusy()) return;
    this.#call = undefined;
    this.#show();
  }

  /** Ends everything, as on signing out. */
  close(): void {
    this.hangUp();
    for (const off of this.#off) off();
    this.#media?.close();
  }

  #isBusy(): boolean {
    return this.#call !== undefined && this.#call.phase !== "ended";
  }

  #around(): Around {
    const { link, now, isContact, isRoom } = this.around;
    return { me: link.jid, now: now(), isContact, isRoom };
  }

  // --- what comes ---

  #copy(stanza: Element): void {
    const carbon = parseCarbon(stanza, this.around.link.bareJid);
    if (carbon !== undefined) this.#jmi(carbon.message, carbon.at ?? this.around.now());
  }

  /** A message of a call: of another account, or of another device of ours. */
  #jmi(stanza: Element, at: number): void {
    const jmi = readJmi(stanza);
    const from = attr(stanza, "from");
    if (jmi === undefined || from === undefined || from === this.around.link.jid) return;
    const isOwn = bareJid(from) === this.around.link.bareJid;
    this.#follow(
      isOwn ? overhear(this.#call, attr(stanza, "to") ?? "", jmi, this.around.now()) : hear(this.#call, from, jmi, at, this.#around()),
    );
  }

  #request(stanza: Element): undefined {
    const element = child(stanza, "jingle", NS_JINGLE);
    const from = attr(stanza, "from") ?? "";
    if (element === undefined) throw refuse("bad-request");
    const ruling = request(this.#call, from, read(element), this.#around());
    this.#follow(ruling);
    if (ruling.refusal !== undefined) throw refuse(ruling.refusal);
    return undefined;
  }

  #gone(stanza: Element): void {
    const from = attr(stanza, "from");
    if (from !== undefined && from === this.#call?.device) this.#tell({ is: "peer-offline" });
  }

  // --- what it leads to ---

  #tell(event: Event): void {
    if (this.#call === undefined) return;
    const { call, actions } = step(this.#call, event, this.around.now());
    this.#follow({ calls: [call], actions });
  }

  #follow({ calls, actions }: Ruling): void {
    const before = this.#call;
    for (const call of calls) {
      const wasOver = before?.sid === call.sid && before.phase === "ended";
      const entry = call.phase === "ended" && !wasOver ? noted(call) : undefined;
      if (entry !== undefined) this.around.note(entry);
      this.#call = call;
    }
    const deviceOf = (sid: string): string | undefined => [...calls, before].find((call) => call?.sid === sid)?.device;
    for (const action of actions) this.#perform(action, deviceOf);
    this.#show();
  }

  #show(): void {
    this.around.changed(this.#call, this.#media?.peer?.streams);
  }

  #perform(action: Action, deviceOf: (sid: string) => string | undefined): void {
    switch (action.do) {
      case "say":
        return this.#send(writeJmi(action.to, action.jmi));
      case "jingle":
        return void this.#ask(action.jingle, action.to ?? deviceOf(action.jingle.sid));
      case "timer":
        return this.#start(action.timer, action.ms);
      case "no-timer":
        return this.#stop(action.timer);
      default:
        return this.#direct(action.media);
    }
  }

  #send(stanza: Element): void {
    if (!this.around.link.send(stanza)) this.#unsent = [...this.#unsent, stanza].slice(-UNSENT_MAX);
  }

  #flush(): void {
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const stanza of unsent) this.#send(stanza);
  }

  /** Sends a request of the session; what comes back as an error is an event. */
  async #ask(jingle: Jingle, to: string | undefined): Promise<void> {
    const stanza = iq("set", to, writeJingle(jingle));
    if (this.around.link.state !== "online") return this.#send(stanza);
    try {
      await this.around.link.iq(stanza, { timeoutMs: ANSWER_MS });
    } catch (error) {
      if (jingle.sid !== this.#call?.sid) return;
      const [specific, condition] = error instanceof StanzaError ? [error.specific, error.condition] : [];
      const isTieBreak = specific?.name === "tie-break" && specific.ns === NS_ERRORS;
      const isGone = condition === "item-not-found" || condition === "service-unavailable" || condition === "recipient-unavailable";
      this.#tell({ is: "refused", action: jingle.action, isTieBreak, isGone });
    }
  }

  #start(timer: TimerName, ms: number): void {
    this.#stop(timer);
    this.#timers.set(timer, setTimeout(() => this.#tell({ is: "time", timer }), ms));
  }

  #stop(timer: TimerName): void {
    clearTimeout(this.#timers.get(timer));
    this.#timers.delete(timer);
  }

  // --- media ---

  #direct(media: Media): void {
    if (media.op === "open") {
      this.#media?.close();
      this.#media = new MediaOf(this.around, this.#call, media.isRelayed, (of, event) => {
        if (of !== this.#media) return;
        if (event === undefined) this.#show();
        else this.#tell(event);
      });
    }
    this.#media?.direct(media);
    if (media.op === "close") this.#media = undefined;
  }
}

/** The media of one call, from before they are loaded until they are closed. */
class MediaOf {
  peer: Peer | undefined;
  readonly #ready: Promise<Peer>;
  #isClosed = false;

  constructor(
    around: Surroundings,
    call: Call | undefined,
    isRelayed: boolean,
    private readonly tell: (of: MediaOf, event: Event | undefined) => void,
  ) {
    this.#ready = this.#make(around, call?.self ?? "initiator", isRelayed);
    this.#ready.catch(() => undefined);
  }

  async #make(around: Surroundings, self: Call["self"], isRelayed: boolean): Promise<Peer> {
    const servers = await fetchServers(around.link);
    const tell = (event: Event | undefined): void => this.tell(this, event);
    const peer = await around.makePeer({
      self,
      servers,
      // Row T11. Without a relay there is no other way than the direct one, which was agreed to.
      isRelayed: around.isRelayed === true || (isRelayed && hasRelay(servers)),
      devices: around.devices(),
      events: {
        candidate: (content) => tell({ is: "candidate", content }),
        connection: (state) => tell({ is: "connection", state }),
        restarted: (contents) => tell({ is: "restarted", contents }),
        screenEnded: () => tell({ is: "screen-ended" }),
        changed: () => tell(undefined),
      },
    });
    if (this.#isClosed) peer.close();
    this.peer = peer;
    return peer;
  }

  close(): void {
    this.#isClosed = true;
    this.peer?.close();
  }

  direct(media: Media): void {
    if (media.op === "close") return this.close();
    void this.#do(media);
  }

  async #do(media: Media): Promise<void> {
    try {
      const event = await perform(await this.#ready, media);
      if (event !== undefined) this.tell(this, event);
    } catch (error) {
      // Named for whoever looks into the console: to the call only that it failed matters.
      if (!this.#isClosed) console.warn(`call: ${media.op} failed:`, error);
      const contents = media.op === "add" ? media.description.contents : [];
      if (!this.#isClosed) this.tell(this, { is: "media-failed", what: media.op, contents });
    }
  }
}

/** Does what is asked of the media; the event that says so. */
async function perform(peer: Peer, media: Media): Promise<Event | undefined> {
  switch (media.op) {
    case "open":
      return { is: "opened", hasVideo: await peer.open(media.hasVideo) };
    case "offer":
      return { is: "offered", description: await peer.offer() };
    case "answer":
      return { is: "answered", description: await peer.answer(media.description) };
    case "complete":
      await peer.complete(media.description);
      return { is: "completed" };
    case "switch":
      return { is: "switched", change: media.change, result: await peer.switch(media.change) };
    case "add":
      return { is: "added", description: await peer.add(media.description) };
    default:
      await performQuietly(peer, media);
      return undefined;
  }
}

async function performQuietly(peer: Peer, media: Media): Promise<void> {
  switch (media.op) {
    case "candidates":
      return peer.candidates(media.contents);
    case "mute":
      return peer.mute(media.isOn);
    case "modified":
      return peer.modified(media.contents);
    case "removed":
      return peer.removed(media.names);
    case "restart":
      return peer.restart();
    case "rollback":
      return peer.rollback(media.keeps);
    default:
      return undefined;
  }
}

function read(element: Element): Jingle {
  try {
    return readJingle(element);
  } catch (error) {
    throw error instanceof Refused ? new StanzaError("bad-request", "modify", error.refusal) : error;
  }
}

/** 0166 section 10. */
const ERRORS: Readonly<Record<Refusal, readonly [Condition, ErrorKind]>> = {
  "out-of-order": ["unexpected-request", "wait"],
  "tie-break": ["conflict", "cancel"],
  "unknown-session": ["item-not-found", "cancel"],
  "unsupported-info": ["feature-not-implemented", "modify"],
  "bad-request": ["bad-request", "modify"],
  "service-unavailable": ["service-unavailable", "cancel"],
};

function refuse(refusal: Refusal): StanzaError {
  const [condition, kind] = ERRORS[refusal];
  const isPlain = refusal === "bad-request" || refusal === "service-unavailable";
  return new StanzaError(condition, kind, "", isPlain ? undefined : { name: refusal, ns: NS_ERRORS });
}
