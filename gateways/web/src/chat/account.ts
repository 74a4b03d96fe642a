// What a sign-in leaves behind, that the next visit needs no password: the address, and a token of the
// server's (or SCRAM keys where it gives none), for as long as the browser, or on a public computer
// the tab, lives.

import type { Credentials, ScramKeys, Secret } from "../xmpp/link";

/** Where it is kept. */
export const SESSION_KEY = "klatsch.session";
/** Where the name of this installation is kept. */
const AGENT_KEY = "klatsch.agent";

/** What is kept. */
export type StoredSession = Secret & {
  readonly jid: string;
  readonly isPublic: boolean;
};

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
    const found = JSON.parse(text) as { jid?: unknown; token?: unknown; keys?: Partial<ScramKeys> } | null;
    const hasSecret = typeof found?.token === "string" || typeof found?.keys?.ck === "string";
    return typeof found?.jid === "string" && hasSecret ? (found as StoredSession) : undefined;
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

/** The name of this installation, by which the server knows its tokens: a chance number, and no more. */
export function agentOf({ local, session }: Storages, isPublic: boolean): string {
  const storage = isPublic ? session : local;
  const known = storage.getItem(AGENT_KEY);
  if (known !== null) return known;
  const agent = crypto.randomUUID();
  storage.setItem(AGENT_KEY, agent);
  return agent;
}

/** Under such names strophe keeps what a stream is resumed by (XEP-0198 §5), of each account. */
const STREAMS_KEY = "strophe-sm:";

/** A stream that could not be closed is resumed by nobody. */
export function forgetStreams({ local, session }: Storages, account: string): void {
  for (const storage of [local, session]) {
    const keys = Array.from({ length: storage.length }, (_, place) => storage.key(place));
    for (const key of keys) if (key?.startsWith(`${STREAMS_KEY}${account}:`)) storage.removeItem(key);
  }
}

/** Forgets it: whoever comes next is somebody else. */
export function forgetAgent({ local, session }: Storages): void {
  local.removeItem(AGENT_KEY);
  session.removeItem(AGENT_KEY);
}

/** What to sign in with. */
export function toCredentials(stored: StoredSession, storages: Storages, url: string): Credentials {
  const { jid, token, keys, isPublic } = stored;
  return { jid, token, keys, agent: agentOf(storages, isPublic), url };
}

/** Whether two visits have left the same. */
export function isSame(one: Secret | undefined, other: Secret | undefined): boolean {
  return one?.token === other?.token && one?.keys?.ck === other?.keys?.ck;
}
