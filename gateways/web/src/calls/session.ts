// How a call goes on inside of its Jingle session: XEP-0166 1.1.2, 0167 1.2.3, 0176 1.1.1.
//
// The part of the machine that is about descriptions, transports and changes while talking.
// Changes are made one after another: JSEP knows one offer at a time, and so does section 7.2.16.

import type { Action, Call, Change, Event, Media, Step } from "./call";
import type { Content, Description } from "./content";
import type { Info, Jingle } from "./jingle";
import { CONNECT_MS, LOST_MS, SHAKY_MS, end, farewell, isSame, jingle, mediaOf, stay } from "./steps";
import { CANDIDATES_MAX, CONTENTS_MAX } from "./refusal";

/** Transports that wait for a description: as many as there may be candidates, each alone. */
const WAITING_MAX = CANDIDATES_MAX * CONTENTS_MAX;

/** What an event of the session or its media does. */
export function stepSession(call: Call, event: Event, at: number): Step {
  switch (event.is) {
    case "jingle":
      return stepJingle(call, event.jingle, at);
    case "refused":
      return refused(call, event, at);
    case "offered":
      return call.phase === "starting" ? describe(call, "session-initiate", event.description) : stay(call);
    case "answered":
      return call.phase === "answering" ? answered(call, event.description) : stay(call);
    case "completed":
      return completed(call);
    case "switched":
      return switched(call, event.change, event.result);
    case "added":
      return added(call, event.description);
    case "restarted":
      return { call, actions: [{ do: "jingle", jingle: jingle(call, "transport-info", { contents: event.contents }) }] };
    case "candidate":
      return candidate(call, event.content);
    case "connection":
      return connection(call, event.state, at);
    case "mute":
      return mute(call, event.isOn);
    case "switch":
      return next({ ...call, changes: wish(call.changes, { kind: event.kind, isOn: event.isOn }) });
    case "screen-ended":
      return call.hasScreen ? next({ ...call, changes: wish(call.changes, { kind: "screen", isOn: false }) }) : stay(call);
    case "time":
      return stillShaky(call, at);
    default:
      return stay(call);
  }
}

// --- descriptions ---

/** Sends what we are, and then the transports that waited for it. */
function describe(call: Call, action: Jingle["action"], { contents, bundle }: Description): Step {
  const described = [...call.described, ...contents.map((content) => content.name)];
  const isSent = (content: Content): boolean => described.includes(content.name);
  const actions: Action[] = [{ do: "jingle", jingle: jingle(call, action, { contents, bundle }) }];
  const late = call.late.filter(isSent);
  if (late.length > 0) actions.push({ do: "jingle", jingle: jingle(call, "transport-info", { contents: late }) });
  const media = [...call.media, ...mediaOf({ contents, bundle }).filter((one) => !call.media.some((it) => it.name === one.name))];
  return { call: { ...call, described, media, late: call.late.filter((it) => !isSent(it)) }, actions };
}

function answered(call: Call, description: Description): Step {
  const { call: next_, actions } = describe(call, "session-accept", description);
  const taken = description.contents.map((content) => content.name);
  return {
    call: { ...next_, phase: "connecting", early: [], media: next_.media.filter((it) => taken.includes(it.name)) },
    actions: [...actions, ...flush(call.early), { do: "timer", timer: "connect", ms: CONNECT_MS }],
  };
}

function flush(early: readonly Content[]): Action[] {
  return early.length === 0 ? [] : [{ do: "media", media: { op: "candidates", contents: early } }];
}

/** Their new contents are taken; a change of ours that had to wait comes now. */
function added(call: Call, description: Description): Step {
  const first = describe(call, "content-accept", description);
  const second = next(first.call);
  return { call: second.call, actions: [...first.actions, ...second.actions] };
}

/** The browser has their answer: to our offer, or to a change of ours. */
function completed(call: Call): Step {
  const flushed = { ...call, early: [] };
  const actions = flush(call.early);
  if (call.changing === undefined) return { call: flushed, actions };
  const after = next({ ...done(flushed, call.changing), changing: undefined });
  return { call: after.call, actions: [...actions, ...after.actions] };
}

function candidate(call: Call, content: Content): Step {
  if (!call.described.includes(content.name)) {
    return { call: { ...call, late: [...call.late, content].slice(-WAITING_MAX) }, actions: [] };
  }
  return { call, actions: [{ do: "jingle", jingle: jingle(call, "transport-info", { contents: [content] }) }] };
}

// --- what they say ---

function stepJingle(call: Call, said: Jingle, at: number): Step {
  switch (said.action) {
    case "session-initiate":
      return initiated(call, said);
    case "session-accept":
      return accepted(call, said);
    case "session-terminate":
      return end(call, farewell(call, said.reason), at, "terminate");
    case "session-info":
      return informed(call, said);
    case "transport-info":
      return transports(call, said.contents);
    default:
      return hasSession(call) ? changed(call, said, at) : { ...stay(call), refusal: "out-of-order" };
  }
}

function hasSession({ phase }: Call): boolean {
  return phase === "connecting" || phase === "active";
}

function initiated(call: Call, { contents, bundle }: Jingle): Step {
  if (call.phase !== "proceeding") return { ...stay(call), refusal: "out-of-order" };
  return {
    call: { ...call, phase: "answering", media: mediaOf({ contents, bundle }) },
    actions: [
      { do: "no-timer", timer: "offer" },
      { do: "media", media: { op: "answer", description: { contents, bundle } } },
    ],
  };
}

function accepted(call: Call, { contents, bundle }: Jingle): Step {
  if (call.phase !== "starting" || call.described.length === 0) return { ...stay(call), refusal: "out-of-order" };
  const names = contents.map((content) => content.name);
  return {
    call: { ...call, phase: "connecting", media: call.media.filter((it) => names.includes(it.name)) },
    actions: [
      { do: "no-timer", timer: "answer" },
      { do: "media", media: { op: "complete", description: { contents, bundle } } },
      { do: "timer", timer: "connect", ms: CONNECT_MS },
    ],
  };
}

/** Their candidates may come before their answer; the browser takes them only after it. */
function transports(call: Call, contents: readonly Content[]): Step {
  const isEarly = !hasSession(call);
  if (!isEarly) return { call, actions: [{ do: "media", media: { op: "candidates", contents } }] };
  if (call.early.length >= WAITING_MAX) return { ...stay(call), refusal: "bad-request" };
  return { call: { ...call, early: [...call.early, ...contents] }, actions: [] };
}

function informed(call: Call, { info, hasUnknownInfo }: Jingle): Step {
  if (hasUnknownInfo) return { ...stay(call), refusal: "unsupported-info" };
  if (info === undefined) return stay(call);
  if (info.what === "ringing") {
    return { call: call.phase === "proposing" ? { ...call, phase: "ringing" } : call, actions: [] };
  }
  if (info.what === "hold" || info.what === "unhold") return { call: { ...call, isHeld: info.what === "hold" }, actions: [] };
  return { call: { ...call, theirMuted: muted(call, info), isHeld: call.isHeld && info.what !== "active" }, actions: [] };
}

function muted(call: Call, { what, content }: Info): string[] {
  const all = call.media.map((it) => it.name);
  const about = content === undefined ? all : all.filter((name) => name === content.name);
  const others = call.theirMuted.filter((name) => !about.includes(name));
  return what === "mute" ? [...others, ...about] : others;
}

/** Changes of theirs while talking. */
function changed(call: Call, said: Jingle, at: number): Step {
  const { action, contents, bundle } = said;
  const names = contents.map((content) => content.name);
  switch (action) {
    case "content-add":
      return theirAdd(call, { contents, bundle });
    case "content-accept":
      return call.changing === undefined
        ? { ...stay(call), refusal: "out-of-order" }
        : { call, actions: [{ do: "media", media: { op: "complete", description: { contents, bundle } } }] };
    case "content-reject":
      return ourAddRejected(call, names);
    case "content-modify":
      return { call, actions: [{ do: "media", media: { op: "modified", contents } }] };
    case "content-remove":
      return removed(call, names, at);
    case "description-info":
    case "security-info":
      return stay(call);
    default:
      // Another transport than ICE-UDP: there is none that a browser has.
      return { ...stay(call), refusal: "bad-request" };
  }
}

/** Section 7.2.16: at the same time as ours, the initiator's is taken and the other comes again. */
function theirAdd(call: Call, description: Description): Step {
  const add: Action = { do: "media", media: { op: "add", description } };
  const media = [...call.media, ...mediaOf(description)];
  if (call.changing === undefined) return { call: { ...call, media }, actions: [add] };
  if (call.self === "initiator") return { ...stay(call), refusal: "tie-break" };
  const again = { ...call, media, changes: [call.changing, ...call.changes], changing: undefined };
  return { call: again, actions: [{ do: "media", media: { op: "rollback", keeps: true } }, add] };
}

function ourAddRejected(call: Call, names: readonly string[]): Step {
  if (call.changing === undefined) return { ...stay(call), refusal: "out-of-order" };
  const media = call.media.filter((it) => !names.includes(it.name));
  const after = next({ ...call, media, changing: undefined });
  return { call: after.call, actions: [{ do: "media", media: { op: "rollback", keeps: false } }, ...after.actions] };
}

/** A session without contents is void (section 7.2.5). */
function removed(call: Call, names: readonly string[], at: number): Step {
  const media = call.media.filter((it) => !names.includes(it.name));
  if (media.length === 0) return end(call, "hung-up", at);
  return { call: { ...call, media }, actions: [{ do: "media", media: { op: "removed", names } }] };
}

// --- what came back ---

function refused(call: Call, { action, isTieBreak, isGone }: Extract<Event, { is: "refused" }>, at: number): Step {
  if (action === "session-initiate" || action === "session-accept") return end(call, "gone", at, "terminate");
  if (action === "content-add" && call.changing !== undefined) {
    const changes = isTieBreak ? [call.changing, ...call.changes] : call.changes;
    const again = { ...call, changes, changing: undefined };
    const rollback: Action = { do: "media", media: { op: "rollback", keeps: isTieBreak } };
    // After a tie their own comes; ours has its turn when that is taken.
    if (isTieBreak) return { call: again, actions: [rollback] };
    const after = next(again);
    return { call: after.call, actions: [rollback, ...after.actions] };
  }
  return isGone && action !== "session-terminate" ? end(call, "gone", at, "terminate") : stay(call);
}

// --- switching ---

function mute(call: Call, isOn: boolean): Step {
  if (call.isMuted === isOn) return stay(call);
  const actions: Action[] = [{ do: "media", media: { op: "mute", isOn } }];
  const audio = call.media.find((it) => it.media === "audio");
  if (hasSession(call) && audio !== undefined) actions.push(tell(call, audio.name, isOn));
  return { call: { ...call, isMuted: isOn }, actions };
}

/** 0167 section 8.4. */
function tell(call: Call, name: string, isOn: boolean): Action {
  const creator = call.media.find((it) => it.name === name)?.creator ?? "initiator";
  const info: Info = { what: isOn ? "mute" : "unmute", content: { creator, name } };
  return { do: "jingle", jingle: jingle(call, "session-info", { info }) };
}

/** The changes that are still to be made, when this one is wished for too: the last wish counts. */
function wish(changes: readonly Change[], change: Change): Change[] {
  return [...changes.filter((it) => it.kind !== change.kind), change];
}

/** Makes the next change that changes something. */
function next(call: Call): Step {
  if (call.changing !== undefined || !hasSession(call)) return stay(call);
  const [change, ...changes] = call.changes;
  if (change === undefined) return stay(call);
  const is = change.kind === "camera" ? call.hasCamera : call.hasScreen;
  if (is === change.isOn) return next({ ...call, changes });
  return { call: { ...call, changes, changing: change }, actions: [{ do: "media", media: { op: "switch", change } }] };
}

/** The media have been switched as far as they can be without the other side. */
function switched(call: Call, change: Change, result: Extract<Event, { is: "switched" }>["result"]): Step {
  if (call.changing === undefined || !isSame(call.changing, change)) return stay(call);
  if (result.needs === "add") return describe(call, "content-add", result.description);
  const finished = next({ ...done(call, change), changing: undefined });
  return { call: finished.call, actions: [...telling(call, change, result), ...finished.actions] };
}

function telling(call: Call, change: Change, result: Extract<Event, { is: "switched" }>["result"]): Action[] {
  switch (result.needs) {
    case "modify":
      return [{ do: "jingle", jingle: jingle(call, "content-modify", { contents: [result.content] }) }];
    case "remove":
      return [{ do: "jingle", jingle: jingle(call, "content-remove", { contents: result.contents }) }];
    default: {
      // Nothing to negotiate: the picture stops, or comes again, in the content that there is.
      const video = call.media.find((it) => it.media === "video" && !it.isScreen);
      return video === undefined ? [] : [tell(call, video.name, !change.isOn)];
    }
  }
}

function done(call: Call, { kind, isOn }: Change): Call {
  const gone = kind === "screen" && !isOn;
  const media = gone ? call.media.filter((it) => !it.isScreen || it.creator !== call.self) : call.media;
  return kind === "camera" ? { ...call, hasCamera: isOn } : { ...call, hasScreen: isOn, media };
}

/** Something beside the call itself has failed: the call goes on as it was. */
export function changeFailed(call: Call, what: Media["op"], contents: readonly Content[]): Step {
  if (what === "switch" && call.changing !== undefined) return next({ ...call, changing: undefined });
  if (what !== "add") return stay(call);
  const names = contents.map((content) => content.name);
  const bare = contents.map((content) => ({ ...content, rtp: undefined, ice: undefined }));
  const reason = { condition: "failed-application", text: "" } as const;
  return {
    call: { ...call, media: call.media.filter((it) => !names.includes(it.name)) },
    actions: [{ do: "jingle", jingle: jingle(call, "content-reject", { contents: bare, reason }) }],
  };
}

// --- the way between ---

function connection(call: Call, state: "connected" | "shaky" | "failed", at: number): Step {
  if (!hasSession(call)) return stay(call);
  if (state === "connected") return connected(call, at);
  if (call.phase === "connecting") return state === "failed" ? end(call, "no-connection", at) : stay(call);
  if (call.isShaky) return stay(call);
  const ms = state === "failed" ? 0 : SHAKY_MS;
  return { call: { ...call, isShaky: true }, actions: [{ do: "timer", timer: "shaky", ms }] };
}

function connected(call: Call, at: number): Step {
  const active: Call = { ...call, phase: "active", isShaky: false, isSearching: false, activeAt: call.activeAt ?? at };
  const actions: Action[] = [
    { do: "no-timer", timer: "connect" },
    { do: "no-timer", timer: "shaky" },
  ];
  const isNew = call.phase === "connecting";
  const audio = call.media.find((it) => it.media === "audio");
  if (isNew && call.isMuted && audio !== undefined) actions.push(tell(call, audio.name, true));
  const after = next(active);
  return { call: after.call, actions: [...actions, ...after.actions] };
}

/** The initiator looks for another way, once; then both give up (0176 section 5.11). */
function stillShaky(call: Call, at: number): Step {
  if (!call.isShaky) return stay(call);
  if (call.isSearching) return end(call, "connection-lost", at);
  const restart: Action[] = call.self === "initiator" ? [{ do: "media", media: { op: "restart" } }] : [];
  return { call: { ...call, isSearching: true }, actions: [...restart, { do: "timer", timer: "shaky", ms: LOST_MS }] };
}
