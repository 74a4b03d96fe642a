// Which call a stanza belongs to, and which begin: XEP-0353 0.8.0 sections 5 and 6, XEP-0166 1.1.2
// sections 6.3.2, 7.2.16 and 12.5.
//
// A person has one call at a time. What comes is of that call only when account, device and
// session fit (row T10); whoever calls meanwhile hears that we are busy.

import { bareJid } from "../xmpp/jid";
import type { Action, Call, Step } from "./call";
import type { Jingle } from "./jingle";
import { isLower, say } from "./jmi";
import type { Jmi } from "./jmi";
import { ring, ringUnproposed, step } from "./machine";
import { RING_MS, end, jingle, stay } from "./steps";

/** What is known around a call. */
export interface Around {
  /** Our full JID. */
  readonly me: string;
  readonly now: number;
  /** Somebody on our contact list, who sees our presence. */
  readonly isContact: (bare: string) => boolean;
  /** A room that we are in: its occupants do not call. */
  readonly isRoom: (bare: string) => boolean;
}

/** What a stanza comes to: the calls that it changes, in order, and what to do. */
export interface Ruling {
  /** Calls that are over by it, then the one that is there. */
  readonly calls: readonly Call[];
  readonly actions: readonly Action[];
  /** The error that their request is answered with. */
  readonly refusal?: Refusal;
}

/** Errors of Jingle requests (0166 section 10). */
export type Refusal = "out-of-order" | "tie-break" | "unknown-session" | "unsupported-info" | "bad-request" | "service-unavailable";

const NOTHING: Ruling = { calls: [], actions: [] };

function rule({ call, actions, refusal }: Step, before: readonly Call[] = []): Ruling {
  return { calls: [...before, call], actions, ...(refusal === undefined ? {} : { refusal }) };
}

function isAlive(call: Call | undefined): call is Call {
  return call !== undefined && call.phase !== "ended";
}

/** A message of a call from another account; `at` is when it was sent. */
export function hear(call: Call | undefined, from: string, jmi: Jmi, at: number, around: Around): Ruling {
  const peer = bareJid(from);
  if (isAlive(call) && call.sid === jmi.sid && call.peer === peer) {
    return rule(step(call, { is: "jmi", from, jmi }, around.now));
  }
  const isFresh = around.now - at < RING_MS && jmi.media.length > 0 && !around.isRoom(peer);
  if (jmi.what !== "propose" || !isFresh) return NOTHING;
  const begin = (isTaken: boolean): Step => ring(beginning(jmi, peer, around), from, isTaken);
  if (!isAlive(call)) return rule(begin(false));
  if (call.peer === peer) return hearAgain(call, from, jmi, begin, around);
  // Section 5.5.
  return { calls: [call], actions: [{ do: "say", to: from, jmi: say("reject", jmi.sid, { reason: { condition: "busy", text: "" } }) }] };
}

function beginning(jmi: Jmi, peer: string, { me, now, isContact }: Around): Parameters<typeof ring>[0] {
  return { sid: jmi.sid, me, peer, isContact: isContact(peer), hasVideo: jmi.media.includes("video"), at: now };
}

/** They call while there is a call with them. */
function hearAgain(call: Call, from: string, jmi: Jmi, begin: (isTaken: boolean) => Step, around: Around): Ruling {
  switch (call.phase) {
    case "opening": {
      // We were about to call them, so we are glad to talk.
      const over = end(call, "tie-break", around.now);
      return after(over, begin(true));
    }
    case "proposing":
    case "ringing":
      return glare(call, from, jmi, begin, around);
    case "incoming":
    case "accepting":
      return after(end(call, "missed", around.now), begin(false));
    default:
      return migrate(call, jmi.sid, begin, around.now);
  }
}

function after(over: Step, begun: Step): Ruling {
  return { calls: [over.call, begun.call], actions: [...over.actions, ...begun.actions] };
}

/** Section 6.1: of two proposals at once, the one with the lower id is the call. */
function glare(call: Call, from: string, jmi: Jmi, begin: (isTaken: boolean) => Step, { me, now }: Around): Ruling {
  const isTheirs = jmi.sid === call.sid ? isLower(from, me) : isLower(jmi.sid, call.sid);
  if (isTheirs) return after(end(call, "tie-break", now), begin(true));
  const yielding = say("reject", jmi.sid, { reason: { condition: "expired", text: "" }, isTieBreak: true });
  return { calls: [call], actions: [{ do: "say", to: from, jmi: yielding }] };
}

/** Section 6.2: they have changed devices, or come back after a loss; the call goes on. */
function migrate(call: Call, to: string, begin: (isTaken: boolean) => Step, now: number): Ruling {
  const over = end(call, "migrated", now);
  const told = over.actions.map((action): Action => {
    if (action.do !== "say" || action.jmi.what !== "finish") return action;
    return { ...action, jmi: { ...action.jmi, migratedTo: to } };
  });
  return after({ ...over, actions: told }, begin(true));
}

/** A message that another device of our own account has sent. */
export function overhear(call: Call | undefined, to: string, jmi: Jmi, now: number): Ruling {
  if (!isAlive(call) || call.sid !== jmi.sid || call.peer !== bareJid(to)) return NOTHING;
  return rule(step(call, { is: "own", jmi }, now));
}

/** A request of a session. */
export function request(call: Call | undefined, from: string, said: Jingle, around: Around): Ruling {
  if (isAlive(call) && call.sid === said.sid && call.device === from) {
    return isOfParties(call, said)
      ? rule(step(call, { is: "jingle", jingle: said }, around.now))
      : rule({ ...stay(call), refusal: "bad-request" });
  }
  if (said.action !== "session-initiate") return { ...NOTHING, refusal: "unknown-session" };
  const peer = bareJid(from);
  // 0166 section 6.3.2.2: strangers are not spoken to, unless a person has said so before.
  if (!around.isContact(peer) || around.isRoom(peer)) return { ...NOTHING, refusal: "service-unavailable" };
  const description = { contents: said.contents, bundle: said.bundle };
  const hasVideo = said.contents.some((content) => content.rtp?.media === "video");
  const begun = ringUnproposed({ sid: said.sid, me: around.me, peer, isContact: true, hasVideo, at: around.now }, from, description);
  if (!isAlive(call)) return rule(begun);
  const busy = jingle(begun.call, "session-terminate", { reason: { condition: "busy", text: "" } });
  return { calls: [call], actions: [{ do: "jingle", to: from, jingle: busy }] };
}

/** 0166 section 12.5: a session is not handed on to another account. */
function isOfParties(call: Call, { initiator, responder }: Jingle): boolean {
  const [ours, theirs] = [bareJid(call.me), call.peer];
  const [first, second] = call.self === "initiator" ? [ours, theirs] : [theirs, ours];
  const fits = (jid: string | undefined, whose: string): boolean => jid === undefined || bareJid(jid) === whose;
  return fits(initiator, first) && fits(responder, second);
}
