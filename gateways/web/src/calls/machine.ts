// How a call goes on: XEP-0353 0.8.0 before the session, XEP-0166 1.1.2 and 0167 1.2.3 in it.
//
// One function, `step`: a call and an event in, the next call and what is to be done out. It reads
// no clock and starts nothing. Stanzas are checked against the call before they come here
// (desk.ts): `jingle` events are of this session and of the device that is in it (row T10).

import type { Action, Call, Ending, Event, Phase, Step, TimerName } from "./call";
import type { Description } from "./content";
import type { Reason } from "./jingle";
import { say } from "./jmi";
import type { Jmi } from "./jmi";
import { changeFailed, stepSession } from "./session";
import { DESCRIBE_MS, RING_MS, end, farewell, jingle, mediaOf, stay } from "./steps";

/** What begins a call. */
export interface Beginning {
  readonly sid: string;
  readonly me: string;
  readonly peer: string;
  readonly isContact: boolean;
  readonly hasVideo: boolean;
  readonly at: number;
}

/** We call somebody: microphone and camera are asked for first, so that nobody rings in vain. */
export function begin(beginning: Beginning): Step {
  const call = fresh(beginning, "opening", "initiator", undefined);
  return { call, actions: [{ do: "media", media: { op: "open", hasVideo: beginning.hasVideo, isRelayed: false } }] };
}

/** Somebody has proposed a call; `isTaken` where it only goes on from another one. */
export function ring(beginning: Beginning, device: string, isTaken: boolean): Step {
  const call = { ...fresh(beginning, "incoming", "responder", device), isTaken };
  if (isTaken) return step(call, { is: "accept", hasVideo: beginning.hasVideo }, beginning.at);
  // Section 8: that it rings tells that we are here; strangers are not told.
  const ringing: Action[] = call.isContact ? [{ do: "say", to: device, jmi: say("ringing", call.sid) }] : [];
  return { call, actions: [...ringing, { do: "timer", timer: "ring", ms: RING_MS }] };
}

/** Somebody's session-initiate came without a proposal, as from clients without XEP-0353. */
export function ringUnproposed(beginning: Beginning, device: string, offer: Description): Step {
  const call = { ...fresh(beginning, "incoming", "responder", device), isProposed: false, offer, media: mediaOf(offer) };
  const info = jingle(call, "session-info", { info: { what: "ringing", content: undefined } });
  return { call, actions: [{ do: "jingle", jingle: info }, { do: "timer", timer: "ring", ms: RING_MS }] };
}

function fresh(beginning: Beginning, phase: Phase, self: Call["self"], device: string | undefined): Call {
  const { sid, me, peer, isContact, hasVideo, at } = beginning;
  return {
    sid,
    self,
    me,
    peer,
    device,
    phase,
    isProposed: true,
    isContact,
    isTaken: false,
    wantsVideo: self === "initiator" && hasVideo,
    offersVideo: self === "responder" && hasVideo,
    media: [],
    isMuted: false,
    hasCamera: false,
    hasScreen: false,
    theirMuted: [],
    isHeld: false,
    isShaky: false,
    isSearching: false,
    offer: undefined,
    early: [],
    late: [],
    described: [],
    changes: [],
    changing: undefined,
    startedAt: at,
    activeAt: undefined,
    endedAt: undefined,
    ending: undefined,
  };
}

/** What an event does to a call. Events that come too late or too early do nothing. */
export function step(call: Call, event: Event, at: number): Step {
  if (call.phase === "ended") return stay(call);
  switch (event.is) {
    case "accept":
      return accept(call, event.hasVideo);
    case "decline":
      return call.phase === "incoming" ? end(call, "declined", at) : stay(call);
    case "hang-up":
      return end(call, hangUp(call), at);
    case "jmi":
      return stepJmi(call, event.from, event.jmi, at);
    case "own":
      return stepOwn(call, event.jmi.what, at);
    case "opened":
      return opened({ ...call, hasCamera: event.hasVideo });
    case "time":
      return timeUp(call, event.timer, at);
    case "media-failed":
      return mediaFailed(call, event, at);
    case "peer-offline":
      // Who talks is heard; whoever rings or looks for a way with a device that is gone is not.
      return call.phase === "active" || call.device === undefined ? stay(call) : end(call, "gone", at);
    default:
      return stepSession(call, event, at);
  }
}

function accept(call: Call, hasVideo: boolean): Step {
  if (call.phase !== "incoming") return stay(call);
  const wantsVideo = hasVideo && call.offersVideo;
  // Row T11: strangers are spoken to through the relay alone.
  const media = { op: "open", hasVideo: wantsVideo, isRelayed: !call.isContact } as const;
  return {
    call: { ...call, phase: "accepting", wantsVideo },
    actions: [{ do: "no-timer", timer: "ring" }, { do: "media", media }],
  };
}

function hangUp({ phase, self }: Call): Ending {
  if (phase === "active") return "hung-up";
  if (phase === "incoming") return "declined";
  return self === "initiator" ? "cancelled" : "hung-up";
}

/** What the media were asked for they cannot do. */
function mediaFailed(call: Call, { what, contents }: Extract<Event, { is: "media-failed" }>, at: number): Step {
  switch (what) {
    case "open":
      return end(call, "no-media", at);
    case "offer":
    case "answer":
    case "complete":
      return end(call, "incompatible", at);
    default:
      return changeFailed(call, what, contents);
  }
}

/** Microphone and camera are there. */
function opened(call: Call): Step {
  if (call.phase === "opening") {
    const media = call.hasCamera ? (["audio", "video"] as const) : (["audio"] as const);
    return {
      call: { ...call, phase: "proposing" },
      actions: [
        { do: "say", to: call.peer, jmi: say("propose", call.sid, { media }) },
        { do: "timer", timer: "ring", ms: RING_MS },
      ],
    };
  }
  if (call.phase !== "accepting") return stay(call);
  if (call.offer !== undefined) {
    return {
      call: { ...call, phase: "answering", offer: undefined },
      actions: [{ do: "media", media: { op: "answer", description: call.offer } }],
    };
  }
  return {
    call: { ...call, phase: "proceeding" },
    actions: [
      { do: "say", to: call.device ?? call.peer, jmi: say("proceed", call.sid) },
      { do: "timer", timer: "offer", ms: DESCRIBE_MS },
    ],
  };
}

function stepJmi(call: Call, from: string, { what, reason, isTieBreak }: Jmi, at: number): Step {
  const isRinging = call.phase === "proposing" || call.phase === "ringing";
  if (call.self === "initiator" && isRinging) {
    if (what === "ringing") return { call: { ...call, phase: "ringing" }, actions: [] };
    if (what === "proceed") return proceed(call, from);
    if (what === "reject") return end(call, isTieBreak ? "tie-break" : rejected(reason), at);
  }
  if (call.self === "responder" && what === "retract" && call.activeAt === undefined) return end(call, "missed", at);
  const isOfDevice = call.device === undefined || call.device === from;
  // Section 5.7: it is over for them, whatever became of the session's own farewell.
  if (what === "finish" && isOfDevice && call.phase !== "incoming") return end(call, farewell(call, reason), at);
  return stay(call);
}

function rejected(reason: Reason | undefined): Ending {
  return reason === undefined || reason.condition === "busy" || reason.condition === "decline" ? "declined" : "busy";
}

/** The first device that says so has the call. */
function proceed(call: Call, device: string): Step {
  return {
    call: { ...call, phase: "starting", device },
    actions: [
      { do: "no-timer", timer: "ring" },
      { do: "media", media: { op: "offer" } },
      { do: "timer", timer: "answer", ms: DESCRIBE_MS },
    ],
  };
}

/** Another device of our account has taken it, or has not (section 5.4, 5.5). */
function stepOwn(call: Call, what: string, at: number): Step {
  const isUndecided = call.phase === "incoming" || call.phase === "accepting";
  if (!isUndecided) return stay(call);
  if (what === "proceed" || what === "accept") return end(call, "elsewhere", at);
  if (what === "reject") return end(call, "declined-elsewhere", at);
  return stay(call);
}

function timeUp(call: Call, timer: TimerName, at: number): Step {
  if (timer === "ring") return end(call, call.self === "initiator" ? "no-answer" : "missed", at);
  if (timer === "offer" || timer === "answer") return end(call, "gone", at);
  if (timer === "connect") return end(call, "no-connection", at);
  return stepSession(call, { is: "time", timer }, at);
}
