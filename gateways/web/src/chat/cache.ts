// What survives a reload: IndexedDB, one database per account.
//
// Conversations with their newest entries, the contact list, the outbox, drafts, where the archive
// was read up to. Everything here can be fetched again but the outbox and the drafts. A browser
// without IndexedDB (private windows of some) works, and forgets.

import type { ConversationMeta } from "./conversation.svelte";
import type { Entry } from "./timeline";

/** A conversation as it is kept. */
export interface CachedConversation {
  readonly meta: ConversationMeta;
  readonly entries: readonly Entry[];
}

/** Something that is to be sent. */
export interface OutboxItem {
  /** The message's id, and its origin's. */
  readonly id: string;
  readonly conversation: string;
  readonly kind: "direct" | "room";
  /** The stanza. */
  readonly xml: string;
  readonly at: number;
  /** The entry's key, where it shows as one; changes to other messages do not. */
  readonly entryKey: string | undefined;
  /** It has been given to a connection, and may have arrived. */
  readonly isHanded: boolean;
  /** Why it was refused; then it waits for the person to decide. */
  readonly error: string | undefined;
  /** The tab that sends it. */
  readonly tab: string;
}

type StoreName = "values" | "conversations" | "outbox";

const VERSION = 1;
const STORES: readonly StoreName[] = ["values", "conversations", "outbox"];

/** Opens an account's database; one that keeps nothing where the browser has none. */
export async function openCache(account: string, factory: IDBFactory | undefined): Promise<Cache> {
  if (factory === undefined) return new Cache(undefined);
  try {
    return new Cache(await open(factory, nameOf(account)));
  } catch {
    return new Cache(undefined);
  }
}

/** Deletes an account's database. */
export async function deleteCache(account: string, factory: IDBFactory | undefined): Promise<void> {
  if (factory === undefined) return;
  await new Promise<void>((resolve) => {
    const request = factory.deleteDatabase(nameOf(account));
    request.onsuccess = request.onerror = request.onblocked = () => resolve();
  });
}

const nameOf = (account: string): string => `klatsch:${account}`;

function open(factory: IDBFactory, name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = factory.open(name, VERSION);
    request.onupgradeneeded = () => {
      for (const store of STORES) request.result.createObjectStore(store);
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("no database"));
    request.onblocked = () => reject(new Error("blocked"));
  });
}

/** An account's database. Writing never fails loudly: what is lost is fetched again. */
export class Cache {
  readonly #db: IDBDatabase | undefined;

  constructor(db: IDBDatabase | undefined) {
    this.#db = db;
    // Another tab signs out: the database is to go.
    if (db !== undefined) db.onversionchange = () => db.close();
  }

  /** One value, `undefined` where there is none. */
  async value<T>(key: string): Promise<T | undefined> {
    return (await this.#read((it) => it.get(key), "values")) as T | undefined;
  }

  /** Keeps a value. */
  setValue(key: string, value: unknown): Promise<void> {
    return this.#write("values", (it) => (value === undefined ? it.delete(key) : it.put(value, key)));
  }

  /** All conversations. */
  async conversations(): Promise<CachedConversation[]> {
    return ((await this.#read((it) => it.getAll(), "conversations")) ?? []) as CachedConversation[];
  }

  /** Keeps a conversation. */
  setConversation(conversation: CachedConversation): Promise<void> {
    return this.#write("conversations", (it) => it.put(conversation, conversation.meta.jid));
  }

  /** Forgets a conversation. */
  deleteConversation(jid: string): Promise<void> {
    return this.#write("conversations", (it) => it.delete(jid));
  }

  /** What is to be sent, oldest first. */
  async outbox(): Promise<OutboxItem[]> {
    const items = ((await this.#read((it) => it.getAll(), "outbox")) ?? []) as OutboxItem[];
    return items.sort((a, b) => a.at - b.at);
  }

  /** Keeps something that is to be sent. */
  setOutbox(item: OutboxItem): Promise<void> {
    return this.#write("outbox", (it) => it.put(item, item.id));
  }

  /** It is sent, or given up. */
  deleteOutbox(id: string): Promise<void> {
    return this.#write("outbox", (it) => it.delete(id));
  }

  /** Closes the database, that it can be deleted. */
  close(): void {
    this.#db?.close();
  }

  #read<T>(ask: (store: IDBObjectStore) => IDBRequest<T>, name: StoreName): Promise<unknown> {
    const db = this.#db;
    if (db === undefined) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      try {
        const request = ask(db.transaction(name, "readonly").objectStore(name));
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => resolve(undefined);
      } catch {
        resolve(undefined);
      }
    });
  }

  #write(name: StoreName, change: (store: IDBObjectStore) => IDBRequest): Promise<void> {
    const db = this.#db;
    if (db === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      try {
        const transaction = db.transaction(name, "readwrite");
        transaction.oncomplete = transaction.onerror = transaction.onabort = () => resolve();
        change(transaction.objectStore(name));
      } catch {
        resolve();
      }
    });
  }
}
