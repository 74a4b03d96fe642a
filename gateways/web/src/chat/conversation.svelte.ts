// One conversation's reactive state: the window of entries, what is unread, who is typing.
//
// Bounded: a window holds so many entries and forgets at the end that is not looked at; the
// archive has them all.

import { localOf, resourceOf } from "../xmpp/jid";
import { nameText } from "../xmpp/text";
import type { Contact, Conversation, Draft, Message, Notify, Room } from "./model";
import { add, apply, type Change, compare, correct, type Entry, isForReading, ME, unreadFrom } from "./timeline";

/** Entries of a window: what a page of 300 rows can be scrolled through for a while. */
export const WINDOW_MAX = 1_000;
/** Entries that the cache keeps: what is shown before the socket is up. */
export const CACHED_MAX = 100;
/** Changes whose messages are not loaded. */
const WAITING_MAX = 300;
/** People who type at once, by name; a room shouting. */
const TYPING_MAX = 10;
/** Somebody who says nothing more has stopped, whatever their client forgot to say. */
const TYPING_MS = 30_000;

/** What is kept of a conversation beside its messages. */
export interface ConversationMeta {
  readonly jid: string;
  readonly kind: "direct" | "room";
  readonly name: string;
  readonly lastActivity: number;
  readonly displayed: string | undefined;
  readonly isPinned: boolean;
  readonly isArchived: boolean;
  readonly notify: Notify | undefined;
  readonly draft: Draft | undefined;
  readonly hasOlder: boolean;
}

/** One conversation. */
export class ConversationState implements Conversation {
  readonly jid: string;
  readonly kind: "direct" | "room";
  entries = $state.raw<readonly Entry[]>([]);
  contact = $state.raw<Contact | undefined>(undefined);
  room = $state.raw<Room | undefined>(undefined);
  /** What it is called where neither contact nor room says so. */
  givenName = $state("");
  hasOlder = $state(true);
  hasNewer = $state(false);
  isLoading = $state(false);
  lastMessage = $state.raw<Message | undefined>(undefined);
  lastActivity = $state(0);
  unread = $state(0);
  mentions = $state(0);
  dividerKey = $state<string | undefined>(undefined);
  typing = $state.raw<readonly string[]>([]);
  draft = $state.raw<Draft | undefined>(undefined);
  isPinned = $state(false);
  isArchived = $state(false);
  /** What the person has chosen; `undefined`: the usual for this kind. */
  chosenNotify = $state<Notify | undefined>(undefined);
  /** Up to where it has been read, by the archive's id. */
  displayed = $state<string | undefined>(undefined);
  readonly messages = $derived(this.entries.map((it) => it.message));
  readonly name = $derived(this.#nameNow());
  readonly avatar = $derived(this.contact?.avatar);
  readonly notify = $derived<Notify>(this.chosenNotify ?? this.#usual());
  readonly isMuted = $derived(this.notify === "never");
  #waiting: Change[] = [];
  /** What is not sent yet while the window stands in the past. */
  #unsent: readonly Entry[] = [];
  readonly #typists = new Map<string, { name: string; timer: ReturnType<typeof setTimeout> }>();

  constructor(jid: string, kind: "direct" | "room") {
    this.jid = jid;
    this.kind = kind;
  }

  #nameNow(): string {
    const given = this.contact?.name ?? this.room?.name ?? "";
    if (given !== "") return given;
    if (this.givenName !== "") return this.givenName;
    // A private talk in a room is called by the nick.
    return nameText(resourceOf(this.jid) || localOf(this.jid) || this.jid);
  }

  /** XEP-0492 §4: everything in direct chats and private rooms, mentions in public ones. */
  #usual(): Notify {
    return this.room !== undefined && !this.room.isMembersOnly ? "on-mention" : "always";
  }

  /** Adds an entry; true when it is new here. A window in the past takes in nothing live. */
  add(entry: Entry, isLive: boolean): boolean {
    if (isLive && this.hasNewer) {
      this.#noteLatest(entry.message);
      if (isForReading(entry)) this.unread += 1;
      if (entry.message.mentionsMe) this.mentions += 1;
      return true;
    }
    const { entries, isNew } = add(this.entries, entry);
    this.#set(this.#applyWaiting(entries));
    if (isLive) this.forget("oldest");
    return isNew;
  }

  /** Adds a correction; true when it had to stand for itself. */
  correct(target: string, correction: Entry, isLive: boolean): boolean {
    if (isLive && this.hasNewer) return false;
    const { entries, isNew } = correct(this.entries, target, correction);
    this.#set(entries);
    return isNew;
  }

  /** Applies a change now, or when its message is loaded. */
  change(change: Change): void {
    const entries = apply(this.entries, change);
    if (entries === undefined) this.#waiting = [...this.#waiting, change].slice(-WAITING_MAX);
    else this.#set(entries);
  }

  /** Puts another list in place of the one there is. */
  update(entries: readonly Entry[]): void {
    this.#set(entries);
  }

  #applyWaiting(entries: readonly Entry[]): readonly Entry[] {
    let found = entries;
    this.#waiting = this.#waiting.filter((change) => {
      const changed = apply(found, change);
      found = changed ?? found;
      return changed === undefined;
    });
    return found;
  }

  #set(entries: readonly Entry[]): void {
    this.entries = entries;
    if (this.hasNewer) return;
    const last = entries.findLast((it) => it.message.notice === undefined)?.message;
    if (last !== undefined) this.#noteLatest(last);
    this.count();
  }

  #noteLatest(message: Message): void {
    const known = this.lastMessage;
    if (known === undefined || known.key === message.key || compare(known, message) <= 0) this.lastMessage = message;
    this.lastActivity = Math.max(this.lastActivity, message.at);
  }

  /** Counts what is unread. */
  count(): void {
    const from = unreadFrom(this.entries, this.displayed);
    const unread = this.entries.slice(from).filter(isForReading);
    this.unread = unread.length;
    this.mentions = unread.filter((it) => it.message.mentionsMe).length;
  }

  /** The key of the first unread message. */
  firstUnread(): string | undefined {
    const from = unreadFrom(this.entries, this.displayed);
    return this.entries.slice(from).find(isForReading)?.message.key;
  }

  /** Forgets what is too much, at one end. */
  forget(end: "oldest" | "newest"): void {
    const excess = this.entries.length - WINDOW_MAX;
    if (excess <= 0) return;
    if (end === "oldest") {
      this.entries = this.entries.slice(excess);
      this.hasOlder = true;
    } else {
      // What is not sent yet is not in the archive: it stays with the outbox and comes back.
      this.entries = this.entries.slice(0, -excess);
      this.hasNewer = true;
    }
  }

  /** Empties the window, to be filled at another place of the archive, or at its end. */
  reset(where: "past" | "end"): void {
    const isUnsent = (it: Entry): boolean => it.message.state === "sending" || it.message.state === "failed";
    if (where === "past" && !this.hasNewer) this.#unsent = this.entries.filter(isUnsent);
    this.entries = where === "end" ? this.#unsent : [];
    this.hasNewer = where === "past";
    this.hasOlder = true;
  }

  /** The oldest, or newest, that the archive knows. */
  edgeId(edge: "oldest" | "newest"): string | undefined {
    const has = (it: Entry): boolean => it.message.archiveId !== undefined;
    return (edge === "oldest" ? this.entries.find(has) : this.entries.findLast(has))?.message.archiveId;
  }

  /** Somebody types, or has stopped. */
  type(person: string, name: string, isTyping: boolean): void {
    clearTimeout(this.#typists.get(person)?.timer);
    this.#typists.delete(person);
    if (isTyping && person !== ME && this.#typists.size < TYPING_MAX) {
      const timer = setTimeout(() => this.type(person, name, false), TYPING_MS);
      this.#typists.set(person, { name, timer });
    }
    this.typing = [...this.#typists.values()].map((it) => it.name);
  }

  /** What is to be kept. */
  meta(): ConversationMeta {
    const { jid, kind, lastActivity, displayed, isPinned, isArchived, draft, hasOlder } = this;
    return {
      jid,
      kind,
      name: this.name,
      lastActivity,
      displayed,
      isPinned,
      isArchived,
      draft,
      hasOlder: hasOlder || this.entries.length > CACHED_MAX,
      notify: this.chosenNotify,
    };
  }

  /** Takes up what was kept. */
  restore(meta: ConversationMeta, entries: readonly Entry[]): void {
    this.givenName = meta.name;
    this.displayed = meta.displayed;
    this.isPinned = meta.isPinned;
    this.isArchived = meta.isArchived;
    this.chosenNotify = meta.notify;
    this.draft = meta.draft;
    this.hasOlder = meta.hasOlder;
    this.lastActivity = meta.lastActivity;
    this.#set(entries);
  }
}
