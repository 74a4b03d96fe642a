import { describe, expect, it } from "vitest";
import { Completer } from "./completer.svelte";
import type { Candidate } from "./completion";

/** A field with this text, the cursor at its end. */
function field(text: string): { text: string; completer: Completer } {
  const it = { text, completer: undefined as unknown as Completer };
  it.completer = new Completer({
    text: () => it.text,
    cursor: () => ({ at: it.text.length, isSelecting: false }),
    names: () => ["Anna", "Andreas", "Bert"],
    put: (made) => (it.text = made.text),
  });
  return it;
}

/** Presses a key; whether it was for the list. */
function press(completer: Completer, key: string): boolean {
  const event = new KeyboardEvent("keydown", { key, cancelable: true });
  const isTaken = completer.key(event);
  expect(event.defaultPrevented).toBe(isTaken);
  return isTaken;
}

describe("the list above the composer", () => {
  it("is walked around by arrows, and Tab takes what is chosen", async () => {
    const it = field("Hello @an");
    await it.completer.look();
    expect(it.completer.candidates.map(({ label }) => label)).toEqual(["Andreas", "Anna"]);
    for (const [key, chosen] of [["ArrowDown", 1], ["ArrowDown", 0], ["ArrowUp", 1]] as const) {
      expect([press(it.completer, key), it.completer.chosen]).toEqual([true, chosen]);
    }
    expect(press(it.completer, "Tab")).toBe(true);
    expect([it.text, it.completer.candidates]).toEqual(["Hello @Anna ", []]);
  });

  it("leaves keys alone while it is empty, and when they are none of its own", async () => {
    const it = field("Hello");
    await it.completer.look();
    expect(press(it.completer, "Enter")).toBe(false);
    it.text = "Hello @b";
    await it.completer.look();
    expect([press(it.completer, "x"), it.completer.candidates.length]).toEqual([false, 1]);
    expect([press(it.completer, "Escape"), it.completer.candidates.length]).toEqual([true, 0]);
    expect(it.text).toBe("Hello @b");
  });

  it("shows what fits the text as it is, whatever is found late", async () => {
    const found = new Map<string, (list: Candidate[]) => void>();
    const late = (typed: string): Promise<Candidate[]> => new Promise((resolve) => found.set(typed, resolve));
    let text = ":co";
    const completer = new Completer({ text: () => text, cursor: () => undefined, names: () => [], put: () => {} }, late);
    const candidate = (label: string): Candidate[] => [{ label, insert: label, hint: "" }];
    const looks = [completer.look()];
    text = ":coff";
    looks.push(completer.look());
    found.get("coff")?.(candidate("☕"));
    found.get("co")?.(candidate("🥶"));
    await Promise.all(looks);
    expect(completer.candidates).toEqual(candidate("☕"));
    const last = completer.look();
    completer.hide();
    found.get("coff")?.(candidate("☕"));
    await last;
    expect(completer.candidates).toEqual([]);
  });

  it("finds emoji, and nothing while something is selected", async () => {
    const it = field("Coffee? :coff");
    await it.completer.look();
    expect(it.completer.candidates[0]?.label).toBe("☕");
    const selecting = new Completer({ text: () => "@an", cursor: () => ({ at: 3, isSelecting: true }), names: () => ["Anna"], put: () => {} });
    await selecting.look();
    expect(selecting.candidates).toEqual([]);
  });
});
