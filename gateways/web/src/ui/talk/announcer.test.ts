import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Message } from "../../chat/model";
import { Announcer } from "./announcer";

const message = (at: number, name: string, body: string, isMe = false): Message =>
  ({ at, body, sender: { name, isMe }, notice: undefined }) as unknown as Message;

describe("what is new", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is said once it has been quiet for a moment, together", () => {
    const said: string[] = [];
    const announcer = new Announcer(10, (text) => said.push(text));
    expect(announcer.look([message(10, "Anna", "old"), message(11, "Anna", "one")]).length).toBe(1);
    expect(announcer.look([message(11, "Anna", "one"), message(12, "Bert", "two")]).length).toBe(1);
    expect(said).toEqual([]);
    vi.runAllTimers();
    expect(said.length).toBe(1);
    expect(said[0]).toMatch(/2 .*Anna.*Bert/);
    announcer.look([message(13, "Bert", "three")]);
    vi.runAllTimers();
    expect(said[1]).toMatch(/Bert.*three/);
  });

  it("is neither what we write nor what history brings, and nothing after the end", () => {
    const said: string[] = [];
    const announcer = new Announcer(10, (text) => said.push(text));
    expect(announcer.look([message(1, "Anna", "long ago"), message(11, "Me", "mine", true)])).toEqual([]);
    announcer.look([message(12, "Anna", "too late")]);
    announcer.end();
    vi.runAllTimers();
    expect(said).toEqual([]);
  });
});
