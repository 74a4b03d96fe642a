// Two people chat with @xmpp/client 0.14 (xmpp.js), over TCP and over WebSocket.
//
//   chat_xmpp.mjs tls      TCP with STARTTLS (SCRAM-SHA-1 and PLAIN), TCP with direct TLS, and
//                          WebSocket through the HTTPS listener (RFC 7395); under TLS all of it
//                          by SASL2 and Bind 2 (XEP-0388, 0386), and a login by token (0484)
//   chat_xmpp.mjs plain    WebSocket on the plain HTTP listener of loopback, SCRAM-SHA-1 only
//
// Proves, with a client that knows no SHA-256 and that browsers use: login over each
// transport, roster, presence, a message each way between two transports, its stanza id, an
// archive query (XEP-0313), pings both ways (0199), errors, and resumption after a dropped
// socket (0198); on WebSocket also that each frame is a whole element and that both sides
// close with <close/>. On plain HTTP: that PLAIN is not offered without TLS.
//
// Accounts: erin and frank @localhost with the passwords pw-erin and pw-frank.

import dns from "node:dns";
import process from "node:process";
import { client, xml } from "@xmpp/client";
import WebSocket from "ws";

// Node 20 has no WebSocket of its own; ws follows the browser's interface.
globalThis.WebSocket = WebSocket;

const ADDRESS = process.env.KLATSCH_ADDRESS;

// As loopback.py: the name localhost is the address where the server under test listens.
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host === "localhost" ? ADDRESS : host, ...rest);

const STEP_MS = 15_000; // far above what a healthy server needs
const NS = {
  mam: "urn:xmpp:mam:2",
  ping: "urn:xmpp:ping",
  rsm: "http://jabber.org/protocol/rsm",
  sasl2: "urn:xmpp:sasl:2",
  sid: "urn:xmpp:sid:0",
  stanzas: "urn:ietf:params:xml:ns:xmpp-stanzas",
};

let failed = 0;

async function step(name, run) {
  const begin = performance.now();
  const seconds = () => `${((performance.now() - begin) / 1000).toFixed(1)} s`;
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${STEP_MS / 1000} s`)), STEP_MS);
  });
  try {
    await Promise.race([run(), deadline]);
    console.log(`PASS @xmpp/client: ${name} (${seconds()})`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL @xmpp/client: ${name}: ${error.message || error} (${seconds()})`);
    console.log(error.stack);
  } finally {
    clearTimeout(timer);
  }
}

function expect(truth, what) {
  if (!truth) throw new Error(what);
}

/** A client that keeps the stanzas it got, so that no step misses one. */
class Person {
  constructor(name, service, options = {}) {
    const { mechanism, password = `pw-${name}`, resource = "one" } = options;
    this.name = name;
    // The installation this client is, to which tokens belong (XEP-0388, 0484).
    this.agent = options.agent ?? xml("user-agent", { id: crypto.randomUUID() });
    this.outcomes = [];
    this.offered = [];
    this.stanzas = [];
    this.waiting = [];
    this.client = client({
      service,
      domain: "localhost",
      resource,
      // It listens for the stream header only once its own is written, so that a fast server's
      // goes by; after this time (2 s unless told otherwise) it then fails a sound connection.
      timeout: 60_000,
      credentials: async (authenticate, offered, fast) => {
        this.offered = offered;
        const chosen = mechanism ?? offered[0];
        const token = await fast?.fetch();
        await authenticate({ username: name, password, token }, chosen, this.agent);
      },
    });
    this.client.on("nonza", (element) => {
      if (element.getNS() === NS.sasl2) this.outcomes.push(element);
    });
    if (options.token) this.client.fast.saveToken(options.token);
    this.client.on("error", (error) => console.error(`${name}: ${error}`));
    this.client.on("stanza", (stanza) => {
      this.stanzas.push(stanza);
      for (const check of [...this.waiting]) check();
    });
  }

  /** Takes the first stanza that matches, past or future; the others stay. */
  async got(what, test) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () =>
          reject(new Error(`${this.name} got no ${what}; got ${this.stanzas.slice(-4).join(" ")}`)),
        STEP_MS - 3_000,
      );
      const check = () => {
        const index = this.stanzas.findIndex(test);
        if (index < 0) return;
        clearTimeout(timer);
        this.waiting = this.waiting.filter((other) => other !== check);
        resolve(this.stanzas.splice(index, 1)[0]);
      };
      this.waiting.push(check);
      check();
    });
  }

  async message(text) {
    return this.got(`message '${text}'`, (s) => s.is("message") && s.getChildText("body") === text);
  }

  async login() {
    // It misses the header of a fast server (see above), and then waits for it although it is in.
    this.jid = await new Promise((resolve, reject) => {
      this.client.once("online", resolve);
      this.client.start().then(resolve, reject);
    });
    const roster = await this.client.iqCaller.get(xml("query", "jabber:iq:roster"));
    expect(roster, "no roster");
    await this.client.send(xml("presence"));
    await this.got("own presence", (s) => s.is("presence") && s.attrs.from === this.jid.toString());
    return this;
  }

  async say(to, text) {
    const id = crypto.randomUUID();
    await this.client.send(
      xml(
        "message",
        { type: "chat", to: to.toString(), id },
        xml("body", {}, text),
        xml("origin-id", { xmlns: NS.sid, id }),
      ),
    );
    return id;
  }

  async ping() {
    await this.client.iqCaller.request(
      xml("iq", { type: "get", to: "localhost" }, xml("ping", NS.ping)),
    );
  }

  async logout() {
    await this.client.stop();
  }
}

/** Everything two people do, whatever carries them. */
async function conversation(label, erin, frank) {
  const on = (name, run) => step(`${label}: ${name}`, run);
  await on("both log in and see their own presence", async () => {
    await erin.login();
    await frank.login();
    expect(erin.jid.bare().toString() === "erin@localhost", erin.jid);
    // Bound with the login (XEP-0386) it is a tag before the server's part.
    const wanted = erin.outcomes.length ? /^one\/[0-9a-f]{16}$/ : /^one$/;
    expect(wanted.test(erin.jid.resource), erin.jid);
  });
  await on("a message each way, with the id of the archive", async () => {
    const id = await erin.say("frank@localhost", "Grüße <&> 🦊");
    const message = await frank.message("Grüße <&> 🦊");
    expect(message.attrs.id === id, "another id");
    expect(message.attrs.from === erin.jid.toString(), message.attrs.from);
    const stanzaId = message.getChild("stanza-id", NS.sid);
    expect(stanzaId?.attrs.by === "frank@localhost", `stanza-id ${stanzaId}`);
    await frank.say(erin.jid, "And back");
    await erin.message("And back");
  });
  await on("presence and a subscription", async () => {
    await erin.client.send(xml("presence", { type: "subscribe", to: "frank@localhost" }));
    await frank.got("request", (s) => s.is("presence") && s.attrs.type === "subscribe");
    await frank.client.send(xml("presence", { type: "subscribed", to: "erin@localhost" }));
    await erin.got(
      "frank's presence",
      (s) => s.is("presence") && s.attrs.from === frank.jid.toString(),
    );
    await erin.client.iqCaller.set(
      xml(
        "query",
        "jabber:iq:roster",
        xml("item", { jid: "frank@localhost", subscription: "remove" }),
      ),
    );
    await frank.got("its end", (s) => s.is("presence") && s.attrs.type === "unsubscribe");
  });
  await on("the archive has the message", async () => {
    const queryid = crypto.randomUUID();
    const page = xml("set", NS.rsm, xml("max", {}, "2"), xml("before"));
    const answer = await erin.client.iqCaller.request(
      xml("iq", { type: "set" }, xml("query", { xmlns: NS.mam, queryid }, page)),
    );
    expect(answer.getChild("fin", NS.mam), `the answer is ${answer}`);
    const results = erin.stanzas.filter(
      (s) => s.getChild("result", NS.mam)?.attrs.queryid === queryid,
    );
    const texts = results.map((s) =>
      s.getChild("result").getChild("forwarded").getChild("message").getChildText("body"),
    );
    expect(texts.join("|") === "Grüße <&> 🦊|And back", texts.join("|"));
  });
  await on("pings are answered by the server and by the other client", async () => {
    await erin.ping();
    await erin.client.iqCaller.request(
      xml("iq", { type: "get", to: frank.jid.toString() }, xml("ping", NS.ping)),
    );
  });
  await on("an unknown account is an error", async () => {
    await erin.say("nobody@localhost", "Hello?");
    const error = await erin.got("error", (s) => s.is("message") && s.attrs.type === "error");
    expect(error.getChild("error").getChild("service-unavailable", NS.stanzas), `${error}`);
  });
  // What an earlier conversation has not acknowledged comes again at a login (XEP-0160): these
  // texts are of this one alone.
  const gapText = `Gap ${crypto.randomUUID()}`;
  const cutText = `Into the cut ${crypto.randomUUID()}`;
  await on("a dropped socket is resumed, nothing lost, nothing twice", async () => {
    const sm = erin.client.streamManagement;
    expect(sm.enabled && sm.id, "no stream management");
    const resumed = new Promise((resolve) => sm.once("resumed", resolve));
    await drop(erin.client);
    for (const number of [1, 2, 3]) await frank.say(erin.jid, `${gapText} ${number}`);
    await resumed;
    // What waited may be read from the log behind the answer to a ping.
    const isGap = (s) => s.is("message") && s.getChildText("body")?.startsWith(gapText);
    const gap = [];
    while (gap.length < 3) gap.push((await erin.got("message", isGap)).getChildText("body"));
    const sent = [1, 2, 3].map((number) => `${gapText} ${number}`);
    expect(gap.join("|") === sent.join("|"), gap.join("|"));
    await erin.ping();
    expect(!erin.stanzas.some(isGap), "one of them twice");
    await erin.say(frank.jid, "Back");
    await frank.message("Back");
  });
  await on("what was sent into the dead socket arrives once", async () => {
    await erin.ping();
    const resumed = new Promise((resolve) => erin.client.streamManagement.once("resumed", resolve));
    await drop(erin.client, () => erin.say(frank.jid, cutText));
    await resumed;
    await frank.message(cutText);
    await erin.ping();
    await frank.ping();
    const again = frank.stanzas.filter(
      (s) => s.is("message") && s.getChildText("body") === cutText,
    );
    expect(again.length === 0, "it arrived twice");
  });
  await on("both leave with a closed stream", async () => {
    await erin.logout();
    await frank.logout();
  });
}

/** Cuts a client's connection without any goodbye. What `last` sends never leaves. */
async function drop(entity, last) {
  const carrier = entity.socket.socket ?? entity.socket; // a WebSocket, or a net.Socket
  if (last) {
    if (carrier.terminate) carrier.send = () => {};
    else carrier.write = (data, done) => done?.();
    await last();
  }
  if (carrier.terminate) carrier.terminate();
  else carrier.destroy();
}

async function main() {
  const starttls = "xmpp://localhost:5222";
  if (process.argv[2] === "tls") {
    for (const mechanism of ["SCRAM-SHA-1", "PLAIN"]) {
      await step(`STARTTLS with ${mechanism}`, async () => {
        const person = await new Person("erin", starttls, { mechanism }).login();
        await person.logout();
      });
    }
    await step("direct TLS", async () => {
      const person = await new Person("erin", "xmpps://localhost:5223").login();
      await person.logout();
    });
    await step("a wrong password is refused with not-authorized", async () => {
      const person = new Person("erin", starttls, { password: "wrong" });
      person.client.reconnect.stop();
      const error = await person.client.start().then(
        () => new Error("it got in"),
        (refusal) => refusal,
      );
      await person.logout();
      expect(error.condition === "not-authorized", `${error}`);
    });
    await step("a token logs in instead of the password, and no other client", async () => {
      const first = await new Person("erin", starttls).login();
      const token = await first.client.fast.fetch();
      expect(token?.mechanism === "HT-SHA-256-NONE" && token.token, "no token was given");
      await first.logout();
      const { agent } = first;
      const second = new Person("erin", starttls, { agent, token, password: "forgotten" });
      await second.login();
      expect(second.outcomes.map((it) => it.name).join() === "success", `${second.outcomes}`);
      expect(second.jid.toString() === first.jid.toString(), `another name: ${second.jid}`);
      await second.logout();
      const thief = new Person("erin", starttls, { token });
      await thief.login();
      const told = thief.outcomes.map((it) => it.name).join();
      expect(told === "failure,challenge,success", `by token, then by password: ${told}`);
      await thief.logout();
    });
    await conversation("STARTTLS", new Person("erin", starttls), new Person("frank", starttls));
    const wss = "wss://localhost:5443/xmpp-websocket";
    await conversation(
      "WebSocket over HTTPS",
      new Person("erin", wss),
      new Person("frank", starttls),
    );
  } else {
    const ws = "ws://localhost:5280/xmpp-websocket";
    await step("PLAIN is not offered without TLS", async () => {
      const person = await new Person("erin", ws).login();
      await person.logout();
      expect(!person.offered.includes("PLAIN"), person.offered.join(" "));
    });
    await conversation("WebSocket on loopback", new Person("erin", ws), new Person("frank", ws));
  }
}

await main();
process.exit(failed ? 1 : 0);
