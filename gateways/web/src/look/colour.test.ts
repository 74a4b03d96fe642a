import { describe, expect, it } from "vitest";
import { angle, colours, contrast, hsluv, inkOn, parseHex, readableOn, type Rgb } from "./colour";
import { sha1 } from "./sha1";

const hexOf = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

describe("SHA-1", () => {
  it("gives the digests of RFC 3174", () => {
    const digest = (text: string) => hexOf(sha1(new TextEncoder().encode(text)));
    expect(digest("abc")).toBe("a9993e364706816aba3e25717850c26c9cd0d89d");
    expect(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")).toBe(
      "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
    );
    expect(digest("")).toBe("da39a3ee5e6b4b0d3255bfef95601890afd80709");
  });
});

describe("consistent colours", () => {
  // XEP-0392 §13.2.
  it.each([
    ["Romeo", 327.255249],
    ["juliet@capulet.lit", 209.410400],
    ["😺", 331.199341],
    ["council", 359.994507],
  ])("gives %s its angle", (name, degrees) => {
    expect(angle(name)).toBeCloseTo(degrees, 4);
  });

  it("gives the colours of the specification at its saturation and lightness", () => {
    const near = (name: string, [red, green, blue]: Rgb) => {
      const made = hsluv(angle(name), 100, 50);
      expect(made[0]).toBeCloseTo(red, 2);
      expect(made[1]).toBeCloseTo(green, 2);
      expect(made[2]).toBeCloseTo(blue, 2);
    };
    near("Romeo", [0.865, 0, 0.686]);
    near("juliet@capulet.lit", [0, 0.515, 0.573]);
    near("😺", [0.872, 0, 0.659]);
    near("council", [0.918, 0, 0.394]);
  });

  it("can be read on light and dark grounds, and under white letters", () => {
    const light = parseHex("#ffffff") as Rgb;
    const dark = parseHex("#2b2723") as Rgb;
    for (let at = 0; at < 300; at += 1) {
      const made = colours(`person${at}@example.org`);
      expect(contrast(parseHex(made.light) as Rgb, light)).toBeGreaterThan(4.5);
      expect(contrast(parseHex(made.dark) as Rgb, dark)).toBeGreaterThan(4.5);
      expect(contrast(parseHex(made.fill) as Rgb, light)).toBeGreaterThan(4.5);
    }
  });
});

describe("an accent", () => {
  it.each(["#ffff00", "#000000", "#ffffff", "#3a86ff", "#8a3b12", "#777777"])("%s becomes readable on any ground", (text) => {
    for (const ground of ["#ffffff", "#f4f1ec", "#191715", "#000000", "#2b2723"]) {
      const on = parseHex(ground) as Rgb;
      const made = readableOn(on, parseHex(text) as Rgb);
      expect(contrast(made, on)).toBeGreaterThanOrEqual(4.5);
      expect(contrast(inkOn(made), made)).toBeGreaterThanOrEqual(4.5);
    }
  });

  it("is a colour in hex or none", () => {
    expect(parseHex("#fff")).toEqual([1, 1, 1]);
    expect(parseHex("red")).toBeUndefined();
    expect(parseHex("#12345")).toBeUndefined();
    expect(parseHex("#123456;}")).toBeUndefined();
  });
});
