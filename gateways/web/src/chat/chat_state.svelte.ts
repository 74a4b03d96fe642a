// The chat as the views use it: every property and method of chat.ts, each handed to the part that
// it belongs to.

import { StanzaError } from "../xmpp/errors";
import { fetchInvitation } from "../xmpp/invitation";
import type { XmppLink } from "../xmpp/link";
import { buildSubject } from "../xmpp/muc";
import { buildAffiliation, buildConfig, buildDestroy, buildRole, fetchConfig, fetchRooms } from "../xmpp/muc_admin";
import { buildModerate } from "../xmpp/retraction";
import { Avatars } from "./avatars";
import type { Abilities, Chat, OutgoingFile, SignIn, Unsubscribe } from "./chat";
import type { ConversationState } from "./conversation.svelte";
import { Core } from "./core.svelte";
import { FEATURES, NS_PING } from "./features";
import { History } from "./history";
import { decline, invite } from "./invitations";
import { listed, shown, sum } from "./lists";
import { Messages } from "./messages";
import type {
  Affiliation, BareJid, CallEntry, Contact, ContactRequest, Conversation, Draft, ListedRoom, Me, Member,
  Message, Notice, Notify, Registration, RegistrationError, Role, RoomOptions, SearchHit, Show, Upload,
} from "./model";
import { Outbox } from "./outbox";
import { able, self } from "./own";
import { People } from "./people";
import { registerPush, unregisterPush } from "./push";
import { Reading } from "./reading";
import { fetchLists } from "./room_lists";
import { Rooms } from "./rooms";
import { OWN_PRESENCE, Session, type Setting } from "./session.svelte";
import { Typing } from "./typing";
import { Uploads } from "./uploads.svelte";
import type { Voucher } from "./voucher";

export type { Setting };

/** The chat. */
export class ChatState implements Chat {
  readonly #core: Core;
  readonly #avatars: Avatars;
  readonly #people: People;
  readonly #messages: Messages;
  readonly #outbox: Outbox;
  readonly #history: History;
  readonly #reading: Reading;
  readonly #rooms: Rooms;
  readonly #uploads: Uploads;
  readonly #typing: Typing;
  readonly #session: Session;
  readonly contacts: readonly Contact[] = $derived.by(() => listed(this.#core));
  readonly conversations: readonly Conversation[] = $derived.by(() => shown(this.#core));
  readonly current: Conversation | undefined = $derived.by(() => this.#current());
  readonly unread: number = $derived.by(() => sum(this.#core, (it) => it.unread));
  readonly mentions: number = $derived.by(() => sum(this.#core, (it) => it.mentions));
  readonly abilities: Abilities = $derived.by(() => able(this.#session));
  readonly me: Me = $derived.by(() => self(this.#core, this.#session));

  constructor(
    readonly link: XmppLink,
    setting: Setting,
  ) {
    link.announce(...FEATURES);
    link.answer("get", NS_PING, () => undefined);
    const core = new Core(link, setting.tab);
    this.#core = core;
    this.#avatars = new Avatars(core);
    this.#people = new People(core, this.#avatars);
    this.#outbox = new Outbox(core);
    this.#reading = new Reading(core);
    this.#messages = new Messages(core, {
      confirmed: (id) => this.#outbox.confirmed(id),
      refused: (conversation, id, condition) => this.#outbox.returned(conversation, id, condition),
      displayedElsewhere: (conversation, id) => this.#reading.displayedElsewhere(conversation, id),
      archived: (id) => this.#history.archived(id),
    });
    this.#history = new History(core, this.#messages);
    this.#rooms = new Rooms(core, this.#people, this.#avatars, {
      joined: (conversation) => void this.#enteredRoom(conversation),
    });
    this.#uploads = new Uploads(core, this.#outbox);
    this.#typing = new Typing(core);
    core.onMade = (conversation) => this.#reading.adopt(conversation);
    this.#session = new Session(
      core,
      { people: this.#people, history: this.#history, reading: this.#reading, outbox: this.#outbox, rooms: this.#rooms },
      setting,
    );
  }

  async #enteredRoom(conversation: ConversationState): Promise<void> {
    const room = this.#core.rooms.get(conversation.jid);
    if (room?.hasArchive === true) await this.#history.catchUpRoom(conversation).catch(() => undefined);
    else conversation.hasOlder = false;
    this.#outbox.flush("room", conversation.jid, true);
    this.#core.save(conversation);
  }

  // --- read ---

  get state() {
    return this.#session.state;
  }
  get error() {
    return this.#session.error;
  }
  get retryAt() {
    return this.#session.retryAt;
  }
  get requests(): readonly ContactRequest[] {
    return [...this.#people.requests.values()];
  }
  get blocked(): readonly BareJid[] {
    return [...this.#people.blocked.keys()].sort();
  }
  get uploads(): readonly Upload[] {
    return this.#uploads.list;
  }

  #current(): Conversation | undefined {
    const { currentJid, conversations } = this.#core;
    return currentJid === undefined ? undefined : conversations.get(currentJid);
  }

  // --- session ---

  restore(): Promise<void> {
    return this.#session.restore();
  }
  enter(ask: Voucher): Promise<void> {
    return this.#session.enter(ask);
  }
  async signIn(how: SignIn): Promise<void> {
    await this.#session.signIn(how);
  }
  async signOut(): Promise<void> {
    await this.disablePush().catch(() => undefined);
    this.#uploads.clear();
    await this.#session.signOut();
  }
  register(registration: Registration): Promise<RegistrationError | undefined> {
    return this.#session.register(registration);
  }
  retry(): void {
    this.link.retry();
  }

  /** There is a network, perhaps after somebody has signed out without one. */
  sayFarewells(): Promise<void> {
    return this.#session.sayFarewells();
  }
  /** The page goes away: what waits is written. */
  leavePage(): void {
    this.#session.snapshot();
  }
  /** Another tab has signed out, and so has this one. */
  async signedOutElsewhere(): Promise<void> {
    if (this.state !== "signed-out") await this.#session.signOut({ isElsewhere: true });
  }

  setPresence(show: Exclude<Show, "offline">, status: string): void {
    this.#core.show = show;
    this.#core.status = status;
    void this.#core.cache.setValue(OWN_PRESENCE, { show, status });
    if (this.state === "online") void this.#people.announce().then(() => this.#rooms.announce());
  }
  setNick(nick: string): Promise<void> {
    return this.#people.setNick(nick);
  }
  setAvatar(picture: Blob | undefined): Promise<void> {
    return this.#avatars.setOwn(picture);
  }
  setAttention(isVisible: boolean, isFocused: boolean): void {
    this.#core.isVisible = isVisible;
    this.#core.isFocused = isFocused;
    this.link.setActive(isVisible);
  }
  setPrivacy({ sendsRead, sendsTyping }: { readonly sendsRead: boolean; readonly sendsTyping: boolean }): void {
    this.#core.sendsRead = sendsRead;
    this.#core.sendsTyping = sendsTyping;
  }

  // --- conversations ---

  open(jid: BareJid): Conversation {
    this.close();
    const conversation = this.#core.ensure(jid);
    this.#core.currentJid = jid;
    conversation.isArchived = false;
    conversation.dividerKey = conversation.firstUnread();
    if (conversation.entries.length === 0 && this.state === "online") void this.#history.loadOlder(conversation).catch(() => undefined);
    return conversation;
  }
  close(): void {
    const { currentJid, conversations } = this.#core;
    const before = currentJid === undefined ? undefined : conversations.get(currentJid);
    this.#core.currentJid = undefined;
    if (before === undefined) return;
    before.dividerKey = undefined;
    if (before.hasNewer && this.state === "online") void this.#history.jumpToLatest(before).catch(() => undefined);
  }
  conversation(jid: BareJid): Conversation | undefined {
    return this.#core.conversations.get(jid);
  }
  loadOlder(jid: BareJid): Promise<boolean> {
    return this.#history.loadOlder(this.#core.ensure(jid));
  }
  loadNewer(jid: BareJid): Promise<boolean> {
    return this.#history.loadNewer(this.#core.ensure(jid));
  }
  loadGap(jid: BareJid, message: Message): Promise<void> {
    return this.#history.loadGap(this.#core.ensure(jid), message.key);
  }
  jumpTo(jid: BareJid, where: { readonly archiveId?: string; readonly id?: string; readonly at?: number }): Promise<string | undefined> {
    return this.#history.jumpTo(this.#core.ensure(jid), where);
  }
  jumpToLatest(jid: BareJid): Promise<void> {
    return this.#history.jumpToLatest(this.#core.ensure(jid));
  }
  markRead(jid: BareJid): void {
    const conversation = this.#core.conversations.get(jid);
    if (conversation !== undefined) this.#reading.markRead(conversation);
  }
  setPinned(jid: BareJid, isPinned: boolean): void {
    this.#change(jid, (it) => (it.isPinned = isPinned));
  }
  async setNotify(jid: BareJid, notify: Notify): Promise<void> {
    this.#change(jid, (it) => (it.chosenNotify = notify));
    if (this.#core.rooms.has(jid)) await this.#rooms.setNotify(jid, notify);
  }
  archive(jid: BareJid): void {
    this.#change(jid, (it) => (it.isArchived = true));
    if (this.#core.currentJid === jid) this.close();
  }
  unarchive(jid: BareJid): void {
    this.#change(jid, (it) => (it.isArchived = false));
  }
  #change(jid: BareJid, change: (conversation: ConversationState) => void): void {
    const conversation = this.#core.conversations.get(jid);
    if (conversation === undefined) return;
    change(conversation);
    this.#core.save(conversation);
  }

  // --- messages ---

  send(jid: BareJid, body: string, options: { readonly replyTo?: Message } = {}): void {
    const conversation = this.#core.ensure(jid);
    this.#typing.sent(conversation);
    // Who writes wants to see it: the window goes to the end.
    if (conversation.hasNewer) void this.#history.jumpToLatest(conversation).catch(() => undefined);
    this.#outbox.send(conversation, body, options);
  }
  edit(jid: BareJid, message: Message, body: string): void {
    this.#outbox.edit(this.#core.ensure(jid), message, body);
  }
  react(jid: BareJid, message: Message, emoji: string): void {
    this.#outbox.react(this.#core.ensure(jid), message, emoji);
  }
  retract(jid: BareJid, message: Message): void {
    this.#outbox.retract(this.#core.ensure(jid), message);
  }
  async moderate(jid: BareJid, message: Message, reason: string): Promise<void> {
    if (message.archiveId === undefined) throw new StanzaError("item-not-found");
    await this.link.iq(buildModerate(jid, message.archiveId, reason));
  }
  resend(jid: BareJid, message: Message): void {
    this.#outbox.resend(this.#core.ensure(jid), message);
  }
  discard(jid: BareJid, message: Message): void {
    this.#outbox.discard(this.#core.ensure(jid), message);
  }
  setDraft(jid: BareJid, draft: Draft | undefined): void {
    this.#change(jid, (it) => (it.draft = draft));
    // What is begun while the page goes is not always written: a draft nobody else has.
    this.#core.flush();
  }
  setTyping(jid: BareJid, isTyping: boolean): void {
    const conversation = this.#core.conversations.get(jid);
    if (conversation !== undefined && this.state === "online") this.#typing.set(conversation, isTyping);
  }
  upload(jid: BareJid, files: readonly OutgoingFile[]): void {
    this.#uploads.service = this.#session.services?.upload;
    this.#uploads.add(this.#core.ensure(jid), files);
  }
  cancelUpload(id: string): void {
    this.#uploads.cancel(id);
  }
  retryUpload(id: string): void {
    this.#uploads.retry(id);
  }
  search(text: string, jid?: BareJid): Promise<readonly SearchHit[]> {
    return this.#history.search(text, jid === undefined ? undefined : this.#core.ensure(jid));
  }
  noteCall(jid: BareJid, call: CallEntry, at: number, isMine: boolean): void {
    this.#messages.addCall(this.#core.ensure(jid, "direct"), call, { at, isMine, nick: this.me.nick });
  }

  // --- contacts ---

  addContact(jid: BareJid, name: string, text = ""): Promise<void> {
    return this.#people.add(jid, name, text);
  }
  renameContact(jid: BareJid, name: string, groups: readonly string[]): Promise<void> {
    return this.#people.rename(jid, name, groups);
  }
  removeContact(jid: BareJid): Promise<void> {
    return this.#people.remove(jid);
  }
  accept(request: ContactRequest): Promise<void> {
    return this.#people.accept(request);
  }
  deny(request: ContactRequest): Promise<void> {
    return this.#people.deny(request);
  }
  block(jid: BareJid): Promise<void> {
    return this.#people.block("block", jid);
  }
  unblock(jid: BareJid): Promise<void> {
    return this.#people.block("unblock", jid);
  }
  inviteLink(): Promise<string> {
    return fetchInvitation(this.link);
  }

  // --- rooms ---

  async listRooms(): Promise<readonly ListedRoom[]> {
    const service = this.#session.services?.rooms;
    return service === undefined ? [] : fetchRooms(this.link, service);
  }
  joinRoom(jid: BareJid, options: { readonly nick?: string; readonly password?: string } = {}): Promise<void> {
    return this.#rooms.join(jid, options);
  }
  leaveRoom(jid: BareJid): Promise<void> {
    return this.#rooms.leave(jid);
  }
  createRoom(options: RoomOptions, invited: readonly BareJid[]): Promise<BareJid> {
    const service = this.#session.services?.rooms;
    if (service === undefined) return Promise.reject(new StanzaError("feature-not-implemented"));
    return this.#rooms.create(service, options, invited);
  }
  roomOptions(jid: BareJid): Promise<RoomOptions> {
    return fetchConfig(this.link, jid);
  }
  async configureRoom(jid: BareJid, options: RoomOptions): Promise<void> {
    await this.link.iq(buildConfig(jid, options));
  }
  async destroyRoom(jid: BareJid, reason: string): Promise<void> {
    await this.link.iq(buildDestroy(jid, reason));
  }
  setSubject(jid: BareJid, subject: string): void {
    this.link.send(buildSubject(jid, subject));
  }
  setRoomNick(jid: BareJid, nick: string): void {
    this.#rooms.setNick(jid, nick);
  }
  async invite(jid: BareJid, people: readonly BareJid[], reason: string): Promise<void> {
    invite(this.#core, jid, people, reason);
  }
  async acceptInvitation({ invitation }: Message): Promise<void> {
    if (invitation === undefined) return;
    const { room, password } = invitation;
    await this.#rooms.join(room, password === undefined ? {} : { password });
  }
  declineInvitation(message: Message): void {
    decline(this.#core, message);
  }
  affiliations(jid: BareJid): Promise<readonly Member[]> {
    return fetchLists(this.#core, jid);
  }
  async setAffiliation(jid: BareJid, who: BareJid, affiliation: Affiliation, reason: string): Promise<void> {
    await this.link.iq(buildAffiliation(jid, who, affiliation, reason));
  }
  async setRole(jid: BareJid, nick: string, role: Role, reason: string): Promise<void> {
    await this.link.iq(buildRole(jid, nick, role, reason));
  }

  // --- outside ---

  onNotice(handler: (notice: Notice) => void): Unsubscribe {
    this.#core.notices.add(handler);
    return () => void this.#core.notices.delete(handler);
  }
  onRead(handler: (jid: BareJid) => void): Unsubscribe {
    this.#core.reads.add(handler);
    return () => void this.#core.reads.delete(handler);
  }
  enablePush(subscription: PushSubscriptionJSON): Promise<void> {
    return registerPush(this.#core, this.#session.services?.push, subscription);
  }
  disablePush(): Promise<void> {
    return unregisterPush(this.#core, this.#session.services?.push);
  }
}
