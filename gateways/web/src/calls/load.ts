// Brings the calls in once somebody has signed in, and takes them away when they sign out.
//
// XEP-0115: that we can be called is announced from the beginning, so that the first presence says
// it; what it takes comes as a chunk of its own, after the contact list is there.

import type { Chat } from "../chat/chat";
import { FEATURES, canCall } from "./abilities";
import type { Calls } from "./calls.svelte";

/** The calls, and the views that show them. */
export interface LoadedCalls {
  readonly calls: Calls;
  readonly parts: typeof import("./calls");
}

/** What loading needs of the page. */
export interface CallHost {
  readonly chat: Chat;
  readonly config: { readonly features: { readonly calls: boolean } };
  readonly settings: { readonly current: { readonly sound: boolean; readonly notifies: boolean } };
  calls: LoadedCalls | undefined;
}

/** Says that we can be called, where we can. */
export function announceCalls({ chat, config }: CallHost): void {
  if (config.features.calls && canCall()) chat.link.announce(...FEATURES);
}

/** The contact list comes first; it takes no longer than this, milliseconds. */
const LIST_FIRST = 300;

/** Does something when the page has nothing to do, or at the latest after `LIST_FIRST`. */
function soon(act: () => void): void {
  // Safari has no idle time that it tells of.
  if ("requestIdleCallback" in globalThis) requestIdleCallback(act, { timeout: LIST_FIRST });
  else setTimeout(act, LIST_FIRST);
}

/** Loads the calls; what it returns takes them away again. */
export function loadCalls(host: CallHost): (() => void) | undefined {
  const { chat, config, settings } = host;
  if (!config.features.calls || !canCall()) return undefined;
  let isOver = false;
  const made = (parts: LoadedCalls["parts"]): void => {
    if (isOver) return;
    const isFree = (): boolean => chat.me.presence.show !== "dnd";
    const hasSound = (): boolean => settings.current.sound && isFree();
    const notifies = (): boolean => settings.current.notifies && isFree();
    host.calls = { calls: new parts.Calls(chat, { hasSound, notifies }), parts };
  };
  // Offline, or a newer version on the server: the chat is there without calls.
  soon(() => void (isOver || import("./calls").then(made, () => undefined)));
  return () => {
    isOver = true;
    host.calls?.calls.close();
    host.calls = undefined;
  };
}
