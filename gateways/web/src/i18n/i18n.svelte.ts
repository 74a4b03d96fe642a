// The interface's words: `t("key", { name })`, plurals by the language's own rules, dates and
// numbers by Intl. English comes with the page, the others when they are asked for.

import { en } from "./en";

/** A text, or one for each plural form of its `count`. `{name}` stands for a value. */
export type Text = string | { readonly one: string; readonly other: string };
export type Key = keyof typeof en;
export type Texts = Readonly<Record<Key, Text>>;
export type Values = Readonly<Record<string, string | number>>;

/** `de-formal` addresses people with Sie. */
export const LANGUAGES = ["en", "de", "de-formal"] as const;
export type Language = (typeof LANGUAGES)[number];

class Locale {
  language = $state<Language>("en");
  texts = $state.raw<Texts>(en);
  /** For Intl: the browser's own region where it speaks the same language. */
  tag = $state("en");
}

const locale = new Locale();

const LOADERS: Record<Language, () => Promise<Texts>> = {
  en: () => Promise.resolve(en),
  de: async () => (await import("./de")).de,
  "de-formal": async () => (await import("./de")).deFormal,
};

/** The best language for what a browser asks for. */
export function preferred(asked: readonly string[]): Language {
  for (const tag of asked) {
    const base = tag.toLowerCase().split("-")[0];
    if (base === "de") return "de";
    if (base === "en") return "en";
  }
  return "en";
}

/** Switches the interface; what is shown changes at once. */
export async function setLanguage(language: Language): Promise<void> {
  const texts = await LOADERS[language]();
  const base = language.slice(0, 2);
  locale.language = language;
  locale.texts = texts;
  locale.tag = navigator.languages.find((tag) => tag.toLowerCase().split("-")[0] === base) ?? base;
  document.documentElement.lang = base;
  document.documentElement.dir = "ltr";
}

/** The text for a key. */
export function t(key: Key, values: Values = {}): string {
  return format(locale.texts[key], values, locale.tag);
}

/** A text with its values in place. */
export function format(text: Text, values: Values, tag: string): string {
  const isOne = () => plurals(tag).select(Number(values["count"] ?? 0)) === "one";
  const chosen = typeof text === "string" ? text : isOne() ? text.one : text.other;
  return chosen.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === "number" ? number(value, tag) : value;
  });
}

// Formatters are slow to make and quick to use.
const made = new Map<string, unknown>();
function once<T>(key: string, make: () => T): T {
  if (!made.has(key)) made.set(key, make());
  return made.get(key) as T;
}
const plurals = (tag: string) => once(`plural ${tag}`, () => new Intl.PluralRules(tag));
const number = (value: number, tag: string) => once(`number ${tag}`, () => new Intl.NumberFormat(tag)).format(value);

function date(at: number, name: string, options: Intl.DateTimeFormatOptions): string {
  return once(`${name} ${locale.tag}`, () => new Intl.DateTimeFormat(locale.tag, options)).format(at);
}

const DAY = 86_400_000;
const startOf = (at: number) => new Date(at).setHours(0, 0, 0, 0);
/** Whole days between two moments, by the calendar here; a change of the clock is none. */
export const daysBetween = (from: number, to: number) => Math.round((startOf(to) - startOf(from)) / DAY);

/** 14:05 */
export const time = (at: number) => date(at, "time", { hour: "2-digit", minute: "2-digit" });

/** Everything about a moment, for a tooltip. */
export const moment = (at: number) => date(at, "moment", { dateStyle: "full", timeStyle: "short" });

/** Today, Yesterday, Monday, 3 March, 3 March 2024 */
export function day(at: number, now: number = Date.now()): string {
  const ago = daysBetween(at, now);
  if (ago === 0) return t("today");
  if (ago === 1) return t("yesterday");
  if (ago > 1 && ago < 7) return date(at, "weekday", { weekday: "long" });
  const isThisYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return isThisYear
    ? date(at, "day", { day: "numeric", month: "long" })
    : date(at, "day and year", { day: "numeric", month: "long", year: "numeric" });
}

/** As short as a list needs it: 14:05, Yesterday, Mon, 3 Mar, 03/03/24 */
export function brief(at: number, now: number = Date.now()): string {
  const ago = daysBetween(at, now);
  if (ago <= 0) return time(at);
  if (ago === 1) return t("yesterday");
  if (ago < 7) return date(at, "short weekday", { weekday: "short" });
  const isThisYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return isThisYear
    ? date(at, "short day", { day: "numeric", month: "short" })
    : date(at, "short date", { dateStyle: "short" });
}

/** Anna, Bob and Carla */
export function list(names: readonly string[]): string {
  return once(`list ${locale.tag}`, () => new Intl.ListFormat(locale.tag, { type: "conjunction" })).format(names);
}

/** 1.4 MB */
export function bytes(count: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  const power = Math.min(units.length - 1, count < 1000 ? 0 : Math.floor(Math.log10(count) / 3));
  const unit = units[power] ?? "byte";
  const digits = power > 1 ? 1 : 0;
  return once(`${unit} ${locale.tag}`, () =>
    new Intl.NumberFormat(locale.tag, { style: "unit", unit, unitDisplay: power === 0 ? "long" : "short", maximumFractionDigits: digits }),
  ).format(count / 1000 ** power);
}

/** 5 minutes ago */
export function ago(at: number, now: number = Date.now()): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  const relative = once(`ago ${locale.tag}`, () => new Intl.RelativeTimeFormat(locale.tag, { numeric: "auto" }));
  if (seconds < 60) return t("just-now");
  if (seconds < 3600) return relative.format(-Math.round(seconds / 60), "minute");
  if (seconds < 86_400) return relative.format(-Math.round(seconds / 3600), "hour");
  return relative.format(-Math.round(seconds / 86_400), "day");
}

/** 1:05 */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const two = (value: number) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

/** For sorting and comparing names. */
export const collator = () => once(`collate ${locale.tag}`, () => new Intl.Collator(locale.tag, { sensitivity: "base", numeric: true }));
