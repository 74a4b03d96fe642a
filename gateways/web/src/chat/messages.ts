// Messages that come in: live, copied from other devices (carbons), or out of an archive. Each is
// understood (incoming.ts) and becomes an entry or a change of one (timeline.ts).

import { NS_CARBONS, parseCarbon } from "../xmpp/carbons";
import { bareJid, localOf, resourceOf } from "../xmpp/jid";
import { isResult } from "../xmpp/mam";
import { buildReceipt } from "../xmpp/markers";
import { NS_EVENT } from "../xmpp/pubsub";
import { nameText } from "../xmpp/text";
import { child, message as build } from "../xmpp/xml";
import { advanceCall, type CallSignal } from "./calls";
import type { ConversationState } from "./conversation.svelte";
import type { Core } from "./core.svelte";
import { type Archived, type Envelope, type Incoming, type Place, understand, type Written } from "./incoming";
import type { CallEntry, Mention, Message, Retraction, SearchHit } from "./model";
import { advance, advanceUpTo, type Change, type Entry, isForReading, ME, personOf, seeUpTo } from "./timeline";

/** Where a message came from. */
export type Source = "live" | "sent-copy" | "received-copy" | "archive";

/** What others want to know of what has come. */
export interface MessageEvents {
  /** A message of ours is in an archive, or has been reflected by its room. */
  confirmed(id: string): void;
  /** A message of ours was refused. */
  refused(conversation: string, id: string, condition: string): void;
  /** We have seen something on another device. */
  displayedElsewhere(conversation: ConversationState, id: string): void;
  /** The newest that the archive of the account has. */
  archived(archiveId: string): void;
}

/** Rooms up to this size say who has seen what. */
const SEEN_BY_MAX = 20;

/** Takes in messages. */
export class Messages {
  constructor(
    private readonly core: Core,
    private readonly events: MessageEvents,
  ) {
    core.link.on({ name: "message" }, (stanza) => this.#live(stanza));
  }

  #live(stanza: Element): void {
    // Results are for whoever asked for them (mam.ts), events for the node's readers (pubsub.ts).
    if (isResult(stanza) || child(stanza, "event", NS_EVENT) !== undefined) return;
    const carbon = parseCarbon(stanza, this.core.account);
    if (carbon !== undefined) {
      this.receive(carbon.message, carbon.direction === "sent" ? "sent-copy" : "received-copy");
      return;
    }
    // A copy that our own account has not sent is a forgery (row R03).
    if (child(stanza, "sent", NS_CARBONS) !== undefined || child(stanza, "received", NS_CARBONS) !== undefined) return;
    this.receive(stanza, "live");
  }

  /** Takes in a message; true when it has become a new entry. */
  receive(stanza: Element, source: Source, archived?: Archived): boolean {
    const incoming = understand(stanza, this.#place(), archived);
    if (incoming === undefined || !this.#isPlausible(incoming, source)) return false;
    const { envelope } = incoming;
    if (source !== "archive" && !envelope.isRoom && envelope.archiveId !== undefined) {
      this.events.archived(envelope.archiveId);
    }
    this.#heedTyping(incoming, source);
    return this.#heed(incoming, source);
  }

  /** What a search or an archive shows without becoming part of a conversation. */
  preview(stanza: Element, archived: Archived): SearchHit | undefined {
    const incoming = understand(stanza, this.#place(), archived);
    if (incoming?.happening.kind !== "written") return undefined;
    const { envelope, happening } = incoming;
    const conversation = this.core.conversations.get(envelope.conversation);
    const { message } = this.#toEntry(envelope, happening.written, conversation);
    return { conversation: envelope.conversation, message };
  }

  #place(): Place {
    const { account, rooms } = this.core;
    return {
      own: account,
      isRoom: (jid) => rooms.has(jid),
      myNick: (room) => rooms.get(room)?.myNick,
      myOccupantId: (room) => rooms.get(room)?.myOccupantId,
    };
  }

  /** Only rooms that we are in speak to us, and copies are of our own talks alone. */
  #isPlausible({ envelope, happening }: Incoming, source: Source): boolean {
    if (source === "archive") return true;
    if (envelope.isRoom) {
      const join = this.core.rooms.get(envelope.conversation)?.join;
      return source === "live" && (join === "joined" || join === "joining" || happening.kind === "error");
    }
    return source !== "sent-copy" || envelope.isMine;
  }

  #heedTyping({ envelope, chatState, happening }: Incoming, source: Source): void {
    if (source === "archive" || envelope.isMine) return;
    const conversation = this.core.conversations.get(envelope.conversation);
    if (conversation === undefined) return;
    const isTyping = chatState === "composing" && happening.kind === "nothing";
    if (chatState !== undefined || happening.kind === "written") {
      conversation.type(personOf(envelope), this.#nameOf(envelope, conversation), isTyping);
    }
  }

  #heed(incoming: Incoming, source: Source): boolean {
    const { envelope, happening } = incoming;
    if (happening.kind === "written") return this.#write(envelope, happening.written, source);
    if (happening.kind === "tombstone") return this.#bury(envelope, happening.tombstone);
    if (happening.kind === "call") return this.#call(envelope, happening.signal, source);
    const conversation = this.core.conversations.get(envelope.conversation);
    // Whoever we have no talk with starts none with less than words.
    if (conversation === undefined) return false;
    if (happening.kind === "reactions" || happening.kind === "retract") {
      conversation.change(this.#toChange(incoming, conversation) as Change);
      if (envelope.isMine) this.#confirm(envelope);
    } else if (happening.kind === "displayed") {
      this.#displayed(conversation, envelope, happening.id);
    } else if (happening.kind === "receipt" && !envelope.isMine && !envelope.isRoom) {
      conversation.update(advance(conversation.entries, happening.id, "delivered"));
    } else if (happening.kind === "error" && source === "live") {
      this.events.refused(conversation.jid, envelope.id, happening.condition);
    } else if (happening.kind === "subject") {
      this.core.rooms.get(envelope.conversation)?.setSubject(happening.subject);
    }
    this.core.save(conversation);
    return false;
  }

  #write(envelope: Envelope, written: Written, source: Source): boolean {
    const isNewTalk = !this.core.conversations.has(envelope.conversation);
    // An invitation that a room carries is the beginning of what will be said there.
    const isOfRoom = envelope.isRoom || written.invitation?.room === envelope.conversation;
    const conversation = this.core.ensure(envelope.conversation, isOfRoom ? "room" : "direct");
    const entry = this.#toEntry(envelope, written, conversation);
    const isLive = source !== "archive";
    const isNew =
      written.replaces === undefined
        ? conversation.add(entry, isLive)
        : conversation.correct(written.replaces, entry, isLive);
    if (envelope.isMine) this.#confirm(envelope);
    if (isNew && (isLive || isNewTalk)) conversation.isArchived = false;
    if (isNew && isLive && !envelope.isMine) this.#arrived(conversation, entry, envelope, written, source);
    this.core.save(conversation);
    return isNew;
  }

  #confirm(envelope: Envelope): void {
    for (const id of idsOf(envelope)) this.events.confirmed(id);
  }

  #arrived(conversation: ConversationState, entry: Entry, envelope: Envelope, written: Written, source: Source): void {
    if (source === "live" && written.wantsReceipt && !envelope.isRoom && this.#mayKnow(envelope)) {
      this.core.link.send(build({ to: envelope.sender, type: "chat" }, buildReceipt(envelope.id)));
    }
    const { message } = entry;
    const isWanted = conversation.notify === "always" || (conversation.notify === "on-mention" && message.mentionsMe);
    if (!isWanted || this.core.isWatched(conversation.jid) || !isForReading(entry)) return;
    const kind = message.invitation !== undefined ? "invitation" : message.mentionsMe ? "mention" : "message";
    this.core.notify({ conversation: conversation.jid, kind, message, from: message.sender.name });
  }

  /** XEP-0184 §5.5, XEP-0333 §5: only who sees our presence learns that we are there. */
  #mayKnow(envelope: Envelope): boolean {
    const subscription = this.core.contacts.get(envelope.conversation)?.subscription;
    return this.core.sendsRead && (subscription === "from" || subscription === "both");
  }

  #displayed(conversation: ConversationState, envelope: Envelope, id: string): void {
    if (envelope.isMine) {
      this.events.displayedElsewhere(conversation, id);
    } else if (!envelope.isRoom) {
      conversation.update(advanceUpTo(conversation.entries, id, "read"));
    } else if ((this.core.rooms.get(conversation.jid)?.members.length ?? SEEN_BY_MAX + 1) <= SEEN_BY_MAX) {
      conversation.update(seeUpTo(conversation.entries, id, this.#nameOf(envelope, conversation)));
    }
  }

  #toChange({ envelope, happening }: Incoming, conversation: ConversationState): Change | undefined {
    const at = envelope.at ?? this.core.now();
    if (happening.kind === "reactions") {
      const { id, emojis } = happening.reactions;
      const reactor = { person: personOf(envelope), name: this.#nameOf(envelope, conversation), emojis, at };
      return { kind: "reactions", target: id, reactor };
    }
    if (happening.kind !== "retract") return undefined;
    const { id, moderator, reason } = happening.retract;
    const by = moderator === undefined ? personOf(envelope) : undefined;
    const retraction: Retraction = { at, moderator: moderator && nameText(resourceOf(moderator) || moderator), reason };
    return { kind: "retract", target: id, by, retraction };
  }

  #bury(envelope: Envelope, tombstone: { at: number | undefined; moderator: string | undefined; reason: string }): boolean {
    const conversation = this.core.conversations.get(envelope.conversation);
    if (conversation === undefined) return false;
    const blank = this.#toEntry(envelope, NOTHING, conversation);
    const { moderator, reason } = tombstone;
    const retraction = { at: tombstone.at ?? blank.message.at, moderator: moderator && nameText(resourceOf(moderator) || moderator), reason };
    return conversation.add({ ...blank, message: { ...blank.message, retraction } }, false);
  }

  #call(envelope: Envelope, signal: CallSignal, source: Source): boolean {
    const key = `call:${signal.id}`;
    const isNewTalk = !this.core.conversations.has(envelope.conversation);
    // Somebody unknown who calls is shown, but nothing that merely speaks of a call.
    if (isNewTalk && signal.step !== "propose") return false;
    const conversation = this.core.ensure(envelope.conversation, "direct");
    const known = conversation.entries.find((it) => it.message.key === key);
    const call = advanceCall(known?.message.call, signal, envelope.isMine);
    if (call === undefined) return false;
    if (known === undefined) return conversation.add(this.#callEntry(envelope, call, conversation), source !== "archive");
    this.noteCall(conversation, call);
    return false;
  }

  #callEntry(envelope: Envelope, call: CallEntry, conversation: ConversationState): Entry {
    const entry = this.#toEntry(envelope, NOTHING, conversation);
    return { ...entry, message: { ...entry.message, key: `call:${call.id}`, call } };
  }

  /** Says what has become of a call. */
  noteCall(conversation: ConversationState, call: CallEntry): boolean {
    const at = conversation.entries.findIndex((it) => it.message.key === `call:${call.id}`);
    const entry = conversation.entries[at];
    if (entry === undefined) return false;
    conversation.update(conversation.entries.with(at, { ...entry, message: { ...entry.message, call } }));
    this.core.save(conversation);
    return true;
  }

  /** Puts a call of this device into the history, or says what has become of one that is there. */
  addCall(conversation: ConversationState, call: CallEntry, { at, isMine, nick }: { readonly at: number; readonly isMine: boolean; readonly nick: string }): void {
    if (this.noteCall(conversation, call)) return;
    const key = `call:${call.id}`;
    const sender = { jid: isMine ? this.core.account : conversation.jid, name: isMine ? nick : conversation.name, occupantId: undefined, isMe: isMine };
    const message: Message = { ...emptyMessage(key, call.id, at), sender, call, state: isMine ? "sent" : "read" };
    const author = isMine ? ME : conversation.jid;
    conversation.add({ message, author, ids: [key], reactors: [], wordedAt: at, standsFor: undefined, isMarkable: false }, true);
    this.core.save(conversation);
  }

  #nameOf(envelope: Envelope, conversation: ConversationState | undefined): string {
    if (envelope.isMine) return this.core.nick || localOf(this.core.account);
    if (envelope.isRoom) return nameText(resourceOf(envelope.sender)) || (conversation?.name ?? "");
    return conversation?.name ?? nameText(localOf(envelope.sender));
  }

  #toEntry(envelope: Envelope, written: Written, conversation: ConversationState | undefined): Entry {
    const at = envelope.at ?? this.core.now();
    const author = personOf(envelope);
    const mentions = written.mentions.map((it) => ({ ...it, isMe: this.#isMe(it.jid, envelope) }));
    const message: Message = {
      ...emptyMessage(keyOf(envelope), envelope.id, at),
      archiveId: envelope.archiveId,
      sender: {
        jid: envelope.sender,
        name: this.#nameOf(envelope, conversation),
        occupantId: envelope.occupantId,
        isMe: envelope.isMine,
      },
      body: written.body,
      isUnstyled: written.isUnstyled,
      attachments: written.attachments,
      replyTo: written.replyTo,
      mentions,
      mentionsMe: !envelope.isMine && this.#mentionsMe(envelope, written, mentions),
      invitation: written.invitation,
      isEncrypted: written.isEncrypted,
      state: envelope.isMine ? "sent" : "read",
    };
    const { isMarkable } = written;
    return { message, author, ids: idsOf(envelope), reactors: [], wordedAt: at, standsFor: undefined, isMarkable };
  }

  #isMe(jid: string, envelope: Envelope): boolean {
    const room = this.core.rooms.get(envelope.conversation);
    return bareJid(jid) === this.core.account || (room !== undefined && jid === `${room.jid}/${room.myNick}`);
  }

  #mentionsMe(envelope: Envelope, written: Written, mentions: readonly Mention[]): boolean {
    if (!envelope.isRoom) return false;
    const nick = this.core.rooms.get(envelope.conversation)?.myNick ?? "";
    const isReply = written.replyTo !== undefined && this.#isMe(written.replyTo.jid, envelope);
    return isReply || mentions.some((it) => it.isMe) || hasWord(written.body, nick);
  }
}

/** A message without anything in it. */
export function emptyMessage(key: string, id: string, at: number): Message {
  return {
    key,
    id,
    archiveId: undefined,
    at,
    sender: { jid: "", name: "", occupantId: undefined, isMe: false },
    body: "",
    isUnstyled: false,
    attachments: [],
    replyTo: undefined,
    mentions: [],
    mentionsMe: false,
    reactions: [],
    versions: [],
    retraction: undefined,
    invitation: undefined,
    call: undefined,
    notice: undefined,
    isEncrypted: false,
    state: "read",
    error: undefined,
    seenBy: [],
    isAfterGap: false,
  };
}

const NOTHING: Written = {
  body: "",
  isUnstyled: false,
  attachments: [],
  replyTo: undefined,
  mentions: [],
  invitation: undefined,
  isEncrypted: false,
  replaces: undefined,
  wantsReceipt: false,
  isMarkable: false,
};

function idsOf(envelope: Envelope): string[] {
  return [...new Set([envelope.id, envelope.originId ?? ""])].filter((it) => it !== "");
}

/** Ours have the key of the local echo; others' come from the archive where it has named them. */
function keyOf(envelope: Envelope): string {
  if (envelope.isMine && envelope.originId !== undefined) return envelope.originId;
  return envelope.archiveId ?? `${envelope.sender} ${envelope.id || String(envelope.at ?? Math.random())}`;
}

/** Whether a text has a name in it as a word of its own. */
export function hasWord(text: string, word: string): boolean {
  if (word.length < 2) return false;
  const haystack = text.toLowerCase();
  const needle = word.toLowerCase();
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) {
    const around = `${haystack[at - 1] ?? " "}${haystack[at + needle.length] ?? " "}`;
    if (!/[\p{L}\p{N}]/u.test(around)) return true;
  }
  return false;
}

