// What the parts of a chat share: the link, the cache, who there is, and what is told outside.

import { SvelteMap } from "svelte/reactivity";
import { attempt } from "../xmpp/dispatcher";
import type { XmppLink } from "../xmpp/link";
import { Cache } from "./cache";
import { ContactState } from "./contact.svelte";
import { CACHED_MAX, ConversationState } from "./conversation.svelte";
import type { Notice, Show } from "./model";
import { RoomState } from "./room.svelte";

/** Writing the cache waits so long for more of the same. */
const SAVE_MS = 500;
/** Conversations that are kept at once; the least active are forgotten, the archive has them. */
const CONVERSATIONS_MAX = 1_000;

/** What the parts share. */
export class Core {
  /** Our bare JID, empty while nobody is signed in. */
  account = $state("");
  nick = $state("");
  currentJid = $state<string | undefined>(undefined);
  isVisible = $state(true);
  isFocused = $state(true);
  /** What we say of ourselves. */
  show = $state<Exclude<Show, "offline">>("online");
  status = $state("");
  sendsRead = true;
  sendsTyping = true;
  cache = new Cache(undefined);
  readonly conversations = new SvelteMap<string, ConversationState>();
  readonly contacts = new SvelteMap<string, ContactState>();
  readonly rooms = new SvelteMap<string, RoomState>();
  readonly notices = new Set<(notice: Notice) => void>();
  readonly reads = new Set<(jid: string) => void>();
  /** A conversation has been made. */
  onMade: (conversation: ConversationState) => void = () => {};
  readonly #dirty = new Set<ConversationState>();
  readonly #values = new Map<string, unknown>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly link: XmppLink,
    /** This tab's name among the account's tabs. */
    readonly tab: string,
    readonly now: () => number = Date.now,
  ) {}

  /** Whether somebody is looking at a conversation. */
  isWatched(jid: string): boolean {
    return this.currentJid === jid && this.isVisible && this.isFocused;
  }

  /** The conversation of an address, made where there is none. */
  ensure(jid: string, kind?: "direct" | "room"): ConversationState {
    const known = this.conversations.get(jid);
    if (known !== undefined) return known;
    const isRoom = kind === undefined ? this.rooms.has(jid) : kind === "room";
    const made = new ConversationState(jid, isRoom ? "room" : "direct");
    if (isRoom) made.room = this.room(jid);
    // A private talk in a room is with a nick, which is on no list.
    else if (!jid.includes("/")) made.contact = this.stranger(jid);
    this.#makeSpace();
    this.conversations.set(jid, made);
    this.onMade(made);
    return made;
  }

  /** What is known of a room, from now on. */
  room(jid: string): RoomState {
    const known = this.rooms.get(jid);
    if (known !== undefined) return known;
    const made = new RoomState(jid);
    this.rooms.set(jid, made);
    return made;
  }

  /** Somebody who is on no list, and may come to be. */
  stranger(jid: string): ContactState {
    const known = this.contacts.get(jid);
    if (known !== undefined) return known;
    const made = new ContactState(jid);
    this.contacts.set(jid, made);
    return made;
  }

  #makeSpace(): void {
    if (this.conversations.size < CONVERSATIONS_MAX) return;
    const spare = [...this.conversations.values()].filter(
      (it) => !it.isPinned && it.jid !== this.currentJid && it.kind === "direct" && it.draft === undefined,
    );
    const [oldest] = spare.sort((a, b) => a.lastActivity - b.lastActivity);
    if (oldest === undefined) return;
    this.conversations.delete(oldest.jid);
    void this.cache.deleteConversation(oldest.jid);
  }

  /** Writes a conversation into the cache, soon. */
  save(conversation: ConversationState): void {
    this.#dirty.add(conversation);
    this.#timer ??= setTimeout(() => this.flush(), SAVE_MS);
  }

  /** Writes a value into the cache, soon, after the conversations that wait. */
  saveValue(key: string, value: unknown): void {
    this.#values.set(key, value);
    this.#timer ??= setTimeout(() => this.flush(), SAVE_MS);
  }

  /** Writes what waits. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const conversation of this.#dirty) {
      // A window in the past is not what the next visit begins with.
      const entries = conversation.hasNewer ? [] : conversation.entries.slice(-CACHED_MAX);
      const meta = $state.snapshot(conversation.meta());
      attempt(() => void this.cache.setConversation({ meta, entries }));
    }
    this.#dirty.clear();
    for (const [key, value] of this.#values) void this.cache.setValue(key, value);
    this.#values.clear();
  }

  /** Tells what is worth a notification. */
  notify(notice: Notice): void {
    for (const hear of [...this.notices]) attempt(() => hear(notice));
  }

  /** Something was read elsewhere. */
  tellRead(jid: string): void {
    for (const hear of [...this.reads]) attempt(() => hear(jid));
  }

  /** Nobody is signed in any more. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#dirty.clear();
    this.#values.clear();
    this.cache.close();
    this.cache = new Cache(undefined);
    this.conversations.clear();
    this.contacts.clear();
    this.rooms.clear();
    this.account = "";
    this.nick = "";
    this.show = "online";
    this.status = "";
    this.currentJid = undefined;
  }
}
