// Message Archive Management: XEP-0313 version 1.1.3; Full Text Search in MAM: XEP-0431 0.2.0.
//
// A result counts only when it comes from the archive that was asked, and names a query of ours
// that is still open (row R05, CVE-2019-16237): everything else is somebody's message that looks
// like a result.

import { buildSubmit } from "./data_forms";
import { freshId } from "./dispatcher";
import { type Forwarded, parseForwarded } from "./forward";
import { normalJid } from "./jid";
import type { XmppLink } from "./link";
import { buildPage, type PageInfo, type PageRequest, parsePage } from "./rsm";
import { attr, child, el, iq, isTrue } from "./xml";

/** The namespace. */
export const NS_MAM = "urn:xmpp:mam:2";
/** Filters by id, flipped pages. */
export const NS_MAM_EXTENDED = "urn:xmpp:mam:2#extended";
/** The field of a search. */
export const FULLTEXT_FIELD = "{urn:xmpp:fulltext:0}fulltext";
/** The feature of a search. */
export const NS_FULLTEXT = "urn:xmpp:fulltext:0";

/** What is asked of an archive. */
export interface ArchiveQuery {
  /** Messages with this address alone. */
  readonly with?: string | undefined;
  readonly start?: number | undefined;
  readonly end?: number | undefined;
  /** Words to find. */
  readonly text?: string | undefined;
  readonly page: PageRequest;
}

/** One entry of an archive. */
export interface ArchiveEntry extends Forwarded {
  /** Its id in the archive. */
  readonly id: string;
}

/** One page of an archive, oldest first. */
export interface ArchivePage extends PageInfo {
  readonly entries: readonly ArchiveEntry[];
  /** There is nothing beyond it in the direction that was asked for. */
  readonly isComplete: boolean;
}

/** Entries of a page that are read: a server may send no more than was asked for. */
const EXCESS = 1;

/** Builds the query. */
export function buildQuery(query: ArchiveQuery, queryId: string): Element {
  const form = buildSubmit(NS_MAM, {
    with: query.with,
    start: query.start === undefined ? undefined : new Date(query.start).toISOString(),
    end: query.end === undefined ? undefined : new Date(query.end).toISOString(),
    [FULLTEXT_FIELD]: query.text,
  });
  return el("query", NS_MAM, { queryid: queryId }, form, buildPage(query.page));
}

/** Reads a result; `undefined` for what is none of this query. */
export function parseResult(message: Element, archive: string, queryId: string): ArchiveEntry | undefined {
  const result = child(message, "result", NS_MAM);
  if (result === undefined || attr(result, "queryid") !== queryId) return undefined;
  if (normalJid(attr(message, "from") ?? "") !== normalJid(archive)) return undefined;
  const id = attr(result, "id");
  const forwarded = parseForwarded(result);
  return id === undefined || forwarded === undefined ? undefined : { ...forwarded, id };
}

/** Whether a message claims to be a result, rightly or not. */
export function isResult(message: Element): boolean {
  return child(message, "result", NS_MAM) !== undefined;
}

/**
 * Asks an archive for a page: our own, or a room's.
 *
 * @throws StanzaError, NoAnswer
 */
export async function queryArchive(link: XmppLink, archive: string, query: ArchiveQuery): Promise<ArchivePage> {
  const queryId = freshId();
  const entries: ArchiveEntry[] = [];
  const stop = link.on({ name: "message", ns: NS_MAM, child: "result" }, (message) => {
    const entry = parseResult(message, archive, queryId);
    if (entry !== undefined && entries.length < query.page.max + EXCESS) entries.push(entry);
  });
  try {
    const to = archive === link.bareJid ? undefined : archive;
    const answer = await link.iq(iq("set", to, buildQuery(query, queryId)));
    const fin = child(answer, "fin", NS_MAM);
    return { ...parsePage(fin), entries, isComplete: isTrue(attr(fin, "complete")) };
  } finally {
    stop();
  }
}
