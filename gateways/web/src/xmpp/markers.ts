// Delivery and reading: Message Delivery Receipts (XEP-0184 version 1.4.0), Displayed Markers
// (XEP-0333 version 1.0.0), Chat State Notifications (XEP-0085 version 2.1).

import { shortId } from "./ids";
import { attr, child, children, el } from "./xml";

/** The namespace of receipts. */
export const NS_RECEIPTS = "urn:xmpp:receipts";
/** The namespace of markers. */
export const NS_MARKERS = "urn:xmpp:chat-markers:0";
/** The namespace of chat states. */
export const NS_CHAT_STATES = "http://jabber.org/protocol/chatstates";

/** What somebody does in a chat (XEP-0085 §2). */
export type ChatState = "active" | "composing" | "paused" | "inactive" | "gone";

const STATES: readonly string[] = ["active", "composing", "paused", "inactive", "gone"];

/** The id of a message that has arrived. */
export function parseReceipt(message: Element): string | undefined {
  return shortId(attr(child(message, "received", NS_RECEIPTS), "id"));
}

/** Whether the sender asks for a receipt. */
export function wantsReceipt(message: Element): boolean {
  return child(message, "request", NS_RECEIPTS) !== undefined;
}

/** The id of the newest message that has been seen. */
export function parseDisplayed(message: Element): string | undefined {
  return shortId(attr(child(message, "displayed", NS_MARKERS), "id"));
}

/** Whether the sender wants to know when it is seen. */
export function isMarkable(message: Element): boolean {
  return child(message, "markable", NS_MARKERS) !== undefined;
}

/** What the sender does. */
export function parseChatState(message: Element): ChatState | undefined {
  const state = children(message, "*", NS_CHAT_STATES).find((it) => STATES.includes(it.localName));
  return state?.localName as ChatState | undefined;
}

/** Builds the request of a receipt. */
export const buildReceiptRequest = (): Element => el("request", NS_RECEIPTS);
/** Builds a receipt. */
export const buildReceipt = (id: string): Element => el("received", NS_RECEIPTS, { id });
/** Builds what asks for a marker. */
export const buildMarkable = (): Element => el("markable", NS_MARKERS);
/** Builds a marker. */
export const buildDisplayed = (id: string): Element => el("displayed", NS_MARKERS, { id });
/** Builds a chat state. */
export const buildChatState = (state: ChatState): Element => el(state, NS_CHAT_STATES);

const NS_STYLING = "urn:xmpp:styling:0";

/** Whether the sender asks for the text as it is (XEP-0393 version 1.1.1 §6). */
export const isUnstyled = (message: Element): boolean => child(message, "unstyled", NS_STYLING) !== undefined;
