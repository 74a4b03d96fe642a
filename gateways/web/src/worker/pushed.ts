// What a push message becomes: pure, and sceptical, for it comes from outside.

import type { Told } from "./names";

export interface Pushed {
  readonly conversation: string;
  readonly kind: string;
  readonly count: number;
  readonly sender: string | undefined;
  readonly body: string | undefined;
}

/** A notification to be shown. */
export interface Shown {
  readonly title: string;
  readonly body: string;
  readonly tag: string;
  readonly jid: string | undefined;
  /** Somebody waits: it stays until it is answered. */
  readonly isCall: boolean;
}

const TEXT_MAX = 300;
const text = (value: unknown) => (typeof value === "string" && value !== "" ? value.slice(0, TEXT_MAX) : undefined);

/** Reads a push message; `undefined` for anything else. */
export function parsePushed(data: unknown): Pushed | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const { conversation, kind, count, sender, body } = data as Record<string, unknown>;
  if (typeof conversation !== "string" || typeof kind !== "string") return undefined;
  const isCount = typeof count === "number" && Number.isSafeInteger(count) && count > 0;
  return { conversation, kind, count: isCount ? count : 1, sender: text(sender), body: text(body) };
}

/** What is shown for it, with what the page has told. */
export function shown(pushed: Pushed, told: Told | undefined): Shown {
  const known = told?.conversations[pushed.conversation];
  const words = told?.texts[pushed.kind] ?? told?.texts["message"] ?? "";
  return {
    title: known?.name ?? pushed.sender ?? told?.title ?? "klatsch",
    body: pushed.body ?? words.replace("{count}", String(pushed.count)),
    tag: known?.jid ?? pushed.conversation,
    jid: known?.jid,
    isCall: pushed.kind === "call",
  };
}
