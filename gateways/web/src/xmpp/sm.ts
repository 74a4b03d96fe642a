// Stream management within the login: XEP-0198 version 1.6.3 §9. Counting and sending again are the
// library's (strophe_link.ts); here is what the login carries of it.

import { child, el } from "./xml";

/** The namespace. */
export const NS_SM = "urn:xmpp:sm:3";

/** What the library's stream management reads of an element. */
export interface View {
  readonly name: string;
  readonly attrs: Record<string, string>;
  readonly serialized: string;
}

/** Builds the wish for an old session, of which so many stanzas have been seen. */
export function buildResume(previd: string, h: number): Element {
  return el("resume", NS_SM, { previd, h });
}

/** What says that stream management is on, in a new session (§9.1). */
export function readEnabled(bound: Element): Element | undefined {
  return child(bound, "enabled", NS_SM);
}

/** An element as the library wants to see it. */
export function smView(element: Element): View {
  const attrs = Object.fromEntries(Array.from(element.attributes, ({ name, value }) => [name, value]));
  return { name: element.localName, attrs, serialized: "" };
}
