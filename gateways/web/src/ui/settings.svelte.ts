// What a person chose for this browser; kept in its local storage, changed in the settings.

import { LANGUAGES, type Language } from "../i18n/i18n.svelte";
import type { Contrast, Density, Theme } from "../look/theme";

export interface Settings {
  readonly theme: Theme;
  readonly contrast: Contrast;
  readonly density: Density;
  /** In hex; the server's or the theme's own without one. */
  readonly accent: string | undefined;
  readonly language: Language | "auto";
  /** Enter sends, Shift+Enter breaks the line; else Ctrl+Enter sends. */
  readonly enterSends: boolean;
  readonly sendsRead: boolean;
  readonly sendsTyping: boolean;
  readonly notifies: boolean;
  /** The text of a message stands in its notification. */
  readonly notifiesText: boolean;
  readonly sound: boolean;
}

export const DEFAULTS: Settings = {
  theme: "auto",
  contrast: "auto",
  density: "comfortable",
  accent: undefined,
  language: "auto",
  enterSends: true,
  sendsRead: true,
  sendsTyping: true,
  notifies: false,
  notifiesText: true,
  sound: true,
};

const KEPT = "klatsch.settings";
const CHOICES = {
  theme: ["auto", "light", "dark"],
  contrast: ["auto", "more"],
  density: ["comfortable", "compact"],
  language: ["auto", ...LANGUAGES],
} as const;

/** Settings out of what was kept; anything that does not fit is as if it were never chosen. */
export function parseSettings(kept: string | null): Settings {
  let json: unknown;
  try {
    json = JSON.parse(kept ?? "{}");
  } catch {
    return DEFAULTS;
  }
  if (typeof json !== "object" || json === null) return DEFAULTS;
  const given = json as Record<string, unknown>;
  const fits = ([name, value]: [string, unknown]) => {
    if (name === "accent") return typeof value === "string" && /^#[0-9a-f]{6}$/i.test(value);
    if (name in CHOICES) return (CHOICES[name as keyof typeof CHOICES] as readonly unknown[]).includes(value);
    return name in DEFAULTS && typeof value === "boolean";
  };
  return { ...DEFAULTS, ...Object.fromEntries(Object.entries(given).filter(fits)) };
}

/** The settings, and how they change. */
export class SettingsStore {
  current = $state.raw<Settings>(DEFAULTS);

  constructor() {
    this.current = parseSettings(localStorage.getItem(KEPT));
    // Another tab has changed them.
    addEventListener("storage", (event) => {
      if (event.key === KEPT) this.current = parseSettings(event.newValue);
    });
  }

  change(what: Partial<Settings>): void {
    this.current = { ...this.current, ...what };
    localStorage.setItem(KEPT, JSON.stringify(this.current));
  }
}
