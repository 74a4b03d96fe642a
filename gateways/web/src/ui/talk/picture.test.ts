import { describe, expect, it } from "vitest";
import { box, isOwnHost } from "./picture";

describe("a picture's box", () => {
  it("keeps the proportions within the largest, and never vanishes", () => {
    expect(box(3400, 1700)).toEqual({ width: 340, height: 170 });
    expect(box(100, 3200)).toEqual({ width: 96, height: 320 });
    expect(box(120, 100)).toEqual({ width: 120, height: 100 });
  });
  it.each([[undefined, 3], [0, 0], [NaN, 1], [-5, 10]])("is known for %j by %j", (width, height) => {
    expect(box(width, height)).toEqual({ width: 260, height: 195 });
  });
});

describe("whose host it is", () => {
  const page = new URL("https://chat.example.org/");
  it.each([
    ["https://chat.example.org:5443/upload/a.png", true],
    ["https://upload.example.org/a.png", true],
    ["https://example.org.evil.test/a.png", false],
    ["https://evilexample.org/a.png", false],
    ["http://[", false],
  ])("of %s: ours is %j", (url, ours) => expect(isOwnHost(url, page, ["example.org"])).toBe(ours));
});
