import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { de, deFormal } from "./de";
import { en } from "./en";
import { brief, bytes, clock, day, daysBetween, format, preferred, setLanguage, t, type Key, type Text } from "./i18n.svelte";

const LANGUAGES: Record<string, Readonly<Record<string, Text>>> = { de, deFormal };
const forms = (text: Text) => (typeof text === "string" ? [text] : [text.one, text.other]);
const holes = (text: Text) => [...new Set(forms(text).flatMap((form) => form.match(/\{\w+\}/g) ?? []))].sort();

describe.each(Object.entries(LANGUAGES))("the texts of %s", (_, texts) => {
  it("are all there, and no others", () => {
    expect(Object.keys(texts).sort()).toEqual(Object.keys(en).sort());
  });
  it("have the same values and forms as the English ones", () => {
    for (const key of Object.keys(en) as Key[]) {
      const text = texts[key] ?? "";
      expect(holes(text), key).toEqual(holes(en[key]));
      expect(typeof text, key).toBe(typeof en[key]);
      expect(forms(text).every((form) => form.trim() !== ""), key).toBe(true);
    }
  });
});

describe("German with Sie", () => {
  it("says du to nobody", () => {
    for (const [key, text] of Object.entries(deFormal)) {
      for (const form of forms(text)) {
        expect(form, key).not.toMatch(/\b(?:du|dich|dir|dein\w*|euch|ihr|eure?\w*)\b/);
        expect(form, key).not.toMatch(/\bDu\b|\bDein/);
      }
    }
  });
});

describe("texts in the sources", () => {
  const root = join(import.meta.dirname, "..");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(?:svelte|ts)$/.test(name) && !name.includes("test") && !name.startsWith("i18n"))
    .map((name) => readFileSync(join(root, name), "utf8"))
    .join("\n");

  it("are all used", () => {
    const prefixes = [...files.matchAll(/t\(`([a-z-]+)\$\{/g)].map(([, prefix]) => prefix ?? "");
    const unused = Object.keys(en).filter(
      (key) => !files.includes(`"${key}"`) && !prefixes.some((prefix) => key.startsWith(prefix)) && !["today", "yesterday", "just-now"].includes(key),
    );
    expect(unused).toEqual([]);
  });
});

describe("formatting", () => {
  afterEach(() => setLanguage("en"));

  it("chooses the plural and fills in", () => {
    const text = { one: "{count} message", other: "{count} messages" };
    expect(format(text, { count: 1 }, "en")).toBe("1 message");
    expect(format(text, { count: 0 }, "en")).toBe("0 messages");
    expect(format(text, { count: 12_345 }, "en")).toBe("12,345 messages");
    expect(format(text, { count: 12_345 }, "de")).toBe("12.345 messages");
  });
  it("puts values in as they are, whatever they look like", () => {
    expect(format("{name} and {other}", { name: "{other} $& \\1" }, "en")).toBe("{other} $& \\1 and {other}");
  });
  it("changes with the language", async () => {
    expect(t("today")).toBe("Today");
    await setLanguage("de");
    expect(t("today")).toBe("Heute");
    expect(document.documentElement.lang).toBe("de");
    await setLanguage("de-formal");
    expect(t("you")).toBe("Sie");
  });
  it("takes the first language that there is", () => {
    expect(preferred(["fr-CH", "de-CH", "en"])).toBe("de");
    expect(preferred(["en-GB", "de"])).toBe("en");
    expect(preferred(["ja"])).toBe("en");
    expect(preferred([])).toBe("en");
  });
});

describe("dates", () => {
  const now = Date.parse("2026-03-10T12:00+01:00");
  it("are named while they are near", () => {
    expect(day(now, now)).toBe("Today");
    expect(day(now - 86_400_000, now)).toBe("Yesterday");
    expect(day(Date.parse("2026-03-06T23:59+01:00"), now)).toBe("Friday");
    expect(day(Date.parse("2025-03-06T23:59+01:00"), now)).toContain("2025");
  });
  it("count days by the calendar, also over a change of the clock", () => {
    expect(daysBetween(Date.parse("2026-03-28T23:59+01:00"), Date.parse("2026-03-29T23:59+02:00"))).toBe(1);
    expect(daysBetween(Date.parse("2026-03-28T23:59+01:00"), Date.parse("2026-03-29T00:01+01:00"))).toBe(1);
  });
  it("are brief in lists", () => {
    expect(brief(now - 60_000, now)).toMatch(/^\d\d:\d\d/);
    expect(brief(now - 86_400_000, now)).toBe("Yesterday");
    // A clock ahead of ours is no future.
    expect(brief(now + 60_000, now)).toMatch(/^\d\d:\d\d/);
  });
});

describe("sizes and times", () => {
  it("are short", () => {
    expect(bytes(999)).toMatch(/^999 byte/);
    expect(bytes(1_400_000)).toBe("1.4 MB");
    expect(clock(65)).toBe("1:05");
    expect(clock(3_725)).toBe("1:02:05");
    expect(clock(-1)).toBe("0:00");
  });
});
