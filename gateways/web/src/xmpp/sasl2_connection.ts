// A connection of the library that logs in by SASL2 (XEP-0388) where a server offers it, and in the
// library's own way where not.
//
// strophe.js 5 knows RFC 6120's login alone. It leaves two doors open: `xmlInput` shows the features,
// and `authenticate` begins the login. From there to the session it is ours, and what SCRAM says is the
// library's again, as are counting, acknowledging and sending again (XEP-0198).
//
// What a server has to prove is made before it is asked, for stanzas follow its success at once.

import { type ConnectionOptions, Strophe } from "strophe.js";
import { buildBind } from "./bind2";
import { buildRequest, buildUse, MECHANISM, prove, readToken } from "./fast";
import { localOf } from "./jid";
import { buildAuthenticate, buildResponse, NS_SASL2, type Offer, readOffer, readSuccess, type Success } from "./sasl2";
import { buildResume, readEnabled, smView } from "./sm";
import { textOf } from "./xml";

type SaslMechanism = InstanceType<typeof Strophe.SASLMechanism>;

/** Who logs in, besides the address and the password. */
export interface Login {
  /** This installation of the client: a UUID. */
  readonly agent: string;
  /** What our sessions have in their resource. */
  readonly tag: string;
  /** Instead of a password. */
  readonly token: string | undefined;
}

/** The condition of a failure that is the server's: it has not shown that it knows the secret. */
export const UNPROVEN = "server-not-proven";

/** What the two sides say. */
interface Exchange {
  readonly mechanism: string;
  /** Our first message, base64. */
  readonly first: string;
  /** Answers a challenge; nothing when it is none. */
  next(challenge: string): Promise<string | undefined>;
  /** Whether the server's last message shows that it knows the secret. */
  isProven(data: string): boolean;
}

/** One connection, and one login. */
export class Sasl2Connection extends Strophe.Connection {
  /** The token that the login has left; none where there was none to be had, or the old one stays. */
  token: string | undefined;
  /** The session has had copies (XEP-0280) since its beginning. */
  hasCarbons = false;
  #offered: Element | undefined;
  #offer: Offer | undefined;
  #exchange: Exchange | undefined;
  readonly #login: Login;

  constructor(url: string, options: ConnectionOptions, login: Login) {
    super(url, options);
    this.#login = login;
  }

  override xmlInput(element: Node | MessageEvent): void {
    if (!this.authenticated && element instanceof Element && element.localName === "features") this.#offered = element;
  }

  override authenticate(matched: SaslMechanism[]): void {
    void this.#authenticate(matched).catch((error: unknown) => {
      console.error("a login could not be begun", error);
      this.#refuse();
    });
  }

  async #authenticate(matched: SaslMechanism[]): Promise<void> {
    const offer = readOffer(this.#offered);
    const exchange = offer && (await this.#begin(offer));
    // The connection may have been lost meanwhile.
    if (!this.connected) return;
    if (offer !== undefined && exchange !== undefined) this.#ask(offer, exchange);
    // A token is of no use anywhere else.
    else if (this.#login.token !== undefined) this.#refuse();
    else super.authenticate(matched);
  }

  // --- the exchange ---

  #begin(offer: Offer): Promise<Exchange | undefined> {
    const { token } = this.#login;
    return token === undefined ? this.#beginPassword(offer) : this.#beginToken(offer, token);
  }

  async #beginToken(offer: Offer, token: string): Promise<Exchange | undefined> {
    if (!offer.tokens.includes(MECHANISM)) return undefined;
    const { message, answer } = await prove(token, localOf(this.jid));
    return {
      mechanism: MECHANISM,
      first: message,
      next: async () => undefined,
      isProven: (data) => data === answer,
    };
  }

  async #beginPassword(offer: Offer): Promise<Exchange | undefined> {
    const known = offer.mechanisms.flatMap((name) => this.mechanisms[name] ?? []);
    const mechanism = this.sortMechanismsByPriority(known).find((it) => it.test(this));
    if (mechanism === undefined) return undefined;
    mechanism.onStart(this);
    const first = await mechanism.clientChallenge(this);
    if (first === false) return undefined;
    const isScram = mechanism.mechname.startsWith("SCRAM-");
    return {
      mechanism: mechanism.mechname,
      first: btoa(first),
      next: async (challenge) => {
        const answer = await mechanism.onChallenge(this, atob(challenge));
        return answer === false ? undefined : btoa(answer);
      },
      // RFC 5802 §5: the client checks it. A login by PLAIN proves nothing.
      isProven: (data) => !isScram || signatureOf(data) === this._sasl_data["server-signature"],
    };
  }

  // --- the login ---

  #ask(offer: Offer, exchange: Exchange): void {
    this.#offer = offer;
    this.#exchange = exchange;
    this._registerSMHandlers();
    this._addSysHandler((element) => this.#heed(element), NS_SASL2, null, null, null);
    this.sm?.initialize(this.jid);
    const { agent, tag, token } = this.#login;
    this.send(
      buildAuthenticate(
        exchange.mechanism,
        exchange.first,
        agent,
        token === undefined ? this.#wishForToken(offer) : buildUse(),
        this.#wishForOldSession(),
        buildBind(tag, offer.session),
      ),
    );
  }

  #wishForToken(offer: Offer): Element | undefined {
    return offer.tokens.includes(MECHANISM) ? buildRequest() : undefined;
  }

  #wishForOldSession(): Element | undefined {
    return this.sm?.hasResumableState() === true ? buildResume(this.sm.state.id, this.sm.state.hIn) : undefined;
  }

  /** Hears what the server says of the login; false when it has said all of it. */
  #heed(element: Element): boolean {
    if (element.namespaceURI !== NS_SASL2) return true;
    if (element.localName === "challenge") {
      void this.#answer(textOf(element));
      return true;
    }
    if (element.localName === "success") this.#succeed(element);
    else this.#refuse(element);
    return false;
  }

  async #answer(challenge: string): Promise<void> {
    const answer = await this.#exchange?.next(challenge).catch((error: unknown) => {
      console.error("a challenge could not be answered", error);
      return undefined;
    });
    if (!this.connected) return;
    if (answer === undefined) this.#refuse();
    else this.send(buildResponse(answer));
  }

  #succeed(element: Element): void {
    const success = readSuccess(element);
    if (success === undefined) return this.#refuse(element);
    if (this.#exchange?.isProven(success.data) !== true) return this._changeConnectStatus(Strophe.Status.AUTHFAIL, UNPROVEN);
    this.scram_keys = this._sasl_data.keys ?? null;
    this.token = readToken(element);
    if (success.resumed !== undefined && this.sm?.hasResumableState() === true) {
      this._onStreamResumed(success.resumed);
    } else {
      this.#bound(element, success);
    }
  }

  #bound(element: Element, { jid, failed, bound }: Success): void {
    if (bound === undefined) return this.#refuse(element);
    const { sm } = this;
    if (failed !== undefined) sm?.onInbound(smView(failed));
    // Of a session that is gone nothing stays, and nothing of it counts as acknowledged.
    if (sm instanceof Strophe.StreamManagement) sm.clearPersistedState();
    sm?.reset();
    const enabled = readEnabled(bound);
    if (sm !== undefined && enabled !== undefined) {
      // As if it had been asked for on its own: counting begins here (XEP-0198 §9.1).
      Object.assign(sm.state, { enableSent: true, boundJid: jid });
      sm.onInbound(smView(enabled));
    }
    this.hasCarbons = this.#offer?.session.hasCarbons === true;
    this.jid = jid;
    this.authenticated = true;
    this._changeConnectStatus(Strophe.Status.CONNECTED, null);
  }

  /** The login has failed: as the server says, or because there is nothing to say. */
  #refuse(element?: Element): void {
    this._changeConnectStatus(Strophe.Status.AUTHFAIL, null, element);
  }
}

/** The server's signature in its last message of SCRAM (RFC 5802 §7). */
function signatureOf(data: string): string | undefined {
  try {
    return /^v=([^,]+)/.exec(atob(data))?.[1];
  } catch {
    return undefined;
  }
}
