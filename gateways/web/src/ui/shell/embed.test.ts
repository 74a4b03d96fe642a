import { describe, expect, it } from "vitest";
import { parseCommand } from "./embed";

describe("what the page around says", () => {
  it("is a command or nothing", () => {
    expect(parseCommand({ klatsch: 1, type: "open", jid: "Anna@x" })).toEqual({ type: "open", jid: "anna@x" });
    expect(parseCommand({ klatsch: 1, type: "look", theme: "dark", accent: "#00ff00" })).toEqual({ type: "look", theme: "dark", accent: "#00ff00" });
    expect(parseCommand({ klatsch: 1, type: "look", theme: "pink", accent: "url(x)" })).toEqual({ type: "look", theme: undefined, accent: undefined });
  });
  it.each([null, 3, "open", {}, { type: "open", jid: "a@b" }, { klatsch: 1 }, { klatsch: 1, type: "open" }, { klatsch: 1, type: "open", jid: "javascript:x" }, { klatsch: 1, type: "eval", jid: "a@b" }])(
    "%j is nothing",
    (data) => expect(parseCommand(data)).toBeUndefined(),
  );
});
