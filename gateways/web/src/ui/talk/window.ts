// Which of the loaded messages are drawn: so many that scrolling meets no edge, so few that a page
// stays light (1,500 elements with 10,000 messages). Pure.

/** Messages drawn at once. */
export const DRAWN_MAX = 100;
/** By so many the window moves. */
export const STEP = 40;

interface Keyed {
  readonly key: string;
}

/** First and after-last index: from the message with this key on, or the newest. */
export function drawn(messages: readonly Keyed[], from: string | undefined): { lo: number; hi: number } {
  const { length } = messages;
  const end = Math.max(0, length - DRAWN_MAX);
  const at = from === undefined ? -1 : messages.findIndex((message) => message.key === from);
  const lo = at < 0 ? end : Math.min(at, end);
  return { lo, hi: Math.min(length, lo + DRAWN_MAX) };
}

/** From where on, after a step to older or newer messages; `undefined` at the newest. */
export function moved(messages: readonly Keyed[], from: string | undefined, step: number): string | undefined {
  return startAt(messages, drawn(messages, from).lo + step);
}

/** From where on, so that a message is in the middle. */
export function around(messages: readonly Keyed[], key: string): string | undefined {
  const at = messages.findIndex((message) => message.key === key);
  return at < 0 ? undefined : startAt(messages, at - Math.floor(DRAWN_MAX / 2));
}

function startAt(messages: readonly Keyed[], index: number): string | undefined {
  const end = messages.length - DRAWN_MAX;
  return index >= end ? undefined : messages[Math.max(0, index)]?.key;
}
