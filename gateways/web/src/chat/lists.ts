// What the lists of the page show: contacts by name, conversations by activity, and the sums of what
// is unread.

import type { ContactState } from "./contact.svelte";
import type { ConversationState } from "./conversation.svelte";
import type { Core } from "./core.svelte";

/** Those on the contact list, by name. */
export function listed({ contacts }: Core): ContactState[] {
  const listed = [...contacts.values()].filter((it) => it.isListed);
  return listed.sort((a, b) => a.name.localeCompare(b.name));
}

/** Pinned first, then by activity. */
export function shown({ conversations, currentJid }: Core): ConversationState[] {
  const isShown = (it: ConversationState): boolean =>
    !it.isArchived && (it.kind === "room" || it.lastMessage !== undefined || it.draft !== undefined || it.jid === currentJid);
  return [...conversations.values()]
    .filter(isShown)
    .sort((a, b) => Number(b.isPinned) - Number(a.isPinned) || b.lastActivity - a.lastActivity);
}

/** A sum over all conversations that are not muted. */
export function sum({ conversations }: Core, of: (conversation: ConversationState) => number): number {
  const counted = [...conversations.values()].filter((it) => !it.isMuted && !it.isArchived);
  return counted.reduce((all, it) => all + of(it), 0);
}
