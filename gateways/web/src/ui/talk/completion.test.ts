import { describe, expect, it } from "vitest";
import { complete, mentionsFor, token } from "./completion";

describe("the token before the cursor", () => {
  it.each([
    ["@", { kind: "mention", from: 0, typed: "" }],
    ["hi @an", { kind: "mention", from: 3, typed: "an" }],
    ["hi :smi", { kind: "emoji", from: 3, typed: "smi" }],
  ])("of %j", (text, expected) => expect(token(text, text.length)).toEqual(expected));
  it.each(["a@b", "12:30", "http://x", ":s", "@a b", ""])("is none of %j", (text) => {
    expect(token(text, text.length)).toBeUndefined();
  });
  it("looks only as far as the cursor", () => {
    expect(token("@anna", 3)).toEqual({ kind: "mention", from: 0, typed: "an" });
  });
});

describe("names", () => {
  it("that begin so come first", () => {
    const names = mentionsFor("an", ["Jo Anders", "Zoë", "Anna", "Ánton"]).map(({ label }) => label);
    expect(names).toEqual(["Anna", "Ánton", "Jo Anders"]);
  });
  it("take the token's place", () => {
    const at = token("hi @an there", 6);
    expect(at && complete("hi @an there", 6, at, "@Anna ")).toEqual({ text: "hi @Anna there", cursor: 8 });
  });
});
