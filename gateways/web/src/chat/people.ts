// The contact list and who is there: roster, presence, requests, blocking, nicknames, pictures.

import { buildBlock, fetchBlocked, onBlocking } from "../xmpp/blocking";
import { CapsCache, capsVersion, verificationString } from "../xmpp/caps";
import { buildInfo, NS_INFO } from "../xmpp/disco";
import { bareJid, resourceOf } from "../xmpp/jid";
import { buildPresence, type Caps, parsePresence, type PresenceInfo } from "../xmpp/presence";
import { onEvent } from "../xmpp/pubsub";
import { buildNick, NS_NICK, parseNick } from "../xmpp/avatar";
import {
  buildRemove,
  buildSet,
  buildSubscription,
  fetchRoster,
  onRosterPush,
  type Roster,
  type RosterItem,
} from "../xmpp/roster";
import { bodyText } from "../xmpp/text";
import { attr, child, presence } from "../xmpp/xml";
import { SvelteMap } from "svelte/reactivity";
import type { Core } from "./core.svelte";
import type { ContactRequest, Resource } from "./model";
import type { Avatars } from "./avatars";

/** What this client calls itself (XEP-0115 §4). */
const NODE = "urn:klatsch:web";
const IDENTITY = { category: "client", type: "web", lang: "", name: "klatsch" };

/** Requests that wait for an answer; whoever sends a thousand is one nuisance. */
const REQUESTS_MAX = 100;

const ROSTER = "roster";

/** What is kept of the list. */
interface CachedRoster {
  readonly version: string | undefined;
  readonly items: readonly RosterItem[];
}

/** Knows the people. */
export class People {
  readonly requests = new SvelteMap<string, ContactRequest>();
  readonly blocked = new SvelteMap<string, true>();
  #version: string | undefined;
  readonly #items = new Map<string, RosterItem>();
  readonly #caps: CapsCache;

  constructor(
    private readonly core: Core,
    private readonly avatars: Avatars,
  ) {
    const { link } = core;
    this.#caps = new CapsCache(link);
    onRosterPush(link, (push) => this.#changed(push));
    onBlocking(link, (what, jids) => this.#blocking(what, jids));
    onEvent(link, NS_NICK, "anybody", ({ from, items }) => this.#nick(from, parseNick(items[0]?.payload)));
    link.on({ name: "presence" }, (stanza) => this.#presence(stanza));
    link.answer("get", NS_INFO, (request) => {
      const node = attr(child(request, "query", NS_INFO), "node");
      return buildInfo(IDENTITY, [...link.features].sort(), node);
    });
  }

  // --- the list ---

  /** Shows the list of an earlier visit. */
  async restore(): Promise<void> {
    const kept = await this.core.cache.value<CachedRoster>(ROSTER);
    if (kept === undefined || this.#items.size > 0) return;
    this.#version = kept.version;
    for (const item of kept.items) this.#put(item);
  }

  /** Fetches the list, or what has changed of it. */
  async fetch(): Promise<void> {
    const roster = await fetchRoster(this.core.link, this.#version);
    if (roster !== undefined) {
      const listed = new Set(roster.items.map((it) => it.jid));
      for (const jid of [...this.#items.keys()]) if (!listed.has(jid)) this.#drop(jid);
      for (const item of roster.items) this.#put(item);
      this.#version = roster.version;
      this.#keep();
    }
    this.blocked.clear();
    this.#blocking("block", await fetchBlocked(this.core.link).catch(() => []));
  }

  #changed(push: Roster): void {
    for (const item of push.items) {
      if (item.subscription === "remove") this.#drop(item.jid);
      else this.#put(item);
      if (item.subscription === "from" || item.subscription === "both") this.requests.delete(item.jid);
    }
    this.#version = push.version ?? this.#version;
    this.#keep();
  }

  #put(item: RosterItem): void {
    this.#items.set(item.jid, item);
    const contact = this.core.stranger(item.jid);
    contact.list(item);
    const conversation = this.core.conversations.get(item.jid);
    if (conversation !== undefined) conversation.contact = contact;
  }

  #drop(jid: string): void {
    this.#items.delete(jid);
    this.core.contacts.get(jid)?.unlist();
  }

  #keep(): void {
    const roster: CachedRoster = { version: this.#version, items: [...this.#items.values()] };
    void this.core.cache.setValue(ROSTER, roster);
  }

  // --- presence ---

  /** Says that we are there, in every room, too. */
  async announce(): Promise<void> {
    this.core.link.send(await this.presence());
  }

  /** Builds what says that we are away. */
  away(): Element {
    return presence({ type: "unavailable" });
  }

  /** Our presence for one place, or for everybody. */
  async presence(to?: string): Promise<Element> {
    const features = [...this.core.link.features];
    const ver = await capsVersion(verificationString([IDENTITY], features));
    const caps: Caps = { hash: "sha-1", node: NODE, ver };
    const rest = to === undefined ? {} : { to };
    return buildPresence({ show: this.core.show, status: this.core.status, caps, ...rest });
  }

  #presence(stanza: Element): void {
    const info = parsePresence(stanza);
    const jid = bareJid(info.from);
    if (info.from === "" || this.core.rooms.has(jid)) return;
    if (info.type === "subscribe") this.#request(info);
    else if (info.type === "unsubscribe") this.requests.delete(jid);
    else if (info.type === "available") this.#available(jid, info);
    else if (info.type === "unavailable") this.core.contacts.get(jid)?.leave(resourceOf(info.from), bodyText(info.status));
  }

  /** Only who is on the list, or ourselves, has a presence here. */
  #available(jid: string, info: PresenceInfo): void {
    const contact = jid === this.core.account ? this.core.stranger(jid) : this.core.contacts.get(jid);
    if (contact === undefined) return;
    const resource = resourceOf(info.from);
    const known = contact.resources.find((it) => it.resource === resource);
    const { show, idleSince, priority } = info;
    const arrived: Resource = {
      resource,
      show,
      status: bodyText(info.status),
      idleSince,
      priority,
      features: known?.features ?? new Set(),
    };
    contact.arrive(arrived);
    if (info.photoHash !== undefined) this.avatars.announced(contact, info.photoHash);
    if (info.caps === undefined) return;
    void this.#caps.features(info.from, info.caps).then((features) => contact.learn(resource, features));
  }

  #request(info: PresenceInfo): void {
    const jid = bareJid(info.from);
    if (this.blocked.has(jid) || this.requests.size >= REQUESTS_MAX || this.requests.has(jid)) return;
    const name = info.nick || this.core.stranger(jid).name;
    this.requests.set(jid, { jid, name, text: bodyText(info.status) });
    this.core.notify({ conversation: jid, kind: "request", message: undefined, from: name });
  }

  #nick(jid: string, nick: string): void {
    if (jid === this.core.account) this.core.nick = nick;
    const contact = this.core.contacts.get(jid);
    if (contact !== undefined) contact.nick = nick;
  }

  /** Says what we want to be called. */
  async setNick(nick: string): Promise<void> {
    await this.core.link.iq(buildNick(nick));
    this.core.nick = nick;
  }

  // --- asking, answering, blocking ---

  /** Puts somebody on the list and asks to see them. */
  async add(jid: string, name: string, text: string): Promise<void> {
    await this.core.link.iq(buildSet(jid, name, this.#items.get(jid)?.groups ?? []));
    this.core.link.send(buildSubscription("subscribe", jid, text, this.core.nick));
    // RFC 6121 §3.4: they may see us, whenever they ask.
    this.core.link.send(buildSubscription("subscribed", jid));
  }

  /** Changes an entry. */
  async rename(jid: string, name: string, groups: readonly string[]): Promise<void> {
    await this.core.link.iq(buildSet(jid, name, groups));
  }

  /** Takes somebody off the list. */
  async remove(jid: string): Promise<void> {
    await this.core.link.iq(buildRemove(jid));
  }

  /** Lets somebody see us, and asks to see them. */
  async accept({ jid, name }: ContactRequest): Promise<void> {
    this.core.link.send(buildSubscription("subscribed", jid));
    const item = this.#items.get(jid);
    this.requests.delete(jid);
    if (item?.subscription === "to" || item?.subscription === "both" || item?.isAsked === true) return;
    await this.core.link.iq(buildSet(jid, item?.name ?? name, item?.groups ?? []));
    this.core.link.send(buildSubscription("subscribe", jid, "", this.core.nick));
  }

  /** Does not let somebody see us. */
  async deny({ jid }: ContactRequest): Promise<void> {
    this.core.link.send(buildSubscription("unsubscribed", jid));
    this.requests.delete(jid);
  }

  /** Hears and sees nothing of somebody any more, or does again. */
  async block(what: "block" | "unblock", jid: string): Promise<void> {
    await this.core.link.iq(buildBlock(what, jid));
    this.#blocking(what, [jid]);
  }

  #blocking(what: "block" | "unblock", jids: readonly string[]): void {
    const meant = what === "unblock" && jids.length === 0 ? [...this.blocked.keys()] : jids;
    for (const jid of meant) {
      if (what === "block") this.blocked.set(jid, true);
      else this.blocked.delete(jid);
      const contact = this.core.contacts.get(jid);
      if (contact !== undefined) contact.isBlocked = what === "block";
      if (what === "block") this.requests.delete(jid);
    }
  }

  // --- a reload with the session kept ---

  /** Who is there, for the same session after a reload: presence is not sent again. */
  snapshot(): [string, Omit<Resource, "features">[]][] {
    const here = [...this.core.contacts.values()].filter((it) => it.resources.length > 0);
    return here.map((it) => [it.jid, it.resources.map(({ features: _, ...rest }) => ({ ...rest }))]);
  }

  /** Takes up who was there. */
  adopt(snapshot: readonly [string, readonly Omit<Resource, "features">[]][]): void {
    for (const [jid, resources] of snapshot) {
      const contact = this.core.stranger(jid);
      for (const resource of resources) contact.arrive({ ...resource, features: new Set() });
    }
  }

  /** The session is lost: nobody is known to be there. */
  forgetPresence(): void {
    for (const contact of this.core.contacts.values()) contact.resources = [];
  }

  /** Nobody is signed in any more. */
  clear(): void {
    this.requests.clear();
    this.blocked.clear();
    this.#items.clear();
    this.#version = undefined;
  }
}

