// The contact list: RFC 6121 §2, with versions (§2.6) and pre-approval (§3.4).
//
// A push counts only when our own account sends it (§2.1.6; row R04, CVE-2015-8688).

import type { Subscription } from "../chat/model";
import { StanzaError } from "./errors";
import { bareJid } from "./jid";
import type { XmppLink } from "./link";
import { attr, child, children, el, iq, presence, textOf } from "./xml";

/** The namespace. */
export const NS_ROSTER = "jabber:iq:roster";
const NS_NICK = "http://jabber.org/protocol/nick";

/** One entry. */
export interface RosterItem {
  readonly jid: string;
  readonly name: string;
  readonly subscription: Subscription | "remove";
  /** We have asked and wait for the answer. */
  readonly isAsked: boolean;
  readonly groups: readonly string[];
}

/** A list, or what has changed of it. */
export interface Roster {
  readonly version: string | undefined;
  readonly items: readonly RosterItem[];
}

/** Contacts that are kept: an organisation's shared lists are this long. */
const ITEMS_MAX = 20_000;
/** Groups of one contact. */
const GROUPS_MAX = 50;

const SUBSCRIPTIONS: readonly string[] = ["none", "to", "from", "both", "remove"];

/** Reads the entries of a `query`. */
export function parseRoster(query: Element): Roster {
  const items = children(query, "item", NS_ROSTER).slice(0, ITEMS_MAX);
  return { version: query.getAttribute("ver") ?? undefined, items: items.flatMap(parseItem) };
}

function parseItem(item: Element): RosterItem[] {
  const jid = attr(item, "jid");
  if (jid === undefined) return [];
  const subscription = attr(item, "subscription") ?? "none";
  return [
    {
      jid: bareJid(jid),
      name: attr(item, "name") ?? "",
      subscription: SUBSCRIPTIONS.includes(subscription) ? (subscription as RosterItem["subscription"]) : "none",
      isAsked: attr(item, "ask") === "subscribe",
      groups: children(item, "group", NS_ROSTER).slice(0, GROUPS_MAX).map(textOf),
    },
  ];
}

/** Fetches the list; `undefined` when the version known is the newest (§2.6.3). */
export async function fetchRoster(link: XmppLink, version: string | undefined): Promise<Roster | undefined> {
  const answer = await link.iq(iq("get", undefined, buildGet(version)));
  const query = child(answer, "query", NS_ROSTER);
  return query === undefined ? undefined : parseRoster(query);
}

function buildGet(version: string | undefined): Element {
  const query = el("query", NS_ROSTER);
  // §2.6.2: the empty version says that we know versions but have none.
  query.setAttribute("ver", version ?? "");
  return query;
}

/** Builds the change of an entry. */
export function buildSet(jid: string, name: string, groups: readonly string[]): Element {
  const item = el(
    "item",
    NS_ROSTER,
    { jid, name: name === "" ? undefined : name },
    groups.map((it) => el("group", NS_ROSTER, {}, it)),
  );
  return iq("set", undefined, el("query", NS_ROSTER, {}, item));
}

/** Builds the removal of an entry, which ends both subscriptions (§2.5). */
export function buildRemove(jid: string): Element {
  return iq("set", undefined, el("query", NS_ROSTER, {}, el("item", NS_ROSTER, { jid, subscription: "remove" })));
}

/** Hears what changes; everybody else's pushes are refused. */
export function onRosterPush(link: XmppLink, heed: (roster: Roster) => void): () => void {
  return link.answer("set", NS_ROSTER, (request) => {
    const from = attr(request, "from");
    const query = child(request, "query", NS_ROSTER);
    if ((from !== undefined && from !== link.bareJid) || query === undefined) {
      throw new StanzaError("service-unavailable");
    }
    heed(parseRoster(query));
    return undefined;
  });
}

/** What one asks, answers and takes back of subscriptions (§3). */
export function buildSubscription(
  type: "subscribe" | "subscribed" | "unsubscribe" | "unsubscribed",
  to: string,
  text = "",
  nick = "",
): Element {
  return presence(
    { type, to },
    text === "" ? undefined : el("status", "jabber:client", {}, text),
    // XEP-0172 §4.2: who asks says what they are called.
    nick === "" ? undefined : el("nick", NS_NICK, {}, nick),
  );
}

