// The archive's part: what was missed, pages backwards and forwards, places in the past, search.
// XEP-0313 version 1.1.3.
//
// After a session was lost the account's archive is read from where it was read up to, whatever
// conversation it is about. When that is too far, the newest page is taken and the hole is marked
// in every conversation it may be in: nothing that was missed is passed over in silence.

import { fetchInfo } from "../xmpp/disco";
import { StanzaError } from "../xmpp/errors";
import { type ArchivePage, type ArchiveQuery, NS_FULLTEXT, queryArchive } from "../xmpp/mam";
import type { ConversationState } from "./conversation.svelte";
import type { Core } from "./core.svelte";
import type { Messages } from "./messages";
import type { SearchHit } from "./model";
import { indexOf } from "./timeline";

/** Entries of a page for the eye. */
const PAGE = 50;
/** Entries of a page of what was missed. */
const MISSED_PAGE = 100;
/** Pages of what was missed that are read: two thousand messages. */
const MISSED_PAGES_MAX = 20;
/** Messages that a first visit reads, to find whom one talks with. */
const FIRST_MESSAGES = 200;
/** Pages that it reads for them: receipts and reactions are entries of the archive, too. */
const FIRST_PAGES_MAX = 12;
/** Pages with nothing to show (receipts, reactions) that are passed over for one that has. */
const EMPTY_PAGES_MAX = 8;
/** Pages back that a quoted message is looked for. */
const LOOK_BACK_PAGES_MAX = 10;
/** Hits of a search. */
const HITS = 30;
/** Rooms whose archives a search of everything asks. */
const SEARCHED_ROOMS_MAX = 10;

const CURSOR = "cursor";

/** Reads archives. */
export class History {
  /** Up to where the account's archive has been read. */
  #cursor: string | undefined;
  #isCaughtUp = false;
  readonly #running = new Map<string, Promise<boolean>>();
  /** Where pages without anything to show have led to, beyond the oldest message. */
  readonly #passed = new WeakMap<ConversationState, { readonly edge: string; readonly before: string }>();

  constructor(
    private readonly core: Core,
    private readonly messages: Messages,
  ) {}

  /** Takes up where an earlier visit ended. */
  async restore(): Promise<void> {
    this.#cursor = await this.core.cache.value<string>(CURSOR);
  }

  /** A new session: live messages do not move the cursor before what was missed is read. */
  begin(): void {
    this.#isCaughtUp = false;
  }

  /** The account's archive has one more. */
  archived(id: string): void {
    if (this.#isCaughtUp) this.#move(id);
  }

  #move(id: string | undefined): void {
    if (id === undefined || id === this.#cursor) return;
    this.#cursor = id;
    // Written after what was read: a crash between the two reads it again, and loses nothing.
    this.core.saveValue(CURSOR, id);
  }

  /** Reads what was missed. */
  async catchUp(): Promise<void> {
    if (this.#cursor === undefined) await this.#first();
    else await this.#missed(this.#cursor);
    this.#isCaughtUp = true;
  }

  async #first(): Promise<void> {
    let before = "";
    let found = 0;
    for (let count = 0; count < FIRST_PAGES_MAX && found < FIRST_MESSAGES; count += 1) {
      const page = await this.#query(this.core.account, { page: { max: MISSED_PAGE, before } });
      if (count === 0) this.#move(page.last);
      found += this.#take(page);
      if (page.isComplete || page.first === undefined) return;
      before = page.first;
    }
  }

  async #missed(from: string): Promise<void> {
    let after = from;
    for (let count = 0; count < MISSED_PAGES_MAX; count += 1) {
      const page = await this.#after(after);
      if (page === undefined) break;
      this.#take(page);
      this.#move(page.last);
      if (page.isComplete || page.last === undefined) return;
      after = page.last;
    }
    const before = new Set(this.core.conversations.values());
    const page = await this.#query(this.core.account, { page: { max: MISSED_PAGE, before: "" } });
    this.#take(page, true);
    this.#move(page.last);
    // Who has nothing in the newest page may have missed something all the same.
    for (const conversation of before) if (conversation.kind === "direct") conversation.hasOlder = true;
  }

  /** The archive may have forgotten where we were; `undefined` then. */
  async #after(after: string): Promise<ArchivePage | undefined> {
    try {
      return await this.#query(this.core.account, { page: { max: MISSED_PAGE, after } });
    } catch (error) {
      if (error instanceof StanzaError && error.condition === "item-not-found") return undefined;
      throw error;
    }
  }

  /** Reads what was missed in a room that has been joined. */
  async catchUpRoom(conversation: ConversationState): Promise<void> {
    const after = conversation.edgeId("newest");
    let from = after;
    for (let count = 0; from !== undefined && count < MISSED_PAGES_MAX; count += 1) {
      const page = await this.#query(conversation.jid, { page: { max: MISSED_PAGE, after: from } }).catch(
        (error: unknown) => (isNotFound(error) ? undefined : Promise.reject(error)),
      );
      if (page === undefined) break;
      this.#take(page);
      if (page.isComplete || page.last === undefined) return;
      from = page.last;
    }
    const page = await this.#query(conversation.jid, { page: { max: PAGE, before: "" } });
    this.#take(page, after !== undefined, conversation.jid);
    if (after === undefined) conversation.hasOlder = !page.isComplete;
  }

  /** Takes in a page; the number of entries that are new. With `hasHole` a hole is before it. */
  #take(page: ArchivePage, hasHole = false, archive = this.core.account): number {
    let count = 0;
    const seen = new Set<string>();
    for (const { message, id, at } of page.entries) {
      const isNew = this.messages.receive(message, "archive", { id, at });
      if (!isNew) continue;
      count += 1;
      if (hasHole) this.#markHole(id, archive, seen);
    }
    return count;
  }

  /** Ids are unique in their archive alone: a room's is looked for in the room. */
  #markHole(archiveId: string, archive: string, seen: Set<string>): void {
    const room = this.core.conversations.get(archive);
    const direct = [...this.core.conversations.values()].filter((it) => it.kind === "direct");
    for (const conversation of room?.kind === "room" ? [room] : direct) {
      const at = conversation.entries.findIndex((it) => it.message.archiveId === archiveId);
      const entry = conversation.entries[at];
      if (entry === undefined || seen.has(conversation.jid)) continue;
      seen.add(conversation.jid);
      if (at === 0) return;
      const message = { ...entry.message, isAfterGap: true };
      conversation.update(conversation.entries.with(at, { ...entry, message }));
      return;
    }
  }

  #query(archive: string, query: ArchiveQuery): Promise<ArchivePage> {
    return queryArchive(this.core.link, archive, query);
  }

  #of(conversation: ConversationState, page: ArchiveQuery["page"], more: Partial<ArchiveQuery> = {}): Promise<ArchivePage> {
    if (conversation.kind === "room") return this.#query(conversation.jid, { ...more, page });
    return this.#query(this.core.account, { ...more, with: conversation.jid, page });
  }

  /** One thing at a time per conversation: whoever asks again gets the answer under way. */
  #once(conversation: ConversationState, what: string, run: () => Promise<boolean>): Promise<boolean> {
    const key = `${what} ${conversation.jid}`;
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    conversation.isLoading = true;
    const started = run().finally(() => {
      this.#running.delete(key);
      conversation.isLoading = false;
      this.core.save(conversation);
    });
    this.#running.set(key, started);
    return started;
  }

  /** One page before the oldest; false when there is none. */
  loadOlder(conversation: ConversationState): Promise<boolean> {
    if (!conversation.hasOlder) return Promise.resolve(false);
    return this.#once(conversation, "older", async () => {
      const edge = conversation.edgeId("oldest") ?? "";
      const passed = this.#passed.get(conversation);
      let before = passed?.edge === edge ? passed.before : edge;
      for (let count = 0; count < EMPTY_PAGES_MAX; count += 1) {
        const page = await this.#of(conversation, { max: PAGE, before });
        const added = this.#take(page);
        const isBeginning = page.isComplete || page.first === undefined;
        if (isBeginning) conversation.hasOlder = false;
        conversation.forget("newest");
        if (isBeginning || page.first === undefined) return added > 0;
        before = page.first;
        this.#passed.set(conversation, { edge, before });
        if (added > 0) break;
      }
      return true;
    });
  }

  /** One page after the newest of a window in the past. */
  loadNewer(conversation: ConversationState): Promise<boolean> {
    if (!conversation.hasNewer) return Promise.resolve(false);
    return this.#once(conversation, "newer", async () => {
      const after = conversation.edgeId("newest");
      if (after === undefined) return false;
      const page = await this.#of(conversation, { max: PAGE, after });
      this.#take(page);
      conversation.forget("oldest");
      if (page.isComplete) {
        conversation.hasNewer = false;
        conversation.count();
      }
      return page.entries.length > 0;
    });
  }

  /** One page before a hole's end. */
  async loadGap(conversation: ConversationState, key: string): Promise<void> {
    await this.#once(conversation, "gap", async () => {
      const at = indexOf(conversation.entries, key);
      const entry = conversation.entries[at];
      const before = entry?.message.archiveId;
      if (entry === undefined || before === undefined) return false;
      const known = new Set(conversation.entries.map((it) => it.message.archiveId));
      const page = await this.#of(conversation, { max: PAGE, before });
      const isClosed = page.isComplete || page.entries.some((it) => known.has(it.id));
      this.#take(page);
      const first = page.entries.find((it) => !known.has(it.id))?.id;
      const entries = conversation.entries.map((it) => {
        const isEnd = !isClosed && it.message.archiveId === first && first !== undefined;
        const isOld = it.message.key === key;
        return isEnd || isOld ? { ...it, message: { ...it.message, isAfterGap: isEnd } } : it;
      });
      conversation.update(entries);
      return true;
    });
  }

  /** Back to the newest. */
  async jumpToLatest(conversation: ConversationState): Promise<void> {
    if (!conversation.hasNewer) return;
    await this.#once(conversation, "latest", async () => {
      const page = await this.#of(conversation, { max: PAGE, before: "" });
      conversation.reset("end");
      this.#take(page);
      conversation.hasOlder = !page.isComplete;
      conversation.count();
      return true;
    });
  }

  /** Loads what is around a place; the key of what is there. */
  async jumpTo(
    conversation: ConversationState,
    where: { readonly archiveId?: string; readonly id?: string; readonly at?: number },
  ): Promise<string | undefined> {
    const wanted = where.archiveId ?? where.id;
    const known = wanted === undefined ? undefined : keyOf(conversation, wanted);
    if (known !== undefined) return known;
    if (where.archiveId !== undefined) return this.#jumpToId(conversation, where.archiveId);
    if (where.at !== undefined) return this.#jumpToMoment(conversation, where.at);
    return where.id === undefined ? undefined : this.#lookBack(conversation, where.id);
  }

  async #jumpToId(conversation: ConversationState, id: string): Promise<string | undefined> {
    const before = await this.#of(conversation, { max: PAGE / 2, before: id });
    const after = await this.#of(conversation, before.last === undefined ? { max: PAGE / 2 } : { max: PAGE / 2, after: before.last });
    this.#show(conversation, before, after);
    return keyOf(conversation, id);
  }

  async #jumpToMoment(conversation: ConversationState, start: number): Promise<string | undefined> {
    const after = await this.#of(conversation, { max: PAGE }, { start });
    const first = after.entries[0]?.id;
    if (first === undefined) {
      await this.jumpToLatest(conversation);
      return conversation.entries.at(-1)?.message.key;
    }
    const before = await this.#of(conversation, { max: PAGE / 2, before: first });
    this.#show(conversation, before, after);
    return conversation.entries.find((it) => it.message.at >= start)?.message.key;
  }

  #show(conversation: ConversationState, before: ArchivePage, after: ArchivePage): void {
    conversation.reset("past");
    this.#take(before);
    this.#take(after);
    conversation.hasOlder = !before.isComplete;
    if (after.isComplete) {
      conversation.hasNewer = false;
      conversation.count();
    }
  }

  /** An archive cannot be asked for a sender's id: pages back are looked through. */
  async #lookBack(conversation: ConversationState, id: string): Promise<string | undefined> {
    for (let count = 0; count < LOOK_BACK_PAGES_MAX; count += 1) {
      if (!(await this.loadOlder(conversation))) break;
      const key = keyOf(conversation, id);
      if (key !== undefined) return key;
    }
    return keyOf(conversation, id);
  }

  /** Whether our server finds messages by their words. */
  async canSearch(): Promise<boolean> {
    const info = await fetchInfo(this.core.link, this.core.account).catch(() => undefined);
    return info?.features.has(NS_FULLTEXT) === true;
  }

  /** Nobody is signed in any more. */
  clear(): void {
    this.#cursor = undefined;
    this.#isCaughtUp = false;
  }

  /** Finds messages by their words, newest first (XEP-0431). */
  async search(text: string, conversation: ConversationState | undefined): Promise<SearchHit[]> {
    const words = text.trim();
    if (words === "") return [];
    const joined = [...this.core.rooms.values()].filter((it) => it.join === "joined").slice(0, SEARCHED_ROOMS_MAX);
    const asked =
      conversation === undefined
        ? [this.core.account, ...joined.map((it) => it.jid)]
        : [conversation.kind === "room" ? conversation.jid : this.core.account];
    const peer = conversation?.kind === "direct" ? conversation.jid : undefined;
    const query = { text: words, with: peer, page: { max: HITS, before: "" } };
    const pages = await Promise.allSettled(asked.map((it) => this.#query(it, query)));
    const failed = pages.find((it) => it.status === "rejected");
    if (failed !== undefined && pages.every((it) => it.status === "rejected")) throw failed.reason;
    const hits = pages.flatMap((it) => (it.status === "fulfilled" ? this.#hits(it.value) : []));
    return hits.sort((a, b) => b.message.at - a.message.at).slice(0, HITS);
  }

  #hits(page: ArchivePage): SearchHit[] {
    return page.entries.flatMap(({ message, id, at }) => {
      const hit = this.messages.preview(message, { id, at });
      return hit === undefined ? [] : [hit];
    });
  }
}

function keyOf(conversation: ConversationState, id: string): string | undefined {
  return conversation.entries[indexOf(conversation.entries, id)]?.message.key;
}

function isNotFound(error: unknown): boolean {
  return error instanceof StanzaError && error.condition === "item-not-found";
}
