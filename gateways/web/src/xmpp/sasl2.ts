// The login in one go: XEP-0388 version 1.0.4. What a server offers, the request with what is wanted
// besides, and what came of it. No stream follows a success.
//
// What the mechanisms say is theirs (fast.ts, and the library's in sasl2_connection.ts); here it is
// base64. Left out: tasks (`<continue/>`): nothing is asked for that would need one.

import { NS_BIND2, readSessionOffer, type SessionOffer } from "./bind2";
import { readMechanisms } from "./fast";
import { NS_SM } from "./sm";
import { child, children, childText, type Content, el, textOf } from "./xml";

/** The namespace. */
export const NS_SASL2 = "urn:xmpp:sasl:2";

/** What a server offers before the login. */
export interface Offer {
  readonly mechanisms: readonly string[];
  /** The mechanisms of tokens (XEP-0484). */
  readonly tokens: readonly string[];
  readonly session: SessionOffer;
}

/** What came of a login. */
export interface Success {
  /** The mechanism's last message, base64. */
  readonly data: string;
  /** Who has logged in: a full JID where there is a session, old or new. */
  readonly jid: string;
  /** The old session is there again. */
  readonly resumed: Element | undefined;
  /** The old session is not to be had. */
  readonly failed: Element | undefined;
  /** There is a new session. */
  readonly bound: Element | undefined;
}

/**
 * Reads the features before the login; nothing where the whole of it cannot be had in one go: the
 * login, a session that can be resumed, and its resumption.
 */
export function readOffer(features: Element | undefined): Offer | undefined {
  const authentication = child(features, "authentication", NS_SASL2);
  const inline = child(authentication, "inline", NS_SASL2);
  const session = inline && readSessionOffer(inline);
  if (inline === undefined || session?.hasSm !== true || child(inline, "sm", NS_SM) === undefined) return undefined;
  const mechanisms = children(authentication, "mechanism", NS_SASL2).map(textOf);
  return { mechanisms, tokens: readMechanisms(inline), session };
}

/** Builds the request of a login by this installation of the client (§2.3). */
export function buildAuthenticate(mechanism: string, first: string, agent: string, ...wishes: Content[]): Element {
  return el(
    "authenticate",
    NS_SASL2,
    { mechanism },
    el("initial-response", NS_SASL2, {}, first),
    el("user-agent", NS_SASL2, { id: agent }, el("software", NS_SASL2, {}, "klatsch")),
    wishes,
  );
}

/** Builds an answer to a challenge. */
export function buildResponse(data: string): Element {
  return el("response", NS_SASL2, {}, data);
}

/** Reads a success; nothing when it does not say who has logged in (§2.6.1: it must). */
export function readSuccess(success: Element): Success | undefined {
  const jid = childText(success, "authorization-identifier", NS_SASL2) ?? "";
  if (jid === "") return undefined;
  return {
    data: childText(success, "additional-data", NS_SASL2) ?? "",
    jid,
    resumed: child(success, "resumed", NS_SM),
    failed: child(success, "failed", NS_SM),
    bound: child(success, "bound", NS_BIND2),
  };
}
