// The session: signing in, what a session begins with, what a resumed one goes on with, the end.
//
// The order matters. Up to where things were read is known before what was missed is counted; what
// was missed is read before anything waiting is sent, so that nothing is sent twice.

import { enableCarbons } from "../xmpp/carbons";
import { SignInError } from "../xmpp/errors";
import { prepareFarewell } from "../xmpp/invalidation";
import { readJid } from "../xmpp/jid";
import type { Secret, XmppLink } from "../xmpp/link";
import { register, registrationError } from "../xmpp/registration";
import { openTabs } from "../xmpp/session_store";
import { findServices, type Services } from "../xmpp/upload";
import {
  agentOf, clearSession, forgetAgent, forgetStreams, isSame, loadSession, saveSession, type StoredSession, type Storages, toCredentials,
} from "./account";
import { deleteCache, openCache } from "./cache";
import type { SignIn } from "./chat";
import type { Core } from "./core.svelte";
import { Farewells } from "./farewells";
import type { History } from "./history";
import type { Registration, RegistrationError, SessionError, SessionState, Show } from "./model";
import type { Outbox } from "./outbox";
import type { People } from "./people";
import type { Reading } from "./reading";
import type { Rooms } from "./rooms";
import { bearerOf, type Voucher } from "./voucher";

/** Where the session's chat is and what it is kept in. */
export interface Setting {
  readonly url: string;
  readonly domain: string;
  readonly storages: Storages;
  readonly databases: IDBFactory | undefined;
  readonly tab: string;
}

/** The parts that a session begins and ends. */
export interface Parts {
  readonly people: People;
  readonly history: History;
  readonly reading: Reading;
  readonly outbox: Outbox;
  readonly rooms: Rooms;
}

/** Where what we say of ourselves is kept. */
export const OWN_PRESENCE = "own-presence";

/** Whom a page around this one has vouched for last, in this browser. */
const GUEST = "klatsch.guest";

/** Who is there, over a reload. */
const SNAPSHOT = "klatsch.presence";

/** The session. */
export class Session {
  state = $state<SessionState>("signed-out");
  error = $state<SessionError | undefined>(undefined);
  retryAt = $state<number | undefined>(undefined);
  services = $state.raw<Services | undefined>(undefined);
  canSearch = $state(false);
  #isPublic = false;
  /** The page around has vouched for us: who closes it takes along what a login leaves. */
  #isGuest = false;
  /** What the last sign-in was made with, or has left. */
  #secret: Secret | undefined;
  /** The session that this page has begun, by its full JID. */
  #begun = "";
  readonly #link: XmppLink;
  readonly #farewells: Farewells;

  constructor(
    private readonly core: Core,
    private readonly parts: Parts,
    private readonly setting: Setting,
  ) {
    this.#link = core.link;
    this.#farewells = new Farewells(setting.storages, (farewell) => this.#link.invalidate(setting.url, farewell));
    this.#link.listen("online", (isResumed) => void this.#online(isResumed));
    this.#link.listen("online", () => void this.sayFarewells());
    this.#link.listen("state", (state) => {
      if (state === "waiting") {
        this.retryAt = this.#link.retryAt;
        // Before the first session what is shown is of an earlier visit.
        if (this.state === "online") this.state = "offline";
      }
    });
    this.#link.listen("failed", (error) => void this.#failed(error));
    this.#link.listen("secret", (secret) => {
      this.#secret = secret;
      if (!this.#isGuest) saveSession(setting.storages, { jid: core.account, ...secret, isPublic: this.#isPublic });
    });
  }

  // --- beginning ---

  /** Takes up what an earlier visit left. */
  async restore(): Promise<void> {
    const stored = loadSession(this.setting.storages);
    if (stored === undefined) return;
    this.#isPublic = stored.isPublic;
    await this.#open(stored.jid);
    this.state = "restoring";
    this.#connect(stored);
  }

  #connect(stored: StoredSession): void {
    this.#secret = stored;
    const { storages, url } = this.setting;
    // What becomes of it is told by events; it goes on trying.
    this.#link.connect(toCredentials(stored, storages, url)).catch(() => undefined);
  }

  /** Signs in as whom the page around vouches for, as soon as it does. */
  async enter(ask: Voucher): Promise<void> {
    this.state = "vouching";
    const vouched = await ask();
    const { storages, databases, url } = this.setting;
    // Whoever was here before and has not signed out leaves nothing behind.
    const guest = storages.local.getItem(GUEST);
    if (guest !== null && guest !== vouched.jid) await deleteCache(guest, databases);
    storages.local.setItem(GUEST, vouched.jid);
    this.#isPublic = false;
    this.#isGuest = true;
    await this.#open(vouched.jid);
    this.state = "restoring";
    const credentials = { jid: vouched.jid, bearer: bearerOf(vouched, ask), agent: agentOf(storages, true), url };
    // What becomes of it is told by events; it goes on trying.
    this.#link.connect(credentials).catch(() => undefined);
  }

  /**
   * Signs in.
   *
   * @throws SignInError
   */
  async signIn({ user, password, isPublicComputer = false }: SignIn): Promise<void> {
    const jid = readJid(user, this.setting.domain);
    if (jid === undefined) {
      this.error = "not-authorized";
      throw new SignInError("not-authorized");
    }
    this.error = undefined;
    this.#isPublic = isPublicComputer;
    this.#isGuest = false;
    this.state = "connecting";
    await this.#open(jid);
    this.#secret = undefined;
    const { storages, url } = this.setting;
    await this.#link.connect({ jid, password, agent: agentOf(storages, isPublicComputer), url });
  }

  /** Shows what is kept of an account. */
  async #open(jid: string): Promise<void> {
    const { core, parts, setting } = this;
    core.account = jid;
    core.cache = await openCache(jid, this.#isPublic ? undefined : setting.databases);
    await Promise.all([parts.people.restore(), parts.history.restore(), this.#conversations()]);
    const own = await core.cache.value<{ show: Exclude<Show, "offline">; status: string }>(OWN_PRESENCE);
    if (own !== undefined) [core.show, core.status] = [own.show, own.status];
    const tabs = await openTabs();
    await parts.outbox.restore((tab) => tabs.has(tab));
  }

  async #conversations(): Promise<void> {
    for (const { meta, entries } of await this.core.cache.conversations()) {
      this.core.ensure(meta.jid, meta.kind).restore(meta, entries);
    }
    // A private talk in a room is shown as one only while the room is known to be one.
    for (const { jid, kind } of this.core.conversations.values()) if (kind === "room") this.parts.rooms.expect(jid);
  }

  /** Makes an account. */
  async register({ username, password, invitation }: Registration): Promise<RegistrationError | undefined> {
    try {
      await register(this.setting.url, this.setting.domain, { username, password, token: invitation });
      return undefined;
    } catch (error) {
      return registrationError(error);
    }
  }

  // --- sessions ---

  async #online(isResumed: boolean): Promise<void> {
    const { core, parts } = this;
    core.account = this.#link.bareJid;
    this.error = undefined;
    this.retryAt = undefined;
    this.state = "online";
    if (isResumed && this.#begun === this.#link.jid) {
      parts.outbox.flush("direct", undefined, false);
      for (const room of core.rooms.values()) parts.outbox.flush("room", room.jid, false);
      return;
    }
    const isFresh = !isResumed || !this.#adopt();
    this.#begun = this.#link.jid;
    await this.#begin(isFresh, isResumed).catch((error: unknown) => {
      // The connection was lost on the way: the next session begins it all again.
      this.#begun = "";
      if (this.#link.state === "online") console.error("a session could not begin", error);
    });
  }

  async #begin(isFresh: boolean, isResumed: boolean): Promise<void> {
    const { parts } = this;
    parts.history.begin();
    if (isFresh) {
      parts.people.forgetPresence();
      // An old session that nothing is remembered of: who is there is asked by coming anew.
      if (isResumed) this.#link.send(parts.people.away());
      const carbons = this.#link.hasCarbons ? undefined : enableCarbons(this.#link).catch(() => undefined);
      await Promise.all([carbons, parts.people.fetch()]);
      await parts.people.announce();
    } else {
      // The list may have changed while the page was away, or not have been kept at all.
      await parts.people.fetch();
    }
    const services = this.#findServices();
    await parts.reading.fetch();
    const rooms = parts.rooms.begin();
    await parts.history.catchUp();
    parts.outbox.flush("direct", undefined, true);
    await Promise.all([services, rooms]);
  }

  async #findServices(): Promise<void> {
    this.services = await findServices(this.#link).catch(() => undefined);
    this.canSearch = await this.parts.history.canSearch();
  }

  async #failed({ reason }: SignInError): Promise<void> {
    const { storages } = this.setting;
    const stored = loadSession(storages);
    const isOurs = stored?.jid === this.core.account;
    // Another tab may have been given a newer token, which ends the older (XEP-0484 §3.5).
    if (reason === "expired" && stored !== undefined && isOurs && !isSame(stored, this.#secret)) return this.#connect(stored);
    this.error = reason;
    this.#begun = "";
    // What was kept is good for nothing any more: a password is needed.
    if (isOurs && ["not-authorized", "expired", "insecure"].includes(reason)) clearSession(storages);
    this.clear();
  }

  // --- a reload ---

  /** Keeps who is there for the same session after a reload. */
  snapshot(): void {
    this.core.flush();
    if (this.#begun === "") return;
    const value = { jid: this.#begun, people: this.parts.people.snapshot() };
    try {
      this.setting.storages.session.setItem(SNAPSHOT, JSON.stringify(value));
    } catch {
      this.setting.storages.session.removeItem(SNAPSHOT);
    }
  }

  /** Takes up who was there before a reload; false when it is not known. */
  #adopt(): boolean {
    const text = this.setting.storages.session.getItem(SNAPSHOT);
    this.setting.storages.session.removeItem(SNAPSHOT);
    if (text === null) return false;
    try {
      const value = JSON.parse(text) as { jid: string; people: Parameters<People["adopt"]>[0] };
      if (value.jid !== this.#link.jid) return false;
      this.parts.people.adopt(value.people);
      return true;
    } catch {
      return false;
    }
  }

  // --- the end ---

  /** Ends the session and forgets everything that is stored here. */
  async signOut({ isElsewhere = false } = {}): Promise<void> {
    const { account } = this.core;
    // Whoever has signed out elsewhere has seen to the token.
    // Where nothing can be kept the token ends by itself.
    if (!isElsewhere) await this.#prepareFarewell().catch(() => undefined);
    clearSession(this.setting.storages);
    forgetAgent(this.setting.storages);
    this.setting.storages.local.removeItem(GUEST);
    await Promise.all([this.#link.disconnect(), isElsewhere ? undefined : this.sayFarewells()]);
    forgetStreams(this.setting.storages, account);
    this.core.cache.close();
    this.clear();
    await deleteCache(account, this.setting.databases);
  }

  /** Before anything else, so that a page that is closed at once has not lost it. */
  async #prepareFarewell(): Promise<void> {
    const { storages } = this.setting;
    const stored = this.#isGuest ? undefined : loadSession(storages);
    // Another tab may have been given a newer token.
    const token = (stored?.jid === this.core.account ? stored.token : undefined) ?? this.#secret?.token;
    if (token === undefined) return;
    const isPublic = this.#isPublic || this.#isGuest;
    this.#farewells.add(await prepareFarewell(this.core.account, agentOf(storages, isPublic), token), isPublic);
  }

  /** Has the server forget the tokens of whoever has signed out here without a connection. */
  sayFarewells(): Promise<void> {
    return this.#farewells.tell();
  }

  /** Nobody is signed in any more. */
  clear(): void {
    const { people, history, reading, outbox, rooms } = this.parts;
    for (const part of [people, history, reading, outbox, rooms]) part.clear();
    this.core.clear();
    this.services = undefined;
    this.#begun = "";
    this.state = "signed-out";
  }
}
