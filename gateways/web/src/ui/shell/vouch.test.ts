import { describe, expect, it, vi } from "vitest";
import { listenToVoucher, parseWord, type Scope, tellGuarantor } from "./vouch";

const MAIL = "https://mail.example.org";
const TOKEN = { klatsch: 1, type: "token", token: "aB3-_.~+/9==", jid: "John.Doe@Example.org" };
const VOUCHED = { jid: "john.doe@example.org", token: "aB3-_.~+/9==" };

/** A frame in a page: what it says, and how it hears. */
function frame() {
  const said: unknown[] = [];
  const parent = { postMessage: (data: unknown) => void said.push(data) } as Scope["parent"];
  let heard: Parameters<Scope["addEventListener"]>[1] = () => {};
  const scope: Scope = { parent, addEventListener: (_, hear) => (heard = hear) };
  const hear = (data: unknown, origin = MAIL, source: unknown = parent) => heard({ data, origin, source: source as Window });
  return { scope, said, hear };
}

describe("the page around", () => {
  it("vouches with an address and a token", () => {
    expect(parseWord(TOKEN)).toEqual({ type: "token", vouched: VOUCHED });
    expect(parseWord({ klatsch: 1, type: "leave", jid: 3 })).toEqual({ type: "leave" });
  });

  it.each([
    null, "token", {}, { ...TOKEN, klatsch: 2 }, { ...TOKEN, jid: "" }, { ...TOKEN, jid: 3 }, { ...TOKEN, jid: "<b>" },
    { ...TOKEN, token: "" }, { ...TOKEN, token: "a\u0001b" }, { ...TOKEN, token: "a b" }, { ...TOKEN, token: "a".repeat(4_097) },
    { ...TOKEN, type: "eval" },
  ])("says nothing with %j", (data) => expect(parseWord(data)).toBeUndefined());

  it("is asked, and its answer taken", async () => {
    const { scope, said, hear } = frame();
    const ask = listenToVoucher([MAIL], async () => {}, scope);
    const answer = ask();
    expect(said).toEqual([{ klatsch: 1, type: "token" }]);
    hear(TOKEN);
    expect(await answer).toEqual(VOUCHED);
  });

  it("answers whoever asked last", async () => {
    const { scope, hear } = frame();
    const ask = listenToVoucher([MAIL], async () => {}, scope);
    const given = vi.fn();
    void ask().then(given);
    const answer = ask();
    hear(TOKEN);
    expect(await answer).toEqual(VOUCHED);
    expect(given).not.toHaveBeenCalled();
  });

  it("h12_is heard from an origin that the server names, and from the parent alone", async () => {
    const { scope, hear } = frame();
    const leave = vi.fn(async () => {});
    const given = vi.fn();
    void listenToVoucher([MAIL], leave, scope)().then(given);
    for (const word of [TOKEN, { klatsch: 1, type: "leave" }]) {
      hear(word, "https://mail.example.org.evil.example");
      hear(word, "null");
      hear(word, MAIL, {});
      hear(word, MAIL, null);
    }
    await Promise.resolve();
    expect(given).not.toHaveBeenCalled();
    expect(leave).not.toHaveBeenCalled();
  });

  it("alone is told how people are, at the origin that has vouched", () => {
    const posted: unknown[] = [];
    const parent = { postMessage: (...all: unknown[]) => void posted.push(all) } as unknown as Scope["parent"];
    const { scope, hear } = frame();
    void listenToVoucher(["https://other.example.org", MAIL], async () => {}, scope)();
    hear(TOKEN, "https://evil.example");
    hear(TOKEN, MAIL);
    tellGuarantor({ type: "presence", presence: {} }, { parent });
    expect(posted).toEqual([[{ klatsch: 1, type: "presence", presence: {} }, MAIL]]);
  });

  it("is told when everything is forgotten", async () => {
    const { scope, said, hear } = frame();
    const leave = vi.fn(async () => {});
    listenToVoucher([MAIL], leave, scope);
    hear({ klatsch: 1, type: "leave" });
    await vi.waitFor(() => expect(said).toEqual([{ klatsch: 1, type: "left" }]));
    expect(leave).toHaveBeenCalledOnce();
  });
});
