// Puts a choice of theme onto the page: attributes and the accent's custom properties.

import { hex, inkOn, parseHex, readableOn, type Rgb } from "./colour";

export type Theme = "auto" | "light" | "dark";
export type Contrast = "auto" | "more";
export type Density = "comfortable" | "compact";

export interface Look {
  readonly theme: Theme;
  readonly contrast: Contrast;
  readonly density: Density;
  /** In hex; the theme's own without one. */
  readonly accent: string | undefined;
}

/** The darkest or lightest ground that text in the accent's colour stands on, by theme. */
const GROUNDS = { light: "#ebe5dc", dark: "#2a2623" } as const;

const matches = (query: string) => globalThis.matchMedia?.(query).matches ?? false;

/** Shows the look; call again when the system's preference changes. */
export function apply(look: Look, root: HTMLElement = document.documentElement): void {
  const isDark = look.theme === "dark" || (look.theme === "auto" && matches("(prefers-color-scheme: dark)"));
  const isContrast = look.contrast === "more" || matches("(prefers-contrast: more)");
  root.dataset["theme"] = isDark ? "dark" : "light";
  root.dataset["contrast"] = isContrast ? "more" : "normal";
  root.dataset["density"] = look.density;
  const chosen = look.accent === undefined ? undefined : parseHex(look.accent);
  const properties = chosen ? accent(chosen, isDark ? "dark" : "light") : {};
  for (const name of ["--accent", "--accent-fill", "--on-accent"] as const) {
    const value = properties[name];
    if (value) root.style.setProperty(name, value);
    else root.style.removeProperty(name);
  }
}

/** The accent's properties: readable as text, and a ground whose ink is readable. */
export function accent(colour: Rgb, theme: "light" | "dark"): Partial<Record<string, string>> {
  const readable = readableOn(parseHex(GROUNDS[theme]) as Rgb, colour);
  return { "--accent": hex(readable), "--accent-fill": hex(readable), "--on-accent": hex(inkOn(readable)) };
}

/** Calls back when the system changes its mind about light, dark or contrast. */
export function onSystemChange(changed: () => void): () => void {
  const queries = ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"].map((query) => matchMedia(query));
  queries.forEach((query) => query.addEventListener("change", changed));
  return () => queries.forEach((query) => query.removeEventListener("change", changed));
}
