// The entries of a conversation and what happens to them. Pure: a list goes in, a new one comes out.
//
// Whoever changes, retracts or reacts is compared with the author here, whatever the stanza claims
// (XEP-0308 §5, XEP-0424 §5): only authors touch their messages, and only rooms moderate.
//
// What refers to a message that is not loaded waits (reactions, retractions) or stands in for it
// (a correction is shown itself until the original comes), so that pages may come in any order.

import type { Message, MessageState, Reaction, Retraction } from "./model";

/** Somebody's reactions to one message. */
export interface Reactor {
  readonly person: string;
  readonly name: string;
  readonly emojis: readonly string[];
  readonly at: number;
}

/** A message with what is known of it beyond what is shown. */
export interface Entry {
  readonly message: Message;
  /** Who wrote it: see `personOf`. */
  readonly author: string;
  /** Ids by which others refer to it: the sender's, the origin's, and those of its corrections. */
  readonly ids: readonly string[];
  readonly reactors: readonly Reactor[];
  /** When the wording shown was written. */
  readonly wordedAt: number;
  /** This is a correction whose original, of this id, is not loaded. */
  readonly standsFor: string | undefined;
  /** The sender wants to know when it is seen. */
  readonly isMarkable: boolean;
}

/** A change to a message that may not be loaded. */
export type Change =
  | { readonly kind: "reactions"; readonly target: string; readonly reactor: Reactor }
  | {
      readonly kind: "retract";
      readonly target: string;
      /** Who asks for it; `undefined`: the room does. */
      readonly by: string | undefined;
      readonly retraction: Retraction;
    };

/** The person "me". */
export const ME = "me";

/** One name per person: ourselves, an occupant id where the room has them, else the address. */
export function personOf(sender: { isMine: boolean; occupantId: string | undefined; sender: string }): string {
  return sender.isMine ? ME : (sender.occupantId ?? sender.sender);
}

/** Where an entry is that has this id; by the archive's id, or by one of the sender's. */
export function indexOf(entries: readonly Entry[], id: string): number {
  if (id === "") return -1;
  return entries.findLastIndex((it) => it.message.archiveId === id || it.ids.includes(id) || it.message.key === id);
}

/** Whether two entries are one message. */
function isSame(one: Entry, other: Entry): boolean {
  const [first, second] = [one.message.archiveId, other.message.archiveId];
  if (first !== undefined && first === second) return true;
  if (one.author !== other.author || !one.ids.some((it) => other.ids.includes(it))) return false;
  // Somebody's client that numbers its messages anew may use an id twice; we never do.
  return first === undefined || second === undefined || one.author === ME;
}

/** Ids of an archive that are numbers, as klatsch's are, tell the order. */
function compareIds(one: string | undefined, other: string | undefined): number | undefined {
  if (one === undefined || other === undefined || !/^\d+$/.test(one) || !/^\d+$/.test(other)) return undefined;
  return one.length - other.length || (one < other ? -1 : one > other ? 1 : 0);
}

/** Negative when the first is earlier. */
export function compare(one: Message, other: Message): number {
  return compareIds(one.archiveId, other.archiveId) ?? one.at - other.at;
}

function insert(entries: readonly Entry[], entry: Entry): Entry[] {
  let at = entries.length;
  while (at > 0 && compare((entries[at - 1] as Entry).message, entry.message) > 0) at -= 1;
  return entries.toSpliced(at, 0, entry);
}

/** Adds an entry, or what it tells of one that is there. The second part tells whether it is new. */
export function add(entries: readonly Entry[], entry: Entry): { entries: Entry[]; isNew: boolean } {
  const known = entries.findLastIndex((it) => isSame(it, entry));
  if (known >= 0) return { entries: confirm(entries, known, entry), isNew: false };
  const standIn = entries.findLastIndex((it) => it.standsFor !== undefined && it.author === entry.author && entry.ids.includes(it.standsFor));
  if (standIn < 0) return { entries: insert(entries, entry), isNew: true };
  const later = entries[standIn] as Entry;
  const merged = reword(entry, later.message.body, later.message, later.wordedAt);
  const whole = withIds({ ...merged, reactors: later.reactors }, later.ids);
  return { entries: insert(entries.toSpliced(standIn, 1), whole), isNew: true };
}

/** The archive or the room has told more of what is here: its id, its time, that it has arrived. */
function confirm(entries: readonly Entry[], at: number, news: Entry): Entry[] {
  const old = entries[at] as Entry;
  const isSending = old.message.state === "sending" || old.message.state === "failed";
  const state: MessageState = isSending ? "sent" : old.message.state;
  const retraction = old.message.retraction ?? news.message.retraction;
  const message: Message = {
    ...old.message,
    archiveId: old.message.archiveId ?? news.message.archiveId,
    at: news.message.archiveId === undefined ? old.message.at : news.message.at,
    state: old.author === ME ? state : old.message.state,
    error: isSending ? undefined : old.message.error,
    retraction,
    body: retraction === undefined ? old.message.body : "",
  };
  const isMoved = old.message.archiveId === undefined && message.archiveId !== undefined;
  const ids = [...new Set([...old.ids, ...news.ids])];
  const entry = { ...old, message, ids };
  return isMoved ? insert(entries.toSpliced(at, 1), entry) : entries.with(at, entry);
}

/** Ids by which one message is known: its own, and those of its corrections. */
const IDS_MAX = 100;

/** Others may refer to a message by the id of its correction, too. */
function withIds(entry: Entry, ids: readonly string[]): Entry {
  return { ...entry, ids: [...new Set([...entry.ids, ...ids])].slice(0, IDS_MAX) };
}

/** Wordings of one message that are kept. */
const VERSIONS_MAX = 20;

/** Gives a message another wording; an older one than what it has goes among the versions. */
function reword(entry: Entry, body: string, parts: Partial<Message>, at: number): Entry {
  const { message } = entry;
  if (message.retraction !== undefined) return entry;
  const isNewer = at >= entry.wordedAt;
  const old = isNewer ? { body: message.body, at: entry.wordedAt } : { body, at };
  const versions = [...message.versions, old].sort((a, b) => a.at - b.at).slice(-VERSIONS_MAX);
  if (!isNewer) return { ...entry, message: { ...message, versions } };
  const { attachments = [], mentions = [], mentionsMe = false, isUnstyled = false } = parts;
  return {
    ...entry,
    wordedAt: at,
    message: { ...message, body, attachments, mentions, mentionsMe, isUnstyled, versions },
  };
}

/**
 * Corrects a message (XEP-0308). Only its author can: what somebody else sends as a correction is
 * a message of its own.
 */
export function correct(entries: readonly Entry[], target: string, correction: Entry): { entries: Entry[]; isNew: boolean } {
  const at = entries.findLastIndex(
    (it) => it.author === correction.author && (it.ids.includes(target) || it.standsFor === target),
  );
  if (at < 0) return add(entries, { ...correction, standsFor: target });
  const old = entries[at] as Entry;
  // The same correction again, out of an archive: its stand-in learns from it, a message does not.
  if (correction.ids.some((it) => old.ids.includes(it))) {
    return old.standsFor === undefined ? { entries: [...entries], isNew: false } : add(entries, correction);
  }
  const entry = reword(old, correction.message.body, correction.message, correction.message.at);
  return { entries: entries.with(at, withIds(entry, correction.ids)), isNew: false };
}

/** Applies a change; `undefined` when the message it is about is not loaded. */
export function apply(entries: readonly Entry[], change: Change): Entry[] | undefined {
  // XEP-0424 §5: only the author's own. Ids are the senders' choice, and two may have chosen one.
  const by = change.kind === "retract" ? change.by : undefined;
  const own = by === undefined ? entries : entries.filter((it) => it.author === by);
  const entry = own[indexOf(own, change.target)];
  if (entry === undefined) return undefined;
  const changed = change.kind === "reactions" ? react(entry, change.reactor) : retract(entry, change.retraction);
  return entries.with(entries.indexOf(entry), changed);
}

function react(entry: Entry, reactor: Reactor): Entry {
  const before = entry.reactors.find((it) => it.person === reactor.person);
  if (entry.message.retraction !== undefined || (before !== undefined && before.at > reactor.at)) return entry;
  const others = entry.reactors.filter((it) => it.person !== reactor.person);
  const reactors = [...others, reactor].slice(-REACTORS_MAX);
  return { ...entry, reactors, message: { ...entry.message, reactions: toReactions(reactors) } };
}

/** People whose reactions to one message are kept: a large room's applause. */
const REACTORS_MAX = 500;

function toReactions(reactors: readonly Reactor[]): Reaction[] {
  const found = new Map<string, { names: string[]; isMine: boolean }>();
  for (const { emojis, name, person } of reactors) {
    for (const emoji of emojis) {
      const reaction = found.get(emoji) ?? { names: [], isMine: false };
      reaction.names.push(name);
      reaction.isMine ||= person === ME;
      found.set(emoji, reaction);
    }
  }
  return [...found].map(([emoji, reaction]) => ({ emoji, ...reaction }));
}

function retract(entry: Entry, retraction: Retraction): Entry {
  return {
    ...entry,
    reactors: [],
    message: {
      ...entry.message,
      body: "",
      attachments: [],
      versions: [],
      reactions: [],
      mentions: [],
      mentionsMe: false,
      replyTo: undefined,
      invitation: undefined,
      retraction,
    },
  };
}

const ORDER: readonly MessageState[] = ["failed", "sending", "sent", "delivered", "read"];

/** Moves a message of ours on; never back, except to `failed`. */
export function advance(entries: readonly Entry[], id: string, state: MessageState, error?: string): Entry[] {
  const at = indexOf(entries, id);
  const entry = entries[at];
  if (entry === undefined || entry.author !== ME) return [...entries];
  const isForward = ORDER.indexOf(state) > ORDER.indexOf(entry.message.state);
  // A late failure cannot take back that somebody has read it.
  const isFailure = state === "failed" && (entry.message.state === "sending" || entry.message.state === "sent");
  if (!isForward && !isFailure) return [...entries];
  return entries.with(at, { ...entry, message: { ...entry.message, state, error } });
}

/** The other side has seen everything of ours up to a message. */
export function advanceUpTo(entries: readonly Entry[], id: string, state: MessageState): Entry[] {
  const last = indexOf(entries, id);
  return entries.map((it, at) => {
    const isBehind = ORDER.indexOf(it.message.state) < ORDER.indexOf(state);
    const counts = at <= last && it.author === ME && isBehind && it.message.state !== "failed" && it.message.state !== "sending";
    return counts ? { ...it, message: { ...it.message, state } } : it;
  });
}

/** People named under a message as having seen it: more is a number, not names. */
const SEEN_MAX = 50;

/** Somebody in a room has seen everything up to a message: their name moves there. */
export function seeUpTo(entries: readonly Entry[], id: string, name: string): Entry[] {
  const last = indexOf(entries, id);
  if (last < 0) return [...entries];
  return entries.map((it, at) => {
    const has = it.message.seenBy.includes(name);
    if (at !== last) return has && at < last ? withSeen(it, it.message.seenBy.filter((other) => other !== name)) : it;
    return has ? it : withSeen(it, [...it.message.seenBy, name].slice(-SEEN_MAX));
  });
}

function withSeen(entry: Entry, seenBy: readonly string[]): Entry {
  return { ...entry, message: { ...entry.message, seenBy } };
}

/** Whether somebody else wrote it, for somebody to read. */
export function isForReading({ author, message }: Entry): boolean {
  return author !== ME && message.notice === undefined && message.retraction === undefined && message.call?.outcome !== "answered";
}

/**
 * How much is unread: what others wrote after the last that was displayed, and after the last that
 * we wrote ourselves. `displayed` is an archive's id; unknown ids are older than the window.
 */
export function unreadFrom(entries: readonly Entry[], displayed: string | undefined): number {
  let from = entries.length;
  while (from > 0) {
    const { author, message } = entries[from - 1] as Entry;
    if (author === ME && message.call === undefined && message.notice === undefined) break;
    if (displayed !== undefined && (message.archiveId === displayed || (compareIds(message.archiveId, displayed) ?? 1) <= 0)) break;
    from -= 1;
  }
  return from;
}
