// The link over strophe.js 5: RFC 7395 (WebSocket), RFC 5802/7677 (SCRAM), XEP-0198 1.6.3 (session
// resumption, also over a reload), XEP-0352 1.0.0 (client state), and the login of today
// (sasl2_connection.ts).
//
// One library connection is one attempt; this file makes the next one. It never keeps a password
// longer than the attempt that uses it: what a login leaves is a token, or SCRAM keys where a server
// gives none. Leaves out BOSH.

import { type ConnectionOptions, Strophe } from "strophe.js";
import { backoffMs } from "./backoff";
import { Dispatcher, freshId } from "./dispatcher";
import { SignInError } from "./errors";
import { Events } from "./events";
import { type Farewell, invalidate } from "./invalidation";
import { bareJid, domainOf } from "./jid";
import type {
  Credentials,
  LinkEvents,
  LinkState,
  RequestHandler,
  StanzaFilter,
  StanzaHandler,
  Unsubscribe,
  XmppLink,
} from "./link";
import { Sasl2Connection, UNPROVEN } from "./sasl2_connection";
import { isHidden, left, mechanisms } from "./secrets";
import type { SessionStore } from "./session_store";
import { attr, el } from "./xml";

const NS_CSI = "urn:xmpp:csi:0";
const NS_PING = "urn:xmpp:ping";

/** An attempt that has not led to a session by then is given up. */
const ATTEMPT_MS = 20_000;
/** Silence after which a look is taken whether the connection still lives. */
const QUIET_MS = 60_000;
/** The answer to that look. */
const PROBE_MS = 10_000;
/** A token may be too old when it is used; after as many refusals it is not the token. */
const TOKENS_MAX = 3;

/** Stream errors after which coming back would only be thrown out again. */
const REPLACED = "conflict";

/** What the page tells: in tests a fake. */
export interface Surroundings {
  readonly store: SessionStore;
  /** What tells this tab's sessions from those of others, for people to see. */
  readonly tag: string;
  readonly addEventListener?: (type: string, listener: () => void) => void;
}

/** One connection to the server, over strophe.js. */
export class StropheLink implements XmppLink {
  #state: LinkState = "closed";
  #jid = "";
  #retryAt: number | undefined;
  #credentials: Credentials | undefined;
  #connection: Sasl2Connection | undefined;
  #attempt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #heard = 0;
  #isActive = true;
  #first: { resolve: () => void; reject: (error: SignInError) => void } | undefined;
  readonly #events = new Events();
  readonly #store: SessionStore;
  readonly #tag: string;
  readonly #dispatcher = new Dispatcher(
    (stanza) => this.send(stanza),
    () => this.#jid,
  );
  readonly features = new Set<string>();

  constructor({ store, tag, addEventListener }: Surroundings) {
    this.#store = store;
    this.#tag = tag;
    store.onAcknowledged = (id) => this.#events.tell("acknowledged", id);
    addEventListener?.("online", () => this.#wake());
    addEventListener?.("pagehide", () => store.flush());
    // A page that comes back from the browser's cache has lost its socket.
    addEventListener?.("pageshow", () => this.#wake());
    Strophe.setLogLevel(Strophe.LogLevel.FATAL);
  }

  get state(): LinkState {
    return this.#state;
  }

  get jid(): string {
    return this.#jid;
  }

  get bareJid(): string {
    return bareJid(this.#jid);
  }

  get domain(): string {
    return domainOf(this.#jid);
  }

  get retryAt(): number | undefined {
    return this.#retryAt;
  }

  get hasCarbons(): boolean {
    return this.#connection?.hasCarbons === true;
  }

  connect(credentials: Credentials): Promise<void> {
    this.#drop();
    this.#credentials = credentials;
    this.#jid = credentials.jid;
    this.#attempt = 0;
    return new Promise((resolve, reject) => {
      this.#first = { resolve, reject };
      this.#become("connecting");
      this.#try();
    });
  }

  async disconnect(): Promise<void> {
    const connection = this.#connection;
    this.#connection = undefined;
    this.#credentials = undefined;
    clearTimeout(this.#timer);
    this.#dispatcher.failAll();
    this.#become("closed");
    this.#first?.reject(new SignInError("unreachable"));
    this.#first = undefined;
    await end(connection);
  }

  invalidate(url: string, farewell: Farewell): Promise<boolean> {
    return invalidate(url, farewell);
  }

  retry(): void {
    if (this.#state === "waiting") this.#try();
  }

  send(stanza: Element): boolean {
    if (this.#state !== "online" || this.#connection === undefined) return false;
    if (stanza.localName === "iq" && attr(stanza, "id") === undefined) stanza.setAttribute("id", freshId());
    this.#connection.send(stanza);
    if (stanza.localName === "message") this.#requestAck();
    return true;
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

  setActive(isActive: boolean): void {
    if (this.#isActive === isActive) return;
    this.#isActive = isActive;
    this.#tellActive();
    if (isActive) this.#wake();
  }

  announce(...features: string[]): void {
    for (const feature of features) this.features.add(feature);
  }

  // --- one attempt ---

  #try(): void {
    clearTimeout(this.#timer);
    this.#retryAt = undefined;
    const credentials = this.#credentials;
    if (credentials === undefined) return;
    if ((credentials.token ?? credentials.bearer) !== undefined && !isHidden(credentials.url)) {
      this.#giveUp(new SignInError("insecure"));
      return;
    }
    const connection = this.#newConnection(credentials);
    this.#connection = connection;
    this.#timer = setTimeout(() => this.#lost(connection), ATTEMPT_MS);
    // The library hears whatever comes; after authentication, so do we.
    connection.addHandler((stanza) => this.#receive(connection, stanza), null, null, null);
    const begin = (secret: NonNullable<Credentials["keys"] | string>) =>
      connection.connect(credentials.jid, secret, (status, condition, element) =>
        this.#heed(connection, status, condition ?? "", element),
      );
    if (credentials.bearer === undefined || credentials.token !== undefined) begin(credentials.keys ?? credentials.password ?? "");
    else void this.#ask(connection, credentials.bearer, begin);
  }

  /** Begins with a token as soon as there is one, if that is still this attempt. */
  async #ask(connection: Sasl2Connection, bearer: () => Promise<string>, begin: (token: string) => void): Promise<void> {
    const token = await bearer().catch(() => undefined);
    if (connection !== this.#connection) return;
    if (token === undefined) this.#lost(connection);
    else begin(token);
  }

  #newConnection(credentials: Credentials): Sasl2Connection {
    const { agent, token, url } = credentials;
    const options: ConnectionOptions = {
      protocol: url.startsWith("wss:") ? "wss" : "ws",
      mechanisms: mechanisms(credentials),
      enableStreamManagement: true,
      streamManagement: { storage: this.#store },
    };
    const connection = new Sasl2Connection(url, options, { agent, token, tag: this.#tag });
    const sm = connection.sm;
    if (sm !== undefined) {
      // What was under way when a session was lost is for the outbox, which asks the archive
      // first whether it has arrived; the library would send it again unasked.
      sm.onFailed = () => {
        sm.reset();
        sm.serverSupported = true;
      };
      // What was sent while the session began is to be acknowledged, too.
      sm.onEnabled = () => this.#requestAck();
    }
    return connection;
  }

  #heed(connection: Sasl2Connection, status: number, condition: string, element: Element | undefined): void {
    if (connection !== this.#connection) return;
    const { Status } = Strophe;
    if (status === Status.CONNECTED) this.#connected(connection);
    else if (status === Status.AUTHFAIL && condition === UNPROVEN) this.#giveUp(new SignInError("insecure"));
    else if (status === Status.AUTHFAIL) this.#refused(element ?? undefined);
    else if (status === Status.ERROR && condition === REPLACED) this.#giveUp(new SignInError("replaced"));
    else if (status === Status.CONNFAIL || status === Status.DISCONNECTED) this.#lost(connection);
    else if (status === Status.CONNTIMEOUT) this.#lost(connection);
  }

  #connected(connection: Sasl2Connection): void {
    const credentials = this.#credentials;
    if (credentials === undefined) return;
    const isScram = connection.scram_keys !== null;
    if (!isScram && credentials.keys !== undefined) {
      // The server has not shown that it knows the keys: it may be another.
      this.#giveUp(new SignInError("insecure"));
      return;
    }
    clearTimeout(this.#timer);
    this.#attempt = 0;
    this.#jid = connection.jid;
    this.#heard = Date.now();
    connection.pass = null;
    this.#keep(credentials, connection);
    const isResumed = connection.hasResumed();
    if (!isResumed) this.#dispatcher.failAll();
    this.#become("online");
    this.#watch(connection);
    this.#events.tell("online", isResumed);
    if (!this.#isActive) this.#tellActive();
    this.#first?.resolve();
    this.#first = undefined;
  }

  /** From now on there is a token, or there are keys, and no password. */
  #keep({ jid, url, agent, bearer }: Credentials, connection: Sasl2Connection): void {
    const secret = left(connection);
    // A login by token that has left no other goes on with the one it has.
    if (secret === undefined) return;
    this.#credentials = { jid, url, agent, bearer, ...secret };
    this.#events.tell("secret", secret);
  }

  #receive(connection: Sasl2Connection, stanza: Element): boolean {
    if (connection === this.#connection) {
      this.#heard = Date.now();
      this.#dispatcher.receive(stanza);
    }
    return true;
  }

  #refused(element: Element | undefined): void {
    const names = Array.from(element?.children ?? [], (it) => it.localName);
    // RFC 6120 §6.5.11: try again later.
    if (names.includes("temporary-auth-failure") && this.#connection !== undefined) {
      this.#lost(this.#connection);
      return;
    }
    if (this.#credentials?.bearer !== undefined && this.#attempt < TOKENS_MAX && this.#connection !== undefined) {
      // What an earlier login left is over, or what we were given: there is another.
      this.#credentials = { ...this.#credentials, token: undefined, keys: undefined };
      this.#lost(this.#connection);
      return;
    }
    const isLogin = element === undefined || element.localName === "failure";
    const text = element?.getElementsByTagName("text")[0]?.textContent ?? "";
    // Nobody has typed what an earlier login left: it is not wrong, but over.
    const isTyped = this.#credentials?.password !== undefined;
    this.#giveUp(new SignInError(isLogin ? (isTyped ? "not-authorized" : "expired") : "refused", text));
  }

  #giveUp(error: SignInError): void {
    this.#drop();
    this.#credentials = undefined;
    this.#dispatcher.failAll();
    this.#become("closed");
    this.#first?.reject(error);
    this.#first = undefined;
    this.#events.tell("failed", error);
  }

  #lost(connection: Sasl2Connection): void {
    if (connection !== this.#connection) return;
    this.#drop();
    // Somebody who has just typed a password wants to know; who was signed in wants to be again.
    if (this.#first !== undefined && this.#credentials?.password !== undefined) {
      this.#giveUp(new SignInError("unreachable"));
      return;
    }
    const wait = backoffMs(this.#attempt);
    this.#attempt += 1;
    this.#retryAt = Date.now() + wait;
    this.#timer = setTimeout(() => this.#try(), wait);
    this.#become("waiting");
  }

  /** Lets the connection go without a word: the session stays to be resumed. */
  #drop(): void {
    const connection = this.#connection;
    this.#connection = undefined;
    clearTimeout(this.#timer);
    this.#store.flush();
    if (connection === undefined) return;
    connection.connect_callback = null;
    connection._doDisconnect();
  }

  #become(state: LinkState): void {
    if (state !== "waiting") this.#retryAt = undefined;
    this.#state = state;
    this.#events.tell("state", state);
  }

  // --- a session ---

  /** A socket can be dead without anybody being told: after a while of silence we ask. */
  #watch(connection: Sasl2Connection): void {
    this.#timer = setTimeout(() => {
      if (connection !== this.#connection || this.#state !== "online") return;
      if (Date.now() - this.#heard >= QUIET_MS) void this.#probe(connection);
      else this.#watch(connection);
    }, QUIET_MS);
  }

  async #probe(connection: Sasl2Connection): Promise<void> {
    const heard = this.#heard;
    const ping = el("iq", "jabber:client", { type: "get" }, el("ping", NS_PING));
    // An error is an answer, too.
    await this.iq(ping, { timeoutMs: PROBE_MS }).catch(() => undefined);
    if (connection !== this.#connection || this.#state !== "online") return;
    if (this.#heard === heard) this.#lost(connection);
    else this.#watch(connection);
  }

  /** The network or the page is back: a wait is over, and what looks open may be dead. */
  #wake(): void {
    if (this.#state === "waiting") this.#try();
    else if (this.#state === "online" && this.#connection !== undefined) void this.#probe(this.#connection);
  }

  #requestAck(): void {
    const sm = this.#connection?.sm;
    if (sm instanceof Strophe.StreamManagement && sm.enabled) sm.requestAck();
  }

  #tellActive(): void {
    if (this.#state !== "online") return;
    this.#connection?.send(el(this.#isActive ? "active" : "inactive", NS_CSI));
  }
}

/** Ends a session, if there is one. */
async function end(connection: Sasl2Connection | undefined): Promise<void> {
  if (connection === undefined) return;
  await new Promise<void>((resolve) => {
    connection.connect_callback = (status) => {
      if (status === Strophe.Status.DISCONNECTED) resolve();
    };
    connection.disconnect("signed out");
  });
}
