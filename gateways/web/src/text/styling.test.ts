import { describe, expect, it } from "vitest";
import { isEmojiOnly, parse, plain, safe, type Block, type Span } from "./styling";

const text = (value: string): Span => ({ kind: "text", text: value });
const line = (...spans: Span[]): Block => ({ kind: "line", spans });
const strong = (...spans: Span[]): Span => ({ kind: "strong", spans });

describe("spans (XEP-0393 §5.2, §6)", () => {
  it("styles strong, emphasis, strike and code", () => {
    expect(parse("*a* _b_ ~c~ `d`")).toEqual([
      line(
        strong(text("a")), text(" "),
        { kind: "emphasis", spans: [text("b")] }, text(" "),
        { kind: "strike", spans: [text("c")] }, text(" "),
        { kind: "code", text: "d" },
      ),
    ]);
  });
  it("matches lazily", () => {
    expect(parse("*strong*plain*")).toEqual([line(strong(text("strong")), text("plain*"))]);
    expect(parse("* plain *strong*")).toEqual([line(text("* plain "), strong(text("strong")))]);
  });
  it.each(["not strong*", "*not strong", "*not \n strong", "*not *strong", "**", "***", "****", "a*b*c", "* a *", "2 * 3 * 4"])(
    "leaves %j alone",
    (body) => {
      const flat = JSON.stringify(parse(body));
      expect(flat).not.toContain('"strong","spans"');
    },
  );
  it("nests different styles, and none within code", () => {
    expect(parse("*_a_*")).toEqual([line(strong({ kind: "emphasis", spans: [text("a")] }))]);
    expect(parse("`*a*`")).toEqual([line({ kind: "code", text: "*a*" })]);
  });
  it("does not style a message marked as unstyled", () => {
    expect(plain("*a*\n> b")).toEqual([line(text("*a*")), line(text("> b"))]);
  });
});

describe("blocks (§5.1)", () => {
  it("makes preformatted blocks, also open ones", () => {
    expect(parse("```rust\nlet *a* = 1;\n```\nb")).toEqual([
      { kind: "pre", language: "rust", text: "let *a* = 1;" },
      line(text("b")),
    ]);
    expect(parse("```\nopen")).toEqual([{ kind: "pre", language: "", text: "open" }]);
  });
  it("nests quotations, and bounds how deep", () => {
    expect(parse("> a\n>> b\nc")).toEqual([
      { kind: "quote", blocks: [line(text("a")), { kind: "quote", blocks: [line(text("b"))] }] },
      line(text("c")),
    ]);
    expect(() => parse(">".repeat(100_000))).not.toThrow();
  });
});

describe("links", () => {
  it("finds web addresses and leaves the sentence its punctuation", () => {
    expect(parse("See https://example.org/a_(b), ok")).toEqual([
      line(text("See "), { kind: "link", text: "https://example.org/a_(b)", href: "https://example.org/a_(b)" }, text(", ok")),
    ]);
  });
  it.each(["javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "blob:https://a/b", "https://", "xmpp:"])(
    "never makes a link of %s",
    (body) => {
      expect(safe(body)).toBeUndefined();
      expect(JSON.stringify(parse(body))).not.toContain('"link"');
    },
  );
});

describe("mentions", () => {
  const mentions = { names: ["Anna", "Anna Maria", "böb"], self: "Anna" };
  it("finds names after @ and at the beginning", () => {
    expect(parse("@Anna Maria and @anna!", mentions)).toEqual([
      line({ kind: "mention", text: "@Anna Maria", self: false }, text(" and "), { kind: "mention", text: "@anna", self: true }, text("!")),
    ]);
    expect(parse("böb: hi", mentions)).toEqual([line({ kind: "mention", text: "böb", self: false }, text(": hi"))]);
  });
  it("does not find them in other words", () => {
    expect(parse("mail@annabell, @Annabell", mentions)).toEqual([line(text("mail@annabell, @Annabell"))]);
  });
});

describe("large emoji", () => {
  it.each(["🙂", "👍🏽", "👨‍👩‍👧", "🇨🇭", "❤️ 🎉"])("%s is", (body) => expect(isEmojiOnly(body)).toBe(true));
  it.each(["", " ", "a🙂", "1", "12", "#", "🙂".repeat(13)])("%j is not", (body) => expect(isEmojiOnly(body)).toBe(false));
});
