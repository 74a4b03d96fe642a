// Result Set Management: XEP-0059 version 1.0.

import { attr, child, childText, el, textOf, wholeNumber } from "./xml";

/** The namespace. */
export const NS_RSM = "http://jabber.org/protocol/rsm";

/** Which page is asked for. */
export interface PageRequest {
  readonly max: number;
  readonly after?: string | undefined;
  /** The empty string asks for the last page. */
  readonly before?: string | undefined;
}

/** What is said of a page. */
export interface PageInfo {
  readonly first: string | undefined;
  readonly last: string | undefined;
  /** Of all there is, where the server says so. */
  readonly count: number | undefined;
  readonly index: number | undefined;
}

/** Builds the `set` of a request. */
export function buildPage(page: PageRequest): Element {
  return el(
    "set",
    NS_RSM,
    {},
    el("max", NS_RSM, {}, String(page.max)),
    page.after === undefined ? undefined : el("after", NS_RSM, {}, page.after),
    page.before === undefined ? undefined : el("before", NS_RSM, {}, page.before),
  );
}

/** Reads the `set` of an answer. */
export function parsePage(parent: Element | undefined): PageInfo {
  const set = child(parent, "set", NS_RSM);
  const first = child(set, "first", NS_RSM);
  return {
    first: first === undefined ? undefined : textOf(first),
    last: childText(set, "last", NS_RSM),
    count: wholeNumber(childText(set, "count", NS_RSM), 0, Number.MAX_SAFE_INTEGER),
    index: wholeNumber(attr(first, "index"), 0, Number.MAX_SAFE_INTEGER),
  };
}
