// What the steps of a call have in common: its ends, its stanzas, its times.
//
// XEP-0166 1.1.2 section 6.7 (session-terminate), XEP-0353 0.8.0 sections 5.3, 5.5 and 5.7 (retract,
// reject, finish). Who is told what at the end depends on how far the call had come.

import { REASONS } from "./call";
import type { Action, Call, Change, Ending, Medium, Step, TimerName } from "./call";
import type { Content, Description } from "./content";
import type { Action as JingleAction, Condition, Jingle, Reason } from "./jingle";
import { say } from "./jmi";

/** How long it rings, on their side and ours: a minute, as telephones do. */
export const RING_MS = 60_000;
/** From "I take it" to the offer, and from the offer to its answer: devices and a slow line. */
export const DESCRIBE_MS = 30_000;
/** From the answer to the first packet: ICE gives up by itself after about as long. */
export const CONNECT_MS = 30_000;
/** A broken way is looked for anew after this, and given up after the other. */
export const SHAKY_MS = 4_000;
export const LOST_MS = 25_000;

/** The timers, for whoever wants them all stopped. */
export const TIMERS: readonly TimerName[] = ["ring", "offer", "answer", "connect", "shaky"];

/** A step that changes nothing. */
export function stay(call: Call): Step {
  return { call, actions: [] };
}

/** How a call has ended for them. */
export function farewell(call: Call, reason: Reason | undefined): Ending {
  const condition: Condition | undefined = reason?.condition;
  if (call.activeAt !== undefined) return condition === "connectivity-error" ? "connection-lost" : "hung-up";
  if (condition === "busy" || condition === "decline") return condition === "busy" ? "busy" : "declined";
  if (condition === "cancel" || condition === "success") return call.self === "responder" ? "missed" : "declined";
  if (condition === "connectivity-error" || condition === "failed-transport") return "no-connection";
  return "incompatible";
}

/** Ends a call here, and tells them what they do not know yet. */
export function end(call: Call, ending: Ending, at: number, theirWord?: "terminate"): Step {
  const actions: Action[] = [...parting(call, ending, theirWord)];
  actions.push(...TIMERS.map((timer): Action => ({ do: "no-timer", timer })), { do: "media", media: { op: "close" } });
  return { call: { ...call, phase: "ended", ending, endedAt: at, changing: undefined, changes: [] }, actions };
}

function parting(call: Call, ending: Ending, theirWord: "terminate" | undefined): Action[] {
  const reason: Reason = { condition: REASONS[ending], text: "" };
  const { phase, sid, peer, device } = call;
  const to = device ?? peer;
  switch (phase) {
    case "opening":
    case "ended":
      return [];
    case "proposing":
    case "ringing":
      // To the account, so that every device stops ringing (section 5.3).
      return ["declined", "busy"].includes(ending) ? [] : [{ do: "say", to: peer, jmi: say("retract", sid, { reason, isTieBreak: ending === "tie-break" }) }];
    case "incoming":
    case "accepting":
      if (!call.isProposed) return theirWord === undefined ? [{ do: "jingle", jingle: jingle(call, "session-terminate", { reason: declining(ending) }) }] : [];
      return ["declined", "busy", "no-media"].includes(ending) ? [{ do: "say", to, jmi: say("reject", sid, { reason: { condition: "busy", text: "" } }) }] : [];
    default:
      return [...terminating(call, reason, theirWord), ...finishing(call, reason)];
  }
}

function declining(ending: Ending): Reason {
  const condition = ending === "declined" ? "decline" : REASONS[ending];
  return { condition, text: "" };
}

/** There is something to terminate once an offer was sent, or taken. */
function terminating(call: Call, reason: Reason, theirWord: "terminate" | undefined): Action[] {
  const hasSession = call.phase === "starting" ? call.described.length > 0 : call.phase !== "proceeding";
  if (theirWord !== undefined || !hasSession) return [];
  return [{ do: "jingle", jingle: jingle(call, "session-terminate", { reason }) }];
}

/** Section 5.7: both sides say so, for the archives of all devices. */
function finishing(call: Call, reason: Reason): Action[] {
  if (!call.isProposed) return [];
  return [{ do: "say", to: call.device ?? call.peer, jmi: say("finish", call.sid, { reason }) }];
}

/** A `jingle` element of this call. */
export function jingle(call: Call, action: JingleAction, more: Partial<Jingle> = {}): Jingle {
  const isFirst = action === "session-initiate";
  const responder = action === "session-accept" ? call.me : undefined;
  return {
    action,
    sid: call.sid,
    initiator: isFirst || call.self === "initiator" ? call.me : call.device,
    responder,
    contents: [],
    bundle: [],
    reason: undefined,
    info: undefined,
    hasUnknownInfo: false,
    ...more,
  };
}

/** The media of a description. */
export function mediaOf({ contents }: Description): Medium[] {
  return contents.flatMap((content) => mediumOf(content));
}

function mediumOf({ name, creator, rtp }: Content): Medium[] {
  if (rtp === undefined) return [];
  return [{ name, creator, media: rtp.media, isScreen: rtp.categories.includes("slides") }];
}

/** Whether two changes are one. */
export function isSame(one: Change, two: Change): boolean {
  return one.kind === two.kind && one.isOn === two.isOn;
}
