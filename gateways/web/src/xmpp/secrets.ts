// What a login is made with and what it leaves: which mechanisms may be used for it, over which sockets
// it is sent, and how the server is told to forget it.

import { Strophe } from "strophe.js";
import { Bearer } from "./bearer";
import { invalidate } from "./invalidation";
import type { Credentials, ScramKeys, Secret } from "./link";

/** Of a connection, what a login has left. */
interface Left {
  readonly token: string | undefined;
  readonly scram_keys: Record<string, unknown> | null;
}

/** Has the server forget a token; where it cannot be reached, the token ends by itself some day. */
export async function forget(credentials: Credentials | undefined): Promise<void> {
  if (credentials?.token === undefined) return;
  const { jid, url, agent, token } = credentials;
  await invalidate({ jid, url, agent, token }).catch(() => undefined);
}

/** With keys nothing but SCRAM; with a password, in the clear only where the socket hides it. */
export function mechanisms({ url, keys, bearer }: Credentials): (typeof Strophe.SASLMechanism)[] {
  if (bearer !== undefined) return [Bearer] as unknown as (typeof Strophe.SASLMechanism)[];
  const scram = [Strophe.SASLSHA512, Strophe.SASLSHA384, Strophe.SASLSHA256, Strophe.SASLSHA1];
  const all = keys === undefined && isHidden(url) ? [...scram, Strophe.SASLPlain] : scram;
  return all as (typeof Strophe.SASLMechanism)[];
}

/** Nobody reads along. */
export function isHidden(url: string): boolean {
  return url.startsWith("wss:") || isLoopback(url);
}

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === "localhost" || hostname === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(hostname);
}

/** What a login has left for the next: of two secrets the one that is worth less elsewhere. */
export function left({ token, scram_keys }: Left): Secret | undefined {
  if (token !== undefined) return { token };
  const keys = readKeys(scram_keys);
  return keys && { keys };
}

function readKeys(found: Record<string, unknown> | null): ScramKeys | undefined {
  if (found === null) return undefined;
  const { name, salt, iter, ck, sk } = found;
  const texts = [name, salt, ck, sk].every((it) => typeof it === "string");
  return texts && typeof iter === "number" ? (found as unknown as ScramKeys) : undefined;
}
