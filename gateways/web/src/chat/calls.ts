// Calls in the history: Jingle Message Initiation, XEP-0353 version 0.8.0.
//
// The archive keeps what devices say to each other about a call. Here it becomes one entry per
// call; the call itself is `../calls`'.

import { shortId } from "../xmpp/ids";
import { attr, child, children } from "../xmpp/xml";
import type { CallEntry } from "./model";

/** The namespace. */
export const NS_JMI = "urn:xmpp:jingle-message:0";
const NS_RTP = "urn:xmpp:jingle:apps:rtp:1";
const NS_JINGLE = "urn:xmpp:jingle:1";

/** What is said about a call. */
export interface CallSignal {
  readonly id: string;
  readonly step: "propose" | "ringing" | "proceed" | "reject" | "retract" | "finish";
  readonly hasVideo: boolean;
  /** The reason of an end (XEP-0166 §7.4), empty where none is given. */
  readonly reason: string;
}

const STEPS: readonly string[] = ["propose", "ringing", "proceed", "reject", "retract", "finish"];

/** Reads what a message says about a call. */
export function parseCallSignal(message: Element): CallSignal | undefined {
  const step = children(message, "*", NS_JMI).find((it) => STEPS.includes(it.localName));
  const id = shortId(attr(step, "id"));
  if (step === undefined || id === undefined) return undefined;
  const media = children(step, "description", NS_RTP).map((it) => attr(it, "media"));
  const reason = child(step, "reason", NS_JINGLE)?.firstElementChild?.localName ?? "";
  return { id, step: step.localName as CallSignal["step"], hasVideo: media.includes("video"), reason };
}

/** What a call has become, after one more signal; `undefined` as long as there is none to show. */
export function advanceCall(
  before: CallEntry | undefined,
  signal: CallSignal,
  isMine: boolean,
): CallEntry | undefined {
  const { id, step, reason } = signal;
  if (step === "propose") {
    // Nobody has answered yet: that is what it stays if nobody ever does.
    return before ?? { id, hasVideo: signal.hasVideo, outcome: isMine ? "cancelled" : "missed", duration: undefined };
  }
  if (before === undefined) return undefined;
  if (step === "proceed") return { ...before, outcome: "answered" };
  if (step === "reject") return before.outcome === "answered" ? before : { ...before, outcome: "declined" };
  if (step === "finish" && reason !== "" && reason !== "success" && before.outcome === "answered") {
    return ["connectivity-error", "failed-transport", "failed-application", "general-error"].includes(reason)
      ? { ...before, outcome: "failed" }
      : before;
  }
  return before;
}
