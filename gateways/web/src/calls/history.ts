// Calls as entries of a conversation's history: XEP-0353 0.8.0 section 5.7.
//
// Of a call that this client was in, the call itself knows how it went and how long it was. What
// the archive tells of others is put together in ../chat/calls.ts.

import type { CallEntry } from "../chat/model";
import type { Call, Ending } from "./call";

/** An entry, and where it stands. */
export interface Noted {
  readonly entry: CallEntry;
  /** The conversation. */
  readonly peer: string;
  readonly at: number;
  /** We have called. */
  readonly isMine: boolean;
}

const OUTCOMES: Readonly<Record<Ending, CallEntry["outcome"]>> = {
  "hung-up": "answered",
  cancelled: "cancelled",
  missed: "missed",
  "no-answer": "cancelled",
  declined: "declined",
  busy: "declined",
  elsewhere: "answered-elsewhere",
  "declined-elsewhere": "declined",
  "no-media": "failed",
  "no-connection": "failed",
  "connection-lost": "answered",
  gone: "failed",
  incompatible: "failed",
  migrated: "answered",
  "tie-break": "cancelled",
};

/** The entry of a call that is over; none for one that gave way to another of the same two. */
export function noted(call: Call): Noted | undefined {
  const { sid, peer, self, ending, activeAt, endedAt, startedAt } = call;
  if (ending === undefined || endedAt === undefined || ending === "tie-break" || ending === "migrated") return undefined;
  const wasActive = activeAt !== undefined;
  const outcome = OUTCOMES[ending];
  return {
    entry: {
      id: sid,
      hasVideo: call.wantsVideo || call.offersVideo,
      outcome: wasActive ? "answered" : outcome === "answered" ? "failed" : outcome,
      duration: wasActive ? Math.round((endedAt - activeAt) / 1000) : undefined,
    },
    peer,
    at: startedAt,
    isMine: self === "initiator",
  };
}
