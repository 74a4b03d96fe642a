// What a login is made with and what it leaves: which mechanisms may be used for it, and over which
// sockets it is sent.

import { Strophe } from "strophe.js";
import { Bearer } from "./bearer";
import type { Credentials, ScramKeys, Secret } from "./link";

/** Of a connection, what a login has left. */
interface Left {
  readonly token: string | undefined;
  readonly scram_keys: Record<string, unknown> | null;
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
