// What the views see: the words of a chat, free of XML.
//
// Everything here is a plain value that is replaced, never changed, so that a view redraws exactly
// what is new and the cache stores it as it is. What changes in place are the classes of
// `contact.svelte.ts`, `conversation.svelte.ts` and `room.svelte.ts`, whose shapes stand here too.

/** A bare JID in its prepared form (lower case). */
export type BareJid = string;

/** Somebody's availability, from most to least; `offline` is nobody there. */
export type Show = "chat" | "online" | "away" | "xa" | "dnd" | "offline";

/** Somebody's presence: that of the resource most worth talking to. */
export interface Presence {
  readonly show: Show;
  /** What they say about it, in their words. */
  readonly status: string;
  /** Idle since (XEP-0319), milliseconds since 1970. */
  readonly idleSince: number | undefined;
}

/** One of somebody's connections. */
export interface Resource extends Presence {
  readonly resource: string;
  readonly priority: number;
  /** What it announces in its capabilities, once known (XEP-0115). */
  readonly features: ReadonlySet<string>;
}

/** Whose presence is shared with whom (RFC 6121 §2.1.2.5). */
export type Subscription = "none" | "to" | "from" | "both";

/** Somebody on the contact list. */
export interface Contact {
  readonly jid: BareJid;
  /** What to show: our name for them, their nickname, else the localpart. */
  readonly name: string;
  readonly groups: readonly string[];
  readonly subscription: Subscription;
  /** We have asked to see them and wait for the answer. */
  readonly isAsked: boolean;
  readonly presence: Presence;
  readonly resources: readonly Resource[];
  readonly isBlocked: boolean;
  /** An object URL of the picture, `undefined` where there is none. */
  readonly avatar: string | undefined;
}

/** Somebody wants to see our presence. */
export interface ContactRequest {
  readonly jid: BareJid;
  readonly name: string;
  readonly text: string;
}

/** Where a message of ours stands; one of others is always `read` or `sent`. */
export type MessageState = "sending" | "sent" | "delivered" | "read" | "failed";

/** Who wrote a message. */
export interface Sender {
  /** Bare JID in a direct chat, full occupant JID (`room@service/nick`) in a room. */
  readonly jid: string;
  /** What to show. */
  readonly name: string;
  /** The room's name for the person, whatever nick they bear (XEP-0421). */
  readonly occupantId: string | undefined;
  readonly isMe: boolean;
}

/** One emoji under a message, and who chose it. */
export interface Reaction {
  readonly emoji: string;
  /** What to show of those who chose it. */
  readonly names: readonly string[];
  readonly isMine: boolean;
}

/** What kind of thing an attachment is, for the view. */
export type AttachmentKind = "image" | "audio" | "video" | "file";

/** A file that a message refers to; its address is always http or https. */
export interface Attachment {
  readonly url: string;
  readonly name: string;
  readonly kind: AttachmentKind;
  readonly mediaType: string;
  /** Bytes, where the sender said so. */
  readonly size: number | undefined;
  readonly width: number | undefined;
  readonly height: number | undefined;
  /** Seconds, where the sender said so. */
  readonly duration: number | undefined;
  /** What is to be seen, in the sender's words. */
  readonly description: string;
}

/** The message this one answers (XEP-0461). */
export interface ReplyTo {
  /** Its id: the archive's in rooms, the sender's in direct chats. */
  readonly id: string;
  /** Who wrote it: bare JID or occupant JID. */
  readonly jid: string;
  /** What the fallback quoted, where the original is not loaded. */
  readonly quote: string;
}

/** Somebody is mentioned at a place of the text (XEP-0372). */
export interface Mention {
  /** First and after-last position in the body, in UTF-16 units. */
  readonly begin: number;
  readonly end: number;
  readonly jid: string;
  readonly isMe: boolean;
}

/** An earlier wording. */
export interface Version {
  readonly body: string;
  readonly at: number;
}

/** A message is gone. */
export interface Retraction {
  readonly at: number;
  /** Who did it, where it was not the author. */
  readonly moderator: string | undefined;
  readonly reason: string;
}

/** An invitation to a room, as a message shows it. */
export interface Invitation {
  readonly room: BareJid;
  readonly from: string;
  readonly reason: string;
  readonly password: string | undefined;
}

/** A call, as the history shows it. */
export interface CallEntry {
  /** The JMI's session id. */
  readonly id: string;
  readonly hasVideo: boolean;
  readonly outcome: "missed" | "declined" | "answered" | "answered-elsewhere" | "failed" | "cancelled";
  /** Seconds, of an answered call, where known. */
  readonly duration: number | undefined;
}

/** What happened in a room, for a line between the messages. */
export interface RoomNotice {
  readonly what: "joined" | "left" | "renamed" | "kicked" | "banned" | "subject" | "created" | "destroyed";
  readonly who: string;
  /** The new nick, the new subject, or the reason. */
  readonly detail: string;
}

/** One entry of a conversation. */
export interface Message {
  /** Stays the same for as long as the message lives, here and in the cache. */
  readonly key: string;
  /** The sender's id, which corrections, receipts and markers name. */
  readonly id: string;
  /** The archive's id (XEP-0359), once known. */
  readonly archiveId: string | undefined;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly sender: Sender;
  /** What was written, without what stands in for old clients; never HTML. */
  readonly body: string;
  /** The sender asks for the text as it is, without styling (XEP-0393 §6). */
  readonly isUnstyled: boolean;
  readonly attachments: readonly Attachment[];
  readonly replyTo: ReplyTo | undefined;
  readonly mentions: readonly Mention[];
  readonly mentionsMe: boolean;
  readonly reactions: readonly Reaction[];
  /** The earlier wordings, oldest first; empty unless edited. */
  readonly versions: readonly Version[];
  readonly retraction: Retraction | undefined;
  readonly invitation: Invitation | undefined;
  readonly call: CallEntry | undefined;
  readonly notice: RoomNotice | undefined;
  /** The text is encrypted, and this client cannot read it. */
  readonly isEncrypted: boolean;
  readonly state: MessageState;
  /** Why it failed: a stanza error's condition, or `too-large`, … */
  readonly error: string | undefined;
  /** Who has seen it, in a small room, by name. */
  readonly seenBy: readonly string[];
  /** Messages before this one are missing from what is loaded: a mark stands there. */
  readonly isAfterGap: boolean;
}

/** What is being written. */
export interface Draft {
  readonly body: string;
  /** The key of the message it answers. */
  readonly replyTo: string | undefined;
  /** The key of the message it corrects. */
  readonly edits: string | undefined;
  readonly at: number;
}

/** When to be told of new messages (XEP-0492). */
export type Notify = "always" | "on-mention" | "never";

/** Why a room cannot be entered, for a view that says so. */
export type JoinError =
  | "password"
  | "banned"
  | "members-only"
  | "nick-taken"
  | "full"
  | "gone"
  | "not-found"
  | "not-allowed"
  | "unreachable";

/** Where we stand in a room. */
export type JoinState = "left" | "joining" | "joined" | "failed";

/** What somebody is in a room for good (XEP-0045 §5.2). */
export type Affiliation = "owner" | "admin" | "member" | "none" | "outcast";

/** What somebody may do during a visit (XEP-0045 §5.1). */
export type Role = "moderator" | "participant" | "visitor" | "none";

/** Somebody in a room, or on its lists. */
export interface Member {
  /** The nick, empty for somebody on a list who is not there. */
  readonly nick: string;
  /** The real bare JID, where the room tells it. */
  readonly jid: BareJid | undefined;
  readonly occupantId: string | undefined;
  readonly affiliation: Affiliation;
  readonly role: Role;
  readonly presence: Presence;
  readonly avatar: string | undefined;
  readonly isMe: boolean;
}

/** A room: what there is beside its messages. */
export interface Room {
  readonly jid: BareJid;
  readonly name: string;
  readonly description: string;
  readonly subject: string;
  readonly join: JoinState;
  readonly joinError: JoinError | undefined;
  readonly myNick: string;
  readonly myAffiliation: Affiliation;
  readonly myRole: Role;
  /** Those who are there, moderators first, then by name. */
  readonly members: readonly Member[];
  readonly isMembersOnly: boolean;
  readonly isModerated: boolean;
  /** Everybody sees everybody's real JID. */
  readonly isNonAnonymous: boolean;
  readonly isPersistent: boolean;
  readonly hasPassword: boolean;
  readonly canModerateMessages: boolean;
}

/** What a new room, or a room's owner, chooses. */
export interface RoomOptions {
  readonly name: string;
  readonly description: string;
  readonly isMembersOnly: boolean;
  readonly isHidden: boolean;
  readonly isModerated: boolean;
  readonly isNonAnonymous: boolean;
  readonly password: string;
}

/** Somebody of the directory of people. */
export interface FoundPerson {
  readonly jid: BareJid;
  readonly name: string;
}

/** A room as the directory lists it. */
export interface ListedRoom {
  readonly jid: BareJid;
  readonly name: string;
  readonly description: string;
  readonly occupants: number | undefined;
}

/** One conversation, with a person or in a room. */
export interface Conversation {
  readonly jid: BareJid;
  readonly kind: "direct" | "room";
  readonly name: string;
  readonly avatar: string | undefined;
  /** The person's entry on the contact list. */
  readonly contact: Contact | undefined;
  readonly room: Room | undefined;
  /** What is loaded, oldest first, bounded. */
  readonly messages: readonly Message[];
  /** The archive may have older ones. */
  readonly hasOlder: boolean;
  /** The window stands in the past: what came after its end has to be loaded again. */
  readonly hasNewer: boolean;
  readonly isLoading: boolean;
  /** What the list of conversations shows below the name. */
  readonly lastMessage: Message | undefined;
  /** By what the list is sorted. */
  readonly lastActivity: number;
  readonly unread: number;
  readonly mentions: number;
  /** The key of the message above which the divider stands; stays while the conversation is open. */
  readonly dividerKey: string | undefined;
  /** Who is writing, by name. */
  readonly typing: readonly string[];
  readonly draft: Draft | undefined;
  readonly isPinned: boolean;
  readonly notify: Notify;
  readonly isMuted: boolean;
}

/** A running or failed transfer of a file. */
export interface Upload {
  readonly id: string;
  readonly conversation: BareJid;
  readonly name: string;
  readonly size: number;
  readonly mediaType: string;
  /** Bytes sent so far. */
  readonly sent: number;
  readonly state: "waiting" | "sending" | "done" | "failed" | "cancelled";
  readonly error: "too-large" | "refused" | "unreachable" | "unavailable" | undefined;
}

/** A message found, with where it stands. */
export interface SearchHit {
  readonly conversation: BareJid;
  readonly message: Message;
}

/** Ourselves. */
export interface Me {
  readonly jid: BareJid;
  /** The resource of this connection. */
  readonly resource: string;
  readonly nick: string;
  readonly presence: Presence;
  readonly avatar: string | undefined;
}

/**
 * Where signing in stands.
 *
 * - `signed-out`: nobody; a sign-in form is due
 * - `vouching`: the page around is asked who is in front of it
 * - `restoring`: cached state is shown, the socket is not up yet
 * - `connecting`: the first sign-in is on its way
 * - `online`
 * - `offline`: the connection is lost and comes back by itself, at `retryAt`
 */
export type SessionState = "signed-out" | "vouching" | "restoring" | "connecting" | "online" | "offline";

/** Why the last sign-in failed. */
export type SessionError = "not-authorized" | "expired" | "unreachable" | "replaced" | "refused" | "insecure";

/** A person's answers in a registration with an invitation (XEP-0445). */
export interface Registration {
  readonly username: string;
  readonly password: string;
  readonly invitation: string | undefined;
}

/** Why nobody was registered. */
export type RegistrationError = "taken" | "bad-name" | "weak-password" | "bad-invitation" | "closed" | "unreachable";

/** Something worth telling outside of the page's focus. */
export interface Notice {
  readonly conversation: BareJid;
  readonly kind: "message" | "mention" | "invitation" | "request";
  readonly message: Message | undefined;
  readonly from: string;
}
