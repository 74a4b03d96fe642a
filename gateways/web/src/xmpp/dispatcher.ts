// Who hears a stanza: filters, requests that wait for their answers, requests to be answered.
// RFC 6120 §8.2.3, §8.3, §10.5.
//
// Every `iq` of type `get` or `set` is answered, and an answer counts only when it comes from
// whom it was asked of: otherwise anybody could answer for anybody (RFC 6120 §8.2.3, rule 3).

import { NoAnswer, NS_STANZAS, parseError, StanzaError } from "./errors";
import { bareJid, domainOf, normalJid } from "./jid";
import type { RequestHandler, StanzaFilter, StanzaHandler, Unsubscribe } from "./link";
import { attr, el, iq, NS_CLIENT } from "./xml";

/** An answer has so long: the slowest that people wait for. */
const ANSWER_MS = 30_000;

/** Requests that wait at once; more is a loop of ours. */
const PENDING_MAX = 500;

interface Pending {
  readonly to: string;
  readonly resolve: (stanza: Element) => void;
  readonly reject: (error: Error) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

interface Registered {
  readonly filter: StanzaFilter;
  readonly handler: StanzaHandler;
}

let idCount = 0;

/** An id nobody can guess. */
export function freshId(): string {
  idCount += 1;
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `${Array.from(bytes, (byte) => byte.toString(36).padStart(2, "0")).join("")}${idCount.toString(36)}`;
}

/** Hands stanzas to whom they are for. */
export class Dispatcher {
  readonly #handlers = new Set<Registered>();
  readonly #answers = new Map<string, RequestHandler>();
  readonly #pending = new Map<string, Pending>();

  constructor(
    /** Sends a stanza; false when it cannot. */
    private readonly out: (stanza: Element) => boolean,
    /** Our full JID. */
    private readonly own: () => string,
  ) {}

  /** Hears the stanzas that fit. */
  on(filter: StanzaFilter, handler: StanzaHandler): Unsubscribe {
    const registered = { filter, handler };
    this.#handlers.add(registered);
    return () => void this.#handlers.delete(registered);
  }

  /** Answers the requests of a namespace. */
  answer(type: "get" | "set", ns: string, handler: RequestHandler): Unsubscribe {
    const key = `${type} ${ns}`;
    this.#answers.set(key, handler);
    return () => {
      if (this.#answers.get(key) === handler) this.#answers.delete(key);
    };
  }

  /** Sends a request and waits for its answer. */
  request(stanza: Element, timeoutMs = ANSWER_MS): Promise<Element> {
    const id = attr(stanza, "id") ?? freshId();
    stanza.setAttribute("id", id);
    return new Promise((resolve, reject) => {
      if (this.#pending.size >= PENDING_MAX) {
        reject(new StanzaError("resource-constraint", "wait", "too many requests wait"));
        return;
      }
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new NoAnswer("timeout"));
      }, timeoutMs);
      this.#pending.set(id, { to: attr(stanza, "to") ?? "", resolve, reject, timer });
      if (!this.out(stanza)) this.#settle(id)?.reject(new NoAnswer("disconnected"));
    });
  }

  /** The session is over: nobody answers any more. */
  failAll(): void {
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(new NoAnswer("disconnected"));
  }

  /** A stanza has come. */
  receive(stanza: Element): void {
    if (stanza.namespaceURI !== NS_CLIENT) return;
    if (stanza.localName === "iq") this.#receiveIq(stanza);
    for (const { filter, handler } of [...this.#handlers]) {
      if (fits(stanza, filter)) attempt(() => handler(stanza));
    }
  }

  #receiveIq(stanza: Element): void {
    const type = attr(stanza, "type");
    if (type === "get" || type === "set") void this.#reply(stanza, type);
    if (type !== "result" && type !== "error") return;
    const id = attr(stanza, "id") ?? "";
    const pending = this.#pending.get(id);
    if (pending === undefined || !this.#isFrom(attr(stanza, "from") ?? "", pending.to)) return;
    this.#settle(id);
    if (type === "result") pending.resolve(stanza);
    else pending.reject(parseError(stanza));
  }

  #isFrom(from: string, to: string): boolean {
    if (normalJid(from) === normalJid(to)) return true;
    const own = this.own();
    const bare = bareJid(own);
    // RFC 6120 §10.3.3: what has no address, or our own, our server answers in our name.
    const isOurs = to === "" || normalJid(to) === bare;
    return isOurs && ["", bare, normalJid(own), domainOf(own)].includes(normalJid(from));
  }

  #settle(id: string): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    if (pending !== undefined) clearTimeout(pending.timer);
    return pending;
  }

  async #reply(stanza: Element, type: "get" | "set"): Promise<void> {
    const payload = stanza.firstElementChild;
    const handler = this.#answers.get(`${type} ${payload?.namespaceURI ?? ""}`);
    let reply: Element;
    try {
      if (handler === undefined) throw new StanzaError("service-unavailable");
      reply = iq("result", attr(stanza, "from"), await handler(stanza));
    } catch (error) {
      reply = iq("error", attr(stanza, "from"), errorElement(error));
    }
    reply.setAttribute("id", attr(stanza, "id") ?? "");
    this.out(reply);
  }
}

/** The `error` of what a handler threw; what is not a stanza error is our own fault. */
export function errorElement(error: unknown): Element {
  const known = error instanceof StanzaError ? error : new StanzaError("internal-server-error");
  const specific = known.specific && el(known.specific.name, known.specific.ns);
  return el("error", NS_CLIENT, { type: known.kind }, el(known.condition, NS_STANZAS), specific);
}

function fits(stanza: Element, filter: StanzaFilter): boolean {
  if (filter.name !== undefined && stanza.localName !== filter.name) return false;
  if (filter.type !== undefined && typeOf(stanza) !== filter.type) return false;
  if (filter.from !== undefined && bareJid(attr(stanza, "from") ?? "") !== filter.from) return false;
  if (filter.ns === undefined) return true;
  return Array.from(stanza.children).some(
    (it) => it.namespaceURI === filter.ns && (filter.child === undefined || it.localName === filter.child),
  );
}

/** The type of a stanza, with the one it has by default. */
export function typeOf(stanza: Element): string {
  return attr(stanza, "type") ?? (stanza.localName === "presence" ? "available" : "normal");
}

/** Runs a handler; what it throws is told to the console and to nobody else. */
export function attempt(run: () => void): void {
  try {
    run();
  } catch (error) {
    console.error("a handler failed", error);
  }
}
