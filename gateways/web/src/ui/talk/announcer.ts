// Says what is new in a conversation to those who hear the page, and only that: what comes within a
// moment together, and never what history brings.

import type { Message } from "../../chat/model";
import { list, t } from "../../i18n/i18n.svelte";

/** New messages within this are said together. */
const BATCH_MILLISECONDS = 1_200;

/** What is said of one conversation. */
export class Announcer {
  #newest: number;
  #waiting: Message[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    /** The newest that is there already. */
    newest: number,
    private readonly say: (text: string) => void,
  ) {
    this.#newest = newest;
  }

  /** Looks at the messages anew; those of others that have come since the last look. */
  look(messages: readonly Message[]): readonly Message[] {
    const fresh = messages.filter(({ at, sender, notice }) => at > this.#newest && !sender.isMe && !notice);
    this.#newest = Math.max(this.#newest, messages.at(-1)?.at ?? 0);
    if (fresh.length > 0) {
      this.#waiting.push(...fresh);
      this.#timer ??= setTimeout(() => this.#tell(), BATCH_MILLISECONDS);
    }
    return fresh;
  }

  /** Nobody looks at the conversation any more. */
  end(): void {
    clearTimeout(this.#timer);
  }

  #tell(): void {
    this.#timer = undefined;
    const told = this.#waiting;
    this.#waiting = [];
    const names = [...new Set(told.map((message) => message.sender.name))];
    const only = told.length === 1 ? told[0] : undefined;
    this.say(
      only
        ? t("announce-one", { name: only.sender.name, text: only.body || t("attachment") })
        : t("announce-many", { count: told.length, names: list(names) }),
    );
  }
}
