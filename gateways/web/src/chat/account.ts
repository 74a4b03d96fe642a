// What a sign-in leaves behind, that the next visit needs no password: the address and the SCRAM
// keys, for as long as the browser, or on a public computer the tab, lives.

import type { Credentials, ScramKeys } from "../xmpp/link";

/** Where it is kept. */
export const SESSION_KEY = "klatsch.session";

/** What is kept. */
export interface StoredSession {
  readonly jid: string;
  readonly keys: ScramKeys;
  readonly isPublic: boolean;
}

/** The browser's storages. */
export interface Storages {
  readonly local: Storage;
  readonly session: Storage;
}

/** Reads what an earlier visit left. */
export function loadSession({ local, session }: Storages): StoredSession | undefined {
  for (const storage of [session, local]) {
    const found = read(storage.getItem(SESSION_KEY));
    if (found !== undefined) return found;
  }
  return undefined;
}

function read(text: string | null): StoredSession | undefined {
  if (text === null) return undefined;
  try {
    const found = JSON.parse(text) as Partial<StoredSession> | null;
    const isWhole = typeof found?.jid === "string" && typeof found.keys?.ck === "string";
    return isWhole ? (found as StoredSession) : undefined;
  } catch {
    return undefined;
  }
}

/** Keeps what a sign-in left. */
export function saveSession({ local, session }: Storages, stored: StoredSession): void {
  const [here, there] = stored.isPublic ? [session, local] : [local, session];
  there.removeItem(SESSION_KEY);
  here.setItem(SESSION_KEY, JSON.stringify(stored));
}

/** Forgets it. */
export function clearSession({ local, session }: Storages): void {
  local.removeItem(SESSION_KEY);
  session.removeItem(SESSION_KEY);
}

/** What to sign in with. */
export function toCredentials({ jid, keys }: StoredSession, url: string): Credentials {
  return { jid, keys, url };
}
