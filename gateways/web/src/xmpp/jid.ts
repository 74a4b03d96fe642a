// Addresses: RFC 7622, as far as a client needs it.
//
// What comes from the server is prepared already; what people type is lowered and trimmed, and
// the server has the last word on the rest (PRECIS is not repeated here).

import type { BareJid } from "../chat/model";

/** The part before the resource, lowered. */
export function bareJid(jid: string): BareJid {
  const slash = jid.indexOf("/");
  return (slash < 0 ? jid : jid.slice(0, slash)).toLowerCase();
}

/** The resource, in a room the nick; empty where there is none. */
export function resourceOf(jid: string): string {
  const slash = jid.indexOf("/");
  return slash < 0 ? "" : jid.slice(slash + 1);
}

/** The domain. */
export function domainOf(jid: string): string {
  const bare = bareJid(jid);
  return bare.slice(bare.indexOf("@") + 1);
}

/** The localpart; empty where there is none. */
export function localOf(jid: string): string {
  const bare = bareJid(jid);
  const at = bare.indexOf("@");
  return at < 0 ? "" : bare.slice(0, at);
}

/** An address with its bare part lowered, to compare. */
export function normalJid(jid: string): string {
  const resource = resourceOf(jid);
  return resource === "" ? bareJid(jid) : `${bareJid(jid)}/${resource}`;
}

/** RFC 7622 §3.3.1: signs that no localpart has, and blanks. */
const NOT_LOCAL = /["&'/:<>@\s]/;

/** Labels of letters, digits and hyphens in any script, an IPv6 address, or a port-less host. */
const DOMAIN = /^(?:\[[0-9a-f:]+\]|[\p{L}\p{N}_](?:[\p{L}\p{N}\p{M}_-]*[\p{L}\p{N}\p{M}])?(?:\.[\p{L}\p{N}_](?:[\p{L}\p{N}\p{M}_-]*[\p{L}\p{N}\p{M}])?)*)$/u;

/** RFC 7622 §3.1: bytes of each part. */
const PART_BYTES_MAX = 1023;

/**
 * Reads a bare JID that somebody typed, or that an `xmpp:` link names; a name alone is one of
 * `domain`. `undefined` for what is none.
 */
export function readJid(text: string, domain = ""): BareJid | undefined {
  const plain = text.trim().replace(/^xmpp:/i, "").replace(/[?/].*$/s, "").toLowerCase();
  const at = plain.indexOf("@");
  if (at < 0 && domain === "") return isDomain(plain) ? plain : undefined;
  const local = at < 0 ? plain : plain.slice(0, at);
  const host = at < 0 ? domain.toLowerCase() : plain.slice(at + 1);
  if (local === "" || NOT_LOCAL.test(local) || bytes(local) > PART_BYTES_MAX) return undefined;
  return isDomain(host) ? `${local}@${host}` : undefined;
}

function isDomain(host: string): boolean {
  return bytes(host) <= PART_BYTES_MAX && DOMAIN.test(host);
}

function bytes(text: string): number {
  return new TextEncoder().encode(text).length;
}
