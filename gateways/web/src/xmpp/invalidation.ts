// Signing out for good: a token is used a last time, and the server forgets it and all others of this
// installation (XEP-0484 §3.6). On a stream of its own, for the session's has logged in already.

import { buildUse, MECHANISM, prove } from "./fast";
import { domainOf, localOf } from "./jid";
import { type OpenSocket, withStream } from "./plain_stream";
import { buildAuthenticate, NS_SASL2 } from "./sasl2";

/** Somebody waits for it, who is signing out. */
const TOTAL_MS = 5_000;

/** A token, and where it is good. */
export interface Invalidation {
  readonly jid: string;
  readonly url: string;
  readonly agent: string;
  readonly token: string;
}

/**
 * Has the server forget a token.
 *
 * @returns whether it has
 * @throws NoAnswer when it could not be asked: the token ends by itself, then
 */
export async function invalidate({ jid, url, agent, token }: Invalidation, openSocket?: OpenSocket): Promise<boolean> {
  const { message } = await prove(token, localOf(jid));
  const request = buildAuthenticate(MECHANISM, message, agent, buildUse(true));
  const isIt = (it: Element): boolean => it.namespaceURI === NS_SASL2;
  const where = { url, domain: domainOf(jid), milliseconds: TOTAL_MS };
  const answer = await withStream(where, (stream) => stream.exchange(request, isIt), openSocket);
  return answer.localName === "success";
}
