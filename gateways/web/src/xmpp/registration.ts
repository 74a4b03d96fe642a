// An account of one's own: In-Band Registration, XEP-0077 version 2.4 §3.1, before the login, with
// an invitation's token (XEP-0445 version 0.2.0).

import { StanzaError } from "./errors";
import { type OpenSocket, type PlainStream, withStream } from "./plain_stream";
import { el, iq } from "./xml";

const NS_REGISTER = "jabber:iq:register";
const NS_PARS = "urn:xmpp:pars:0";
/** The whole of it has so long. */
const TOTAL_MS = 30_000;

/** Who wants an account. */
export interface NewAccount {
  readonly username: string;
  readonly password: string;
  readonly token: string | undefined;
}

/**
 * Makes an account.
 *
 * @throws StanzaError, NoAnswer
 */
export async function register(url: string, domain: string, account: NewAccount, openSocket?: OpenSocket): Promise<void> {
  const register = async (stream: PlainStream): Promise<void> => {
    if (account.token !== undefined) {
      await stream.ask(iq("set", domain, el("preauth", NS_PARS, { token: account.token })));
    }
    await stream.ask(buildRegister(domain, account));
  };
  await withStream({ url, domain, milliseconds: TOTAL_MS }, register, openSocket);
}

/** Builds the registration. */
export function buildRegister(domain: string, { username, password }: NewAccount): Element {
  const fields = [el("username", NS_REGISTER, {}, username), el("password", NS_REGISTER, {}, password)];
  return iq("set", domain, el("query", NS_REGISTER, {}, fields));
}

/** What went wrong, for the person in front of the form. */
export function registrationError(error: unknown): "taken" | "bad-name" | "weak-password" | "bad-invitation" | "closed" | "unreachable" {
  if (!(error instanceof StanzaError)) return "unreachable";
  if (error.condition === "conflict") return "taken";
  if (error.condition === "item-not-found" || error.condition === "gone") return "bad-invitation";
  if (error.condition === "forbidden" || error.condition === "not-allowed") return "closed";
  if (error.condition === "service-unavailable" || error.condition === "feature-not-implemented") return "closed";
  // Both are told by the same condition; the text says which (XEP-0077 §3.1 knows no more).
  if (error.condition === "not-acceptable") return /password/i.test(error.text) ? "weak-password" : "bad-name";
  return error.condition === "jid-malformed" || error.condition === "bad-request" ? "bad-name" : "unreachable";
}

