// The link: one connection to the server, seen from above.
//
// Everything over it speaks in elements and knows neither the library nor the transport below.
// `StropheLink` (strophe_link.ts) is the real one, `FakeLink` (fake_link.ts) the one of the tests.

import type { SignInError, StanzaError } from "./errors";
import type { Farewell } from "./invalidation";

/** What a login leaves where the server gives no tokens: RFC 5802 §3, salted and useless elsewhere. */
export interface ScramKeys {
  /** The hash, as WebCrypto names it. */
  readonly name: string;
  readonly salt: string;
  readonly iter: number;
  /** The client's key, base64. */
  readonly ck: string;
  /** The server's key, base64. */
  readonly sk: string;
}

/** What a login leaves behind instead of the password: a token (XEP-0484), or else keys. */
export type Secret =
  | { readonly token: string; readonly keys?: undefined }
  | { readonly keys: ScramKeys; readonly token?: undefined };

/** Who signs in, and how: with a password once, with what it left from then on. */
export interface Credentials {
  /** The bare JID. */
  readonly jid: string;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  readonly keys?: ScramKeys | undefined;
  /** This installation of the client, a UUID (XEP-0388 §2.3): its tokens are for it alone. */
  readonly agent: string;
  /** Asks whoever vouches for the account for what is good for one login (RFC 7628). */
  readonly bearer?: (() => Promise<string>) | undefined;
  /** The WebSocket's address, `wss:` or (on loopback) `ws:`. */
  readonly url: string;
}

/**
 * Where the link stands.
 *
 * - `closed`: nobody is signed in, and nothing is tried
 * - `connecting`: the first attempt of a sign-in
 * - `online`: stanzas flow
 * - `waiting`: the connection is lost; the next attempt is at `retryAt`
 */
export type LinkState = "closed" | "connecting" | "online" | "waiting";

/** What a handler wants to see; every named part has to fit. */
export interface StanzaFilter {
  /** The stanza's name; any for `undefined`. */
  readonly name?: "message" | "presence" | "iq";
  /** Its type; a stanza without one has the type `normal` (message), or `available` (presence). */
  readonly type?: string;
  /** Its sender's bare JID. */
  readonly from?: string;
  /** The namespace of one of its children. */
  readonly ns?: string;
  /** The name of a child of that namespace. */
  readonly child?: string;
}

/** Takes a registration back. */
export type Unsubscribe = () => void;

/** Hears a stanza. What it throws is logged and hurts no other handler. */
export type StanzaHandler = (stanza: Element) => void;

/**
 * Answers a request (an `iq` of type `get` or `set`): returns the result's payload, or nothing for
 * an empty result, or throws a `StanzaError` for an error.
 */
export type RequestHandler = (stanza: Element) => Element | undefined | Promise<Element | undefined>;

/** What the link tells about itself. */
export interface LinkEvents {
  /** The state has changed. */
  state: (state: LinkState) => void;
  /**
   * Stanzas flow. `isResumed` tells that the session is the old one (XEP-0198): nothing was missed,
   * presence and rooms are still there.
   */
  online: (isResumed: boolean) => void;
  /** The link has given up; signing in anew is needed. */
  failed: (error: SignInError) => void;
  /** A login has left something for the next one, in the place of what there was. */
  secret: (secret: Secret) => void;
  /** The server has acknowledged one more message of ours (XEP-0198), by its id. */
  acknowledged: (messageId: string) => void;
}

/** One connection to the server, which comes back by itself. */
export interface XmppLink {
  readonly state: LinkState;
  /** Our full JID, empty before the first session. */
  readonly jid: string;
  /** Our bare JID, likewise. */
  readonly bareJid: string;
  /** Our domain, likewise. */
  readonly domain: string;
  /** The session has had copies of other devices' messages since its beginning (XEP-0386). */
  readonly hasCarbons: boolean;
  /** When the next attempt is made, in milliseconds since 1970; `undefined` unless `waiting`. */
  readonly retryAt: number | undefined;

  /**
   * Signs in; done when stanzas flow.
   *
   * @throws SignInError
   */
  connect(credentials: Credentials): Promise<void>;
  /** Signs out: the session ends on the server. */
  disconnect(): Promise<void>;
  /**
   * Has the server forget a token, whoever is signed in.
   *
   * @throws NoAnswer when it could not be asked
   */
  invalidate(url: string, farewell: Farewell): Promise<boolean>;
  /** Tries now instead of at `retryAt`. */
  retry(): void;
  /** Sends a stanza. While the link is not `online` it is dropped, and the answer is false. */
  send(stanza: Element): boolean;
  /**
   * Sends a request and waits for its answer, which is the whole `iq` of type `result`. Only an
   * answer of whom it was sent to counts.
   *
   * @throws StanzaError for an error, NoAnswer for none
   */
  iq(request: Element, options?: { readonly timeoutMs?: number }): Promise<Element>;
  /** Hears the stanzas that fit. */
  on(filter: StanzaFilter, handler: StanzaHandler): Unsubscribe;
  /** Answers the requests of a namespace. There is one such handler per namespace and type. */
  answer(type: "get" | "set", ns: string, handler: RequestHandler): Unsubscribe;
  /** Hears what the link tells about itself. */
  listen<E extends keyof LinkEvents>(event: E, handler: LinkEvents[E]): Unsubscribe;
  /** Tells the server whether somebody is looking (XEP-0352). */
  setActive(isActive: boolean): void;
  /** Namespaces that this client announces in its capabilities (XEP-0115). */
  announce(...features: string[]): void;
  /** What is announced so far. */
  readonly features: ReadonlySet<string>;
}

/** What the link rejects with. */
export type LinkError = StanzaError | SignInError;
