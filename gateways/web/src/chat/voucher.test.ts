import { IDBFactory } from "fake-indexeddb";
import { describe, expect, it, vi } from "vitest";
import type { Credentials } from "../xmpp/link";
import { FakeLink } from "../xmpp/fake_link";
import { assemble } from "./create.svelte";
import { ME, storages } from "./testkit";
import { bearerOf, type Vouched } from "./voucher";

describe("tokens of whoever vouches", () => {
  const john = (token: string): Vouched => ({ jid: "john@x", token });

  it("are used once each", async () => {
    const ask = vi.fn(async () => john("second"));
    const bearer = bearerOf(john("first"), ask);
    expect(await bearer()).toBe("first");
    expect(ask).not.toHaveBeenCalled();
    expect(await bearer()).toBe("second");
  });

  it("log nobody else in where somebody is shown", async () => {
    const bearer = bearerOf(john("first"), async () => ({ jid: "jane@x", token: "hers" }));
    await bearer();
    await expect(bearer()).rejects.toThrow("somebody else");
  });
});

describe("a chat that is vouched for", () => {
  /** A link that notes what it is to connect with. */
  class NotingLink extends FakeLink {
    readonly asked: Credentials[] = [];
    override async connect(credentials: Credentials): Promise<void> {
      this.asked.push(credentials);
    }
  }
  const page = (databases: IDBFactory, there = storages()) => {
    const link = new NotingLink();
    const chat = assemble(link, { url: "wss://x/ws", domain: "montague.example" }, { storages: there, databases, tab: "t" });
    return { link, chat, there };
  };

  it("waits without a door until it is, and keeps no secret", async () => {
    const { link, chat, there } = page(new IDBFactory());
    let vouch: (it: Vouched) => void = () => {};
    const entered = chat.enter(() => new Promise((resolve) => (vouch = resolve)));
    expect(chat.state).toBe("vouching");
    expect(link.asked).toEqual([]);
    vouch({ jid: ME, token: "once" });
    await entered;
    expect(chat.state).toBe("restoring");
    expect(link.asked).toMatchObject([{ jid: ME, url: "wss://x/ws" }]);
    expect(await link.asked[0]?.bearer?.()).toBe("once");
    for (const storage of [there.local, there.session]) {
      for (let at = 0; at < storage.length; at += 1) expect(storage.getItem(storage.key(at) ?? "")).not.toContain("once");
    }
  });

  it("forgets what another guest of this browser has left", async () => {
    const databases = new IDBFactory();
    const { chat, there } = page(databases);
    await chat.enter(async () => ({ jid: "other@montague.example", token: "a" }));
    const names = async () => (await databases.databases()).map(({ name }) => name);
    expect(await names()).toContain("klatsch:other@montague.example");
    // Nobody has signed out: the webmail's session was over.
    await page(databases, there).chat.enter(async () => ({ jid: ME, token: "b" }));
    expect(await names()).toEqual([`klatsch:${ME}`]);
  });
});
