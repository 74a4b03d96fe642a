import "fake-indexeddb/auto";
import { describe, expect, it } from "vitest";
import { conversationId, forgetTold, readTold, tellWorker, type Told } from "./names";
import { parsePushed, shown } from "./pushed";

const told: Told = {
  conversations: { abc: { jid: "anna@x", name: "Anna" } },
  title: "Acme",
  texts: { message: "{count} new", call: "Calls" },
};

describe("a push message", () => {
  it.each([null, "x", 3, [], {}, { kind: "message" }, { conversation: 1, kind: "message" }])("is not %j", (data) => {
    expect(parsePushed(data)).toBeUndefined();
  });
  it("becomes a notification of a conversation that is known", () => {
    const pushed = parsePushed({ conversation: "abc", kind: "message", count: 3 });
    expect(pushed && shown(pushed, told)).toEqual({ title: "Anna", body: "3 new", tag: "anna@x", jid: "anna@x", isCall: false });
  });
  it("says what there is to say of one that is not", () => {
    const pushed = parsePushed({ conversation: "?", kind: "call", count: -1, sender: "Bert", body: "B".repeat(1000) });
    expect(pushed && shown(pushed, told)).toEqual({ title: "Bert", body: "B".repeat(300), tag: "?", jid: undefined, isCall: true });
    expect(pushed && shown({ ...pushed, sender: undefined, body: undefined }, undefined)).toMatchObject({ title: "klatsch", body: "" });
  });
});

describe("what the worker is told", () => {
  it("is kept until it is forgotten", async () => {
    expect(await readTold()).toBeUndefined();
    await tellWorker(told);
    expect(await readTold()).toEqual(told);
    await forgetTold();
    expect(await readTold()).toBeUndefined();
  });
});

describe("what the server calls a conversation", () => {
  it("is a digest of both addresses", async () => {
    expect(await conversationId("anna@example.org", "bert@example.org")).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(await conversationId("a@x", "b@x")).not.toBe(await conversationId("b@x", "a@x"));
  });
});
