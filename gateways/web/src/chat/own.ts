// Ourselves: who we are in this session, and what the server lets us do.

import { localOf, resourceOf } from "../xmpp/jid";
import type { Abilities } from "./chat";
import { OFFLINE } from "./contact.svelte";
import type { Core } from "./core.svelte";
import type { Me } from "./model";
import type { Session } from "./session.svelte";

/** What the server lets this account do. */
export function able({ services, canSearch }: Session): Abilities {
  return {
    canUpload: services?.upload !== undefined,
    uploadMax: services?.upload?.bytesMax,
    canSearch,
    canPush: services?.push !== undefined,
    roomService: services?.rooms,
    canFindPeople: services?.people !== undefined,
  };
}

/** Ourselves. */
export function self({ account, nick, show, status, contacts, link }: Core, { state }: Session): Me {
  const isOnline = state === "online";
  return {
    jid: account,
    resource: isOnline ? resourceOf(link.jid) : "",
    nick: nick || localOf(account),
    presence: isOnline ? { show, status, idleSince: undefined } : OFFLINE,
    avatar: contacts.get(account)?.avatar,
  };
}
