import { describe, expect, it } from "vitest";
import { neighbour } from "./shortcuts";

const list = [
  { jid: "a", unread: 0 }, { jid: "b", unread: 2 }, { jid: "c", unread: 0 }, { jid: "d", unread: 1 },
];

describe("the neighbouring conversation", () => {
  it("goes round", () => {
    expect(neighbour(list, "a", 1, false)).toBe("b");
    expect(neighbour(list, "d", 1, false)).toBe("a");
    expect(neighbour(list, "a", -1, false)).toBe("d");
  });
  it("begins at the ends when none is open", () => {
    expect(neighbour(list, undefined, 1, false)).toBe("a");
    expect(neighbour(list, undefined, -1, false)).toBe("d");
  });
  it("skips what is read, if asked", () => {
    expect(neighbour(list, "b", 1, true)).toBe("d");
    expect(neighbour(list, "d", 1, true)).toBe("b");
    expect(neighbour([{ jid: "a", unread: 3 }], "a", 1, true)).toBeUndefined();
    expect(neighbour([], undefined, 1, false)).toBeUndefined();
  });
});
