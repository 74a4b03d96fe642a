import { describe, expect, it } from "vitest";
import { DEFAULTS, parseSettings } from "./settings.svelte";

describe("kept settings", () => {
  it.each([null, "", "{", "null", "[]", "7", '"x"'])("%j are as good as none", (kept) => {
    expect(parseSettings(kept)).toEqual(DEFAULTS);
  });
  it("are taken one by one where they fit", () => {
    const kept = JSON.stringify({
      theme: "dark", density: "huge", accent: "#00ff00", language: "de", sound: false, notifies: "yes", evil: true,
    });
    expect(parseSettings(kept)).toEqual({ ...DEFAULTS, theme: "dark", accent: "#00ff00", language: "de", sound: false });
  });
});
