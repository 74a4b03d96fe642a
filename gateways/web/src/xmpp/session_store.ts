// The resumable session of one tab: XEP-0198 version 1.6.3 §5, over a reload.
//
// A tab keeps its session in `sessionStorage`. Browsers copy that storage into a duplicated tab,
// and two tabs on one session would throw each other out for ever: so a tab holds a lock on its
// name, and one that does not get it takes a new name and a new session.
//
// Also here, since every change comes by: which of our messages the server has acknowledged.

import type { SMState, SMStorageBackend } from "strophe.js";

const TAB = "klatsch-tab";

/** Writing all of it with every stanza would be felt; as much is lost in a crash, and told twice. */
const WRITE_MS = 250;

/** Keeps sessions in `sessionStorage` under this tab's name. */
export class SessionStore implements SMStorageBackend {
  /** A message of ours has reached the server. */
  onAcknowledged: (messageId: string) => void = () => {};
  readonly #waiting = new Map<string, SMState>();
  #unacked = new Set<string>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly storage: Storage = sessionStorage) {}

  load(key: string): SMState | null {
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined) return structuredClone(waiting);
    const text = this.storage.getItem(this.#name(key));
    const state = text === null ? null : readState(text);
    this.#unacked = new Set(state?.unacked.flatMap((it) => messageId(it.stanza)) ?? []);
    return state;
  }

  save(key: string, state: SMState): void {
    this.#waiting.set(key, state);
    this.#timer ??= setTimeout(() => this.flush(), WRITE_MS);
    const unacked = new Set(state.unacked.flatMap((it) => messageId(it.stanza)));
    // A session that begins anew has acknowledged nothing: what was under way is not known.
    const isNew = !state.enabled && state.unacked.length === 0;
    const gone = isNew ? [] : [...this.#unacked].filter((id) => !unacked.has(id));
    this.#unacked = unacked;
    for (const id of gone) this.onAcknowledged(id);
  }

  clear(key: string): void {
    this.#waiting.delete(key);
    this.#unacked.clear();
    this.storage.removeItem(this.#name(key));
  }

  /** Writes what waits, as the page goes away. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const [key, state] of this.#waiting) this.#write(key, state);
  }

  #write(key: string, state: SMState): void {
    try {
      this.storage.setItem(this.#name(key), JSON.stringify(state));
    } catch {
      // Full: the session cannot be resumed after a reload, and a new one is begun.
      this.storage.removeItem(this.#name(key));
    }
  }

  #name(key: string): string {
    return `${key}:${this.storage.getItem(TAB) ?? ""}`;
  }
}

/**
 * Makes sure that this tab's sessions are its own. Where the browser has no locks a duplicated tab
 * cannot be told from a reload, and the server ends the older of the two.
 */
export async function claimTab(storage: Storage = sessionStorage): Promise<void> {
  const known = storage.getItem(TAB);
  if (known !== null && (await hold(known))) return;
  const fresh = crypto.randomUUID();
  storage.setItem(TAB, fresh);
  await hold(fresh);
}

/** This tab's name, once it is claimed. */
export function tabName(storage: Storage = sessionStorage): string {
  return storage.getItem(TAB) ?? "";
}

/** Whether the page of a tab is open, as far as the browser tells. */
export async function openTabs(): Promise<ReadonlySet<string>> {
  if (typeof navigator === "undefined" || navigator.locks === undefined) return new Set();
  const { held = [] } = await navigator.locks.query();
  const prefix = `${TAB}:`;
  return new Set(held.flatMap(({ name }) => (name?.startsWith(prefix) === true ? [name.slice(prefix.length)] : [])));
}

/** A page that is reloaded lets its lock go within this time; one that was duplicated does not. */
const LOCK_MS = 400;

/** Holds a lock for as long as the page lives; false when another page holds it. */
function hold(name: string): Promise<boolean> {
  if (typeof navigator === "undefined" || navigator.locks === undefined) return Promise.resolve(true);
  return new Promise((resolve) => {
    const held = navigator.locks.request(`${TAB}:${name}`, { signal: AbortSignal.timeout(LOCK_MS) }, () => {
      resolve(true);
      return new Promise<void>(() => {});
    });
    held.catch(() => resolve(false));
  });
}

function readState(text: string): SMState | null {
  try {
    const state = JSON.parse(text) as Partial<SMState> | null;
    return state !== null && typeof state.id === "string" && Array.isArray(state.unacked) ? (state as SMState) : null;
  } catch {
    return null;
  }
}

/** The id of a serialized message; other stanzas have none of interest. */
function messageId(stanza: string): string[] {
  const id = /^<message\b[^>]*?\sid="([^"]*)"/.exec(stanza)?.[1];
  return id === undefined ? [] : [id];
}
