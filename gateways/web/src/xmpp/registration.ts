// An account of one's own: In-Band Registration, XEP-0077 version 2.4 §3.1, before the login, with
// an invitation's token (XEP-0445 version 0.2.0), over a WebSocket of its own (RFC 7395).
//
// The XMPP library logs in at once; this is a stream that does not, and is gone when it is done.

import { freshId } from "./dispatcher";
import { NoAnswer, parseError, StanzaError } from "./errors";
import { attr, el, iq, parseStored, serialize } from "./xml";

const NS_REGISTER = "jabber:iq:register";
const NS_PARS = "urn:xmpp:pars:0";
const NS_FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
const NS_STREAM = "http://etherx.jabber.org/streams";

/** The whole of it has so long. */
const TOTAL_MS = 30_000;

/** Who wants an account. */
export interface NewAccount {
  readonly username: string;
  readonly password: string;
  readonly token: string | undefined;
}

/** Opens a socket; in tests a fake one. */
export type OpenSocket = (url: string) => WebSocket;

/** One stream before the login. */
class PlainStream {
  #heed: (element: Element) => void = () => {};
  #fail: (error: Error) => void = () => {};

  constructor(
    private readonly socket: WebSocket,
    timer: AbortSignal,
  ) {
    socket.onmessage = ({ data }) => {
      const element = typeof data === "string" ? parseStored(data) : undefined;
      if (element?.namespaceURI === NS_FRAMING && element.localName === "close") this.#fail(new NoAnswer("disconnected"));
      else if (element?.namespaceURI === NS_STREAM && element.localName === "error") this.#fail(new NoAnswer("disconnected"));
      else if (element !== undefined) this.#heed(element);
    };
    socket.onclose = socket.onerror = () => this.#fail(new NoAnswer("disconnected"));
    timer.onabort = () => this.#fail(new NoAnswer("timeout"));
  }

  /** Waits for an element. */
  next(isIt: (element: Element) => boolean): Promise<Element> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#heed = (element) => {
        if (isIt(element)) resolve(element);
      };
    });
  }

  /** Opens the stream; its features. */
  async open(domain: string): Promise<void> {
    const features = this.next((it) => it.localName === "features");
    const send = (): void => this.socket.send(serialize(el("open", NS_FRAMING, { to: domain, version: "1.0" })));
    if (this.socket.readyState === WebSocket.OPEN) send();
    else this.socket.onopen = send;
    await features;
  }

  /** Asks something. */
  async ask(request: Element): Promise<Element> {
    const id = freshId();
    request.setAttribute("id", id);
    const answer = this.next((it) => it.localName === "iq" && attr(it, "id") === id);
    this.socket.send(serialize(request));
    const found = await answer;
    if (attr(found, "type") === "error") throw parseError(found);
    return found;
  }
}

/**
 * Makes an account.
 *
 * @throws StanzaError, NoAnswer
 */
export async function register(
  url: string,
  domain: string,
  account: NewAccount,
  openSocket: OpenSocket = (address) => new WebSocket(address, "xmpp"),
): Promise<void> {
  const socket = openSocket(url);
  const stream = new PlainStream(socket, AbortSignal.timeout(TOTAL_MS));
  try {
    await stream.open(domain);
    if (account.token !== undefined) {
      await stream.ask(iq("set", domain, el("preauth", NS_PARS, { token: account.token })));
    }
    await stream.ask(buildRegister(domain, account));
  } finally {
    socket.onclose = socket.onerror = socket.onmessage = null;
    socket.close();
  }
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

