// Colours: consistent ones for names (XEP-0392 version 1.0.0), and an accent that can be read on
// whatever it stands on (WCAG 2.2, 1.4.3).

import { sha1 } from "./sha1";

/** Red, green and blue from 0 to 1. */
export type Rgb = readonly [number, number, number];

/** The angle of a name in degrees (XEP-0392 §5.1). */
export function angle(name: string): number {
  const digest = sha1(new TextEncoder().encode(name));
  return (((digest[0] ?? 0) + (digest[1] ?? 0) * 256) / 65_536) * 360;
}

// HSLuv: the hue and lightness of CIELUV, with saturation as a share of what sRGB can show.
const M: readonly Rgb[] = [
  [3.240969941904521, -1.537383177570093, -0.498610760293],
  [-0.96924363628087, 1.87596750150772, 0.041555057407175],
  [0.055630079696993, -0.20397695888897, 1.056971514242878],
];
const REF_U = 0.19783000664283;
const REF_V = 0.46831999493879;
const KAPPA = 903.2962962962963;
const EPSILON = 0.0088564516790356;

/** The longest chroma at this lightness and hue that sRGB can show. */
function chromaMax(lightness: number, hue: number): number {
  const radians = (hue / 360) * 2 * Math.PI;
  const sub1 = (lightness + 16) ** 3 / 1_560_896;
  const sub2 = sub1 > EPSILON ? sub1 : lightness / KAPPA;
  let most = Infinity;
  for (const [m1, m2, m3] of M) {
    for (const t of [0, 1]) {
      const top1 = (284_517 * m1 - 94_839 * m3) * sub2;
      const top2 = (838_422 * m3 + 769_860 * m2 + 731_718 * m1) * lightness * sub2 - 769_860 * t * lightness;
      const bottom = (632_260 * m3 - 126_452 * m2) * sub2 + 126_452 * t;
      const length = top2 / bottom / (Math.sin(radians) - (top1 / bottom) * Math.cos(radians));
      if (length >= 0) most = Math.min(most, length);
    }
  }
  return most;
}

/** HSLuv to sRGB; hue in degrees, saturation and lightness from 0 to 100. */
export function hsluv(hue: number, saturation: number, lightness: number): Rgb {
  const chroma = (chromaMax(lightness, hue) / 100) * saturation;
  const radians = (hue / 360) * 2 * Math.PI;
  const u = (Math.cos(radians) * chroma) / (13 * lightness) + REF_U;
  const v = (Math.sin(radians) * chroma) / (13 * lightness) + REF_V;
  const y = lightness > 8 ? ((lightness + 16) / 116) ** 3 : lightness / KAPPA;
  const x = (9 * y * u) / (4 * v);
  const z = (9 * y - 15 * v * y - v * x) / (3 * v);
  const channel = ([m1, m2, m3]: Rgb) => clamp(gamma(m1 * x + m2 * y + m3 * z));
  return [channel(M[0] as Rgb), channel(M[1] as Rgb), channel(M[2] as Rgb)];
}

const gamma = (value: number) =>
  value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
const linear = (value: number) =>
  value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const clamp = (value: number) => Math.min(1, Math.max(0, value));

export function hex([red, green, blue]: Rgb): string {
  const two = (value: number) => Math.round(value * 255).toString(16).padStart(2, "0");
  return `#${two(red)}${two(green)}${two(blue)}`;
}

/** `#rgb` or `#rrggbb`; undefined for anything else. */
export function parseHex(text: string): Rgb | undefined {
  const short = /^#([0-9a-f])([0-9a-f])([0-9a-f])$/i.exec(text.trim());
  const long = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text.trim());
  const parts = short ? short.slice(1).map((part) => part + part) : long?.slice(1);
  if (!parts) return undefined;
  const [red = 0, green = 0, blue = 0] = parts.map((part) => parseInt(part, 16) / 255);
  return [red, green, blue];
}

/** Relative luminance (WCAG). */
export function luminance([red, green, blue]: Rgb): number {
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

/** Contrast ratio (WCAG), from 1 to 21. */
export function contrast(one: Rgb, other: Rgb): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/** What text needs (WCAG 1.4.3), and a hair more for rounding to hex. */
const READABLE = 4.6;

/** The colour, darkened or lightened until it can be read on the ground. */
export function readableOn(ground: Rgb, colour: Rgb): Rgb {
  const towards = luminance(ground) > 0.18 ? 0 : 1;
  for (let share = 0; share <= 1; share += 0.04) {
    const mixed = colour.map((value) => value + (towards - value) * share) as unknown as Rgb;
    if (contrast(mixed, ground) >= READABLE) return mixed;
  }
  return [towards, towards, towards];
}

/** White or black, whichever is read better: one of them always has 4.58 to 1. */
export function inkOn(colour: Rgb): Rgb {
  const white: Rgb = [1, 1, 1];
  const black: Rgb = [0, 0, 0];
  return contrast(white, colour) >= contrast(black, colour) ? white : black;
}

const cache = new Map<string, { light: string; dark: string; fill: string }>();
/** Names whose colours are remembered; a large room has fewer. */
const CACHE_MAX = 5_000;

/** A name's colours: as text on light and on dark grounds, and as a fill under white letters. */
export function colours(name: string): { light: string; dark: string; fill: string } {
  const known = cache.get(name);
  if (known) return known;
  const hue = angle(name);
  const made = {
    light: hex(hsluv(hue, 85, 41)),
    dark: hex(hsluv(hue, 80, 74)),
    fill: hex(hsluv(hue, 62, 45)),
  };
  if (cache.size >= CACHE_MAX) cache.clear();
  cache.set(name, made);
  return made;
}
