// What goes out: composed, shown at once, kept until it has arrived.
//
// A message is `sending` until the server has it (XEP-0198) or, in a room, until the room has
// reflected it. After a lost session nothing is sent twice blindly: what had been handed to the
// old one is looked for in the archive first (history.ts), under its origin id (XEP-0359).

import { buildReplace } from "../xmpp/corrections";
import { freshId } from "../xmpp/dispatcher";
import { buildFallback } from "../xmpp/fallback";
import { buildFile } from "../xmpp/files";
import { buildHint, buildOriginId } from "../xmpp/ids";
import { localOf } from "../xmpp/jid";
import { buildChatState, buildMarkable, buildReceiptRequest } from "../xmpp/markers";
import { buildReactions } from "../xmpp/reactions";
import { buildMentions, type MentionRange } from "../xmpp/references";
import { buildReply } from "../xmpp/replies";
import { buildRetract, NS_RETRACT } from "../xmpp/retraction";
import { append, el, message as build, NS_CLIENT, parseStored, serialize } from "../xmpp/xml";
import type { OutboxItem } from "./cache";
import type { ConversationState } from "./conversation.svelte";
import type { Core } from "./core.svelte";
import { emptyMessage, hasWord } from "./messages";
import type { Attachment, Message } from "./model";
import { advance, correct, type Entry, ME } from "./timeline";

/** Emojis of ours under one message, as others will accept. */
const OWN_REACTIONS_MAX = 10;

/** Bytes of a stanza that the server takes; a longer body has no chance. */
const BODY_BYTES_MAX = 200_000;

/** Sends, and keeps what is not sent. */
export class Outbox {
  readonly #items = new Map<string, OutboxItem>();

  constructor(private readonly core: Core) {
    core.link.listen("acknowledged", (id) => this.#acknowledged(id));
  }

  // --- composing ---

  /** Sends a text, or a file with its caption. */
  send(conversation: ConversationState, body: string, options: { replyTo?: Message; file?: Attachment } = {}): void {
    const id = freshId();
    const { replyTo, file } = options;
    const mentions = this.#mentions(conversation, body);
    const reply = replyTo && this.#reply(conversation, replyTo, body);
    const wire = reply?.body ?? body;
    const offset = wire.length - body.length;
    const moved = mentions.map((it) => ({ ...it, begin: it.begin + offset, end: it.end + offset }));
    const stanza = this.#stanza(conversation, id, [
      el("body", NS_CLIENT, {}, wire === "" && file !== undefined ? file.url : wire),
      reply?.elements,
      buildMentions(wire, moved),
      file && buildFile(file, wire !== ""),
      conversation.kind === "direct" ? [buildReceiptRequest()] : undefined,
      buildMarkable(),
      this.core.sendsTyping ? buildChatState("active") : undefined,
    ]);
    const entry = this.#entry(conversation, id, body);
    const replyPart = replyTo && { id: referenceOf(conversation, replyTo), jid: replyTo.sender.jid, quote: replyTo.body };
    const message: Message = {
      ...entry.message,
      attachments: file === undefined ? [] : [file],
      replyTo: replyPart,
      mentions: mentions.map((it) => ({ ...it, isMe: false })),
    };
    conversation.add({ ...entry, message }, true);
    conversation.isArchived = false;
    this.#queue(conversation, id, stanza, id);
  }

  /** Gives one of our messages another wording. */
  edit(conversation: ConversationState, message: Message, body: string): void {
    if (!message.sender.isMe || message.retraction !== undefined || body === message.body) return;
    const id = freshId();
    const stanza = this.#stanza(conversation, id, [
      el("body", NS_CLIENT, {}, body),
      buildReplace(message.id),
      buildMentions(body, this.#mentions(conversation, body)),
    ]);
    const entry = this.#entry(conversation, id, body);
    conversation.update(correct(conversation.entries, message.id, entry).entries);
    this.#queue(conversation, id, stanza, undefined);
  }

  /** Adds or takes away one of our reactions. */
  react(conversation: ConversationState, message: Message, emoji: string): void {
    const entry = conversation.entries.find((it) => it.message.key === message.key);
    const before = entry?.reactors.find((it) => it.person === ME)?.emojis ?? [];
    const has = before.includes(emoji);
    const emojis = has ? before.filter((it) => it !== emoji) : [...before, emoji].slice(-OWN_REACTIONS_MAX);
    const target = referenceOf(conversation, message);
    if (target === "" || message.retraction !== undefined) return;
    const id = freshId();
    const stanza = this.#stanza(conversation, id, [buildReactions({ id: target, emojis }), buildHint("store")]);
    const reactor = { person: ME, name: this.#myName(conversation), emojis, at: this.core.now() };
    conversation.change({ kind: "reactions", target, reactor });
    this.#queue(conversation, id, stanza, undefined);
  }

  /** Takes back one of our messages. */
  retract(conversation: ConversationState, message: Message): void {
    const target = referenceOf(conversation, message);
    if (!message.sender.isMe || target === "") return;
    const id = freshId();
    const stanza = this.#stanza(conversation, id, [
      buildRetract(target),
      buildFallback(NS_RETRACT),
      el("body", NS_CLIENT, {}, "/me retracted a previous message, but it's unsupported by your client."),
      buildHint("store"),
    ]);
    const retraction = { at: this.core.now(), moderator: undefined, reason: "" };
    conversation.change({ kind: "retract", target, by: ME, retraction });
    this.#queue(conversation, id, stanza, undefined);
  }

  #stanza(conversation: ConversationState, id: string, content: Parameters<typeof append>[1]): Element {
    const type = conversation.kind === "room" ? "groupchat" : "chat";
    const stanza = build({ to: conversation.jid, type, id }, content, buildOriginId(id));
    // XEP-0045 §7.5: a private talk in a room says that it is one.
    const isPrivate = conversation.kind === "direct" && conversation.jid.includes("/");
    return isPrivate ? append(stanza, el("x", "http://jabber.org/protocol/muc#user")) as Element : stanza;
  }

  #entry(conversation: ConversationState, id: string, body: string): Entry {
    const at = this.core.now();
    const room = this.core.rooms.get(conversation.jid);
    const sender = {
      jid: room === undefined ? this.core.account : `${room.jid}/${room.myNick}`,
      name: this.#myName(conversation),
      occupantId: room?.myOccupantId,
      isMe: true,
    };
    const message: Message = { ...emptyMessage(id, id, at), sender, body, state: "sending" };
    return { message, author: ME, ids: [id], reactors: [], wordedAt: at, standsFor: undefined, isMarkable: false };
  }

  #myName(conversation: ConversationState): string {
    const nick = this.core.rooms.get(conversation.jid)?.myNick ?? "";
    return nick || this.core.nick || localOf(this.core.account);
  }

  #reply(conversation: ConversationState, replyTo: Message, body: string): { body: string; elements: Element[] } {
    const reply = { id: referenceOf(conversation, replyTo), to: replyTo.sender.jid };
    return buildReply(reply, replyTo.body, body);
  }

  /** Members of the room whose names stand in a text, after an `@` or by themselves. */
  #mentions(conversation: ConversationState, body: string): MentionRange[] {
    const members = this.core.rooms.get(conversation.jid)?.members ?? [];
    const lower = body.toLowerCase();
    return members.flatMap((it) => {
      const name = it.nick.toLowerCase();
      if (it.isMe || !hasWord(body, name)) return [];
      const at = lower.indexOf(name);
      const begin = lower[at - 1] === "@" ? at - 1 : at;
      return [{ begin, end: at + name.length, jid: it.jid ?? `${conversation.jid}/${it.nick}` }];
    });
  }

  // --- sending ---

  #queue(conversation: ConversationState, id: string, stanza: Element, entryKey: string | undefined): void {
    const xml = serialize(stanza);
    const item: OutboxItem = {
      id,
      conversation: conversation.jid,
      kind: conversation.kind,
      xml,
      at: this.core.now(),
      entryKey,
      isHanded: false,
      error: undefined,
      tab: this.core.tab,
    };
    this.#keep(item);
    this.core.save(conversation);
    if (new TextEncoder().encode(xml).length > BODY_BYTES_MAX) this.refused(id, "too-large");
    else this.#try(item);
  }

  #keep(item: OutboxItem): void {
    this.#items.set(item.id, item);
    void this.core.cache.setOutbox(item);
  }

  #forget(id: string): OutboxItem | undefined {
    const item = this.#items.get(id);
    if (item === undefined) return undefined;
    this.#items.delete(id);
    void this.core.cache.deleteOutbox(id);
    return item;
  }

  #try(item: OutboxItem): void {
    const { link, rooms } = this.core;
    const isReachable = item.kind === "direct" || rooms.get(item.conversation)?.join === "joined";
    const stanza = isReachable && link.state === "online" ? parseStored(item.xml) : undefined;
    if (stanza === undefined) return;
    this.#keep({ ...item, isHanded: true });
    link.send(stanza);
  }

  /**
   * Sends what waits, in order. `isFresh`: the session is a new one and the archive has been
   * looked at, so that what had been handed to the old one is known not to have arrived.
   */
  flush(kind: "direct" | "room", conversation: string | undefined, isFresh: boolean): void {
    for (const item of [...this.#items.values()].sort((a, b) => a.at - b.at)) {
      const isMeant = item.kind === kind && (conversation === undefined || item.conversation === conversation);
      if (isMeant && item.error === undefined && (isFresh || !item.isHanded)) this.#try(item);
    }
  }

  /** Takes up what an earlier visit left, unless another tab has it. */
  async restore(isOtherTabAlive: (tab: string) => boolean): Promise<void> {
    for (const item of await this.core.cache.outbox()) {
      if (item.tab !== this.core.tab && isOtherTabAlive(item.tab)) continue;
      this.#keep({ ...item, tab: this.core.tab });
    }
  }

  /** Whether anything is still to be sent. */
  get isEmpty(): boolean {
    return [...this.#items.values()].every((it) => it.error !== undefined);
  }

  #acknowledged(id: string): void {
    const item = this.#items.get(id);
    // A room's own answer is what tells; changes have none, and the server's word has to do.
    if (item === undefined || (item.kind === "room" && item.entryKey !== undefined)) return;
    this.confirmed(id);
  }

  /** A message has arrived. */
  confirmed(id: string): void {
    const item = this.#forget(id);
    const conversation = item && this.core.conversations.get(item.conversation);
    if (item?.entryKey === undefined || conversation === undefined) return;
    conversation.update(advance(conversation.entries, item.entryKey, "sent"));
    this.core.save(conversation);
  }

  /** A message came back from a conversation: only from the one that it was sent to. */
  returned(conversation: string, id: string, condition: string): void {
    if (this.#items.get(id)?.conversation === conversation) this.refused(id, condition);
  }

  /** A message cannot be sent. */
  refused(id: string, condition: string): void {
    const item = this.#items.get(id);
    if (item === undefined) return;
    const conversation = this.core.conversations.get(item.conversation);
    if (item.entryKey === undefined) this.#forget(id);
    else this.#keep({ ...item, error: condition });
    if (item.entryKey === undefined || conversation === undefined) return;
    conversation.update(advance(conversation.entries, item.entryKey, "failed", condition));
    this.core.save(conversation);
  }

  /** Sends a failed message again. */
  resend(conversation: ConversationState, message: Message): void {
    const item = this.#items.get(message.id);
    if (item === undefined || item.error === undefined) return;
    const again = { ...item, error: undefined, isHanded: false };
    this.#keep(again);
    conversation.update(advance(conversation.entries, message.key, "sending"));
    this.#try(again);
  }

  /** Forgets a message that failed or waits. */
  discard(conversation: ConversationState, message: Message): void {
    this.#forget(message.id);
    conversation.update(conversation.entries.filter((it) => it.message.key !== message.key));
    this.core.save(conversation);
  }

  /** Nobody is signed in any more. */
  clear(): void {
    this.#items.clear();
  }
}

/** The id by which a message is referred to: the room's in rooms, the sender's else (XEP-0461 §4). */
export function referenceOf(conversation: ConversationState, message: Message): string {
  return conversation.kind === "room" ? (message.archiveId ?? "") : message.id;
}
