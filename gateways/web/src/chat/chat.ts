// The chat as the views use it: what they read (reactive, Svelte runes) and what they call.
//
// `createChat` in create.svelte.ts makes the real one. Views read its properties inside of
// components or effects and are redrawn when something changes; they never see an element.
//
// Methods that ask the server reject with a `StanzaError` or `NoAnswer` (../xmpp/errors); the
// others never throw. What can be queued is queued: `send`, `edit`, `react`, `retract` show their
// effect at once and survive a reload while there is no connection.

import type { XmppLink } from "../xmpp/link";
import type {
  Affiliation,
  BareJid,
  CallEntry,
  Contact,
  ContactRequest,
  Conversation,
  Draft,
  FoundPerson,
  ListedRoom,
  Me,
  Member,
  Message,
  Notice,
  Notify,
  Registration,
  RegistrationError,
  Role,
  RoomOptions,
  SearchHit,
  SessionError,
  SessionState,
  Show,
  Upload,
} from "./model";
import type { Voucher } from "./voucher";

/** Takes a registration back. */
export type Unsubscribe = () => void;

/** What is signed in with. */
export interface SignIn {
  /** A JID, or a bare user name of the page's own domain. */
  readonly user: string;
  readonly password: string;
  /** Forget everything when the tab is closed. */
  readonly isPublicComputer?: boolean;
}

/** A file on its way out. */
export interface OutgoingFile {
  readonly file: File;
  readonly caption?: string;
  readonly description?: string;
  /** Seconds, of a recording. */
  readonly duration?: number;
}

/** What the server lets this account do. */
export interface Abilities {
  readonly canUpload: boolean;
  /** Bytes of a file; `undefined` without a limit. */
  readonly uploadMax: number | undefined;
  readonly canSearch: boolean;
  readonly canPush: boolean;
  /** The service that makes rooms, `undefined` where there is none. */
  readonly roomService: string | undefined;
  /** There is a directory of people. */
  readonly canFindPeople: boolean;
}

/** Everything that there is, and everything one can do. */
export interface Chat {
  // --- read ---

  readonly state: SessionState;
  readonly error: SessionError | undefined;
  /** The next attempt, milliseconds since 1970, while `offline`. */
  readonly retryAt: number | undefined;
  readonly me: Me;
  /** Sorted by name. */
  readonly contacts: readonly Contact[];
  readonly requests: readonly ContactRequest[];
  readonly blocked: readonly BareJid[];
  /** Pinned first, then by activity. */
  readonly conversations: readonly Conversation[];
  /** The one that is shown. */
  readonly current: Conversation | undefined;
  /** Of all that are not muted. */
  readonly unread: number;
  readonly mentions: number;
  readonly uploads: readonly Upload[];
  readonly abilities: Abilities;
  /** For calls, and nothing else. */
  readonly link: XmppLink;

  // --- session ---

  /** Takes up what an earlier visit left; `signed-out` when there is nothing. */
  restore(): Promise<void>;
  signIn(how: SignIn): Promise<void>;
  /** Signs in as whom the page around vouches for, as soon as it does. */
  enter(ask: Voucher): Promise<void>;
  /** Ends the session and forgets everything that is stored here. */
  signOut(): Promise<void>;
  /** Makes an account; `undefined` when it is there and can sign in. */
  register(registration: Registration): Promise<RegistrationError | undefined>;
  /** Tries to connect now. */
  retry(): void;
  setPresence(show: Exclude<Show, "offline">, status: string): void;
  setNick(nick: string): Promise<void>;
  /** Sets our picture, or takes it away; scaled down to what others will accept. */
  setAvatar(picture: Blob | undefined): Promise<void>;
  /** The page's visibility and focus, on which reading and client states depend. */
  setAttention(isVisible: boolean, isFocused: boolean): void;
  /** Receipts and markers of what is read are sent to others, and typing is. */
  setPrivacy(options: { readonly sendsRead: boolean; readonly sendsTyping: boolean }): void;

  // --- conversations ---

  /** Shows a conversation, making it where there is none; loads what is missing. */
  open(jid: BareJid): Conversation;
  close(): void;
  conversation(jid: BareJid): Conversation | undefined;
  /** Loads one page before the oldest; false when there is none. */
  loadOlder(jid: BareJid): Promise<boolean>;
  /** Loads what is missing before a message that `isAfterGap`. */
  loadGap(jid: BareJid, message: Message): Promise<void>;
  /** Loads one page after the newest of a window in the past. */
  loadNewer(jid: BareJid): Promise<boolean>;
  /** Loads what is around a message or a moment; the key of what to show, if found. */
  jumpTo(jid: BareJid, where: { readonly archiveId?: string; readonly id?: string; readonly at?: number }): Promise<string | undefined>;
  /** Back to the newest. */
  jumpToLatest(jid: BareJid): Promise<void>;
  /** Everything up to the newest is read. */
  markRead(jid: BareJid): void;
  setPinned(jid: BareJid, isPinned: boolean): void;
  setNotify(jid: BareJid, notify: Notify): Promise<void>;
  /** Puts a conversation away; it comes back with the next message, or `unarchive`. */
  archive(jid: BareJid): void;
  unarchive(jid: BareJid): void;

  // --- messages ---

  send(jid: BareJid, body: string, options?: { readonly replyTo?: Message }): void;
  edit(jid: BareJid, message: Message, body: string): void;
  /** Adds or takes away one of our reactions. */
  react(jid: BareJid, message: Message, emoji: string): void;
  retract(jid: BareJid, message: Message): void;
  /** Takes away another's message, as a moderator. */
  moderate(jid: BareJid, message: Message, reason: string): Promise<void>;
  /** Sends a failed message again. */
  resend(jid: BareJid, message: Message): void;
  /** Forgets a failed message. */
  discard(jid: BareJid, message: Message): void;
  setDraft(jid: BareJid, draft: Draft | undefined): void;
  /** Somebody presses keys in the composer, or has emptied it; throttled inside. */
  setTyping(jid: BareJid, isTyping: boolean): void;
  upload(jid: BareJid, files: readonly OutgoingFile[]): void;
  cancelUpload(id: string): void;
  retryUpload(id: string): void;
  /** In one conversation, or in all. */
  search(text: string, jid?: BareJid): Promise<readonly SearchHit[]>;
  /** Puts a call into the history shown; what the archive knows comes by itself. */
  noteCall(jid: BareJid, call: CallEntry, at: number, isMine: boolean): void;

  // --- contacts ---

  addContact(jid: BareJid, name: string, text?: string): Promise<void>;
  renameContact(jid: BareJid, name: string, groups: readonly string[]): Promise<void>;
  removeContact(jid: BareJid): Promise<void>;
  accept(request: ContactRequest): Promise<void>;
  deny(request: ContactRequest): Promise<void>;
  block(jid: BareJid): Promise<void>;
  unblock(jid: BareJid): Promise<void>;
  /** A link that makes a contact of whom it is given to (XEP-0401). */
  inviteLink(): Promise<string>;

  /** People of the directory whose names or addresses begin so; none where there is no directory. */
  findPeople(text: string): Promise<readonly FoundPerson[]>;

  // --- rooms ---

  listRooms(): Promise<readonly ListedRoom[]>;
  joinRoom(jid: BareJid, options?: { readonly nick?: string; readonly password?: string }): Promise<void>;
  leaveRoom(jid: BareJid): Promise<void>;
  createRoom(options: RoomOptions, invited: readonly BareJid[]): Promise<BareJid>;
  roomOptions(jid: BareJid): Promise<RoomOptions>;
  configureRoom(jid: BareJid, options: RoomOptions): Promise<void>;
  destroyRoom(jid: BareJid, reason: string): Promise<void>;
  setSubject(jid: BareJid, subject: string): void;
  setRoomNick(jid: BareJid, nick: string): void;
  invite(jid: BareJid, people: readonly BareJid[], reason: string): Promise<void>;
  acceptInvitation(message: Message): Promise<void>;
  declineInvitation(message: Message): void;
  /** The lists of owners, admins, members and outcasts. */
  affiliations(jid: BareJid): Promise<readonly Member[]>;
  setAffiliation(jid: BareJid, who: BareJid, affiliation: Affiliation, reason: string): Promise<void>;
  setRole(jid: BareJid, nick: string, role: Role, reason: string): Promise<void>;

  // --- outside ---

  /** Hears what is worth a notification; muted and open conversations are left out already. */
  onNotice(handler: (notice: Notice) => void): Unsubscribe;
  /** Something was read on another device: its notifications are to go. */
  onRead(handler: (jid: BareJid) => void): Unsubscribe;
  /** Registers a Web Push subscription of this browser. */
  enablePush(subscription: PushSubscriptionJSON): Promise<void>;
  disablePush(): Promise<void>;
}
