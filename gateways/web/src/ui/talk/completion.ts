// What the word before the cursor may become: a name after `@`, an emoji after `:`. Pure.

import { folded } from "../names";

export interface Candidate {
  /** What is shown, and what is put in. */
  readonly label: string;
  readonly insert: string;
  readonly hint: string;
}

export interface Token {
  readonly kind: "mention" | "emoji";
  /** Where it begins, with its sign. */
  readonly from: number;
  readonly typed: string;
}

/** Candidates shown at once. */
export const CANDIDATES_MAX = 6;

/** The token that ends at the cursor, if there is one. */
export function token(text: string, cursor: number): Token | undefined {
  const before = text.slice(0, cursor);
  const mention = /(?:^|[\s(])@([\p{L}\p{N}._-]{0,40})$/u.exec(before);
  if (mention) return { kind: "mention", from: cursor - (mention[1] ?? "").length - 1, typed: mention[1] ?? "" };
  const emoji = /(?:^|\s):([\p{L}\p{N}_+-]{2,40})$/u.exec(before);
  if (emoji) return { kind: "emoji", from: cursor - (emoji[1] ?? "").length - 1, typed: emoji[1] ?? "" };
  return undefined;
}

/** Names that begin so, or have a word that does; those who begin so first. */
export function mentionsFor(typed: string, names: readonly string[]): Candidate[] {
  const wanted = folded(typed);
  const rank = (name: string) => {
    const text = folded(name);
    if (text.startsWith(wanted)) return 0;
    return text.split(/[\s._-]+/).some((word) => word.startsWith(wanted)) ? 1 : 2;
  };
  return names
    .map((name) => ({ name, rank: rank(name) }))
    .filter(({ rank }) => rank < 2)
    .sort((a, b) => a.rank - b.rank || a.name.localeCompare(b.name))
    .slice(0, CANDIDATES_MAX)
    .map(({ name }) => ({ label: name, insert: `@${name} `, hint: "" }));
}

/** The text with the token replaced, and where the cursor is then. */
export function complete(text: string, cursor: number, at: Token, insert: string): { text: string; cursor: number } {
  const rest = text.slice(cursor);
  const put = insert.endsWith(" ") && rest.startsWith(" ") ? insert.trimEnd() : insert;
  return { text: text.slice(0, at.from) + put + rest, cursor: at.from + put.length };
}
