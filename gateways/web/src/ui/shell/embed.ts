// The embedded view and the page around it: what is new goes out, what to show comes in.
//
// Messages are objects `{ klatsch: 1, type, … }`. Out: `ready`, and `unread` with `count`. In:
// `open` with `jid` (or an empty one: the list of all), and `look` with `theme` and `accent`; only from the parent, only from origins
// that the server names.

import type { App } from "../app.svelte";
import { address } from "../names";

export type Command =
  | { readonly type: "open"; readonly jid: string }
  | { readonly type: "look"; readonly theme: "auto" | "light" | "dark" | undefined; readonly accent: string | undefined };

/** A command in what a page said, if it is one. */
export function parseCommand(data: unknown): Command | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const { klatsch, type, jid, theme, accent } = data as Record<string, unknown>;
  if (klatsch !== 1) return undefined;
  if (type === "open") {
    if (jid === "") return { type, jid };
    const whole = typeof jid === "string" ? address(jid, "") : undefined;
    return whole === undefined ? undefined : { type, jid: whole };
  }
  if (type !== "look") return undefined;
  return {
    type,
    theme: theme === "auto" || theme === "light" || theme === "dark" ? theme : undefined,
    accent: typeof accent === "string" && /^#[0-9a-f]{6}$/i.test(accent) ? accent : undefined,
  };
}

/** Listens to the page around; the answer ends it. */
export function listen(app: App, look: (command: Command & { type: "look" }) => void): () => void {
  const heard = (event: MessageEvent) => {
    const isAllowed = event.origin === location.origin || app.config.embedOrigins.includes(event.origin);
    if (event.source !== window.parent || !isAllowed) return;
    const command = parseCommand(event.data);
    if (command?.type === "open") command.jid === "" ? app.home() : app.open(command.jid);
    else if (command) look(command);
  };
  addEventListener("message", heard);
  tell({ type: "ready" });
  return () => removeEventListener("message", heard);
}

/** Says something to the page around. Nothing of it is secret: a count, no names. */
export function tell(what: { type: "ready" } | { type: "unread"; count: number }): void {
  if (window.parent !== window) window.parent.postMessage({ klatsch: 1, ...what }, "*");
}
