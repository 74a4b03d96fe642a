// Rooms that are kept: PEP Native Bookmarks, XEP-0402 version 1.2.0, with the notification settings
// of XEP-0492 version 0.2.0 inside of them.
//
// What other clients keep in a bookmark stays as it is when we change it (§4.4; XEP-0492 §4).

import type { BareJid, Notify } from "../chat/model";
import { readJid } from "./jid";
import type { XmppLink } from "./link";
import { buildPublish, fetchItems, onEvent, PRIVATE, type PubsubItem } from "./pubsub";
import { nameText } from "./text";
import { append, attr, child, children, childText, el, isTrue } from "./xml";

/** The namespace, and the node. */
export const NS_BOOKMARKS = "urn:xmpp:bookmarks:1";
/** The namespace of notification settings. */
export const NS_NOTIFY = "urn:xmpp:notification-settings:1";

/** A room that is kept. */
export interface Bookmark {
  readonly jid: BareJid;
  readonly name: string;
  readonly isAutojoin: boolean;
  readonly nick: string;
  readonly password: string | undefined;
  readonly notify: Notify | undefined;
  /** What else stands in it. */
  readonly extensions: Element | undefined;
}

/** Reads an item. */
export function parseBookmark(item: PubsubItem): Bookmark | undefined {
  const conference = item.payload;
  const jid = readJid(item.id);
  const isBookmark = conference?.namespaceURI === NS_BOOKMARKS && conference.localName === "conference";
  if (conference === undefined || !isBookmark || jid === undefined) return undefined;
  const extensions = child(conference, "extensions", NS_BOOKMARKS);
  return {
    jid,
    name: nameText(attr(conference, "name") ?? ""),
    isAutojoin: isTrue(attr(conference, "autojoin")),
    nick: childText(conference, "nick", NS_BOOKMARKS) ?? "",
    password: childText(conference, "password", NS_BOOKMARKS),
    notify: parseNotify(child(extensions, "notify", NS_NOTIFY)),
    extensions,
  };
}

const SETTINGS: readonly string[] = ["always", "on-mention", "never"];

/** The setting for a client in a browser (XEP-0492 §4): the most specific that is meant for one. */
export function parseNotify(notify: Element | undefined): Notify | undefined {
  const ranked = children(notify, "*", NS_NOTIFY)
    .filter((it) => SETTINGS.includes(it.localName))
    .map((it) => ({ notify: it.localName as Notify, rank: rankOf(it) }))
    .filter((it) => it.rank >= 0);
  return ranked.sort((a, b) => b.rank - a.rank)[0]?.notify;
}

function rankOf(setting: Element): number {
  const [category, type] = [attr(setting, "identity-category"), attr(setting, "identity-type")];
  if (category === undefined) return 0;
  if (category !== "client") return -1;
  return type === undefined ? 1 : type === "web" ? 2 : -1;
}

/** Changes the setting for everybody; what is set for one kind of client stays. */
function withNotify(extensions: Element | undefined, notify: Notify | undefined): Element | undefined {
  if (notify === undefined) return extensions && clone(extensions);
  const made = extensions === undefined ? el("extensions", NS_BOOKMARKS) : clone(extensions);
  const old = child(made, "notify", NS_NOTIFY);
  const kept = children(old, "*", NS_NOTIFY).filter((it) => attr(it, "identity-category") !== undefined && rankOf(it) < 1);
  const fallback = children(old, "*", NS_NOTIFY).find((it) => it.localName === notify && rankOf(it) === 0);
  const setting = el(notify, NS_NOTIFY, {}, Array.from(fallback?.children ?? [], clone));
  old?.remove();
  return append(made, el("notify", NS_NOTIFY, {}, setting, kept.map(clone)));
}

const clone = (element: Element): Element => element.cloneNode(true) as Element;

/** Builds the publication of a bookmark. */
export function buildBookmark(bookmark: Bookmark): Element {
  const { jid, name, isAutojoin, nick, password, notify, extensions } = bookmark;
  const conference = el(
    "conference",
    NS_BOOKMARKS,
    { name: name === "" ? undefined : name, autojoin: isAutojoin ? "true" : "false" },
    nick === "" ? undefined : el("nick", NS_BOOKMARKS, {}, nick),
    password === undefined ? undefined : el("password", NS_BOOKMARKS, {}, password),
    withNotify(extensions, notify),
  );
  return buildPublish(NS_BOOKMARKS, jid, conference, PRIVATE);
}

/** Fetches all bookmarks. */
export async function fetchBookmarks(link: XmppLink): Promise<Bookmark[]> {
  const items = await fetchItems(link, undefined, NS_BOOKMARKS);
  return items.flatMap((it) => parseBookmark(it) ?? []);
}

/** Hears what other devices keep, and what they keep no more. */
export function onBookmarks(
  link: XmppLink,
  heed: (changed: readonly Bookmark[], removed: readonly BareJid[]) => void,
): () => void {
  return onEvent(link, NS_BOOKMARKS, "own", (event) => {
    heed(
      event.items.flatMap((it) => parseBookmark(it) ?? []),
      event.retracted.flatMap((it) => readJid(it) ?? []),
    );
  });
}
