// Who has read what: markers to others (XEP-0333), and what our own devices have read (XEP-0490).

import { buildDisplayed } from "../xmpp/markers";
import { buildDisplayedUpTo, fetchDisplayed, onDisplayed } from "../xmpp/mds";
import { buildHint } from "../xmpp/ids";
import { message as build } from "../xmpp/xml";
import type { ConversationState } from "./conversation.svelte";
import type { Core } from "./core.svelte";
import { type Entry, indexOf, isForReading, ME } from "./timeline";

/** Rooms up to this size are told what we have seen; in a larger one it would drown the talk. */
const MARKED_ROOM_MAX = 20;

/** Knows what has been read. */
export class Reading {
  constructor(private readonly core: Core) {
    onDisplayed(core.link, ({ conversation, id }) => this.#elsewhere(conversation, id));
  }

  readonly #early = new Map<string, string>();

  /** Asks what our devices have read so far. */
  async fetch(): Promise<void> {
    const all = await fetchDisplayed(this.core.link).catch(() => []);
    for (const { conversation, id } of all) this.#remember(conversation, id);
  }

  /** A conversation may be heard of before it is here. */
  #remember(jid: string, id: string): void {
    const conversation = this.core.conversations.get(jid);
    if (conversation === undefined) this.#early.set(jid, id);
    else this.#set(conversation, id);
  }

  /** A conversation is here now. */
  adopt(conversation: ConversationState): void {
    const id = this.#early.get(conversation.jid);
    if (id === undefined) return;
    this.#early.delete(conversation.jid);
    this.#set(conversation, id);
  }

  #elsewhere(jid: string, id: string): void {
    const before = this.core.conversations.get(jid)?.unread ?? 0;
    this.#remember(jid, id);
    if (before > 0 && this.core.conversations.get(jid)?.unread === 0) this.core.tellRead(jid);
  }

  /** Another device of ours has sent a marker, which names the sender's id. */
  displayedElsewhere(conversation: ConversationState, id: string): void {
    const archiveId = conversation.entries[indexOf(conversation.entries, id)]?.message.archiveId;
    if (archiveId !== undefined) this.#elsewhere(conversation.jid, archiveId);
  }

  /** Reading never goes back: an older word of a slower device is passed over. */
  #set(conversation: ConversationState, id: string): void {
    const now = indexOf(conversation.entries, conversation.displayed ?? "");
    const then = indexOf(conversation.entries, id);
    if (now >= 0 && then >= 0 && then <= now) return;
    conversation.displayed = id;
    conversation.count();
    this.core.save(conversation);
  }

  /** Everything up to the newest is read. */
  markRead(conversation: ConversationState): void {
    if (conversation.hasNewer) return;
    const last = conversation.entries.findLast((it) => it.message.archiveId !== undefined && it.author !== ME);
    const archiveId = last?.message.archiveId;
    if (last === undefined || archiveId === undefined) return;
    const isNews = indexOf(conversation.entries, conversation.displayed ?? "") < conversation.entries.indexOf(last);
    if (!isNews || conversation.displayed === archiveId) return;
    conversation.displayed = archiveId;
    conversation.count();
    this.core.tellRead(conversation.jid);
    this.core.save(conversation);
    const by = conversation.kind === "room" ? conversation.jid : this.core.account;
    void this.core.link.iq(buildDisplayedUpTo({ conversation: conversation.jid, id: archiveId }, by)).catch(() => undefined);
    this.#mark(conversation, last);
  }

  #mark(conversation: ConversationState, last: Entry): void {
    const marked = conversation.entries.slice(0, conversation.entries.indexOf(last) + 1).findLast((it) => it.isMarkable && isForReading(it));
    if (marked === undefined || !this.core.sendsRead || !this.#mayMark(conversation)) return;
    const isRoom = conversation.kind === "room";
    // XEP-0333 §4.4.1: in a room by the room's id.
    const id = isRoom ? marked.message.archiveId : marked.message.id;
    if (id === undefined || id === "") return;
    const to = conversation.jid;
    this.core.link.send(build({ to, type: isRoom ? "groupchat" : "chat" }, buildDisplayed(id), buildHint("store")));
  }

  #mayMark(conversation: ConversationState): boolean {
    if (conversation.kind === "room") {
      return (this.core.rooms.get(conversation.jid)?.members.length ?? MARKED_ROOM_MAX + 1) <= MARKED_ROOM_MAX;
    }
    const subscription = this.core.contacts.get(conversation.jid)?.subscription;
    return subscription === "from" || subscription === "both";
  }

  /** Nobody is signed in any more. */
  clear(): void {
    this.#early.clear();
  }
}
