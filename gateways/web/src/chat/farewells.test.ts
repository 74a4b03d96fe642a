// Signing out, and what the server is told of it, at once or later.

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeLink } from "../xmpp/fake_link";
import { prepareFarewell } from "../xmpp/invalidation";
import { assemble } from "./create.svelte";
import { Farewells } from "./farewells";
import { ME, settle, signedIn, storages, until } from "./testkit";

const KEY = "klatsch.farewells";
const DAY_MS = 24 * 3_600_000;

describe("signing out", () => {
  it("has the token forgotten, once for all tabs", async () => {
    const one = await signedIn();
    one.link.leave({ token: "token-1" });
    await one.chat.signOut();
    expect(one.link.farewells).toHaveLength(1);
    const other = await signedIn();
    other.link.leave({ token: "token-1" });
    await other.chat.signedOutElsewhere();
    expect([other.link.farewells, other.chat.state]).toEqual([[], "signed-out"]);
  });

  it("forgets the newest token, which another tab may have been given", async () => {
    const kept = storages();
    const { chat, link } = await signedIn({ storages: kept });
    link.leave({ token: "token-1" });
    const agent = kept.local.getItem("klatsch.agent") ?? "";
    kept.local.setItem("klatsch.session", JSON.stringify({ jid: ME, token: "token-2", isPublic: false }));
    await chat.signOut();
    expect(link.farewells).toEqual([await prepareFarewell(ME, agent, "token-2")]);
  });

  it("without a connection keeps only what is needed, tells it on the next visit, and erases it", async () => {
    const kept = storages();
    const { chat, link } = await signedIn({ storages: kept });
    link.leave({ token: "token-1" });
    const agent = kept.local.getItem("klatsch.agent") ?? "";
    link.isReachable = false;
    link.goOffline();
    await chat.signOut();
    expect([chat.state, link.farewells]).toEqual(["signed-out", []]);
    expect([kept.local.length, kept.session.length]).toEqual([1, 0]);
    const wanted = await prepareFarewell(ME, agent, "token-1");
    expect(JSON.parse(kept.local.getItem(KEY) ?? "")).toEqual([{ ...wanted, until: expect.any(Number) }]);
    // Another visit, at first without a network, too.
    const later = new FakeLink();
    later.isReachable = false;
    const next = assemble(later, { url: "ws://localhost/ws", domain: "montague.example" }, { storages: kept, databases: undefined, tab: "t" });
    await next.sayFarewells();
    expect(kept.local.length).toBe(1);
    later.isReachable = true;
    await next.sayFarewells();
    expect([later.farewells, kept.local.length]).toEqual([[wanted], 0]);
  });

  it("on a public computer leaves nothing behind the tab", async () => {
    const kept = storages();
    const link = new FakeLink();
    link.isReachable = false;
    const chat = assemble(link, { url: "ws://localhost/ws", domain: "montague.example" }, { storages: kept, databases: undefined, tab: "t" });
    await chat.signIn({ user: "romeo", password: "secret", isPublicComputer: true });
    link.leave({ token: "token-1" });
    await chat.signOut();
    expect(kept.local.length).toBe(0);
    expect(kept.session.getItem(KEY)).toContain("message");
  });

  it("is told to the server as soon as somebody signs in here again", async () => {
    const kept = storages();
    const { chat, link } = await signedIn({ storages: kept });
    link.leave({ token: "token-1" });
    link.isReachable = false;
    await chat.signOut();
    link.isReachable = true;
    await chat.signIn({ user: "romeo", password: "secret" });
    await until(() => link.farewells.length === 1);
    await settle();
    expect(kept.local.getItem(KEY)).toBeNull();
  });
});

describe("what waits for the server", () => {
  const farewell = (message: string) => ({ domain: "montague.example", agent: "a", message });

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("is tried again while the page is open", async () => {
    const kept = storages();
    const invalidate = vi.fn().mockRejectedValueOnce(new Error("no answer")).mockResolvedValue(false);
    const farewells = new Farewells(kept, invalidate);
    farewells.add(farewell("1"), false);
    await farewells.tell();
    expect([invalidate.mock.calls.length, kept.local.length]).toEqual([1, 1]);
    await vi.advanceTimersByTimeAsync(60_000);
    // What the server knows no more is done with.
    expect([invalidate.mock.calls.length, kept.local.length]).toEqual([2, 0]);
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    expect(invalidate.mock.calls.length).toBe(2);
  });

  it("is erased untold after a month", async () => {
    const kept = storages();
    const invalidate = vi.fn().mockRejectedValue(new Error("no answer"));
    const farewells = new Farewells(kept, invalidate);
    farewells.add(farewell("1"), false);
    vi.setSystemTime(Date.now() + 31 * DAY_MS);
    await farewells.tell();
    expect([invalidate.mock.calls.length, kept.local.length]).toEqual([0, 0]);
  });

  it("is bounded, and what is no farewell is nothing", async () => {
    const kept = storages();
    const invalidate = vi.fn().mockRejectedValue(new Error("no answer"));
    const farewells = new Farewells(kept, invalidate);
    for (const broken of ["{", "1", "[1,null,{}]"]) {
      kept.local.setItem(KEY, broken);
      await farewells.tell();
      expect([invalidate.mock.calls.length, kept.local.length], broken).toEqual([0, 0]);
    }
    for (let count = 0; count < 20; count += 1) farewells.add(farewell(`${count}`), false);
    const messages = (JSON.parse(kept.local.getItem(KEY) ?? "") as { message: string }[]).map((it) => it.message);
    expect(messages).toEqual(["12", "13", "14", "15", "16", "17", "18", "19"]);
  });
});
