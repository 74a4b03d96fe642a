// The order of contacts: those who are there first, then by name. Pure.

import type { Contact, Show } from "../../chat/model";
import { collator } from "../../i18n/i18n.svelte";

const RANK: Readonly<Record<Show, number>> = { chat: 0, online: 0, away: 1, dnd: 1, xa: 2, offline: 3 };

export function byPresence(contacts: readonly Contact[]): Contact[] {
  const compare = collator().compare;
  return [...contacts].sort((a, b) => RANK[a.presence.show] - RANK[b.presence.show] || compare(a.name, b.name));
}
