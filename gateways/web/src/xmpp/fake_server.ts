// For tests: a server at the other end of a fake WebSocket, as far as its login. It knows one account,
// SCRAM-SHA-256 (RFC 7677), tokens, sessions with the login and their resumption, and checks what it is
// told with cryptography of its own.

import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { parseXml } from "./fake_link";

const SALT = Buffer.from("salt of the server");
const ROUNDS = 4096;

const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
const base64 = (text: string | Buffer): string => Buffer.from(text).toString("base64");
const plain = (text: string): string => Buffer.from(text, "base64").toString("latin1");

/** What a server offers and is told to do. */
export interface Manners {
  password: string;
  /** The tokens that are good, and whose installation each is for. */
  readonly tokens: Map<string, string>;
  /** What is good for one login each (RFC 7628); with any of it, the mechanism is offered. */
  readonly bearers: Set<string> | undefined;
  /** The token it gives next. */
  next: string | undefined;
  /** SASL2 is offered, with tokens or without; or it is, and no mechanism but PLAIN. */
  offers: "all" | "no-tokens" | "plain" | "rfc6120";
  /** The session that can be resumed, by its id. */
  resumable: string | undefined;
  /** It proves nothing it does not know. */
  isImpostor: boolean;
}

/** A server. Every socket that is opened leads to it. */
export class FakeServer implements Manners {
  password = "pencil";
  readonly tokens = new Map<string, string>();
  bearers: Set<string> | undefined;
  next: string | undefined;
  offers: Manners["offers"] = "all";
  resumable: string | undefined;
  isImpostor = false;
  /** Everything it has heard, over all sockets. */
  readonly heard: Element[] = [];
  readonly sockets: FakeSocket[] = [];
  #scram: { readonly bare: string; readonly challenge: string; readonly nonce: string } | undefined;
  #login: Element | undefined;

  /** The class of sockets that lead here. */
  get socketClass(): typeof WebSocket {
    const open = (socket: FakeSocket): void => void this.sockets.push(socket);
    const hear = (socket: FakeSocket, xml: string): void => this.#hear(socket, parseXml(xml));
    return class extends FakeSocket {
      constructor() {
        super(hear);
        open(this);
      }
    } as unknown as typeof WebSocket;
  }

  /** What was heard of this name. */
  named(name: string): Element[] {
    return this.heard.filter((it) => it.localName === name);
  }

  /** Says something to whoever came last. */
  say(xml: string): void {
    this.sockets.at(-1)?.receive(xml);
  }

  #hear(socket: FakeSocket, element: Element): void {
    this.heard.push(element);
    const say = (xml: string): void => socket.receive(xml);
    switch (element.localName) {
      case "open":
        say(`<open xmlns="urn:ietf:params:xml:ns:xmpp-framing" from="example.org" id="1" version="1.0"/>`);
        say(`<stream:features xmlns:stream="http://etherx.jabber.org/streams">${this.#features()}</stream:features>`);
        break;
      case "authenticate":
        this.#login = element;
        this.#authenticate(element, say);
        break;
      case "response":
        this.#finishScram(plain(element.textContent ?? ""), say);
        break;
      case "auth":
        say(`<failure xmlns="urn:ietf:params:xml:ns:xmpp-sasl"><not-authorized/></failure>`);
        break;
    }
  }

  #features(): string {
    const known = this.offers === "plain" ? ["PLAIN"] : ["SCRAM-SHA-256", "PLAIN"];
    const names = [...known, ...(this.bearers === undefined ? [] : ["OAUTHBEARER"])].map((name) => `<mechanism>${name}</mechanism>`).join("");
    const tokens = `<fast xmlns="urn:xmpp:fast:0"><mechanism>HT-SHA-256-NONE</mechanism></fast>`;
    const bind = `<bind xmlns="urn:xmpp:bind:0"><inline><feature var="urn:xmpp:carbons:2"/><feature var="urn:xmpp:sm:3"/></inline></bind>`;
    const inline = `<inline><sm xmlns="urn:xmpp:sm:3"/>${bind}${this.offers === "no-tokens" ? "" : tokens}</inline>`;
    const sasl2 = `<authentication xmlns="urn:xmpp:sasl:2">${names}${inline}</authentication>`;
    return `<mechanisms xmlns="urn:ietf:params:xml:ns:xmpp-sasl">${names}</mechanisms>${this.offers === "rfc6120" ? "" : sasl2}`;
  }

  #authenticate(element: Element, say: (xml: string) => void): void {
    const first = plain(element.querySelector("initial-response")?.textContent ?? "");
    const [, agent] = /id="([^"]+)"/.exec(element.querySelector("user-agent")?.outerHTML ?? "") ?? [];
    if (element.getAttribute("mechanism") === "HT-SHA-256-NONE") {
      const [user, proof] = first.split("\0");
      const isIt = (token: string): boolean => hmac(token, "Initiator").toString("latin1") === first.slice(first.indexOf("\0") + 1);
      const token = [...this.tokens.keys()].find(isIt);
      if (user !== "user" || proof === undefined || token === undefined || this.tokens.get(token) !== agent) return fail(say);
      if (element.querySelector("fast")?.getAttribute("invalidate") === "true") this.tokens.delete(token);
      this.#succeed(hmac(this.isImpostor ? "nothing" : token, "Responder"), agent, say);
      return;
    }
    if (element.getAttribute("mechanism") === "PLAIN") {
      if (first !== `\0user\0${this.password}`) return fail(say);
      this.#succeed("", agent, say);
      return;
    }
    if (element.getAttribute("mechanism") === "OAUTHBEARER") {
      const token = /^n,a=user@example\.org,\u0001auth=Bearer (.+)\u0001\u0001$/.exec(first)?.[1] ?? "";
      // RFC 7628 §3.2.2: it says why, and fails when that has been taken note of.
      if (this.bearers?.delete(token) === true) this.#succeed("", agent, say);
      else say(`<challenge xmlns="urn:xmpp:sasl:2">${base64('{"status":"invalid_token"}')}</challenge>`);
      return;
    }
    const bare = first.slice("n,,".length);
    const nonce = `${/r=(.+)$/.exec(bare)?.[1] ?? ""}theirs`;
    const challenge = `r=${nonce},s=${base64(SALT)},i=${ROUNDS}`;
    this.#scram = { bare, challenge, nonce };
    say(`<challenge xmlns="urn:xmpp:sasl:2">${base64(challenge)}</challenge>`);
  }

  /** RFC 5802 §3. */
  #finishScram(response: string, say: (xml: string) => void): void {
    const { bare, challenge, nonce } = this.#scram ?? { bare: "", challenge: "", nonce: "" };
    const salted = pbkdf2Sync(this.password, SALT, ROUNDS, 32, "sha256");
    const message = `${bare},${challenge},c=biws,r=${nonce}`;
    const clientKey = hmac(salted, "Client Key");
    const signature = hmac(createHash("sha256").update(clientKey).digest(), message);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
    if (response === "\u0001") return fail(say);
    if (response !== `c=biws,r=${nonce},p=${base64(proof)}`) return fail(say);
    const server = hmac(hmac(salted, this.isImpostor ? "another key" : "Server Key"), message);
    const [, agent] = /id="([^"]+)"/.exec(this.#login?.querySelector("user-agent")?.outerHTML ?? "") ?? [];
    this.#succeed(`v=${base64(server)}`, agent, say);
  }

  #succeed(data: string | Buffer, agent: string | undefined, say: (xml: string) => void): void {
    const login = this.#login;
    const parts = [`<additional-data>${base64(data)}</additional-data>`];
    const previd = login?.querySelector("resume")?.getAttribute("previd");
    const isResumed = typeof previd === "string" && previd === this.resumable;
    const wantsSession = login?.querySelector("bind") != null;
    parts.push(`<authorization-identifier>user@example.org${wantsSession ? "/klatsch/1" : ""}</authorization-identifier>`);
    const isRenewed = login?.querySelector("request-token") != null || login?.querySelector("fast") != null;
    if (this.next !== undefined && isRenewed) {
      this.tokens.set(this.next, agent ?? "");
      parts.push(`<token xmlns="urn:xmpp:fast:0" token="${this.next}" expiry="2030-01-01T00:00:00Z"/>`);
    }
    if (isResumed) parts.push(`<resumed xmlns="urn:xmpp:sm:3" previd="${previd}" h="0"/>`);
    else if (typeof previd === "string") parts.push(`<failed xmlns="urn:xmpp:sm:3"><item-not-found xmlns="urn:ietf:params:xml:ns:xmpp-stanzas"/></failed>`);
    if (wantsSession && !isResumed) {
      this.resumable = `sm-${this.heard.length}`;
      parts.push(`<bound xmlns="urn:xmpp:bind:0"><enabled xmlns="urn:xmpp:sm:3" resume="true" id="${this.resumable}"/></bound>`);
    }
    say(`<success xmlns="urn:xmpp:sasl:2">${parts.join("")}</success>`);
    say(`<stream:features xmlns:stream="http://etherx.jabber.org/streams"><csi xmlns="urn:xmpp:csi:0"/></stream:features>`);
  }
}

function fail(say: (xml: string) => void): void {
  say(`<failure xmlns="urn:xmpp:sasl:2"><not-authorized xmlns="urn:ietf:params:xml:ns:xmpp-sasl"/></failure>`);
}

/** A WebSocket without a network. */
class FakeSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSED = 3;
  readyState = 1;
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(private readonly heard: (socket: FakeSocket, xml: string) => void) {
    setTimeout(() => this.onopen?.(), 0);
  }

  send(xml: string): void {
    setTimeout(() => this.heard(this, xml), 0);
  }

  receive(data: string): void {
    if (this.readyState === 1) this.onmessage?.({ data });
  }

  /** The network is gone. */
  lose(): void {
    this.readyState = 3;
    this.onclose?.({ code: 1006 });
  }

  close(): void {
    this.readyState = 3;
  }
}
