// The chat: its parts, put together (see chat.ts for what the views may use).
//
// This file holds no protocol and no decision about messages: it passes on, and says what happens
// in which order when a session begins, is resumed, is lost, and ends.

import { StropheLink } from "../xmpp/strophe_link";
import { claimTab, SessionStore, tabName } from "../xmpp/session_store";
import { restrictParser } from "../xmpp/trusted";
import type { XmppLink } from "../xmpp/link";
import { SESSION_KEY, type Storages } from "./account";
import { ChatState, type Setting } from "./chat_state.svelte";

/** What `createChat` is told of the server. */
export interface ChatOptions {
  /** The WebSocket's address. */
  readonly url: string;
  /** Accounts without a domain are of this one. */
  readonly domain: string;
}

/** Makes the chat of this page. Nothing is connected before `restore` or `signIn`. */
export async function createChat(options: ChatOptions): Promise<ChatState> {
  restrictParser(globalThis as unknown as Parameters<typeof restrictParser>[0]);
  await claimTab();
  const store = new SessionStore();
  const link = new StropheLink({
    store,
    // Two tabs of one installation are two sessions.
    tag: `klatsch-${tabName().slice(0, 4)}`,
    addEventListener: (type, hear) => addEventListener(type, hear),
  });
  const chat = assemble(link, options, {
    storages: { local: localStorage, session: sessionStorage },
    databases: globalThis.indexedDB,
    tab: tabName(),
  });
  addEventListener("pagehide", () => chat.leavePage());
  addEventListener("online", () => void chat.sayFarewells());
  void chat.sayFarewells();
  // Whoever signs out in one tab has signed out.
  addEventListener("storage", ({ key, newValue }) => {
    if (key === SESSION_KEY && newValue === null) void chat.signedOutElsewhere();
  });
  return chat;
}

/** Puts a chat together over a link, for tests over a fake one. */
export function assemble(
  link: XmppLink,
  options: ChatOptions,
  parts: { readonly storages: Storages; readonly databases: IDBFactory | undefined; readonly tab: string },
): ChatState {
  const setting: Setting = { ...options, ...parts };
  return new ChatState(link, setting);
}
