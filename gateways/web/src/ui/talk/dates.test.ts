import { describe, expect, it } from "vitest";
import { fromInput, toInput } from "./dates";

describe("a day in a field", () => {
  it("is the day here, whatever the hour", () => {
    expect(toInput(new Date(2026, 0, 5, 0, 0).getTime())).toBe("2026-01-05");
    expect(toInput(new Date(2026, 11, 31, 23, 59).getTime())).toBe("2026-12-31");
  });
  it("begins with its first moment here, when the clocks change, too", () => {
    for (const text of ["2026-01-05", "2026-03-29", "2026-10-25", "2024-02-29"]) {
      const at = fromInput(text) ?? 0;
      expect(toInput(at)).toBe(text);
      expect(new Date(at).getHours()).toBe(0);
    }
  });
  it.each(["", "yesterday", "2026-13-01", "2026-02-31", "26-01-01"])("is not %j", (text) => {
    expect(fromInput(text)).toBeUndefined();
  });
});
