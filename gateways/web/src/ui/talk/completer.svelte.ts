// The list above the composer while a name or an emoji is being typed: what is in it, which of it is
// chosen, and the keys that move it. What a word may become is decided in completion.ts.

import { CANDIDATES_MAX, complete, mentionsFor, token, type Candidate, type Token } from "./completion";

/** What the composer is asked, and told. */
export interface Field {
  readonly text: () => string;
  /** Where the cursor is, and whether something is selected; nothing without a field. */
  readonly cursor: () => { readonly at: number; readonly isSelecting: boolean } | undefined;
  readonly names: () => readonly string[];
  /** The text with a candidate in it. */
  readonly put: (made: { readonly text: string; readonly cursor: number }) => void;
}

/** The list, which is empty for most of the time. */
export class Completer {
  candidates = $state.raw<readonly Candidate[]>([]);
  chosen = $state(0);
  #at: Token | undefined;
  /** Looks so far: what an earlier one finds late is of a text that is not there any more. */
  #looks = 0;

  constructor(
    private readonly field: Field,
    /** Finds emoji, which are not loaded before somebody asks for one. */
    private readonly emoji: (typed: string) => Promise<readonly Candidate[]> = emojiFor,
  ) {}

  /** Looks at the word before the cursor. */
  async look(): Promise<void> {
    const text = this.field.text();
    const { at, isSelecting } = this.field.cursor() ?? { at: text.length, isSelecting: false };
    const found = token(text, at);
    if (!found || isSelecting) return this.#end();
    this.#looks += 1;
    const look = this.#looks;
    const list = found.kind === "mention" ? mentionsFor(found.typed, this.field.names()) : await this.emoji(found.typed);
    if (look !== this.#looks) return;
    this.#at = found;
    this.candidates = list;
    this.chosen = 0;
  }

  /** Takes the list away; the next letter may bring it back. */
  hide(): void {
    this.#looks += 1;
    this.candidates = [];
  }

  /** Puts a candidate in the place of the word. */
  put(candidate: Candidate | undefined): void {
    const cursor = this.field.cursor();
    if (!candidate || !this.#at || !cursor) return;
    const made = complete(this.field.text(), cursor.at, this.#at, candidate.insert);
    this.#end();
    this.field.put(made);
  }

  /** Whether a key was for the list. */
  key(event: KeyboardEvent): boolean {
    const { length } = this.candidates;
    if (length === 0) return false;
    if (event.key === "ArrowDown") this.chosen = (this.chosen + 1) % length;
    else if (event.key === "ArrowUp") this.chosen = (this.chosen + length - 1) % length;
    else if (event.key === "Enter" || event.key === "Tab") this.put(this.candidates[this.chosen]);
    else if (event.key === "Escape") this.hide();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  #end(): void {
    this.#looks += 1;
    this.#at = undefined;
    this.candidates = [];
  }
}

async function emojiFor(typed: string): Promise<Candidate[]> {
  const { find } = await import("./emoji/data");
  return find(typed)
    .slice(0, CANDIDATES_MAX)
    .map(({ emoji, name }) => ({ label: emoji, insert: `${emoji} `, hint: name }));
}
