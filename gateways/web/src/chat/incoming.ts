// What a message stanza means: one value of plain words, with everything decided that can be
// decided without knowing the conversation. Pure.
//
// Where the stanza came from is said by whoever calls: live, as a carbon, or out of an archive.
// Those have checked already that the wrapper is to be trusted (carbons.ts, mam.ts); what a
// message says of itself here is never trusted beyond its sender's own words.

import { isCarbon } from "../xmpp/carbons";
import { parseReplace } from "../xmpp/corrections";
import { typeOf } from "../xmpp/dispatcher";
import { isEncrypted } from "../xmpp/eme";
import { parseError } from "../xmpp/errors";
import { isWholeFallback, parseBody, stripFallback } from "../xmpp/fallback";
import { NS_OOB, NS_SFS, parseFiles } from "../xmpp/files";
import { parseDelay } from "../xmpp/forward";
import { occupantId, originId, shortId, stanzaId } from "../xmpp/ids";
import { parseInvitation } from "../xmpp/invites";
import { bareJid, normalJid, resourceOf } from "../xmpp/jid";
import { isResult } from "../xmpp/mam";
import {
  type ChatState,
  isMarkable,
  isUnstyled,
  parseChatState,
  parseDisplayed,
  parseReceipt,
  wantsReceipt,
} from "../xmpp/markers";
import { NS_REACTIONS, parseReactions, type Reactions } from "../xmpp/reactions";
import { type MentionRange, parseMentions } from "../xmpp/references";
import { NS_REPLY, parseReply, unquote } from "../xmpp/replies";
import { NS_RETRACT, parseRetract, parseTombstone, type Retract, type Tombstone } from "../xmpp/retraction";
import { bodyText, nameText } from "../xmpp/text";
import { attr, childText, NS_CLIENT } from "../xmpp/xml";
import { type CallSignal, parseCallSignal } from "./calls";
import type { Attachment, Invitation, ReplyTo } from "./model";

/** Who wrote something, and where it belongs. */
export interface Envelope {
  /** The conversation: a bare JID, or an occupant's address for a private talk in a room. */
  readonly conversation: string;
  readonly isRoom: boolean;
  /** Bare JID, or occupant JID in rooms. */
  readonly sender: string;
  readonly occupantId: string | undefined;
  readonly isMine: boolean;
  readonly id: string;
  readonly originId: string | undefined;
  readonly archiveId: string | undefined;
  /** When it was sent; `undefined`: just now. */
  readonly at: number | undefined;
}

/** Somebody wrote something. */
export interface Written {
  readonly body: string;
  readonly isUnstyled: boolean;
  readonly attachments: readonly Attachment[];
  readonly replyTo: ReplyTo | undefined;
  readonly mentions: readonly MentionRange[];
  readonly invitation: Invitation | undefined;
  readonly isEncrypted: boolean;
  /** The id of the message it replaces. */
  readonly replaces: string | undefined;
  readonly wantsReceipt: boolean;
  readonly isMarkable: boolean;
}

/** What a message is. */
export type Happening =
  | { readonly kind: "written"; readonly written: Written }
  | { readonly kind: "reactions"; readonly reactions: Reactions }
  | { readonly kind: "retract"; readonly retract: Retract }
  | { readonly kind: "tombstone"; readonly tombstone: Tombstone }
  | { readonly kind: "receipt"; readonly id: string }
  | { readonly kind: "displayed"; readonly id: string }
  | { readonly kind: "subject"; readonly subject: string }
  | { readonly kind: "call"; readonly signal: CallSignal }
  | { readonly kind: "error"; readonly condition: string }
  | { readonly kind: "nothing" };

/** A message, understood. */
export interface Incoming {
  readonly envelope: Envelope;
  readonly happening: Happening;
  readonly chatState: ChatState | undefined;
}

/** What has to be known to place a message. */
export interface Place {
  /** Our bare JID. */
  readonly own: string;
  /** Whether an address is a room that we are or were in. */
  readonly isRoom: (jid: string) => boolean;
  /** Our nick in a room, where we are in it. */
  readonly myNick: (room: string) => string | undefined;
  /** Our occupant id in a room, where it is known. */
  readonly myOccupantId: (room: string) => string | undefined;
}

/** The archive's part, for a message out of one. */
export interface Archived {
  readonly id: string;
  readonly at: number | undefined;
}

/** Body namespaces whose stand-ins are not shown, since we show the thing itself. */
const UNDERSTOOD = [NS_REPLY, NS_REACTIONS, NS_RETRACT, NS_SFS, NS_OOB];

/** Understands a message; `undefined` for one that is nothing to show or keep. */
export function understand(message: Element, place: Place, archived?: Archived): Incoming | undefined {
  // A wrapper that reaches this point was sent by somebody who may not send one (rows R03, R05).
  if (isCarbon(message) || isResult(message)) return undefined;
  const envelope = readEnvelope(message, place, archived);
  if (envelope === undefined) return undefined;
  return { envelope, happening: readHappening(message, envelope), chatState: parseChatState(message) };
}

function readEnvelope(message: Element, place: Place, archived: Archived | undefined): Envelope | undefined {
  const type = typeOf(message);
  // What our server says about messages of ours has no sender other than ourselves.
  const from = attr(message, "from") ?? place.own;
  const to = attr(message, "to") ?? place.own;
  if (type === "headline") return undefined;
  const isRoom = type === "groupchat" || (type === "error" && place.isRoom(bareJid(from)) && resourceOf(from) === "");
  const isMine = isRoom ? isMyOccupant(message, from, place) : bareJid(from) === place.own;
  const peer = isMine && !isRoom ? to : from;
  const conversation = isRoom ? bareJid(from) : conversationOf(peer, place);
  return {
    conversation,
    isRoom,
    sender: isRoom || place.isRoom(bareJid(from)) ? normalJid(from) : bareJid(from),
    occupantId: occupantId(message),
    isMine,
    id: shortId(attr(message, "id")) ?? "",
    originId: originId(message),
    archiveId: archived?.id ?? stanzaId(message, isRoom ? bareJid(from) : place.own),
    at: archived?.at ?? parseDelay(message),
  };
}

/** Somebody in a room who writes to us alone is a conversation of their own. */
function conversationOf(peer: string, place: Place): string {
  return place.isRoom(bareJid(peer)) && resourceOf(peer) !== "" ? normalJid(peer) : bareJid(peer);
}

function isMyOccupant(message: Element, from: string, place: Place): boolean {
  const room = bareJid(from);
  const mine = place.myOccupantId(room);
  const theirs = occupantId(message);
  if (mine !== undefined && theirs !== undefined) return mine === theirs;
  const nick = resourceOf(from);
  return nick !== "" && nick === place.myNick(room);
}

function readHappening(message: Element, envelope: Envelope): Happening {
  if (typeOf(message) === "error") return { kind: "error", condition: parseError(message).condition };
  const tombstone = parseTombstone(message);
  if (tombstone !== undefined) return { kind: "tombstone", tombstone };
  const retract = parseRetract(message);
  if (retract !== undefined) return readRetract(retract, envelope);
  const reactions = parseReactions(message);
  if (reactions !== undefined) return { kind: "reactions", reactions };
  const signal = parseCallSignal(message);
  if (signal !== undefined) return { kind: "call", signal };
  const written = readWritten(message, envelope);
  if (written !== undefined) return { kind: "written", written };
  const displayed = parseDisplayed(message);
  if (displayed !== undefined) return { kind: "displayed", id: displayed };
  const receipt = parseReceipt(message);
  if (receipt !== undefined) return { kind: "receipt", id: receipt };
  return readSubject(message, envelope);
}

/** Only the room itself speaks in a moderator's name (XEP-0425 §5.1). */
function readRetract(retract: Retract, envelope: Envelope): Happening {
  const isRooms = envelope.isRoom && resourceOf(envelope.sender) === "";
  if ((retract.moderator !== undefined) !== isRooms) return { kind: "nothing" };
  return { kind: "retract", retract };
}

/** A subject is a message of a room with a subject and neither body nor thread (XEP-0045 §8.1). */
function readSubject(message: Element, envelope: Envelope): Happening {
  const subject = childText(message, "subject", NS_CLIENT);
  if (subject === undefined || !envelope.isRoom) return { kind: "nothing" };
  return { kind: "subject", subject: bodyText(subject) };
}

function readWritten(message: Element, envelope: Envelope): Written | undefined {
  const raw = parseBody(message);
  const invitation = envelope.isRoom ? undefined : parseInvitation(message);
  const attachments = parseFiles(message);
  const encrypted = isEncrypted(message);
  const isNothing = raw === undefined && invitation === undefined && attachments.length === 0 && !encrypted;
  if (isNothing) return undefined;
  const { body, stripped } = encrypted ? { body: "", stripped: "" } : strip(message, raw ?? "", attachments);
  const reply = parseReply(message);
  return {
    body: bodyText(body),
    isUnstyled: isUnstyled(message),
    attachments,
    replyTo: reply && {
      id: reply.id,
      jid: envelope.isRoom ? normalJid(reply.to) : bareJid(reply.to),
      quote: bodyText(unquote(stripped)),
    },
    mentions: shift(parseMentions(message, raw ?? ""), raw ?? "", body),
    invitation,
    isEncrypted: encrypted,
    replaces: parseReplace(message),
    wantsReceipt: wantsReceipt(message),
    isMarkable: isMarkable(message),
  };
}

function strip(message: Element, raw: string, attachments: readonly Attachment[]): { body: string; stripped: string } {
  const result = stripFallback(message, raw, UNDERSTOOD);
  // XEP-0066 in practice: a body that is nothing but the address stands in for the file.
  const isAddress = attachments.some((it) => it.url === raw.trim()) || isWholeFallback(message, NS_SFS);
  return isAddress ? { body: "", stripped: raw } : result;
}

/** Positions count in the body as sent; what was taken from its beginning moves them. */
function shift(mentions: readonly MentionRange[], raw: string, body: string): MentionRange[] {
  const before = raw.endsWith(body) ? raw.length - body.length : 0;
  const moved = mentions.map((it) => ({ ...it, begin: it.begin - before, end: it.end - before }));
  return moved.filter((it) => it.begin >= 0 && it.end <= body.length && it.begin < it.end);
}

/** The name that a sender gives themselves in a message (XEP-0172). */
export function statedNick(message: Element): string {
  return nameText(childText(message, "nick", "http://jabber.org/protocol/nick") ?? "");
}

