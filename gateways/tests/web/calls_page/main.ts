// A page with nothing but calls: the client's own link, calls and views around one contact.
//
// `#user|password|peer|socket` in the address says who signs in, and whom the button calls.
// `?relay` sends everything through the relay; `?unbundled` is a client without XEP-0338.

import { mount } from "svelte";
import "../../../web/src/look/tokens.css";
import "../../../web/src/look/base.css";
import { FEATURES } from "../../../web/src/calls/abilities";
import { Calls } from "../../../web/src/calls/calls.svelte";
import type { CallEntry, Contact } from "../../../web/src/chat/model";
import type { Chat } from "../../../web/src/chat/chat";
import { SessionStore } from "../../../web/src/xmpp/session_store";
import { StropheLink } from "../../../web/src/xmpp/strophe_link";
import Page from "./Page.svelte";

const [user = "", password = "", peer = "", url = ""] = decodeURIComponent(location.hash.slice(1)).split("|");
const link = new StropheLink({ store: new SessionStore() });
link.announce(...FEATURES);

const entries: CallEntry[] = [];
const contact: Contact = {
  jid: peer,
  name: peer.replace(/@.*/, ""),
  groups: [],
  subscription: "both",
  isAsked: false,
  presence: { show: "online", status: "", idleSince: undefined },
  resources: [{ resource: "x", priority: 0, show: "online", status: "", idleSince: undefined, features: new Set(FEATURES) }],
  isBlocked: false,
  avatar: undefined,
};

// Of the chat, the calls use these alone.
const chat: Pick<Chat, "link" | "contacts" | "conversations" | "conversation" | "noteCall"> = {
  link,
  contacts: [contact],
  conversations: [],
  conversation: () => undefined,
  noteCall: (_jid, entry) => void entries.push(entry),
};

if (location.search.includes("unbundled")) {
  const ask = link.iq.bind(link);
  link.iq = (request, options) => {
    for (const group of request.querySelectorAll("jingle > group")) group.remove();
    return ask(request, options);
  };
}

const calls = new Calls(chat as Chat, { hasSound: () => false, notifies: () => false, isRelayed: location.search.includes("relay") });
Object.assign(globalThis, { calls, entries, link });

await link.connect({ jid: user, password, url });
link.send(new DOMParser().parseFromString("<presence xmlns='jabber:client'/>", "text/xml").documentElement);
await link.iq(new DOMParser().parseFromString("<iq xmlns='jabber:client' type='set'><enable xmlns='urn:xmpp:carbons:2'/></iq>", "text/xml").documentElement);
mount(Page, { target: document.getElementById("app") ?? document.body, props: { calls, contact } });
