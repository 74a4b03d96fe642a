// Service Discovery: XEP-0030 version 2.5rc3.

import { formValue, parseForm, type Form } from "./data_forms";
import type { XmppLink } from "./link";
import { attr, child, children, el, iq } from "./xml";

/** The namespace of what something is. */
export const NS_INFO = "http://jabber.org/protocol/disco#info";
/** The namespace of what something has. */
export const NS_ITEMS = "http://jabber.org/protocol/disco#items";

/** What something is (§3.1). */
export interface Identity {
  readonly category: string;
  readonly type: string;
  readonly lang: string;
  readonly name: string;
}

/** What something is and can do. */
export interface Info {
  readonly identities: readonly Identity[];
  readonly features: ReadonlySet<string>;
  /** What else it says of itself (XEP-0128). */
  readonly form: Form | undefined;
}

/** One thing that something has. */
export interface Item {
  readonly jid: string;
  readonly node: string;
  readonly name: string;
}

/** Identities and features, and items, that are read: far more than any have. */
const IDENTITIES_MAX = 50;
const FEATURES_MAX = 1_000;
const ITEMS_MAX = 5_000;

/** Reads a `query` of what something is. */
export function parseInfo(query: Element | undefined): Info {
  const features = children(query, "feature", NS_INFO).slice(0, FEATURES_MAX);
  return {
    identities: children(query, "identity", NS_INFO).slice(0, IDENTITIES_MAX).map(parseIdentity),
    features: new Set(features.flatMap((it) => attr(it, "var") ?? [])),
    form: parseForm(query),
  };
}

function parseIdentity(identity: Element): Identity {
  return {
    category: attr(identity, "category") ?? "",
    type: attr(identity, "type") ?? "",
    lang: attr(identity, "xml:lang") ?? "",
    name: attr(identity, "name") ?? "",
  };
}

/** Asks what something is. */
export async function fetchInfo(link: XmppLink, to: string, node?: string): Promise<Info> {
  const answer = await link.iq(iq("get", to, el("query", NS_INFO, { node })));
  return parseInfo(child(answer, "query", NS_INFO));
}

/** Asks what something has. */
export async function fetchItems(link: XmppLink, to: string, node?: string): Promise<Item[]> {
  const answer = await link.iq(iq("get", to, el("query", NS_ITEMS, { node })));
  const items = children(child(answer, "query", NS_ITEMS), "item", NS_ITEMS).slice(0, ITEMS_MAX);
  return items.flatMap((it) => {
    const jid = attr(it, "jid");
    return jid === undefined ? [] : [{ jid, node: attr(it, "node") ?? "", name: attr(it, "name") ?? "" }];
  });
}

/** Builds the answer to who asks what we are. */
export function buildInfo(identity: Identity, features: Iterable<string>, node?: string): Element {
  const { category, type, name } = identity;
  return el(
    "query",
    NS_INFO,
    { node },
    el("identity", NS_INFO, { category, type, name }),
    [...features].map((it) => el("feature", NS_INFO, { var: it })),
  );
}

/** The value of a field in what something says of itself. */
export function infoValue(info: Info, name: string): string | undefined {
  return formValue(info.form, name);
}
