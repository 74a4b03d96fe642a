// Last Message Correction: XEP-0308 version 1.2.1.

import { shortId } from "./ids";
import { attr, child, el } from "./xml";

/** The namespace. */
export const NS_CORRECT = "urn:xmpp:message-correct:0";

/** The id of the message that this one replaces. */
export function parseReplace(message: Element): string | undefined {
  return shortId(attr(child(message, "replace", NS_CORRECT), "id"));
}

/** Builds what says which message is replaced: always the first one (§4). */
export function buildReplace(id: string): Element {
  return el("replace", NS_CORRECT, { id });
}
