import { describe, expect, it } from "vitest";
import { address, domain, initials, localpart, matches } from "./names";

describe("initials", () => {
  it.each([
    ["Anna", "A"], ["anna becker", "AB"], ["Anna-Maria von Becker", "AB"], ["élodie", "É"], ["李小龙", "李"],
    ["🦊", "🦊"], ["", "?"], ["  ", "?"], ["#general", "G"],
  ])("of %j are %j", (name, letters) => expect(initials(name)).toBe(letters));
});

describe("addresses", () => {
  it("are completed with the own domain", () => {
    expect(address("anna", "example.org")).toBe("anna@example.org");
    expect(address(" xmpp:Anna@Other.test?message ", "example.org")).toBe("anna@other.test");
  });
  it.each(["", "a b", "a@b@c", "@x", "a/b", "<x>"])("are not made of %j", (typed) => {
    expect(address(typed, "example.org")).toBeUndefined();
  });
  it("come apart", () => {
    expect([localpart("a@b/c"), domain("a@b/c@d"), localpart("b"), domain("b")]).toEqual(["a", "b", "b", "b"]);
  });
});

describe("finding by name", () => {
  it("takes beginnings of words in any order, without accents", () => {
    expect(matches("beck an", "Anna Becker", "anna@x")).toBe(true);
    expect(matches("zoe", "Zoë")).toBe(true);
    expect(matches("example", "Anna", "anna@chat.example.org")).toBe(true);
    expect(matches("", "x")).toBe(true);
    expect(matches("otto", "Anna")).toBe(false);
  });
});
