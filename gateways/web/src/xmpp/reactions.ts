// Message Reactions: XEP-0444 version 0.2.0.

import { shortId } from "./ids";
import { attr, child, children, el, textOf } from "./xml";

/** The namespace. */
export const NS_REACTIONS = "urn:xmpp:reactions:0";

/** All that somebody reacts with to a message; empty: with nothing any more. */
export interface Reactions {
  readonly id: string;
  readonly emojis: readonly string[];
}

/** Reactions of one person to one message that are shown. */
const EMOJIS_MAX = 10;
/** UTF-16 units of one: families with tones have 25. */
const EMOJI_UNITS_MAX = 40;

/** One emoji of UTS #51, and nothing else. */
const EMOJI =
  /^(?:\p{RI}\p{RI}|[0-9#*]\ufe0f?\u20e3|\p{Emoji}(?:\p{EMod}|\ufe0f\u20e3?|[\u{e0020}-\u{e007e}]+\u{e007f})?(?:\u200d\p{Emoji}(?:\p{EMod}|\ufe0f\u20e3?)?)*)$/u;

/** Whether a text is one emoji. */
export function isEmoji(text: string): boolean {
  return text.length <= EMOJI_UNITS_MAX && !/^[0-9#*]$/.test(text) && EMOJI.test(text);
}

/** Reads somebody's reactions; what is no emoji is left out, and said twice counts once (§4). */
export function parseReactions(message: Element): Reactions | undefined {
  const reactions = child(message, "reactions", NS_REACTIONS);
  const id = shortId(attr(reactions, "id"));
  if (reactions === undefined || id === undefined) return undefined;
  const emojis = children(reactions, "reaction", NS_REACTIONS).map((it) => textOf(it).trim());
  return { id, emojis: [...new Set(emojis.filter(isEmoji))].slice(0, EMOJIS_MAX) };
}

/** Builds all our reactions to a message. */
export function buildReactions({ id, emojis }: Reactions): Element {
  return el(
    "reactions",
    NS_REACTIONS,
    { id },
    emojis.map((it) => el("reaction", NS_REACTIONS, {}, it)),
  );
}
