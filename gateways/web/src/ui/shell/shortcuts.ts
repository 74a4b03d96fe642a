// The keyboard, wherever the focus is.

import type { App } from "../app.svelte";

/** The conversation before or after, in the list's order; among those with something new, if asked. */
export function neighbour(
  conversations: readonly { jid: string; unread: number }[],
  current: string | undefined,
  step: 1 | -1,
  isUnreadOnly: boolean,
): string | undefined {
  const { length } = conversations;
  const at = conversations.findIndex(({ jid }) => jid === current);
  const from = at < 0 && step < 0 ? length : at;
  for (let away = 1; away <= length; away += 1) {
    const found = conversations[(((from + step * away) % length) + length) % length];
    if (found && found.jid !== current && (!isUnreadOnly || found.unread > 0)) return found.jid;
  }
  return undefined;
}

export function shortcut(app: App, event: KeyboardEvent): void {
  // What floats closes by itself on Escape, and that is all that Escape does then.
  if (event.defaultPrevented || (event.key === "Escape" && document.querySelector(":popover-open, dialog[open]"))) return;
  const isCommand = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
  if (isCommand && event.key.toLowerCase() === "k") {
    event.preventDefault();
    app.dialog = app.dialog?.kind === "switcher" ? undefined : { kind: "switcher" };
  } else if (isCommand && event.key === "/") {
    event.preventDefault();
    app.dialog = { kind: "shortcuts" };
  } else if (event.altKey && !event.ctrlKey && !event.metaKey && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
    if (app.dialog) return;
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    const jid = neighbour(app.chat.conversations, app.chat.current?.jid, step, event.shiftKey);
    if (jid !== undefined) app.open(jid);
  } else if (event.key === "Escape") {
    if (app.panel) app.panel = undefined;
    else if (document.activeElement instanceof HTMLTextAreaElement) document.activeElement.blur();
    else if (app.chat.current) app.home();
  }
}
