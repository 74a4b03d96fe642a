// Who is there, asked for seldom: the plugin's hub over a webmail and a clock that are none.
//
//   node --test gateways/tests/roundcube/hub.test.mjs

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { runInNewContext } from "node:vm";

const source = readFileSync(new URL("../../roundcube/klatsch/js/hub.js", import.meta.url), "utf8");

/** A page: what it asks, how it is answered, and time that passes when it is told to. */
function page({ answer = () => ({ up: true, me: { show: "online", unread: 0 } }), storage = new Map(), isSeen = () => true, at = 0 } = {}) {
  const clock = { now: at, runs: [] };
  const asked = [];
  const window = { setTimeout: () => {}, clearTimeout: () => {} };
  const context = { window, Map, Set, JSON, Math, Infinity };
  context.klatsch = window.klatsch = {};
  runInNewContext(source, context);
  const hub = new window.klatsch.Hub({
    ask: async (addresses) => (asked.push([...addresses]), answer(addresses, asked.length)),
    storage: { getItem: (key) => storage.get(key) ?? null, setItem: (key, value) => storage.set(key, value) },
    isSeen,
    now: () => clock.now,
    later: (run, wait) => (clock.runs = [{ run, at: clock.now + wait }]) && 1,
    never: () => (clock.runs = []),
  });
  /** Lets time pass, with everything that falls due in it. */
  const pass = async (ms) => {
    const end = clock.now + ms;
    for (;;) {
      for (let round = 0; round < 20; round += 1) await Promise.resolve();
      const [due] = clock.runs;
      if (due === undefined || due.at > end) break;
      clock.runs = [];
      clock.now = Math.max(clock.now, due.at);
      due.run();
    }
    clock.now = end;
  };
  const watch = (address, isGone = () => false) => {
    const shown = [];
    hub.watch({ address, isGone, show: ({ show }) => shown.push(show) });
    return shown;
  };
  return { hub, asked, pass, watch, clock, storage };
}

const online = (addresses) => ({ up: true, me: { show: "online", unread: 0 }, presence: Object.fromEntries(addresses.map((it) => [it, { show: "online" }])) });

test("what appears together is asked for together, and each once", async () => {
  const { asked, pass, watch } = page({ answer: online });
  const shown = watch("jane@x");
  watch("jane@x");
  watch("max@x");
  await pass(1_000);
  assert.deepEqual(asked, [["jane@x", "max@x"]]);
  assert.deepEqual(shown, ["online"]);
});

test("while an answer is good nobody is asked for again, in the next page neither", async () => {
  const first = page({ answer: online });
  first.watch("jane@x");
  await first.pass(10_000);
  first.watch("jane@x");
  await first.pass(10_000);
  assert.equal(first.asked.length, 1);
  const second = page({ answer: online, storage: first.storage, at: first.clock.now });
  assert.deepEqual(second.watch("jane@x"), ["online"]);
  await second.pass(5_000);
  assert.deepEqual(second.asked, []);
});

test("a page that stays asks twice a minute, in one request", async () => {
  const { asked, pass, watch } = page({ answer: online });
  for (let n = 0; n < 50; n += 1) watch(`n${n}@x`);
  await pass(600_000);
  assert.ok(asked.length <= 21 && asked.length >= 19, `${asked.length} requests in ten minutes`);
  assert.ok(asked.every((it) => it.length === 50));
});

test("more than klatsch takes at once is asked for one after the other", async () => {
  let under = 0;
  const { asked, pass, watch } = page({
    answer: async (addresses) => {
      under += 1;
      assert.equal(under, 1);
      await Promise.resolve();
      under -= 1;
      return online(addresses);
    },
  });
  for (let n = 0; n < 450; n += 1) watch(`n${n}@x`);
  await pass(1_000);
  assert.deepEqual(asked.map((it) => it.length), [200, 200, 50]);
});

test("a page that nobody looks at asks nothing, and asks when somebody does", async () => {
  let isSeen = false;
  const { hub, asked, pass, watch } = page({ answer: online, isSeen: () => isSeen });
  watch("jane@x");
  await pass(600_000);
  assert.equal(asked.length, 0);
  isSeen = true;
  hub.refresh();
  await pass(100);
  assert.equal(asked.length, 1);
});

test("what is no longer in the page is forgotten", async () => {
  let isGone = false;
  const { asked, pass, watch } = page({ answer: online });
  watch("jane@x", () => isGone);
  watch("max@x");
  await pass(1_000);
  isGone = true;
  await pass(31_000);
  assert.deepEqual(asked[1], ["max@x"]);
});

test("a klatsch that is down is asked more and more seldom, and nobody is shown", async () => {
  let isUp = true;
  const { hub, asked, pass, watch } = page({ answer: (addresses) => (isUp ? online(addresses) : { up: false, again: 20 }) });
  const shown = watch("jane@x");
  await pass(1_000);
  isUp = false;
  await pass(3_600_000);
  assert.equal(shown.at(-1), "unknown");
  assert.equal(hub.isUp, false);
  assert.ok(asked.length < 20, `${asked.length} requests in an hour`);
  // What appears meanwhile does not hurry it.
  const before = asked.length;
  watch("max@x");
  await pass(1_000);
  assert.ok(asked.length <= before + 1);
  isUp = true;
  await pass(300_000);
  assert.equal(hub.isUp, true);
  assert.equal(shown.at(-1), "online");
});

test("a webmail that fails is a klatsch that is down", async () => {
  const { hub, pass, watch } = page({
    answer: () => {
      throw new Error("no");
    },
  });
  watch("jane@x");
  await pass(1_000);
  assert.equal(hub.isUp, false);
});

test("who is not in the answer is unknown", async () => {
  const { pass, watch } = page({ answer: () => ({ up: true, presence: {} }) });
  const shown = watch("jane@x");
  await pass(1_000);
  assert.deepEqual(shown, ["unknown"]);
});

test("the frame's count of what is unread is the newer", async () => {
  const { hub, pass } = page({ answer: () => ({ up: true, me: { show: "online", unread: 7 } }) });
  const told = [];
  hub.listen(({ me }) => told.push(me?.unread));
  await pass(1_000);
  hub.setUnread(2);
  await pass(31_000);
  assert.deepEqual([told[0], told.at(-1)], [7, 2]);
});

test("what the frame sees is shown at once, and nobody is asked for it", async () => {
  const { hub, asked, pass, watch } = page({ answer: online });
  const [jane, max] = [watch("jane@x"), watch("max@x")];
  await pass(1_000);
  hub.heedLive({ "jane@x": { show: "away", status: "" }, "nobody@x": { show: "online", status: "" } });
  assert.deepEqual(jane, ["online", "away"]);
  await pass(31_000);
  assert.deepEqual(asked.slice(1), [["max@x"]]);
  assert.deepEqual(jane, ["online", "away"]);
  assert.equal(max.at(-1), "online");
  // Whoever appears later is known, too.
  assert.deepEqual(watch("nobody@x"), ["online"]);
});

test("what the frame sees no more is asked for again", async () => {
  const { hub, asked, pass, watch } = page({ answer: online });
  const jane = watch("jane@x");
  await pass(1_000);
  hub.heedLive({ "jane@x": { show: "dnd", status: "" } });
  await pass(40_000);
  hub.heedLive(null);
  await pass(1_000);
  assert.deepEqual(asked.at(-1), ["jane@x"]);
  assert.equal(jane.at(-1), "online");
});

test("what the frame has seen is there in the next page", async () => {
  const first = page({ answer: online });
  first.watch("jane@x");
  await first.pass(1_000);
  first.hub.heedLive({ "jane@x": { show: "xa", status: "" } });
  await first.pass(60_000);
  const second = page({ answer: online, storage: first.storage, at: first.clock.now });
  assert.deepEqual(second.watch("jane@x"), ["xa"]);
});

test("whoever chats elsewhere than they get mail is seen there", async () => {
  const answer = (addresses) => ({ ...online(addresses), accounts: { "jane@x": "jp@y" } });
  const { hub, pass, watch } = page({ answer });
  const jane = watch("jane@x");
  await pass(1_000);
  hub.heedLive({ "jp@y": { show: "dnd", status: "" }, "jane@x": { show: "offline", status: "" } });
  assert.deepEqual(jane, ["online", "dnd"]);
});
