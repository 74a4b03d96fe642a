// What the link tells about itself, to whoever listens.

import { attempt } from "./dispatcher";
import type { LinkEvents, Unsubscribe } from "./link";

type Handlers = { [E in keyof LinkEvents]: Set<LinkEvents[E]> };

/** Listeners by event. */
export class Events {
  readonly #handlers: Handlers = {
    state: new Set(),
    online: new Set(),
    failed: new Set(),
    secret: new Set(),
    acknowledged: new Set(),
  };

  /** Hears an event. */
  listen<E extends keyof LinkEvents>(event: E, handler: LinkEvents[E]): Unsubscribe {
    this.#handlers[event].add(handler);
    return () => void this.#handlers[event].delete(handler);
  }

  /** Tells everybody who listens. */
  tell<E extends keyof LinkEvents>(event: E, ...values: Parameters<LinkEvents[E]>): void {
    for (const handler of [...this.#handlers[event]]) {
      attempt(() => (handler as (...values: Parameters<LinkEvents[E]>) => void)(...values));
    }
  }
}
