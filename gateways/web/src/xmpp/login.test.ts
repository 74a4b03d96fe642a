import { createHmac } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MemoryStorage, until } from "../chat/testkit";
import { prove, readToken } from "./fast";
import { parseXml } from "./fake_link";
import { FakeServer } from "./fake_server";
import { prepareFarewell } from "./invalidation";
import type { Credentials, Secret } from "./link";
import { buildAuthenticate, readOffer, readSuccess } from "./sasl2";
import { SessionStore } from "./session_store";
import { StropheLink } from "./strophe_link";
import { message, serialize } from "./xml";

const AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770";
const URL = "ws://localhost/xmpp-websocket";

describe("what is offered (XEP-0388 §2.1)", () => {
  const features = (inline: string): Element =>
    parseXml(`<features xmlns="http://etherx.jabber.org/streams"><authentication xmlns="urn:xmpp:sasl:2">
      <mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-256-PLUS</mechanism><inline>${inline}</inline></authentication></features>`);
  const SM = `<sm xmlns="urn:xmpp:sm:3"/>`;
  const BIND = `<bind xmlns="urn:xmpp:bind:0"><inline><feature var="urn:xmpp:sm:3"/></inline></bind>`;
  const FAST = `<fast xmlns="urn:xmpp:fast:0"><mechanism>HT-SHA-256-ENDP</mechanism><mechanism>HT-SHA-256-NONE</mechanism></fast>`;

  it("is read with what can be had in one go", () => {
    expect(readOffer(features(SM + BIND + FAST))).toEqual({
      mechanisms: ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"],
      tokens: ["HT-SHA-256-ENDP", "HT-SHA-256-NONE"],
      session: { hasSm: true, hasCarbons: false },
    });
    expect(readOffer(features(SM + BIND))?.tokens).toEqual([]);
  });

  it("is left alone where the session would need more", () => {
    for (const inline of ["", SM, BIND, `${SM}<bind xmlns="urn:xmpp:bind:0"/>`]) expect(readOffer(features(inline)), inline).toBeUndefined();
    expect(readOffer(undefined)).toBeUndefined();
  });
});

describe("what came of a login (XEP-0388 §2.6.1)", () => {
  const success = (content: string): Element => parseXml(`<success xmlns="urn:xmpp:sasl:2">${content}</success>`);

  it("says who has logged in, or says nothing", () => {
    const read = readSuccess(success(`<additional-data>dj1t</additional-data><authorization-identifier>user@example.org/x</authorization-identifier><bound xmlns="urn:xmpp:bind:0"/>`));
    expect(read).toMatchObject({ data: "dj1t", jid: "user@example.org/x", resumed: undefined, failed: undefined });
    expect(read?.bound?.localName).toBe("bound");
    expect(readSuccess(success(""))).toBeUndefined();
  });

  it("has a token of a length that can be kept, or none", () => {
    const token = (text: string): Element => success(`<token xmlns="urn:xmpp:fast:0" expiry="2030-01-01T00:00:00Z" token="${text}"/>`);
    expect(readToken(token("s3cr3t"))).toBe("s3cr3t");
    expect([readToken(token("")), readToken(token("x".repeat(1_001))), readToken(success(""))]).toEqual([undefined, undefined, undefined]);
  });

  it("is asked for without a resource of ours, and names the installation", () => {
    expect(serialize(buildAuthenticate("PLAIN", "AA==", AGENT))).toBe(
      `<authenticate xmlns="urn:xmpp:sasl:2" mechanism="PLAIN"><initial-response>AA==</initial-response><user-agent id="${AGENT}"><software>klatsch</software></user-agent></authenticate>`,
    );
  });
});

describe("a token", () => {
  it("is proved to be known without being said, by both sides (draft-schmaus-kitten-sasl-ht-09)", async () => {
    const { message: first, answer } = await prove("s3cr3t-\u{1f511}", "user");
    const hashed = (who: string): Buffer => createHmac("sha256", "s3cr3t-\u{1f511}").update(who).digest();
    expect(Buffer.from(first, "base64")).toEqual(Buffer.concat([Buffer.from("user\0"), hashed("Initiator")]));
    expect(Buffer.from(answer, "base64")).toEqual(hashed("Responder"));
  });
});

describe("the link", () => {
  let server: FakeServer;
  let storage: MemoryStorage;
  let secrets: Secret[];
  let link: StropheLink;
  let states: string[];

  /** A page: what is stored outlives it. */
  function load(): void {
    link = new StropheLink({ store: new SessionStore(storage), tag: "klatsch-1" });
    states = [];
    link.listen("secret", (secret) => secrets.push(secret));
    link.listen("online", (isResumed) => states.push(isResumed ? "resumed" : "new"));
    link.listen("failed", ({ reason }) => states.push(reason));
  }

  const credentials = (more: Partial<Credentials>): Credentials => ({ jid: "user@example.org", agent: AGENT, url: URL, ...more });
  const login = (): string => serialize(server.named("authenticate").at(-1) as Element);

  beforeEach(() => {
    server = new FakeServer();
    vi.stubGlobal("WebSocket", server.socketClass);
    // Node's cryptography takes the arrays of jsdom for something else.
    vi.stubGlobal("Uint8Array", Object.getPrototypeOf(Buffer));
    storage = new MemoryStorage();
    secrets = [];
    load();
  });
  afterEach(async () => {
    await link.disconnect();
    vi.unstubAllGlobals();
  });

  it("is online after one login, with a session, copies and a token, and without the password", async () => {
    server.next = "token-1";
    await link.connect(credentials({ password: "pencil" }));
    expect([link.state, link.jid, link.hasCarbons, states]).toEqual(["online", "user@example.org/klatsch/1", true, ["new"]]);
    expect(secrets).toEqual([{ token: "token-1" }]);
    expect(login()).toContain(`mechanism="SCRAM-SHA-256"`);
    expect(login()).toContain("<tag>klatsch-1</tag>");
    expect(server.heard.map(serialize).join("")).not.toContain("pencil");
    expect(server.named("iq")).toEqual([]);
  });

  it("counts what comes from the first stanza of the session on", async () => {
    await link.connect(credentials({ password: "pencil" }));
    server.say(`<message xmlns="jabber:client" from="a@example.org"><body>1</body></message>`);
    server.say(`<r xmlns="urn:xmpp:sm:3"/>`);
    await until(() => server.named("a").length > 0);
    expect(server.named("a")[0]?.getAttribute("h")).toBe("1");
  });

  it("comes back with the token, and takes the session up in the same breath", async () => {
    server.next = "token-1";
    await link.connect(credentials({ password: "pencil" }));
    server.say(`<message xmlns="jabber:client" from="a@example.org"><body>1</body></message>`);
    server.sockets.at(-1)?.lose();
    expect(link.state).toBe("waiting");
    server.next = undefined;
    link.retry();
    await until(() => link.state === "online");
    expect(states).toEqual(["new", "resumed"]);
    expect(login()).toContain(`mechanism="HT-SHA-256-NONE"`);
    const resume = server.named("authenticate").at(-1)?.querySelector("resume");
    expect([resume?.getAttribute("previd"), resume?.getAttribute("h")]).toEqual([server.resumable, "1"]);
    expect(link.jid).toBe("user@example.org/klatsch/1");
  });

  it("sends again after a resumption what had not arrived", async () => {
    server.next = "token-1";
    await link.connect(credentials({ password: "pencil" }));
    const said: string[] = [];
    link.listen("acknowledged", (id) => said.push(id));
    link.send(message({ to: "a@example.org", id: "m1" }));
    await until(() => server.named("message").length === 1);
    server.sockets.at(-1)?.lose();
    link.retry();
    await until(() => server.named("message").length === 2);
    expect(server.named("message").map((it) => it.getAttribute("id"))).toEqual(["m1", "m1"]);
    expect(said).toEqual([]);
  });

  it("after a reload needs the token alone", async () => {
    server.next = "token-1";
    await link.connect(credentials({ password: "pencil" }));
    server.sockets.at(-1)?.lose();
    server.next = undefined;
    load();
    await link.connect(credentials({ token: "token-1" }));
    expect([link.state, states]).toEqual(["online", ["resumed"]]);
    expect(secrets).toEqual([{ token: "token-1" }]);
  });

  it("with an old session that is gone has a new one, and takes nothing for acknowledged", async () => {
    server.next = "token-1";
    await link.connect(credentials({ password: "pencil" }));
    const said: string[] = [];
    link.listen("acknowledged", (id) => said.push(id));
    link.send(message({ to: "a@example.org", id: "m1" }));
    server.sockets.at(-1)?.lose();
    server.resumable = undefined;
    link.retry();
    await until(() => link.state === "online");
    expect([states, said]).toEqual([["new", "new"], []]);
    link.send(message({ to: "a@example.org", id: "m2" }));
    await until(() => server.named("r").length > 1);
    server.say(`<a xmlns="urn:xmpp:sm:3" h="1"/>`);
    expect(said).toEqual(["m2"]);
    // What was under way is for the outbox, which asks the archive first.
    expect(server.named("message").filter((it) => it.getAttribute("id") === "m1").length).toBe(1);
  });

  it("goes on with the token that takes the place of the old", async () => {
    server.tokens.set("old", AGENT);
    server.next = "new";
    await link.connect(credentials({ token: "old" }));
    expect(secrets).toEqual([{ token: "new" }]);
    server.tokens.delete("old");
    server.sockets.at(-1)?.lose();
    link.retry();
    await until(() => link.state === "online");
    expect(states).toEqual(["new", "resumed"]);
  });

  it("says that a token is over, and that a password is wrong", async () => {
    await expect(link.connect(credentials({ token: "unknown" }))).rejects.toMatchObject({ reason: "expired" });
    await expect(link.connect(credentials({ password: "eraser" }))).rejects.toMatchObject({ reason: "not-authorized" });
    expect([link.state, states]).toEqual(["closed", ["expired", "not-authorized"]]);
  });

  it("a token of another installation is none", async () => {
    server.tokens.set("theirs", "00000000-0000-4000-8000-000000000000");
    await expect(link.connect(credentials({ token: "theirs" }))).rejects.toMatchObject({ reason: "expired" });
  });

  it("believes no server that does not know the secret, and keeps nothing of it", async () => {
    server.isImpostor = true;
    server.next = "token-1";
    server.tokens.set("known", AGENT);
    await expect(link.connect(credentials({ token: "known" }))).rejects.toMatchObject({ reason: "insecure" });
    await expect(link.connect(credentials({ password: "pencil" }))).rejects.toMatchObject({ reason: "insecure" });
    expect(secrets).toEqual([]);
  });

  it("sends no token where others read along", async () => {
    const insecure = credentials({ token: "token-1", url: "ws://chat.example.org/xmpp-websocket" });
    await expect(link.connect(insecure)).rejects.toMatchObject({ reason: "insecure" });
    expect(server.heard).toEqual([]);
  });

  it("keeps keys where there are no tokens, and changes them for a token where there are", async () => {
    server.offers = "no-tokens";
    await link.connect(credentials({ password: "pencil" }));
    const [{ keys } = { keys: undefined }] = secrets;
    expect(keys).toMatchObject({ name: "SHA-256", iter: 4096 });
    server.offers = "all";
    server.next = "token-1";
    load();
    await link.connect(credentials({ keys }));
    expect(secrets.at(-1)).toEqual({ token: "token-1" });
  });

  it("gives an account without keys, as those of a directory, a token all the same", async () => {
    server.offers = "plain";
    server.next = "token-1";
    await link.connect(credentials({ password: "pencil" }));
    expect(secrets).toEqual([{ token: "token-1" }]);
    server.sockets.at(-1)?.lose();
    server.next = undefined;
    link.retry();
    await until(() => link.state === "online");
    expect(server.named("authenticate").map((it) => it.getAttribute("mechanism"))).toEqual(["PLAIN", "HT-SHA-256-NONE"]);
  });

  it("without SASL2 logs in as before, and has no use for a token", async () => {
    server.offers = "rfc6120";
    await expect(link.connect(credentials({ password: "pencil" }))).rejects.toMatchObject({ reason: "not-authorized" });
    expect(server.named("auth")[0]?.getAttribute("mechanism")).toBe("SCRAM-SHA-256");
    await expect(link.connect(credentials({ token: "token-1" }))).rejects.toMatchObject({ reason: "expired" });
    expect(server.named("authenticate")).toEqual([]);
  });

  it("has the token forgotten by what proves it and does not hold it, once", async () => {
    server.next = "token-1";
    await link.connect(credentials({ password: "pencil" }));
    server.next = undefined;
    await link.disconnect();
    expect([...server.tokens.keys()]).toEqual(["token-1"]);
    const farewell = await prepareFarewell("user@example.org", AGENT, "token-1");
    expect(JSON.stringify(farewell)).not.toContain("token-1");
    expect(await link.invalidate(URL, farewell)).toBe(true);
    expect([...server.tokens.keys()]).toEqual([]);
    expect(await link.invalidate(URL, farewell)).toBe(false);
  });
});
