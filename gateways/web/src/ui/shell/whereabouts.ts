// The page around that has vouched for us sees who is there as it changes: what it shows at names then
// is not older than what we show. It could ask klatsch for the same, as the person that it logs in.
//
// Out: `presence` with an object of what has changed, { address: { show, status } }; null when we see
// no more. All that is told goes to the origin that has vouched, and no other.

import type { Contact, Presence } from "../../chat/model";

/** What is told of somebody. */
export interface Told {
  readonly show: Presence["show"];
  readonly status: string;
}

/** What is said. */
export type Whereabouts = { readonly type: "presence"; readonly presence: Readonly<Record<string, Told>> | null };

/** Finds what has changed since it was told. */
export class Teller {
  readonly #told = new Map<string, string>();

  constructor(private readonly tell: (what: Whereabouts) => void) {}

  /** How contacts are; nothing when nobody is seen any more. */
  see(contacts: readonly Contact[] | undefined): void {
    if (contacts === undefined) {
      if (this.#told.size > 0) this.tell({ type: "presence", presence: null });
      this.#told.clear();
      return;
    }
    const changed: Record<string, Told> = {};
    for (const { jid, presence, subscription } of contacts) {
      // Whoever does not let us see them is not offline.
      if (subscription !== "both" && subscription !== "to") continue;
      const told = { show: presence.show, status: presence.status };
      const text = JSON.stringify(told);
      if (this.#told.get(jid) === text) continue;
      this.#told.set(jid, text);
      changed[jid] = told;
    }
    if (Object.keys(changed).length > 0) this.tell({ type: "presence", presence: changed });
  }
}
