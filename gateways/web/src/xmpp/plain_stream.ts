// A stream before the login, over a WebSocket of its own (RFC 7395), for what is done there and then
// gone: the XMPP library logs in at once.

import { freshId } from "./dispatcher";
import { NoAnswer, parseError } from "./errors";
import { attr, el, parseStored, serialize } from "./xml";

const NS_FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
const NS_STREAM = "http://etherx.jabber.org/streams";

/** Opens a socket; in tests a fake one. */
export type OpenSocket = (url: string) => WebSocket;

const openWebSocket: OpenSocket = (address) => new WebSocket(address, "xmpp");

/** One stream before the login. */
export class PlainStream {
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

  /** Sends something, and waits for what answers it. */
  async exchange(request: Element, isIt: (element: Element) => boolean): Promise<Element> {
    const answer = this.#next(isIt);
    this.socket.send(serialize(request));
    return answer;
  }

  /** Sends a request, and waits for its result. */
  async ask(request: Element): Promise<Element> {
    const id = freshId();
    request.setAttribute("id", id);
    const found = await this.exchange(request, (it) => it.localName === "iq" && attr(it, "id") === id);
    if (attr(found, "type") === "error") throw parseError(found);
    return found;
  }

  /** Opens the stream; its features. */
  async open(domain: string): Promise<Element> {
    const features = this.#next((it) => it.localName === "features");
    const send = (): void => this.socket.send(serialize(el("open", NS_FRAMING, { to: domain, version: "1.0" })));
    if (this.socket.readyState === WebSocket.OPEN) send();
    else this.socket.onopen = send;
    return features;
  }

  #next(isIt: (element: Element) => boolean): Promise<Element> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      this.#heed = (element) => {
        if (isIt(element)) resolve(element);
      };
    });
  }
}

/**
 * Opens a stream for something that has so long, and closes it afterwards.
 *
 * @throws StanzaError, NoAnswer
 */
export async function withStream<T>(
  { url, domain, milliseconds }: { readonly url: string; readonly domain: string; readonly milliseconds: number },
  act: (stream: PlainStream, features: Element) => Promise<T>,
  openSocket: OpenSocket = openWebSocket,
): Promise<T> {
  const socket = openSocket(url);
  const stream = new PlainStream(socket, AbortSignal.timeout(milliseconds));
  try {
    return await act(stream, await stream.open(domain));
  } finally {
    socket.onclose = socket.onerror = socket.onmessage = null;
    socket.close();
  }
}
