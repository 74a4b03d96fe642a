import { describe, expect, it } from "vitest";
import { around, drawn, DRAWN_MAX, moved, STEP } from "./window";

const many = (count: number) => Array.from({ length: count }, (_, at) => ({ key: `m${at}` }));

describe("what is drawn", () => {
  it("is everything of a short conversation", () => {
    expect(drawn([], undefined)).toEqual({ lo: 0, hi: 0 });
    expect(drawn(many(7), undefined)).toEqual({ lo: 0, hi: 7 });
    expect(moved(many(7), undefined, -STEP)).toBeUndefined();
  });
  it("is the newest of a long one, and goes with them", () => {
    expect(drawn(many(1000), undefined)).toEqual({ lo: 1000 - DRAWN_MAX, hi: 1000 });
    expect(drawn(many(1001), undefined)).toEqual({ lo: 1001 - DRAWN_MAX, hi: 1001 });
  });
  it("moves back to the oldest and forth to the newest", () => {
    const messages = many(300);
    let from = moved(messages, undefined, -STEP);
    expect(drawn(messages, from)).toEqual({ lo: 160, hi: 260 });
    for (let at = 0; at < 9; at += 1) from = moved(messages, from, -STEP);
    expect(drawn(messages, from)).toEqual({ lo: 0, hi: DRAWN_MAX });
    for (let at = 0; at < 9; at += 1) from = moved(messages, from, STEP);
    expect(from).toBeUndefined();
  });
  it("stays where it is when older ones come in front", () => {
    const from = moved(many(300), undefined, -100);
    const later = [...Array.from({ length: 50 }, (_, at) => ({ key: `old${at}` })), ...many(300)];
    expect(later[drawn(later, from).lo]).toEqual({ key: from });
  });
  it("is around a message, and the newest when it is gone", () => {
    const messages = many(500);
    const { lo, hi } = drawn(messages, around(messages, "m200"));
    expect([lo, hi]).toEqual([150, 250]);
    expect(drawn(messages, "gone")).toEqual({ lo: 400, hi: 500 });
    expect(around(messages, "m499")).toBeUndefined();
  });
});
