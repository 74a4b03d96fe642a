// Rooms, for those who run them: XEP-0045 version 1.35.2 §8 (roles), §9 (affiliations), §10
// (configuration, destruction), §6.4 (what a room says of itself); search: XEP-0433 0.1.0.

import type { Affiliation, BareJid, ListedRoom, Role, RoomOptions } from "../chat/model";
import { buildSubmit, formValue, parseForm } from "./data_forms";
import { fetchInfo, fetchItems, type Info } from "./disco";
import { StanzaError } from "./errors";
import { readJid } from "./jid";
import type { XmppLink } from "./link";
import { readAffiliation } from "./muc";
import { buildPage } from "./rsm";
import { bodyText, nameText } from "./text";
import { attr, child, children, childText, el, iq, isTrue, wholeNumber } from "./xml";

const NS_ADMIN = "http://jabber.org/protocol/muc#admin";
const NS_OWNER = "http://jabber.org/protocol/muc#owner";
const NS_CONFIG = "http://jabber.org/protocol/muc#roomconfig";
const NS_SEARCH = "urn:xmpp:channel-search:0:search";
const NS_SEARCH_FORM = "urn:xmpp:channel-search:0:search-params";

/** Entries of a list that are read, and rooms of a directory. */
const LISTED_MAX = 2_000;
const ROOMS_PAGE = 100;

/** An entry of a list of affiliations. */
export interface Affiliate {
  readonly jid: BareJid;
  readonly affiliation: Affiliation;
  readonly nick: string;
}

/** Fetches one of the lists (§9.5). */
export async function fetchAffiliates(link: XmppLink, room: string, affiliation: Affiliation): Promise<Affiliate[]> {
  const answer = await link.iq(iq("get", room, el("query", NS_ADMIN, {}, el("item", NS_ADMIN, { affiliation }))));
  const items = children(child(answer, "query", NS_ADMIN), "item", NS_ADMIN).slice(0, LISTED_MAX);
  return items.flatMap((it) => {
    const jid = readJid(attr(it, "jid") ?? "");
    if (jid === undefined) return [];
    return [{ jid, affiliation: readAffiliation(attr(it, "affiliation")), nick: nameText(attr(it, "nick") ?? "") }];
  });
}

function reasonElement(reason: string): Element | undefined {
  return reason === "" ? undefined : el("reason", NS_ADMIN, {}, reason);
}

/** Builds a change of somebody's affiliation (§9). */
export function buildAffiliation(room: string, jid: string, affiliation: Affiliation, reason: string): Element {
  const item = el("item", NS_ADMIN, { jid, affiliation }, reasonElement(reason));
  return iq("set", room, el("query", NS_ADMIN, {}, item));
}

/** Builds a change of somebody's role (§8): none puts them out. */
export function buildRole(room: string, nick: string, role: Role, reason: string): Element {
  return iq("set", room, el("query", NS_ADMIN, {}, el("item", NS_ADMIN, { nick, role }, reasonElement(reason))));
}

/** Fetches a room's configuration. */
export async function fetchConfig(link: XmppLink, room: string): Promise<RoomOptions> {
  const answer = await link.iq(iq("get", room, el("query", NS_OWNER)));
  const form = parseForm(child(answer, "query", NS_OWNER));
  if (form === undefined) throw new StanzaError("feature-not-implemented");
  const value = (name: string): string => formValue(form, `muc#roomconfig_${name}`) ?? "";
  return {
    name: nameText(value("roomname")),
    description: bodyText(value("roomdesc")),
    isMembersOnly: isTrue(value("membersonly")),
    isHidden: !isTrue(value("publicroom")),
    isModerated: isTrue(value("moderatedroom")),
    isNonAnonymous: value("whois") === "anyone",
    password: isTrue(value("passwordprotectedroom")) ? value("roomsecret") : "",
  };
}

/** Builds a room's configuration; what is not named stays as it is. */
export function buildConfig(room: string, options: RoomOptions): Element {
  const form = buildSubmit(NS_CONFIG, {
    "muc#roomconfig_roomname": options.name,
    "muc#roomconfig_roomdesc": options.description,
    "muc#roomconfig_persistentroom": true,
    "muc#roomconfig_membersonly": options.isMembersOnly,
    "muc#roomconfig_publicroom": !options.isHidden,
    "muc#roomconfig_moderatedroom": options.isModerated,
    "muc#roomconfig_whois": options.isNonAnonymous ? "anyone" : "moderators",
    "muc#roomconfig_passwordprotectedroom": options.password !== "",
    "muc#roomconfig_roomsecret": options.password === "" ? undefined : options.password,
    "muc#roomconfig_allowinvites": true,
  });
  return iq("set", room, el("query", NS_OWNER, {}, form));
}

/** Builds the end of a room (§10.9). */
export function buildDestroy(room: string, reason: string): Element {
  const text = reason === "" ? undefined : el("reason", NS_OWNER, {}, reason);
  return iq("set", room, el("query", NS_OWNER, {}, el("destroy", NS_OWNER, {}, text)));
}

/** What a room says of itself (§6.4). */
export interface RoomInfo {
  readonly name: string;
  readonly description: string;
  readonly isMembersOnly: boolean;
  readonly isModerated: boolean;
  readonly isNonAnonymous: boolean;
  readonly isPersistent: boolean;
  readonly hasPassword: boolean;
  readonly hasArchive: boolean;
  readonly canModerateMessages: boolean;
}

/** Reads what a room says of itself. */
export function toRoomInfo({ identities, features, form }: Info): RoomInfo {
  const identity = identities.find((it) => it.category === "conference");
  return {
    name: nameText(identity?.name ?? ""),
    description: bodyText(formValue(form, "muc#roominfo_description") ?? ""),
    isMembersOnly: features.has("muc_membersonly"),
    isModerated: features.has("muc_moderated"),
    isNonAnonymous: features.has("muc_nonanonymous"),
    isPersistent: features.has("muc_persistent"),
    hasPassword: features.has("muc_passwordprotected"),
    hasArchive: features.has("urn:xmpp:mam:2"),
    canModerateMessages: features.has("urn:xmpp:message-moderate:1"),
  };
}

/** Asks a room what it is. */
export async function fetchRoomInfo(link: XmppLink, room: string): Promise<RoomInfo> {
  return toRoomInfo(await fetchInfo(link, room));
}

/** The service's rooms, the fullest first: by search (XEP-0433), else as it lists them. */
export async function fetchRooms(link: XmppLink, service: string): Promise<ListedRoom[]> {
  const form = buildSubmit(NS_SEARCH_FORM, { all: true, key: "{urn:xmpp:channel-search:0:order}nusers" });
  const search = iq("get", service, el("search", NS_SEARCH, {}, buildPage({ max: ROOMS_PAGE }), form));
  try {
    return parseRooms(await link.iq(search));
  } catch (error) {
    if (!(error instanceof StanzaError)) throw error;
    const items = await fetchItems(link, service);
    return items.flatMap((it) => {
      const jid = readJid(it.jid);
      return jid === undefined ? [] : [{ jid, name: nameText(it.name), description: "", occupants: undefined }];
    });
  }
}

function parseRooms(answer: Element): ListedRoom[] {
  const result = child(answer, "result", NS_SEARCH);
  return children(result, "item", NS_SEARCH).slice(0, LISTED_MAX).flatMap((it) => {
    const jid = readJid(attr(it, "address") ?? "");
    if (jid === undefined) return [];
    return [
      {
        jid,
        name: nameText(childText(it, "name", NS_SEARCH) ?? ""),
        description: bodyText(childText(it, "description", NS_SEARCH) ?? ""),
        occupants: wholeNumber(childText(it, "nusers", NS_SEARCH), 0, 1_000_000_000),
      },
    ];
  });
}

