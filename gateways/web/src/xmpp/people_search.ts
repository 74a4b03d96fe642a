// Searching for people of a directory: XEP-0055 version 1.3, by the field of our form that takes
// names and addresses.

import type { FoundPerson } from "../chat/model";
import { buildSubmit, NS_DATA } from "./data_forms";
import { readJid } from "./jid";
import type { XmppLink } from "./link";
import { nameText } from "./text";
import { attr, child, children, childText, el, iq } from "./xml";

/** The namespace. */
export const NS_PEOPLE = "jabber:iq:search";

/** More than a server shows of ours. */
const FOUND_MAX = 100;

/** Asks a service for people whose names or addresses begin so. */
export async function searchPeople(link: XmppLink, service: string, text: string): Promise<FoundPerson[]> {
  const query = el("query", NS_PEOPLE, {}, buildSubmit(NS_PEOPLE, { any: text }));
  return parseFound(await link.iq(iq("set", service, query)));
}

/** Reads the answer. */
export function parseFound(answer: Element): FoundPerson[] {
  const form = child(child(answer, "query", NS_PEOPLE), "x", NS_DATA);
  return children(form, "item", NS_DATA).slice(0, FOUND_MAX).flatMap((item) => {
    const values = new Map(children(item, "field", NS_DATA).map((it) => [attr(it, "var"), childText(it, "value", NS_DATA) ?? ""]));
    const jid = readJid(values.get("jid") ?? "");
    return jid === undefined ? [] : [{ jid, name: nameText(values.get("nick") ?? "") || jid }];
  });
}
