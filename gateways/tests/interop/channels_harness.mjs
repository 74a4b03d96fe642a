// What the scripts that drive npm's `phoenix` share: a step with its deadline, sockets that
// remember what they heard, and the environment that phoenix takes for a browser's.

import dns from "node:dns";
import process from "node:process";
import WebSocket from "ws";

export const [version, ...klatsch] = process.argv.slice(2);
// What phoenix takes for the window: 1.7 looks for nothing else.
globalThis.self = globalThis;
export const { Socket, Presence, LongPoll } = await import(`phoenix-${version}`);
const ADDRESS = process.env.KLATSCH_ADDRESS;
const ENDPOINT = "wss://localhost:5443/channels";
export const ROOM = `room:channels-${version}@conference.localhost`;
const STEP_MS = 20_000; // far above what a healthy server needs

// As loopback.py: the name localhost is the address where the server under test listens.
const lookup = dns.lookup;
dns.lookup = (host, ...rest) => lookup(host === "localhost" ? ADDRESS : host, ...rest);

// Node has no XMLHttpRequest, and phoenix 1.7 asks by nothing else: just what it uses of it.
globalThis.XMLHttpRequest = class {
  #controller = new AbortController();
  #headers = {};
  open(method, url) {
    Object.assign(this, { method, url: url.replace("localhost", ADDRESS) });
  }
  setRequestHeader(name, value) {
    this.#headers[name] = value;
  }
  abort() {
    this.#controller.abort();
  }
  async send(body) {
    try {
      const { method } = this;
      const signal = this.#controller.signal;
      const answer = await fetch(this.url, { method, body, headers: this.#headers, signal });
      this.responseText = await answer.text();
      this.readyState = 4;
      this.onreadystatechange?.();
    } catch (error) {
      if (error.name !== "AbortError") this.onerror?.(error);
    }
  }
};

export const tally = { failed: 0 };
const open = [];

export async function step(name, run) {
  const begin = performance.now();
  let timer;
  const deadline = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("not done in time")), STEP_MS);
  });
  const seconds = () => `${((performance.now() - begin) / 1000).toFixed(1)} s`;
  try {
    await Promise.race([run(), deadline]);
    console.log(`PASS phoenix ${version}: ${name} (${seconds()})`);
  } catch (error) {
    tally.failed += 1;
    console.log(`FAIL phoenix ${version}: ${name}: ${error.message ?? error} (${seconds()})`);
    console.log(error.stack);
  } finally {
    clearTimeout(timer);
    for (const socket of open.splice(0)) socket.disconnect();
  }
}

export function check(is, what) {
  if (!is) throw new Error(what);
}

export function same(seen, wanted, what) {
  const [one, other] = [JSON.stringify(seen), JSON.stringify(wanted)];
  check(one === other, `${what}: ${one} instead of ${other}`);
}

/** A socket that remembers every message. */
export function connect(params, options = {}) {
  const socket = new Socket(ENDPOINT, { transport: WebSocket, params, ...options });
  socket.heard = [];
  socket.waiting = [];
  socket.onMessage((message) => {
    socket.heard.push(message);
    socket.waiting.forEach((look) => look());
  });
  socket.connect();
  open.push(socket);
  return socket;
}

export function as(name, more = {}) {
  return { jid: `${name}@localhost`, password: `pw-${name}`, ...more };
}

/** The first message that fits, from the beginning on; it is taken away. */
export function message(socket, fits) {
  return new Promise((resolve) => {
    const look = () => {
      const at = socket.heard.findIndex(fits);
      if (at < 0) return;
      socket.waiting = socket.waiting.filter((other) => other !== look);
      resolve(socket.heard.splice(at, 1)[0]);
    };
    socket.waiting.push(look);
    look();
  });
}

export function event(socket, topic, name) {
  return message(socket, (it) => it.topic === topic && it.event === name);
}

/** The status and response of a push or join. */
export function outcome(push) {
  return new Promise((resolve) => {
    push.receive("ok", (response) => resolve(["ok", response]));
    push.receive("error", (response) => resolve(["error", response]));
    push.receive("timeout", () => resolve(["timeout", null]));
  });
}

export async function join(socket, topic, params = {}) {
  const channel = socket.channel(topic, params);
  const [status, response] = await outcome(channel.join());
  check(status === "ok", `join of ${topic}: ${status} ${JSON.stringify(response)}`);
  return channel;
}

export function until(is) {
  return new Promise((resolve) => {
    const timer = setInterval(() => {
      if (!is()) return;
      clearInterval(timer);
      resolve();
    }, 20);
  });
}
