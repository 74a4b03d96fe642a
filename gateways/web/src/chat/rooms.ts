// Rooms: entering and leaving, bookmarks, what rooms say, making one.

import { type Bookmark, buildBookmark, fetchBookmarks, NS_BOOKMARKS, onBookmarks } from "../xmpp/bookmarks";
import { typeOf } from "../xmpp/dispatcher";
import { StanzaError } from "../xmpp/errors";
import { NS_CONFERENCE, NS_MUC_USER } from "../xmpp/invites";
import { bareJid, localOf, resourceOf } from "../xmpp/jid";
import { buildJoin, buildLeave, buildNickChange, CODE, isJoined, joinError, NS_MUC, type OccupantPresence, parseCodes, parseOccupant } from "../xmpp/muc";
import { buildConfig, fetchRoomInfo } from "../xmpp/muc_admin";
import { buildRetract } from "../xmpp/pubsub";
import { attr, child } from "../xmpp/xml";
import type { Avatars } from "./avatars";
import type { ConversationState } from "./conversation.svelte";
import type { Core } from "./core.svelte";
import { invite } from "./invitations";
import { emptyMessage } from "./messages";
import type { BareJid, JoinError, Message, Notify, RoomNotice, RoomOptions } from "./model";
import type { RoomState } from "./room.svelte";
import type { People } from "./people";

/** A room has so long to let us in. */
const JOIN_MS = 20_000;
/** A room that says nothing for so long is asked whether we are still in it. */
const SELF_PING_MS = 15 * 60_000;
/** Rooms of ours that are entered at once at the beginning. */
const JOINS_AT_ONCE = 5;
/** Signs that are added to a nick that is taken. */
const NICKS_MAX = 3;
/** Comings and goings are told in rooms up to this size. */
const TOLD_MAX = 30;

/** A room did not let us in. */
export class RoomError extends Error {
  override readonly name = "RoomError";
  constructor(readonly reason: JoinError) {
    super(reason);
  }
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: RoomError) => void;
  readonly timer: ReturnType<typeof setTimeout>;
  isNew: boolean;
}

/** What a room's conversation needs once it is entered. */
export interface RoomEvents {
  joined(conversation: ConversationState): void;
}

/** Knows the rooms. */
export class Rooms {
  readonly #bookmarks = new Map<BareJid, Bookmark>();
  readonly #waiting = new Map<BareJid, Waiting>();
  #noticeCount = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly core: Core,
    private readonly people: People,
    private readonly avatars: Avatars,
    private readonly events: RoomEvents,
  ) {
    const { link } = core;
    link.announce(NS_MUC, NS_CONFERENCE);
    link.on({ name: "presence" }, (stanza) => this.#presence(stanza));
    link.on({ name: "message", ns: NS_MUC_USER, child: "x" }, (stanza) => this.#status(stanza));
    onBookmarks(link, (changed, removed) => {
      for (const it of changed) this.#bookmarked(it);
      for (const jid of removed) this.#unbookmarked(jid);
    });
  }

  // --- bookmarks ---

  /** Fetches the bookmarks and enters what is to be entered. */
  async begin(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.checkAll(), SELF_PING_MS);
    for (const room of this.core.rooms.values()) if (room.join === "joined") room.empty("left");
    const bookmarks = await fetchBookmarks(this.core.link).catch(() => []);
    for (const it of bookmarks) this.#remember(it);
    const wanted = [...this.#bookmarks.values()].filter((it) => it.isAutojoin);
    const queue = [...wanted];
    const work = async (): Promise<void> => {
      for (let it = queue.shift(); it !== undefined; it = queue.shift()) await this.#enter(it).catch(() => undefined);
    };
    await Promise.all(Array.from({ length: JOINS_AT_ONCE }, work));
  }

  #remember(bookmark: Bookmark): RoomState {
    this.#bookmarks.set(bookmark.jid, bookmark);
    const room = this.core.room(bookmark.jid);
    if (bookmark.name !== "") room.name = bookmark.name;
    if (bookmark.password !== undefined) room.password = bookmark.password;
    const conversation = this.core.ensure(bookmark.jid, "room");
    conversation.chosenNotify = bookmark.notify;
    return room;
  }

  #bookmarked(bookmark: Bookmark): void {
    const room = this.#remember(bookmark);
    if (bookmark.isAutojoin && room.join === "left") void this.#enter(bookmark).catch(() => undefined);
    else if (!bookmark.isAutojoin && room.join === "joined") this.#exit(room);
  }

  #unbookmarked(jid: BareJid): void {
    this.#bookmarks.delete(jid);
    const room = this.core.rooms.get(jid);
    if (room?.join === "joined") this.#exit(room);
  }

  #enter({ jid, nick, password }: Bookmark): Promise<void> {
    return this.join(jid, { ...(nick === "" ? {} : { nick }), ...(password === undefined ? {} : { password }) }, false);
  }

  async #keep(jid: BareJid, changes: Partial<Bookmark>): Promise<void> {
    const known = this.#bookmarks.get(jid) ?? {
      jid,
      name: this.core.rooms.get(jid)?.name ?? "",
      isAutojoin: false,
      nick: this.core.rooms.get(jid)?.myNick ?? "",
      password: undefined,
      notify: undefined,
      extensions: undefined,
    };
    const bookmark = { ...known, ...changes };
    this.#bookmarks.set(jid, bookmark);
    await this.core.link.iq(buildBookmark(bookmark));
  }

  /** Sets when to be told of a room's messages. */
  async setNotify(jid: BareJid, notify: Notify): Promise<void> {
    await this.#keep(jid, { notify });
  }

  /** A room of an earlier visit. */
  expect(jid: BareJid): void {
    const room = this.core.room(jid);
    if (room.name === "") room.name = this.core.ensure(jid, "room").givenName;
  }

  // --- entering and leaving ---

  /**
   * Enters a room, and keeps a bookmark of it.
   *
   * @throws RoomError
   */
  async join(jid: BareJid, options: { nick?: string; password?: string } = {}, isKept = true): Promise<void> {
    const room = this.core.room(jid);
    if (room.join === "joined") return;
    const conversation = this.core.ensure(jid, "room");
    conversation.isArchived = false;
    const nick = options.nick ?? (room.myNick || this.core.nick || localOf(this.core.account));
    const password = options.password ?? room.password;
    await this.#askForAnyNick(room, nick, password);
    room.password = password;
    await this.#describe(room);
    this.events.joined(conversation);
    if (!isKept) return;
    const changes = { isAutojoin: true, nick: room.myNick, name: room.name, password };
    await this.#keep(jid, changes).catch(() => undefined);
  }

  /** A nick that is taken is no reason to stay outside (§7.2.8): one more sign, and again. */
  async #askForAnyNick(room: RoomState, nick: string, password: string | undefined): Promise<void> {
    for (let count = 0; ; count += 1) {
      try {
        await this.#ask(room, `${nick}${"_".repeat(count)}`, password);
        return;
      } catch (error) {
        const isTaken = error instanceof RoomError && error.reason === "nick-taken";
        if (!isTaken || count === NICKS_MAX) throw error;
      }
    }
  }

  async #ask(room: RoomState, nick: string, password: string | undefined): Promise<boolean> {
    const own = await this.people.presence(`${room.jid}/${nick}`);
    return new Promise((resolve, reject) => {
      this.#waiting.get(room.jid)?.reject(new RoomError("unreachable"));
      const fail = (error: RoomError): void => {
        this.#settle(room.jid);
        room.empty("failed", error.reason);
        reject(error);
      };
      const waiting: Waiting = {
        isNew: false,
        resolve: () => resolve(waiting.isNew),
        reject: fail,
        timer: setTimeout(() => fail(new RoomError("unreachable")), JOIN_MS),
      };
      this.#waiting.set(room.jid, waiting);
      room.empty("joining");
      room.myNick = nick;
      if (!this.core.link.send(buildJoin(room.jid, nick, password, own))) fail(new RoomError("unreachable"));
    });
  }

  #settle(jid: BareJid): Waiting | undefined {
    const waiting = this.#waiting.get(jid);
    this.#waiting.delete(jid);
    clearTimeout(waiting?.timer);
    return waiting;
  }

  async #describe(room: RoomState): Promise<void> {
    const info = await fetchRoomInfo(this.core.link, room.jid).catch(() => undefined);
    if (info !== undefined) room.describe(info);
  }

  /** Leaves a room; the bookmark stays, that it is found again, but it is not entered by itself. */
  async leave(jid: BareJid): Promise<void> {
    const room = this.core.rooms.get(jid);
    if (room !== undefined) this.#exit(room);
    const conversation = this.core.conversations.get(jid);
    if (conversation !== undefined) {
      conversation.isArchived = true;
      this.core.save(conversation);
    }
    if (this.#bookmarks.has(jid)) await this.#keep(jid, { isAutojoin: false });
  }

  #exit(room: RoomState): void {
    if (room.join === "joined") this.core.link.send(buildLeave(room.jid, room.myNick));
    room.empty("left");
  }

  /** Forgets a room that is no more. */
  async #forget(jid: BareJid): Promise<void> {
    if (this.#bookmarks.delete(jid)) await this.core.link.iq(buildRetract(NS_BOOKMARKS, jid)).catch(() => undefined);
  }

  /** Calls ourselves otherwise in a room. */
  setNick(jid: BareJid, nick: string): void {
    this.core.link.send(buildNickChange(jid, nick));
  }

  /** Says in every room what we say of ourselves. */
  async announce(): Promise<void> {
    for (const room of this.core.rooms.values()) {
      if (room.join === "joined") this.core.link.send(await this.people.presence(`${room.jid}/${room.myNick}`));
    }
  }

  /** Asks every room whether we are in it still, and enters those again that have lost us. */
  async checkAll(): Promise<void> {
    for (const room of [...this.core.rooms.values()]) {
      if (room.join !== "joined" || this.core.link.state !== "online") continue;
      if (await isJoined(this.core.link, room.jid, room.myNick)) continue;
      room.empty("left");
      await this.join(room.jid, { nick: room.myNick }, false).catch(() => undefined);
    }
  }

  // --- what rooms say ---

  #presence(stanza: Element): void {
    const jid = bareJid(attr(stanza, "from") ?? "");
    const room = this.core.rooms.get(jid);
    if (room === undefined) return;
    if (typeOf(stanza) === "error") this.#refused(room, stanza);
    else {
      const occupant = parseOccupant(stanza);
      if (occupant === undefined) return;
      if (occupant.isAvailable) this.#arrived(room, occupant);
      else this.#left(room, occupant);
    }
  }

  #refused(room: RoomState, stanza: Element): void {
    const waiting = this.#waiting.get(room.jid);
    if (waiting !== undefined) waiting.reject(new RoomError(joinError(stanza)));
  }

  #arrived(room: RoomState, occupant: OccupantPresence): void {
    const isNew = room.occupant(occupant.nick) === undefined;
    const member = room.arrive(occupant);
    const { photoHash } = occupant.info;
    if (photoHash !== undefined) this.avatars.announcedInRoom(member, `${room.jid}/${occupant.nick}`, photoHash);
    if (!occupant.isSelf) {
      if (isNew && room.join === "joined") this.#tell(room, { what: "joined", who: occupant.nick, detail: "" });
      return;
    }
    if (occupant.codes.has(CODE.nonAnonymous)) room.isNonAnonymous = true;
    room.join = "joined";
    room.joinError = undefined;
    const waiting = this.#settle(room.jid);
    if (waiting === undefined) return;
    waiting.isNew = occupant.codes.has(CODE.created);
    waiting.resolve();
  }

  #left(room: RoomState, occupant: OccupantPresence): void {
    const { codes, nick, newNick, reason } = occupant;
    if (newNick !== undefined) {
      room.rename(nick, newNick);
      if (occupant.isSelf) room.myNick = newNick;
      this.#tell(room, { what: "renamed", who: nick, detail: newNick });
      return;
    }
    const what = occupant.isDestroyed ? "destroyed" : codes.has(CODE.banned) ? "banned" : codes.has(CODE.kicked) ? "kicked" : "left";
    if (room.join === "joined") this.#tell(room, { what, who: nick, detail: reason });
    // §10.9: the end of a room is told to each of its own leaving, and without the code 110.
    if (occupant.isSelf || nick === room.myNick) this.#putOut(room, occupant);
    else room.leave(nick);
  }

  #putOut(room: RoomState, { codes, isDestroyed }: OccupantPresence): void {
    if (isDestroyed) {
      room.empty("failed", "gone");
      void this.#forget(room.jid);
    } else if (codes.has(CODE.banned)) room.empty("failed", "banned");
    else if (codes.has(CODE.notMember) || codes.has(CODE.membersOnly)) room.empty("failed", "members-only");
    else if (codes.has(CODE.kicked) && !codes.has(CODE.technical)) room.empty("failed", "not-allowed");
    else room.empty("left");
    // A room that was restarted has lost us without meaning to.
    const isFault = codes.has(CODE.technical) || codes.has(CODE.shutdown);
    if (isFault) void this.join(room.jid, { nick: room.myNick }, false).catch(() => undefined);
  }

  /** A line between the messages. */
  #tell(room: RoomState, notice: RoomNotice): void {
    const conversation = this.core.conversations.get(room.jid);
    const isAlways = notice.what !== "joined" && notice.what !== "left";
    if (conversation === undefined || (!isAlways && room.members.length > TOLD_MAX)) return;
    this.#noticeCount += 1;
    const at = this.core.now();
    const key = `notice:${String(at)}:${String(this.#noticeCount)}`;
    const message: Message = { ...emptyMessage(key, "", at), notice };
    const entry = { message, author: "", ids: [key], reactors: [], wordedAt: at, standsFor: undefined, isMarkable: false };
    conversation.add(entry, true);
  }

  #status(stanza: Element): void {
    const jid = bareJid(attr(stanza, "from") ?? "");
    const room = this.core.rooms.get(jid);
    if (room === undefined || resourceOf(attr(stanza, "from") ?? "") !== "" || typeOf(stanza) !== "groupchat") return;
    // §10.2.1: the configuration has changed.
    if (parseCodes(child(stanza, "x", NS_MUC_USER)).has(CODE.configurationChanged)) void this.#describe(room);
  }

  // --- making one ---

  /**
   * Makes a room and invites people.
   *
   * @throws RoomError, StanzaError
   */
  async create(service: string, options: RoomOptions, invited: readonly BareJid[]): Promise<BareJid> {
    const jid = `${toLocalpart(options.name)}@${service}`;
    const room = this.core.room(jid);
    const nick = this.core.nick || localOf(this.core.account);
    const isNew = await this.#ask(room, nick, options.password === "" ? undefined : options.password);
    // The name was taken: it is somebody's room, and stays theirs.
    if (!isNew) {
      this.#exit(room);
      this.core.rooms.delete(jid);
      throw new StanzaError("conflict");
    }
    await this.core.link.iq(buildConfig(jid, options));
    room.name = options.name;
    const conversation = this.core.ensure(jid, "room");
    await this.#describe(room);
    this.events.joined(conversation);
    await this.#keep(jid, { isAutojoin: true, nick, name: options.name });
    invite(this.core, jid, invited, "");
    return jid;
  }

  /** Nobody is signed in any more. */
  clear(): void {
    clearInterval(this.#timer);
    for (const jid of [...this.#waiting.keys()]) this.#settle(jid)?.reject(new RoomError("unreachable"));
    this.#bookmarks.clear();
  }
}

/** A localpart for a name: readable, and hard to guess for those who are not invited. */
function toLocalpart(name: string): string {
  const plain = name.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const words = plain.replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 40);
  const random = Array.from(crypto.getRandomValues(new Uint8Array(5)), (it) => (it % 36).toString(36)).join("");
  return words === "" ? `room-${random}` : `${words}-${random}`;
}

