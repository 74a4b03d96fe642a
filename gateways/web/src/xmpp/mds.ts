// Message Displayed Synchronization: XEP-0490 version 1.0.1.
//
// Up to where each conversation has been read, for the account's own devices. Only our own
// account's word counts (row R08).

import { NS_SID, shortId } from "./ids";
import type { XmppLink } from "./link";
import { buildPublish, fetchItems, onEvent, PRIVATE, type PubsubItem } from "./pubsub";
import { attr, child, el } from "./xml";

/** The namespace of the element, and the node. */
export const NS_MDS = "urn:xmpp:mds:displayed:0";

/** A conversation has been read up to a message. */
export interface DisplayedUpTo {
  readonly conversation: string;
  /** The archive's id. */
  readonly id: string;
}

/** Reads an item. */
export function parseDisplayedUpTo(item: PubsubItem): DisplayedUpTo | undefined {
  if (item.payload?.namespaceURI !== NS_MDS || item.payload.localName !== "displayed") return undefined;
  const id = shortId(attr(child(item.payload, "stanza-id", NS_SID), "id"));
  return id === undefined || item.id === "" ? undefined : { conversation: item.id, id };
}

/** Builds the publication (§3.1): `by` is the archive that gave the id. */
export function buildDisplayedUpTo({ conversation, id }: DisplayedUpTo, by: string): Element {
  const payload = el("displayed", NS_MDS, {}, el("stanza-id", NS_SID, { id, by }));
  return buildPublish(NS_MDS, conversation, payload, PRIVATE);
}

/** Fetches what is known of all conversations. */
export async function fetchDisplayed(link: XmppLink): Promise<DisplayedUpTo[]> {
  const items = await fetchItems(link, undefined, NS_MDS);
  return items.flatMap((it) => parseDisplayedUpTo(it) ?? []);
}

/** Hears what other devices have read. */
export function onDisplayed(link: XmppLink, heed: (displayed: DisplayedUpTo) => void): () => void {
  return onEvent(link, NS_MDS, "own", (event) => {
    for (const item of event.items) {
      const displayed = parseDisplayedUpTo(item);
      if (displayed !== undefined) heed(displayed);
    }
  });
}
