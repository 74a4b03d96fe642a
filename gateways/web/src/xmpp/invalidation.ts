// Signing out for good: a token is used a last time, and the server forgets it and all others of this
// installation (XEP-0484 §3.6). On a stream of its own, for the session's has logged in already, or has
// no connection: what is needed for it can be kept until there is one.

import { NoAnswer } from "./errors";
import { buildUse, MECHANISM, prove } from "./fast";
import { domainOf, localOf } from "./jid";
import { type OpenSocket, withStream } from "./plain_stream";
import { buildAuthenticate, NS_SASL2 } from "./sasl2";

/** Somebody waits for it, who is signing out. */
const TOTAL_MS = 5_000;

/** What has the server forget a token: the proof of it and not the token, which proves more. */
export interface Farewell {
  readonly domain: string;
  /** The installation that the token was given to. */
  readonly agent: string;
  /** The message of the login, base64. */
  readonly message: string;
}

/** Makes what has the server forget a token. */
export async function prepareFarewell(jid: string, agent: string, token: string): Promise<Farewell> {
  const { message } = await prove(token, localOf(jid));
  return { domain: domainOf(jid), agent, message };
}

/**
 * Has the server forget a token.
 *
 * @returns whether it has; if not, it knows of none
 * @throws NoAnswer when it could not be asked, or cannot say now
 */
export async function invalidate(url: string, { domain, agent, message }: Farewell, openSocket?: OpenSocket): Promise<boolean> {
  const request = buildAuthenticate(MECHANISM, message, agent, buildUse(true));
  const isIt = (it: Element): boolean => it.namespaceURI === NS_SASL2;
  const where = { url, domain, milliseconds: TOTAL_MS };
  const answer = await withStream(where, (stream) => stream.exchange(request, isIt), openSocket);
  // RFC 6120 §6.5.9: it may know of it all the same.
  if (answer.getElementsByTagName("temporary-auth-failure").length > 0) throw new NoAnswer("disconnected");
  return answer.localName === "success";
}
