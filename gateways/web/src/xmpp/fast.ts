// Logins by token: FAST, XEP-0484 version 0.2.0, with the mechanism HT-SHA-256-NONE
// (draft-schmaus-kitten-sasl-ht-09).
//
// A token is given to one installation of the client with a login by password, and logs in from then
// on. It is no password: it is good for this client alone, ends by itself, is replaced by the server
// now and then, and is taken back when the password is changed or the person signs out.
//
// Left out: the bound mechanisms, for browsers tell a page nothing of its TLS connection; the
// counter, which every tab of a browser would have to share, and which is for TLS 0-RTT (§3.4).

import { attr, child, children, el, textOf } from "./xml";

/** The namespace. */
export const NS_FAST = "urn:xmpp:fast:0";
/** The mechanism of our tokens. */
export const MECHANISM = "HT-SHA-256-NONE";

/** The longest token that is kept. */
const TOKEN_CHARS_MAX = 1_000;

/** A login by token. */
export interface Proof {
  /** The only message of ours, base64. */
  readonly message: string;
  /** The message by which the server shows that it knows the token, too, base64. */
  readonly answer: string;
}

/** The mechanisms a server has tokens for. */
export function readMechanisms(inline: Element): string[] {
  return children(child(inline, "fast", NS_FAST), "mechanism", NS_FAST).map(textOf);
}

/** Builds the wish for a token (§3.3). */
export function buildRequest(): Element {
  return el("request-token", NS_FAST, { mechanism: MECHANISM });
}

/** Builds the mark of a login by token (§3.4), which is the last one with it where so wished (§3.6). */
export function buildUse(isLast = false): Element {
  return el("fast", NS_FAST, { invalidate: isLast ? "true" : undefined });
}

/** Reads the token of a login, a first one or another (§3.5). */
export function readToken(success: Element): string | undefined {
  const token = attr(child(success, "token", NS_FAST), "token");
  return token !== undefined && token.length <= TOKEN_CHARS_MAX ? token : undefined;
}

/** Makes what proves knowledge of a token, on both sides. */
export async function prove(token: string, user: string): Promise<Proof> {
  const raw = new TextEncoder().encode(token);
  const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  const sign = async (who: string): Promise<Uint8Array> =>
    new Uint8Array(await crypto.subtle.sign("HMAC", key, new TextEncoder().encode(who)));
  const [ours, theirs] = await Promise.all([sign("Initiator"), sign("Responder")]);
  return { message: base64(new TextEncoder().encode(`${user}\0`), ours), answer: base64(theirs) };
}

function base64(...parts: Uint8Array[]): string {
  return btoa(parts.map((part) => String.fromCharCode(...part)).join(""));
}
