// Message Styling: XEP-0393 version 1.1.1, and links and mentions in what is left as plain text.
//
// Gives a tree that views turn into elements and text nodes; nothing here is ever markup.

/** A piece of a line. */
export type Span =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "link"; text: string; href: string }
  | { kind: "mention"; text: string; self: boolean }
  | { kind: "strong" | "emphasis" | "strike"; spans: Span[] };

/** A line, a preformatted block, or a quotation. */
export type Block =
  | { kind: "line"; spans: Span[] }
  | { kind: "pre"; language: string; text: string }
  | { kind: "quote"; blocks: Block[] };

/** Whom a text may mention: names as they stand after `@` or alone, and one's own among them. */
export interface Mentions {
  names: readonly string[];
  self: string | undefined;
}

const NOBODY: Mentions = { names: [], self: undefined };
/** Quotations in quotations are nested so far; deeper ones stay text (bounds recursion). */
const DEPTH_MAX = 8;

/** A message's body as blocks (§5). */
export function parse(body: string, mentions: Mentions = NOBODY): Block[] {
  return blocks(body.split(/\r?\n/), finder(mentions), 0);
}

/** The body without styling, as §4 says: a `<unstyled/>` message. */
export function plain(body: string, mentions: Mentions = NOBODY): Block[] {
  const find = finder(mentions);
  return body.split(/\r?\n/).map((line) => ({ kind: "line", spans: linked(line, find) }));
}

function blocks(lines: readonly string[], find: Find, depth: number): Block[] {
  const made: Block[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    // §5.1.2: a fence alone on the rest of its line may name a language; an open one runs to the end.
    if (line.startsWith("```")) {
      const end = lines.findIndex((other, index) => index > at && other.trimEnd() === "```");
      const last = end < 0 ? lines.length : end;
      made.push({ kind: "pre", language: line.slice(3).trim(), text: lines.slice(at + 1, last).join("\n") });
      at = last;
      continue;
    }
    // §5.1.3
    if (line.startsWith(">") && depth < DEPTH_MAX) {
      const quoted = [];
      while (at < lines.length && (lines[at] ?? "").startsWith(">")) {
        quoted.push((lines[at] ?? "").slice(1).replace(/^ /, ""));
        at += 1;
      }
      at -= 1;
      made.push({ kind: "quote", blocks: blocks(quoted, find, depth + 1) });
      continue;
    }
    made.push({ kind: "line", spans: spans(line, find) });
  }
  return made;
}

const KINDS = { "*": "strong", _: "emphasis", "~": "strike" } as const;
type Mark = keyof typeof KINDS;
const isMark = (text: string): text is Mark => text in KINDS;
const isSpace = (text: string | undefined) => text === undefined || /\s/.test(text);

/** §5.2; `before` is the character in front of the text, if any. */
function spans(line: string, find: Find, depth = 0): Span[] {
  const made: Span[] = [];
  let from = 0;
  const flush = (to: number) => {
    if (to > from) made.push(...linked(line.slice(from, to), find));
  };
  for (let at = 0; at < line.length; at += 1) {
    const mark = line[at] ?? "";
    if ((!isMark(mark) && mark !== "`") || !opens(line, at)) continue;
    const end = closing(line, at, mark);
    if (end < 0) continue;
    flush(at);
    const inner = line.slice(at + 1, end);
    made.push(
      isMark(mark) && depth < DEPTH_MAX
        ? { kind: KINDS[mark], spans: spans(inner, find, depth + 1) }
        : { kind: "code", text: inner },
    );
    at = end;
    from = end + 1;
  }
  flush(line.length);
  return made;
}

/** §6: at the beginning, after white space, or after another opening directive; nothing blank follows. */
function opens(line: string, at: number): boolean {
  const before = line[at - 1];
  const isAfter = isSpace(before) || (before !== line[at] && (isMark(before ?? "") || before === "`"));
  return isAfter && !isSpace(line[at + 1]);
}

/** §6: the first of its kind with something before it that is not blank. */
function closing(line: string, at: number, mark: string): number {
  const end = line.indexOf(mark, at + 1);
  // An immediate end spoils the beginning: `**` is no styling, nor are `***` and `****`.
  if (end === at + 1) return -1;
  for (let other = end; other >= 0; other = line.indexOf(mark, other + 1)) {
    if (!isSpace(line[other - 1])) return other;
  }
  return -1;
}

type Find = (text: string) => Span[];

/** Only these are ever links: nothing that runs, nothing that carries its own data. */
const LINK = /(?<![\p{L}\p{N}:+.-])(?:https?:\/\/|xmpp:|mailto:)[^\s<>"'`]+/giu;

function linked(text: string, find: Find): Span[] {
  const made: Span[] = [];
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const address = trimmed(match[0]);
    const href = safe(address);
    if (!href) continue;
    made.push(...find(text.slice(from, match.index)));
    made.push({ kind: "link", text: address, href });
    from = match.index + address.length;
  }
  made.push(...find(text.slice(from)));
  return made;
}

/** An address in running text, without the punctuation that belongs to the sentence. */
function trimmed(address: string): string {
  let end = address.length;
  while (end > 0) {
    const last = address[end - 1] ?? "";
    if (".,;:!?…*_~".includes(last)) end -= 1;
    else if (last === ")" && count(address, ")", end) > count(address, "(", end)) end -= 1;
    else if (last === "]" && count(address, "]", end) > count(address, "[", end)) end -= 1;
    else break;
  }
  return address.slice(0, end);
}

const count = (text: string, what: string, end: number) => text.slice(0, end).split(what).length - 1;

/** The address if a click on it is safe. */
export function safe(address: string): string | undefined {
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    return undefined;
  }
  const isWeb = url.protocol === "https:" || url.protocol === "http:";
  if (isWeb) return url.hostname === "" ? undefined : url.href;
  const isOther = url.protocol === "xmpp:" || url.protocol === "mailto:";
  return isOther && url.pathname !== "" ? url.href : undefined;
}

/** Names looked for in one text; a room has more people than anybody mentions. */
const NAMES_MAX = 500;

function finder({ names, self }: Mentions): Find {
  const known = [...new Set([...names.slice(0, NAMES_MAX), ...(self ? [self] : [])])].filter((name) => name.length > 1);
  if (known.length === 0) return (text) => (text === "" ? [] : [{ kind: "text", text }]);
  // Longest first: "Anna Maria" before "Anna".
  const pattern = known
    .sort((a, b) => b.length - a.length)
    .map((name) => name.replace(/[.*+?^${}()|[\]\\/-]/g, "\\$&"))
    .join("|");
  // Without `@` only at the beginning of the text, as clients complete it: "Anna: …"
  const mention = new RegExp(`(?<=^|[\\s(])@(?:${pattern})(?![\\p{L}\\p{N}])|^(?:${pattern})(?=[:,])`, "giu");
  const own = self?.toLowerCase();
  return (text) => {
    const made: Span[] = [];
    let from = 0;
    for (const match of text.matchAll(mention)) {
      if (match.index > from) made.push({ kind: "text", text: text.slice(from, match.index) });
      const name = match[0].replace(/^@/, "").toLowerCase();
      made.push({ kind: "mention", text: match[0], self: name === own });
      from = match.index + match[0].length;
    }
    if (from < text.length) made.push({ kind: "text", text: text.slice(from) });
    return made;
  };
}

/** Emoji alone, and few of them, are shown large. */
const LARGE = /^(?:\p{RI}\p{RI}|\p{Emoji}(?:\p{EMod}|\uFE0F\u20E3?|[\u{E0020}-\u{E007E}]+\u{E007F})?(?:\u200D\p{Emoji}(?:\p{EMod}|\uFE0F\u20E3?)?)*|\s){1,12}$/u;
export function isEmojiOnly(body: string): boolean {
  return LARGE.test(body) && /\p{Extended_Pictographic}|\p{RI}/u.test(body) && !/[0-9#*]/.test(body.replace(/[0-9#*]\uFE0F?\u20E3/gu, ""));
}
