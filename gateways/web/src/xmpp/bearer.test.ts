import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MemoryStorage, until } from "../chat/testkit";
import { FakeServer } from "./fake_server";
import type { Secret } from "./link";
import { SessionStore } from "./session_store";
import { StropheLink } from "./strophe_link";
import { serialize } from "./xml";

const AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770";

describe("a login with a token that somebody has asked for in our name (RFC 7628)", () => {
  let server: FakeServer;
  let link: StropheLink;
  let secrets: Secret[];
  let failures: string[];
  let given: string[];

  /** Hands out what is good, or no more, one after the other. */
  const bearer = async (): Promise<string> => {
    const token = given.shift();
    if (token === undefined) throw new Error("nobody there");
    return token;
  };
  const connect = (url = "ws://127.1.2.3/xmpp-websocket"): Promise<void> => link.connect({ jid: "user@example.org", agent: AGENT, url, bearer });
  /** Tries once more, when the last attempt has failed. */
  const retry = async (): Promise<void> => {
    await until(() => link.retryAt !== undefined);
    link.retry();
  };
  const logins = (): (string | null)[] => server.named("authenticate").map((it) => it.getAttribute("mechanism"));

  beforeEach(() => {
    server = new FakeServer();
    server.bearers = new Set(["good-1", "good-2"]);
    vi.stubGlobal("WebSocket", server.socketClass);
    // Node's cryptography takes the arrays of jsdom for something else.
    vi.stubGlobal("Uint8Array", Object.getPrototypeOf(Buffer));
    link = new StropheLink({ store: new SessionStore(new MemoryStorage()), tag: "klatsch-1" });
    [secrets, failures, given] = [[], [], ["good-1"]];
    link.listen("secret", (secret) => secrets.push(secret));
    link.listen("failed", ({ reason }) => failures.push(reason));
  });
  afterEach(async () => {
    await link.disconnect();
    vi.unstubAllGlobals();
  });

  it("is one, and what it leaves makes the next", async () => {
    server.next = "fast-1";
    await connect();
    expect([link.state, link.jid]).toEqual(["online", "user@example.org/klatsch/1"]);
    expect(secrets).toEqual([{ token: "fast-1" }]);
    server.sockets.at(-1)?.lose();
    link.retry();
    await until(() => link.state === "online");
    expect(logins()).toEqual(["OAUTHBEARER", "HT-SHA-256-NONE"]);
  });

  it("is made again with another token where it has left nothing, or that is over", async () => {
    server.next = "fast-1";
    await connect();
    server.tokens.clear();
    given = ["good-2"];
    server.sockets.at(-1)?.lose();
    link.retry();
    await retry();
    await until(() => link.state === "online");
    expect(logins()).toEqual(["OAUTHBEARER", "HT-SHA-256-NONE", "OAUTHBEARER"]);
    expect(failures).toEqual([]);
  });

  it("is not over when a token comes too late, or none", async () => {
    given = ["too-old"];
    const online = connect();
    await until(() => link.retryAt !== undefined);
    expect(server.named("response").map((it) => it.textContent)).toEqual([btoa("\u0001")]);
    await retry();
    await until(() => link.retryAt !== undefined);
    given = ["good-1"];
    await retry();
    await online;
    expect(link.state).toBe("online");
  });

  it("is given up when one token after the other is refused", async () => {
    given = ["a", "b", "c", "d", "e"];
    const refused = expect(connect()).rejects.toMatchObject({ reason: "expired" });
    for (let more = 0; more < 3; more += 1) await retry();
    await refused;
    expect(given).toEqual(["e"]);
  });

  it("h13_is made where nobody reads along, and nowhere else", async () => {
    await expect(connect("ws://chat.example.org/xmpp-websocket")).rejects.toMatchObject({ reason: "insecure" });
    await expect(connect("ws://127.0.0.1.example.org/xmpp-websocket")).rejects.toMatchObject({ reason: "insecure" });
    expect(given).toEqual(["good-1"]);
    expect(server.heard.map(serialize)).toEqual([]);
  });
});
