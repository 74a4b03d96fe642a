// A call as plain values: what there is, what happens to it, and what it asks for.
//
// machine.ts steps from one to the next; service.ts carries out what is asked. Both sides of that
// line are data, so that every transition can be tested without a browser (XEP-0166, 0353).

import type { Content, Description, Party } from "./content";
import type { Condition, Jingle } from "./jingle";
import type { Jmi } from "./jmi";

/**
 * Where a call stands.
 *
 * - `opening`: ours; microphone and camera are asked for
 * - `proposing`: ours; proposed, and nothing heard yet
 * - `ringing`: ours; it rings somewhere
 * - `starting`: ours; taken, our offer is on its way
 * - `incoming`: theirs; it rings here
 * - `accepting`: theirs; taken here, microphone and camera are asked for
 * - `proceeding`: theirs; said so, their offer is on its way
 * - `answering`: theirs; our answer is being made
 * - `connecting`: both have described themselves, and look for a way
 * - `active`: media flow
 * - `ended`
 */
export type Phase =
  | "opening"
  | "proposing"
  | "ringing"
  | "starting"
  | "incoming"
  | "accepting"
  | "proceeding"
  | "answering"
  | "connecting"
  | "active"
  | "ended";

/** Why a call is over. */
export type Ending =
  | "hung-up"
  | "cancelled"
  | "missed"
  | "no-answer"
  | "declined"
  | "busy"
  | "elsewhere"
  | "declined-elsewhere"
  | "no-media"
  | "no-connection"
  | "connection-lost"
  | "gone"
  | "incompatible"
  | "migrated"
  | "tie-break";

/** What can be switched on and off while talking. */
export type Kind = "camera" | "screen";

/** A medium that both know of. */
export interface Medium {
  readonly name: string;
  readonly creator: Party;
  readonly media: "audio" | "video";
  readonly isScreen: boolean;
}

/** A change that waits for its turn, or for its answer. */
export interface Change {
  readonly kind: Kind;
  readonly isOn: boolean;
}

/** A call. */
export interface Call {
  readonly sid: string;
  /** Our part in the Jingle session. */
  readonly self: Party;
  /** Our full JID, and theirs once a device of theirs is in the call. */
  readonly me: string;
  readonly peer: string;
  readonly device: string | undefined;
  readonly phase: Phase;
  /** Proposed by a message (XEP-0353), not by the session's request itself. */
  readonly isProposed: boolean;
  /** They stand on our contact list: their devices may learn that we are here, and where. */
  readonly isContact: boolean;
  /** Taken without asking: it goes on from another one. */
  readonly isTaken: boolean;
  readonly wantsVideo: boolean;
  readonly offersVideo: boolean;
  readonly media: readonly Medium[];

  readonly isMuted: boolean;
  readonly hasCamera: boolean;
  readonly hasScreen: boolean;
  /** Names of their contents that they say they have muted; `*` for all. */
  readonly theirMuted: readonly string[];
  readonly isHeld: boolean;
  /** The way between us is broken, and may come back. */
  readonly isShaky: boolean;
  /** Another way is being looked for. */
  readonly isSearching: boolean;

  /** Their description, while ours is not asked for yet. */
  readonly offer: Description | undefined;
  /** Their transports that came before their description was taken. */
  readonly early: readonly Content[];
  /** Our transports that wait for our description to be sent. */
  readonly late: readonly Content[];
  /** Names of the contents that were described to them. */
  readonly described: readonly string[];
  readonly changes: readonly Change[];
  /** The change that is being made: by us at first, then by their answer. */
  readonly changing: Change | undefined;

  /** When it began, when media flowed, when it was over; milliseconds since 1970. */
  readonly startedAt: number;
  readonly activeAt: number | undefined;
  readonly endedAt: number | undefined;
  readonly ending: Ending | undefined;
}

/** What a call waits for. */
export type TimerName = "ring" | "offer" | "answer" | "connect" | "shaky";

/** What the person with the call, its media, its peer and the clock do to it. */
export type Event =
  | { readonly is: "accept"; readonly hasVideo: boolean }
  | { readonly is: "decline" }
  | { readonly is: "hang-up" }
  | { readonly is: "mute"; readonly isOn: boolean }
  | { readonly is: "switch"; readonly kind: Kind; readonly isOn: boolean }
  | { readonly is: "screen-ended" }
  | { readonly is: "jmi"; readonly from: string; readonly jmi: Jmi }
  /** Another device of our own account has said it. */
  | { readonly is: "own"; readonly jmi: Jmi }
  | { readonly is: "jingle"; readonly jingle: Jingle }
  /** A request of ours came back with an error. */
  | { readonly is: "refused"; readonly action: Jingle["action"]; readonly isTieBreak: boolean; readonly isGone: boolean }
  | { readonly is: "opened"; readonly hasVideo: boolean }
  | { readonly is: "offered"; readonly description: Description }
  | { readonly is: "answered"; readonly description: Description }
  | { readonly is: "completed" }
  | { readonly is: "switched"; readonly change: Change; readonly result: Switched }
  | { readonly is: "added"; readonly description: Description }
  /** ICE starts anew, by our wish or theirs; these are our new transports. */
  | { readonly is: "restarted"; readonly contents: readonly Content[] }
  | { readonly is: "media-failed"; readonly what: Media["op"]; readonly contents: readonly Content[] }
  | { readonly is: "candidate"; readonly content: Content }
  | { readonly is: "connection"; readonly state: "connected" | "shaky" | "failed" }
  | { readonly is: "peer-offline" }
  | { readonly is: "time"; readonly timer: TimerName };

/** What switching something on or off comes to. */
export type Switched =
  | { readonly needs: "add"; readonly description: Description }
  | { readonly needs: "modify"; readonly content: Content }
  | { readonly needs: "remove"; readonly contents: readonly Content[] }
  | { readonly needs: "nothing" };

/** What is asked of the media. */
export type Media =
  | { readonly op: "open"; readonly hasVideo: boolean; readonly isRelayed: boolean }
  | { readonly op: "offer" }
  | { readonly op: "answer"; readonly description: Description }
  | { readonly op: "complete"; readonly description: Description }
  | { readonly op: "candidates"; readonly contents: readonly Content[] }
  | { readonly op: "mute"; readonly isOn: boolean }
  | { readonly op: "switch"; readonly change: Change }
  | { readonly op: "add"; readonly description: Description }
  | { readonly op: "modified"; readonly contents: readonly Content[] }
  | { readonly op: "removed"; readonly names: readonly string[] }
  | { readonly op: "restart" }
  /** Takes our change back; `keeps` what it would have shown, for it comes again. */
  | { readonly op: "rollback"; readonly keeps: boolean }
  | { readonly op: "close" };

/** What a call asks for. */
export type Action =
  | { readonly do: "say"; readonly to: string; readonly jmi: Jmi }
  /** To the device in the call, unless it says another. */
  | { readonly do: "jingle"; readonly jingle: Jingle; readonly to?: string }
  | { readonly do: "media"; readonly media: Media }
  | { readonly do: "timer"; readonly timer: TimerName; readonly ms: number }
  | { readonly do: "no-timer"; readonly timer: TimerName };

/** A call after an event, and what is to be done; their request is refused for `refusal`. */
export interface Step {
  readonly call: Call;
  readonly actions: readonly Action[];
  readonly refusal?: "out-of-order" | "tie-break" | "unsupported-info" | "bad-request";
}

/** The reason that an ending is told with. */
export const REASONS: Readonly<Record<Ending, Condition>> = {
  "hung-up": "success",
  cancelled: "cancel",
  missed: "timeout",
  "no-answer": "cancel",
  declined: "busy",
  busy: "busy",
  elsewhere: "cancel",
  "declined-elsewhere": "cancel",
  "no-media": "media-error",
  "no-connection": "connectivity-error",
  "connection-lost": "connectivity-error",
  gone: "connectivity-error",
  incompatible: "failed-application",
  migrated: "expired",
  "tie-break": "expired",
};
