// A link for tests: what was sent is looked at, what comes is written as XML.

import { Dispatcher, freshId } from "./dispatcher";
import { NoAnswer, SignInError, type SignInReason } from "./errors";
import { Events } from "./events";
import type { Farewell } from "./invalidation";
import { bareJid, domainOf } from "./jid";
import type {
  Credentials,
  LinkEvents,
  LinkState,
  RequestHandler,
  Secret,
  StanzaFilter,
  StanzaHandler,
  Unsubscribe,
  XmppLink,
} from "./link";
import { attr } from "./xml";

/** Reads XML as the socket does. */
export function parseXml(xml: string): Element {
  const parsed = new DOMParser().parseFromString(xml, "text/xml").documentElement;
  if (parsed.getElementsByTagName("parsererror").length > 0) throw new Error(`not XML: ${xml}`);
  return parsed;
}

/** How a scripted server answers a request: with the content of its result, or an `error`. */
export type Script = (request: Element) => string | undefined;

/** A link without a server. */
export class FakeLink implements XmppLink {
  state: LinkState = "closed";
  jid = "romeo@montague.example/orchard";
  retryAt: number | undefined;
  hasCarbons = false;
  /** Everything that was sent, in order. */
  readonly sent: Element[] = [];
  readonly features = new Set<string>();
  readonly #events = new Events();
  readonly #scripts: Script[] = [];
  readonly #dispatcher = new Dispatcher(
    (stanza) => this.send(stanza),
    () => this.jid,
  );

  get bareJid(): string {
    return bareJid(this.jid);
  }

  get domain(): string {
    return domainOf(this.jid);
  }

  /** Who has signed in, each time. */
  readonly credentials: Credentials[] = [];
  /** What the server was to forget tokens by. */
  readonly farewells: Farewell[] = [];
  /** Whether it can be asked to. */
  isReachable = true;

  async connect(credentials: Credentials): Promise<void> {
    this.credentials.push(credentials);
    this.goOnline(false);
  }

  async disconnect(): Promise<void> {
    this.goOffline("closed");
  }

  async invalidate(_url: string, farewell: Farewell): Promise<boolean> {
    if (!this.isReachable) throw new NoAnswer("disconnected");
    this.farewells.push(farewell);
    return true;
  }

  retry(): void {
    if (this.state === "waiting") this.goOnline(true);
  }

  /** The session begins, or is resumed. */
  goOnline(isResumed: boolean): void {
    this.state = "online";
    if (!isResumed) this.#dispatcher.failAll();
    this.#events.tell("state", "online");
    this.#events.tell("online", isResumed);
  }

  /** The connection is lost. */
  goOffline(state: "waiting" | "closed" = "waiting"): void {
    this.state = state;
    this.#events.tell("state", state);
  }

  /** The link gives up. */
  fail(reason: SignInReason): void {
    this.state = "closed";
    this.#events.tell("state", "closed");
    this.#events.tell("failed", new SignInError(reason));
  }

  /** A login has left something. */
  leave(secret: Secret): void {
    this.#events.tell("secret", secret);
  }

  /** The server has acknowledged a message. */
  acknowledge(messageId: string): void {
    this.#events.tell("acknowledged", messageId);
  }

  /** Adds a scripted answer; the newest that answers does. */
  script(script: Script): void {
    this.#scripts.unshift(script);
  }

  send(stanza: Element): boolean {
    if (this.state !== "online") return false;
    if (stanza.localName === "iq" && attr(stanza, "id") === undefined) stanza.setAttribute("id", freshId());
    this.sent.push(stanza);
    const type = attr(stanza, "type");
    if (stanza.localName === "iq" && (type === "get" || type === "set")) this.#answer(stanza);
    return true;
  }

  #answer(request: Element): void {
    for (const script of this.#scripts) {
      const answer = script(request);
      if (answer === undefined) continue;
      const type = answer.startsWith("<error") ? "error" : "result";
      const reply = `<iq xmlns="jabber:client" type="${type}" id="${attr(request, "id") ?? ""}" from="${attr(request, "to") ?? this.bareJid}">${answer}</iq>`;
      queueMicrotask(() => this.receive(reply));
      return;
    }
  }

  /** A stanza has come. */
  receive(xml: string): void {
    this.#dispatcher.receive(parseXml(xml));
  }

  iq(request: Element, options: { readonly timeoutMs?: number } = {}): Promise<Element> {
    return this.#dispatcher.request(request, options.timeoutMs);
  }

  on(filter: StanzaFilter, handler: StanzaHandler): Unsubscribe {
    return this.#dispatcher.on(filter, handler);
  }

  answer(type: "get" | "set", ns: string, handler: RequestHandler): Unsubscribe {
    return this.#dispatcher.answer(type, ns, handler);
  }

  listen<E extends keyof LinkEvents>(event: E, handler: LinkEvents[E]): Unsubscribe {
    return this.#events.listen(event, handler);
  }

  setActive(): void {}

  announce(...features: string[]): void {
    for (const feature of features) this.features.add(feature);
  }
}
