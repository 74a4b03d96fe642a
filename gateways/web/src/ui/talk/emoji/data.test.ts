import { describe, expect, it } from "vitest";
import { isEmojiOnly } from "../../../text/styling";
import { EMOJI, find, recent, remember } from "./data";

const all = [...EMOJI.values()].flat();

describe("the emoji", () => {
  it("are emoji, each there once and with a name of its own", () => {
    for (const { emoji, name, words } of all) {
      expect(isEmojiOnly(emoji), emoji).toBe(true);
      expect(name, emoji).toMatch(/^[\p{L}_]+$/u);
      expect(words.length, emoji).toBeGreaterThan(0);
    }
    expect(new Set(all.map(({ emoji }) => emoji)).size).toBe(all.length);
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });
  it("are found in both languages, the exact name first", () => {
    expect(find("thumbsup")[0]?.emoji).toBe("👍");
    expect(find("kaffee")[0]?.emoji).toBe("☕");
    expect(find("fire")[0]?.emoji).toBe("🔥");
    expect(find("bär").map(({ emoji }) => emoji)).toContain("🐻");
    expect(find("")).toEqual([]);
    expect(find("qqq")).toEqual([]);
  });
});

describe("recent ones", () => {
  it("come newest first, once each", () => {
    localStorage.clear();
    ["😀", "👍", "😀"].forEach(remember);
    expect(recent()).toEqual(["😀", "👍"]);
    localStorage.setItem("klatsch.emoji", '{"x":1}');
    expect(recent()).toEqual([]);
    localStorage.setItem("klatsch.emoji", "[");
    expect(recent()).toEqual([]);
  });
});
