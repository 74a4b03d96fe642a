import { describe, expect, it } from "vitest";
import type { Call, Ending } from "./call";
import { noted } from "./history";
import type { Noted } from "./history";
import { ring } from "./machine";

const PEER = "juliet@capulet.example";
const call = ring({ sid: "s", me: "romeo@x/y", peer: PEER, isContact: true, hasVideo: true, at: 1000 }, `${PEER}/phone`, false).call;

function over(ending: Ending, more: Partial<Call> = {}): Noted | undefined {
  return noted({ ...call, phase: "ended", ending, endedAt: 61_400, ...more });
}

describe("a call that is over, as an entry", () => {
  it("says how it went, and how long", () => {
    expect(over("hung-up", { activeAt: 1400 })).toEqual({
      entry: { id: "s", hasVideo: true, outcome: "answered", duration: 60 },
      peer: PEER,
      at: 1000,
      isMine: false,
    });
  });

  it.each([
    ["missed", "missed"],
    ["declined", "declined"],
    ["elsewhere", "answered-elsewhere"],
    ["declined-elsewhere", "declined"],
    ["no-answer", "cancelled"],
    ["cancelled", "cancelled"],
    ["no-media", "failed"],
    ["no-connection", "failed"],
    ["connection-lost", "failed"],
    ["hung-up", "failed"],
  ] satisfies [Ending, string][])("without media: %s is %s", (ending, outcome) => {
    expect(over(ending)?.entry).toMatchObject({ outcome, duration: undefined });
  });

  it("is none where another call took its place", () => {
    expect(over("tie-break")).toBeUndefined();
    expect(over("migrated")).toBeUndefined();
  });
});
