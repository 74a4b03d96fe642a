// What the page tells its service worker, in a database of their own: how conversations are called,
// and the words of notifications. A worker is woken without the page, and knows nothing else.

const DATABASE = "klatsch-worker";
const STORE = "told";
const KEY = "now";

export interface Told {
  /** By what the server calls a conversation in a push message: its address and its name. */
  readonly conversations: Readonly<Record<string, { readonly jid: string; readonly name: string }>>;
  /** The title of a notification whose conversation is unknown. */
  readonly title: string;
  /** By kind; `{count}` stands for a number. */
  readonly texts: Readonly<Record<string, string>>;
}

/** What the server calls a conversation of an account: ops/docs/web-push.md. */
export async function conversationId(account: string, jid: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${account}\n${jid}`));
  const bytes = String.fromCharCode(...new Uint8Array(digest).subarray(0, 16));
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error ?? new Error("no database"));
  });
}

async function run<T>(mode: IDBTransactionMode, ask: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const open = await database();
  try {
    return await new Promise((resolve, reject) => {
      const request = ask(open.transaction(STORE, mode).objectStore(STORE));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("no answer"));
    });
  } finally {
    open.close();
  }
}

export const tellWorker = (told: Told) => run("readwrite", (store) => store.put(told, KEY));
export const forgetTold = () => run("readwrite", (store) => store.clear());
export const readTold = () => run<Told | undefined>("readonly", (store) => store.get(KEY) as IDBRequest<Told | undefined>);
