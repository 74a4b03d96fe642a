// What a channel's crash costs with npm's `phoenix`, unmodified, in both versions that are about:
// `phx_error` for its topic, a join again by the client's back-off, and nothing for the other
// channels of the connection.
//
//   channels_crash.mjs 1-7|1-8    against a server with the cargo feature `broken` and
//                                 KLATSCH_BROKEN=channel, in which a frame with "break" panics
//
// Accounts: mona and nils @localhost; every account may use the app `board`.

import process from "node:process";

import {
  as, check, connect, event, join, LongPoll, message, outcome, Presence, ROOM, same, step, tally,
  until, version,
} from "./channels_harness.mjs";

const TOPICS = [ROOM, "user:mona@localhost", "presence:*", `app:board:crash-${version}`];
// The client's first two steps of back-off; its timer may be a moment early.
const STEPS_MS = [1000, 2000];
const EARLY_MS = 50;

const ends = (it) => ["phx_error", "phx_close"].includes(it.event);

/** A connection that is on every kind of topic, and how often it has been opened and closed. */
async function everywhere(options = {}) {
  const socket = connect(as("mona"), options);
  const count = { opened: 0, closed: 0 };
  socket.onOpen(() => (count.opened += 1));
  socket.onClose(() => (count.closed += 1));
  const channels = [];
  for (const topic of TOPICS) channels.push(await join(socket, topic));
  return { socket, channels, count };
}

async function isAlive(channel) {
  // A word that each kind of topic answers, with "ok" or by saying that it does not know it.
  const [status, response] = await outcome(channel.push("nothing", {}));
  const is = status === "ok" || response?.reason === "unknown event";
  check(is, `${channel.topic} answers ${status} ${JSON.stringify(response)}`);
}

for (const at of TOPICS.keys()) {
  await step(`a crash on ${TOPICS[at].split(":")[0]}:… is that topic's alone`, async () => {
    const { socket, channels, count } = await everywhere();
    const lives = channels.map((channel) => channel.joinRef());
    const broken = channels[at];
    socket.heard.length = 0;
    const begin = performance.now();
    broken.push("break", {});
    const error = await event(socket, broken.topic, "phx_error");
    same([error.join_ref, error.payload], [lives[at], {}], "whose life has ended");
    await until(() => broken.state === "joined" && broken.joinRef() !== lives[at]);
    const waited = performance.now() - begin;
    check(waited >= STEPS_MS[0] - EARLY_MS, `it joined again after ${waited} ms, without its back-off`);
    for (const channel of channels) await isAlive(channel);
    const others = channels.filter((channel) => channel !== broken);
    const kept = lives.filter((_, index) => index !== at);
    same(others.map((channel) => channel.joinRef()), kept, "the lives of the others");
    check(!socket.heard.some(ends), "another channel has ended");
    same(count, { opened: 1, closed: 0 }, "the connection");
  });
}

await step("whoever else is in the room sees the client go and come back, and they talk on", async () => {
  const nils = connect(as("nils"));
  const there = nils.channel(ROOM);
  const presence = new Presence(there);
  const came = [];
  presence.onJoin((nick) => came.push(`+${nick}`));
  presence.onLeave((nick, _, left) => left.metas.length && came.push(`-${nick}`));
  same((await outcome(there.join()))[0], "ok", "the join");
  const mona = connect(as("mona"));
  const here = await join(mona, ROOM);
  await until(() => came.includes("+mona"));
  came.length = 0;
  here.push("break", {});
  await until(() => came.length >= 2);
  same(came, ["-mona", "+mona"], "what is seen");
  const body = `after the crash ${version}`;
  const heard = new Promise((resolve) => there.on("message", (it) => it.body === body && resolve(it)));
  await until(() => here.state === "joined");
  same((await outcome(here.push("send", { body })))[0], "ok", "the push");
  await heard;
});

await step("a join that crashes is answered, and tried again with growing patience", async () => {
  const socket = connect(as("mona"));
  const other = await join(socket, "user:mona@localhost");
  const [life, tries] = [other.joinRef(), []];
  const channel = socket.channel(ROOM, () => {
    tries.push(performance.now());
    return tries.length <= STEPS_MS.length ? { way: "break" } : {};
  });
  same(await outcome(channel.join()), ["error", { reason: "join crashed" }], "the answer");
  await until(() => channel.state === "joined");
  same(tries.length, STEPS_MS.length + 1, "joins");
  STEPS_MS.forEach((least, index) => {
    const waited = tries[index + 1] - tries[index];
    check(waited >= least - EARLY_MS, `join ${index + 1} came after ${waited} ms`);
  });
  same([other.state, other.joinRef()], ["joined", life], "the other channel");
});

await step("over long-poll it is the same", async () => {
  const { socket, channels, count } = await everywhere({ transport: LongPoll });
  const [room, own] = channels;
  const lives = [room.joinRef(), own.joinRef()];
  room.push("break", {});
  await message(socket, (it) => it.topic === ROOM && it.event === "phx_error");
  await until(() => room.state === "joined" && room.joinRef() !== lives[0]);
  for (const channel of channels) await isAlive(channel);
  same([own.joinRef(), count], [lives[1], { opened: 1, closed: 0 }], "the rest");
});

process.exit(tally.failed === 0 ? 0 : 1);
