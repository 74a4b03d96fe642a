// Personal eventing: XEP-0163 version 1.2.2 over XEP-0060 version 1.27.0.
//
// An event of our own nodes counts only when our own account sends it (row R08, CVE-2023-28686);
// one of a contact's nodes when the contact does.

import { buildSubmit, type FieldValue } from "./data_forms";
import { bareJid } from "./jid";
import type { XmppLink } from "./link";
import { attr, child, children, el, iq } from "./xml";

/** The namespace. */
export const NS_PUBSUB = "http://jabber.org/protocol/pubsub";
/** The namespace of events. */
export const NS_EVENT = "http://jabber.org/protocol/pubsub#event";
const NS_OPTIONS = "http://jabber.org/protocol/pubsub#publish-options";

/** One item of a node. */
export interface PubsubItem {
  readonly id: string;
  readonly payload: Element | undefined;
}

/** What has happened in a node. */
export interface PubsubEvent {
  /** Whose node it is, a bare JID. */
  readonly from: string;
  readonly node: string;
  readonly items: readonly PubsubItem[];
  readonly retracted: readonly string[];
  /** All items are gone, or the node is. */
  readonly isPurged: boolean;
}

/** Items of one answer or event that are read. */
const ITEMS_MAX = 2_000;

/** Reads an event; one that names no node, or no sender, is none. */
export function parseEvent(message: Element): PubsubEvent | undefined {
  const event = child(message, "event", NS_EVENT);
  const from = attr(message, "from");
  const inner = event?.firstElementChild ?? undefined;
  const node = attr(inner, "node");
  if (from === undefined || inner === undefined || node === undefined) return undefined;
  const retracted = children(inner, "retract", NS_EVENT).slice(0, ITEMS_MAX);
  return {
    from: bareJid(from),
    node,
    items: parseItems(inner, NS_EVENT),
    retracted: retracted.flatMap((it) => attr(it, "id") ?? []),
    isPurged: inner.localName === "purge" || inner.localName === "delete",
  };
}

function parseItems(parent: Element | undefined, ns: string): PubsubItem[] {
  const items = children(parent, "item", ns).slice(0, ITEMS_MAX);
  return items.map((it) => ({ id: attr(it, "id") ?? "", payload: it.firstElementChild ?? undefined }));
}

/** Hears the events of a node: of our own account alone, or of anybody. */
export function onEvent(
  link: XmppLink,
  node: string,
  whose: "own" | "anybody",
  heed: (event: PubsubEvent) => void,
): () => void {
  link.announce(`${node}+notify`);
  return link.on({ name: "message", ns: NS_EVENT, child: "event" }, (message) => {
    const event = parseEvent(message);
    if (event === undefined || event.node !== node) return;
    if (whose === "anybody" || event.from === link.bareJid) heed(event);
  });
}

/** Fetches the items of a node: all there are, the newest, or certain ones. */
export async function fetchItems(
  link: XmppLink,
  to: string | undefined,
  node: string,
  which: { readonly newest?: number; readonly ids?: readonly string[] } = {},
): Promise<PubsubItem[]> {
  const wanted = which.ids?.map((id) => el("item", NS_PUBSUB, { id }));
  const items = el("items", NS_PUBSUB, { node, max_items: which.newest }, wanted);
  const answer = await link.iq(iq("get", to, el("pubsub", NS_PUBSUB, {}, items)));
  return parseItems(child(child(answer, "pubsub", NS_PUBSUB), "items", NS_PUBSUB), NS_PUBSUB);
}

/** Builds the publication of an item, with what the node has to be (§7.1.5). */
export function buildPublish(
  node: string,
  id: string,
  payload: Element,
  options: Readonly<Record<string, FieldValue>> = {},
): Element {
  const publish = el("publish", NS_PUBSUB, { node }, el("item", NS_PUBSUB, { id }, payload));
  const form =
    Object.keys(options).length === 0
      ? undefined
      : el("publish-options", NS_PUBSUB, {}, buildSubmit(NS_OPTIONS, options));
  return iq("set", undefined, el("pubsub", NS_PUBSUB, {}, publish, form));
}

/** Builds the retraction of an item, of which the other devices are told. */
export function buildRetract(node: string, id: string): Element {
  const retract = el("retract", NS_PUBSUB, { node, notify: "true" }, el("item", NS_PUBSUB, { id }));
  return iq("set", undefined, el("pubsub", NS_PUBSUB, {}, retract));
}

/** What a node of ours has to be, that nobody else may read (XEP-0223 §3). */
export const PRIVATE: Readonly<Record<string, FieldValue>> = {
  "pubsub#persist_items": true,
  "pubsub#max_items": "max",
  "pubsub#send_last_published_item": "never",
  "pubsub#access_model": "whitelist",
};
