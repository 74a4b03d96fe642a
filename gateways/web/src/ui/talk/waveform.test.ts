import { describe, expect, it } from "vitest";
import { barsPath, peaks } from "./waveform";

describe("a waveform", () => {
  it("has the loudest of each part, measured by the loudest of all", () => {
    expect(peaks([0, 0.1, -0.4, 0.2, 0, 0], 3)).toEqual([0.25, 1, 0]);
  });
  it("is flat where nothing is to be heard, and where there is nothing", () => {
    expect(peaks([0.001, -0.002], 2)).toEqual([0, 0]);
    expect(peaks([], 4)).toEqual([0, 0, 0, 0]);
  });
  it("shows every bar, however quiet", () => {
    expect(barsPath([0, 1], 20)).toBe("M2 9.3v1.5M6 1.5v17.0");
  });
});
