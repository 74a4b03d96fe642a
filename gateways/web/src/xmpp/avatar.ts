// Pictures and names of people: User Avatar (XEP-0084 version 1.1.4), vCard-temp (XEP-0054 version
// 1.3.0, of contacts and of people in rooms), User Nickname (XEP-0172 version 1.1).
//
// A picture is believed when its bytes make the hash that was announced, and shown only as one of
// a few raster formats: an SVG is a document.

import type { XmppLink } from "./link";
import { buildPublish, fetchItems } from "./pubsub";
import { nameText } from "./text";
import { attr, childText, children, el, iq, path, textOf } from "./xml";

/** The node of what pictures there are. */
export const NS_METADATA = "urn:xmpp:avatar:metadata";
/** The node of the bytes. */
export const NS_AVATAR_DATA = "urn:xmpp:avatar:data";
/** The node of the nickname. */
export const NS_NICK = "http://jabber.org/protocol/nick";
const NS_VCARD = "vcard-temp";

/** Bytes of a picture that is shown: XEP-0084 §4.1 wants 8 KiB, people send more. */
const PICTURE_BYTES_MAX = 512 * 1024;

/** A picture. */
export interface Picture {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly mediaType: string;
  /** SHA-1, lower-case hexadecimal. */
  readonly hash: string;
}

/** The hash in an item of the metadata node; empty: there is no picture. */
export function parseMetadata(payload: Element | undefined): string | undefined {
  if (payload?.namespaceURI !== NS_METADATA || payload.localName !== "metadata") return undefined;
  const infos = children(payload, "info", NS_METADATA);
  if (infos.length === 0) return "";
  // §4.2.1: the one in the node has no address.
  const info = infos.find((it) => attr(it, "url") === undefined);
  const id = attr(info, "id")?.toLowerCase();
  return id !== undefined && /^[0-9a-f]{40}$/.test(id) ? id : undefined;
}

/** Fetches the picture of a hash from somebody's node. */
export async function fetchPicture(link: XmppLink, jid: string, hash: string): Promise<Picture | undefined> {
  const [item] = await fetchItems(link, jid, NS_AVATAR_DATA, { ids: [hash] });
  return item?.payload === undefined ? undefined : toPicture(textOf(item.payload), hash);
}

/** Fetches the picture out of somebody's vCard: of a contact, or of somebody in a room. */
export async function fetchVcardPicture(link: XmppLink, jid: string, hash: string): Promise<Picture | undefined> {
  const answer = await link.iq(iq("get", jid, el("vCard", NS_VCARD)));
  const value = path(answer, NS_VCARD, "vCard", "PHOTO", "BINVAL");
  return value === undefined ? undefined : toPicture(textOf(value), hash);
}

async function toPicture(base64: string, hash: string): Promise<Picture | undefined> {
  const bytes = decode(base64);
  const mediaType = bytes && sniff(bytes);
  if (bytes === undefined || mediaType === undefined) return undefined;
  return (await sha1(bytes)) === hash ? { bytes, mediaType, hash } : undefined;
}

function decode(base64: string): Uint8Array<ArrayBuffer> | undefined {
  const plain = base64.replace(/\s/g, "");
  if (plain.length > (PICTURE_BYTES_MAX * 4) / 3 + 4) return undefined;
  try {
    return Uint8Array.from(atob(plain), (it) => it.charCodeAt(0));
  } catch {
    return undefined;
  }
}

/** What the bytes are, whatever they are said to be. */
export function sniff(bytes: Uint8Array): string | undefined {
  const starts = (text: string, at = 0): boolean => [...text].every((it, index) => bytes[at + index] === it.charCodeAt(0));
  if (starts("\u0089PNG\r\n\u001a\n")) return "image/png";
  if (starts("\u00ff\u00d8\u00ff")) return "image/jpeg";
  if (starts("GIF8")) return "image/gif";
  if (starts("RIFF") && starts("WEBP", 8)) return "image/webp";
  return undefined;
}

/** SHA-1 in lower-case hexadecimal. */
export async function sha1(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-1", bytes);
  return Array.from(new Uint8Array(hash), (it) => it.toString(16).padStart(2, "0")).join("");
}

/** Builds the publication of a picture: the bytes first, then what says that they are there (§3). */
export async function buildPicture(picture: Omit<Picture, "hash">, side: number): Promise<[Element, Element]> {
  const { bytes, mediaType } = picture;
  const hash = await sha1(bytes);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  const info = { id: hash, bytes: bytes.length, type: mediaType, width: side, height: side };
  const open = { "pubsub#access_model": "open" };
  return [
    buildPublish(NS_AVATAR_DATA, hash, el("data", NS_AVATAR_DATA, {}, btoa(binary)), open),
    buildPublish(NS_METADATA, hash, el("metadata", NS_METADATA, {}, el("info", NS_METADATA, info)), open),
  ];
}

/** Builds what says that there is no picture any more (§3.4). */
export function buildNoPicture(): Element {
  return buildPublish(NS_METADATA, "current", el("metadata", NS_METADATA), { "pubsub#access_model": "open" });
}

/** The nickname in an item, or in a stanza. */
export function parseNick(parent: Element | undefined): string {
  const isNick = parent?.namespaceURI === NS_NICK && parent.localName === "nick";
  return nameText(isNick ? textOf(parent) : (childText(parent, "nick", NS_NICK) ?? ""));
}

/** Builds the publication of our nickname. */
export function buildNick(nick: string): Element {
  return buildPublish(NS_NICK, "current", el("nick", NS_NICK, {}, nick));
}

