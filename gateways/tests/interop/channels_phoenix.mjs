// Two people use the npm client `phoenix`, unmodified, in both versions that are about (1.7, 1.8),
// over a WebSocket and by long-poll.
//
//   channels_phoenix.mjs 1-7|1-8 COMMAND…    COMMAND is klatsch with its settings, to end sessions
//
// Proves against the protocol's description: join and its answer, denied and unmatched joins, the
// order of a leave, a join of a joined topic, a word to an earlier life, binary pushes, heartbeats,
// a connection that is lost and channels that join again, messages and pages of the archive,
// presence through the client's own Presence: two devices under one key, an update that names what
// it replaces, who goes; a token in the header or the parameters; who is not let in; topics of an
// app with JSON and bytes both ways and presence, whose references are the same after another join;
// long-poll. What becomes of a channel that crashes is in channels_crash.mjs.
//
// Accounts: mona and nils @localhost with the passwords pw-mona and pw-nils; KLATSCH_TOKEN is a
// token of mona's, KLATSCH_APP_TOKEN one of nils's for the app `shop` alone. Every account may use
// the app `board`.

import { execFileSync } from "node:child_process";
import process from "node:process";

import {
  as, check, connect, event, join, klatsch, LongPoll, message, outcome, Presence, ROOM, same, step,
  tally, until, version,
} from "./channels_harness.mjs";

await step("a room is joined, and its presence is there", async () => {
  const socket = connect(as("mona"));
  const channel = socket.channel(ROOM, { nick: "Kate" });
  const presence = new Presence(channel);
  const [status, response] = await outcome(channel.join());
  same([status, response.nick], ["ok", "Kate"], "the answer");
  await until(() => presence.list().length === 1);
  const [meta] = presence.list((_, { metas }) => metas[0]);
  check(meta.phx_ref, "a meta has a reference");
});

await step("a denied join says why, and a topic of no kind matches nothing", async () => {
  const mona = connect(as("mona"));
  await join(mona, ROOM, { nick: "Kate" });
  const nils = connect(as("nils"));
  const taken = nils.channel(ROOM, { nick: "Kate" });
  same(await outcome(taken.join()), ["error", { reason: "conflict" }], "a nick that is taken");
  taken.leave();
  const stranger = nils.channel("presence:nobody@localhost");
  same(await outcome(stranger.join()), ["error", { reason: "unauthorized" }], "a stranger");
  stranger.leave();
  const lobby = nils.channel("lobby");
  same(await outcome(lobby.join()), ["error", { reason: "unmatched topic" }], "no kind");
  lobby.leave();
});

await step("a push to a topic that is not joined matches nothing", async () => {
  const socket = connect(as("mona"));
  await join(socket, ROOM);
  socket.push({ topic: "room:x@conference.localhost", event: "send", payload: {}, ref: "77", join_ref: "5" });
  const reply = await message(socket, (it) => it.ref === "77");
  same([reply.payload.status, reply.payload.response], ["error", { reason: "unmatched topic" }], "the answer");
  check(reply.join_ref === null, "the answer has no join_ref");
});

await step("a leave is answered before the channel closes", async () => {
  const socket = connect(as("mona"));
  const channel = await join(socket, ROOM);
  const joined = channel.joinRef();
  let closed = false;
  channel.onClose(() => (closed = true));
  same(await outcome(channel.leave()), ["ok", {}], "the answer");
  const close = await event(socket, ROOM, "phx_close");
  same([close.join_ref, close.ref], [joined, joined], "its references");
  const events = socket.heard.filter((it) => it.topic === ROOM && it.event === "phx_close");
  check(closed && events.length === 0, "it closes once");
});

await step("a join of a joined topic ends the first life and begins another", async () => {
  const socket = connect(as("mona"));
  const channel = await join(socket, ROOM);
  const before = channel.joinRef();
  socket.heard.length = 0;
  socket.push({ topic: ROOM, event: "phx_join", payload: {}, ref: "900", join_ref: "900" });
  const close = await event(socket, ROOM, "phx_close");
  same([close.join_ref, close.ref], [before, before], "the first life ends");
  const reply = await message(socket, (it) => it.ref === "900");
  same([reply.join_ref, reply.payload.status], ["900", "ok"], "the second begins");
  // Its state belongs to it; that of the first life may still have been under way.
  await message(socket, (it) => it.event === "presence_state" && it.join_ref === "900");
  // A word to the first life is dropped: the next answer is that of the heartbeat.
  socket.heard.length = 0;
  socket.push({ topic: ROOM, event: "typing", payload: {}, ref: "901", join_ref: before });
  socket.push({ topic: "phoenix", event: "heartbeat", payload: {}, ref: "902" });
  await message(socket, (it) => it.ref === "902");
  check(!socket.heard.some((it) => it.ref === "901"), "it was answered");
});

await step("a binary push is read, and refused by its reference where JSON is wanted", async () => {
  const socket = connect(as("mona"));
  const channel = await join(socket, ROOM);
  const bytes = new Uint8Array([1, 2, 255]).buffer;
  const [status, response] = await outcome(channel.push("send", bytes));
  same([status, response.reason], ["error", "binary payload on a topic of JSON"], "the answer");
  const [again] = await outcome(channel.push("typing", {}));
  check(again === "ok", "the channel goes on");
});

await step("heartbeats are answered and keep the connection", async () => {
  const socket = connect(as("mona"), { heartbeatIntervalMs: 100 });
  let closed = false;
  socket.onClose(() => (closed = true));
  for (let beat = 0; beat < 5; beat += 1) {
    await message(socket, (it) => it.topic === "phoenix" && it.event === "phx_reply");
  }
  check(!closed && socket.isConnected(), "it is still there");
});

await step("a frame that cannot be read gets an error and closes nothing", async () => {
  const socket = connect(as("mona"));
  const channel = await join(socket, ROOM);
  socket.conn.send("[nothing");
  const error = await message(socket, (it) => it.topic === "phoenix" && it.payload.status === "error");
  check(error.payload.response.reason.startsWith("malformed frame"), "it says what is wrong");
  const [status] = await outcome(channel.push("typing", {}));
  check(status === "ok", "the channel goes on");
});

await step("messages go both ways, are kept, and are found in the archive", async () => {
  const [mona, nils] = [connect(as("mona")), connect(as("nils"))];
  const [here, there] = [await join(mona, ROOM), await join(nils, ROOM)];
  const id = `m-${version}-${Date.now()}`;
  const heard = new Promise((resolve) => there.on("message", (it) => it.id === id && resolve(it)));
  same(await outcome(here.push("send", { body: "hello & <b>", id })), ["ok", { id }], "the answer");
  const got = await heard;
  same([got.from, got.body], ["mona", "hello & <b>"], "the message");
  const [, page] = await outcome(there.push("history", { max: 5 }));
  check(page.messages.some((it) => it.id === id && it.stanza_id === got.stanza_id), "the archive");
  // The same again is the same message.
  same(await outcome(here.push("send", { body: "hello & <b>", id })), ["ok", { id }], "again");
  const [, second] = await outcome(there.push("history", { max: 50 }));
  same(second.messages.filter((it) => it.id === id).length, 1, "entries of it");
});

await step("conversations of two", async () => {
  const [mona, nils] = [connect(as("mona")), connect(as("nils"))];
  const all = await join(nils, "user:nils@localhost");
  const one = await join(mona, "user:nils@localhost");
  const body = `for you ${Date.now()}`;
  const heard = new Promise((resolve) => all.on("message", (it) => it.body === body && resolve(it)));
  const [status] = await outcome(one.push("send", { body }));
  check(status === "ok", "it is kept");
  same((await heard).from, "mona@localhost", "whom it is from");
});

await step("a connection that is lost comes back, and its channels join again", async () => {
  const socket = connect(as("mona", { resource: "lost" }));
  const channel = await join(socket, ROOM);
  const before = channel.joinRef();
  let opened = 0;
  let errors = 0;
  socket.onOpen(() => (opened += 1));
  channel.onError(() => (errors += 1));
  const [command, ...more] = klatsch;
  execFileSync(command, [...more, "session", "kick", "mona@localhost/lost"]);
  await until(() => opened >= 1 && channel.state === "joined" && channel.joinRef() !== before);
  check(errors >= 1, "the channel noticed");
  const [status] = await outcome(channel.push("typing", {}));
  check(status === "ok", "the channel works");
});

await step("two devices are under one key, an update names what it replaces, and one goes", async () => {
  const mona = connect(as("mona"));
  const own = await join(mona, "user:mona@localhost");
  const desk = connect(as("nils", { resource: "desk" }));
  const theirs = await join(desk, "user:nils@localhost");
  // They let each other see them, unless they do already.
  theirs.on("request", ({ from }) => theirs.push("approve", { jid: from }));
  await outcome(own.push("subscribe", { jid: "nils@localhost" }));
  const channel = mona.channel("presence:nils@localhost");
  const presence = new Presence(channel);
  await until(() => {
    if (channel.state === "closed") channel.join();
    return channel.state === "joined";
  });
  const phone = connect(as("nils", { resource: "phone" }));
  const look = await join(phone, "presence:*");
  const metas = () => presence.list((_, { metas }) => metas)[0] ?? [];
  await until(() => metas().length === 2);
  const before = metas().find((it) => it.resource === "phone").phx_ref;
  mona.heard.length = 0;
  same((await outcome(look.push("status", { show: "dnd", status: "busy" })))[0], "ok", "the status");
  const { payload } = await event(mona, "presence:nils@localhost", "presence_diff");
  const [joins, leaves] = [payload.joins["nils@localhost"], payload.leaves["nils@localhost"]];
  same(joins.metas[0].phx_ref_prev, before, "what it replaces");
  same(leaves.metas.map((it) => it.phx_ref), [before], "what leaves");
  same(metas().length, 2, "devices behind the update");
  same(metas().find((it) => it.resource === "phone").show, "dnd", "the new state");
  phone.disconnect();
  await until(() => metas().length === 1);
  same(metas()[0].resource, "desk", "who is left");
  desk.disconnect();
  await until(() => presence.list().length === 0);
});

await step("a token lets in, and a wrong password does not", async () => {
  const token = process.env.KLATSCH_TOKEN;
  const socket = version === "1-8" ? connect({}, { authToken: token }) : connect({ token });
  const me = socket.channel("user:mona@localhost");
  const [status, response] = await outcome(me.join());
  same([status, response.jid.split("/")[0]], ["ok", "mona@localhost"], "whose it is");
  const wrong = connect(as("mona", { password: "guess" }), { reconnectAfterMs: () => 60_000 });
  await new Promise((resolve) => wrong.onError(resolve));
  check(!wrong.isConnected(), "it is not let in");
});

const BOARD = `app:board:plan-${version}`;

await step("a topic of an app: JSON and bytes reach everybody on it, as they were pushed", async () => {
  const [mona, nils] = [connect(as("mona")), connect(as("nils"))];
  const here = await join(mona, BOARD);
  const there = await join(nils, BOARD, { self: false });
  const next = (channel, name) => new Promise((resolve) => channel.on(name, resolve));
  const heard = [next(here, "moved"), next(there, "moved")];
  same(await outcome(here.push("moved", { list: [null, "<b>"], x: 1 })), ["ok", {}], "the answer");
  for (const payload of await Promise.all(heard)) same(payload, { list: [null, "<b>"], x: 1 }, "the payload");
  const bytes = new Uint8Array([0, 1, 2, 255]);
  const drawn = [next(here, "drawn"), next(there, "drawn")];
  same(await outcome(here.push("drawn", bytes.buffer)), ["ok", {}], "the answer to bytes");
  for (const payload of await Promise.all(drawn)) {
    check(payload instanceof ArrayBuffer, "bytes come as bytes");
    same([...new Uint8Array(payload)], [...bytes], "the bytes");
  }
  // Who does not want to hear itself does not; the other does.
  let own = 0;
  there.on("mine", () => (own += 1));
  const mine = next(here, "mine");
  await outcome(there.push("mine", {}));
  await mine;
  same(own, 0, "what came back");
  const forbidden = nils.channel("app:shop:x");
  same(await outcome(forbidden.join()), ["error", { reason: "unauthorized" }], "another app");
  forbidden.leave();
});

await step("a topic of an app has presence, and a token for one opens nothing else", async () => {
  const nils = connect({ token: process.env.KLATSCH_APP_TOKEN, resource: "page" });
  const channel = nils.channel("app:shop:door", { meta: { colour: "red" } });
  const presence = new Presence(channel);
  const meta = () => presence.list((_, { metas }) => metas)[0]?.find((it) => it.resource === "page");
  const joined = outcome(channel.join());
  same(await joined, ["ok", { jid: "nils@localhost/page", push: true }], "the answer");
  await until(() => meta()?.colour === "red");
  const before = meta().phx_ref;
  same((await outcome(channel.push("presence", { colour: "blue" })))[0], "ok", "the change");
  await until(() => meta()?.colour === "blue");
  same([meta().phx_ref_prev, presence.list().length], [before, 1], "what it replaces");
  // Whoever comes later has the same reference for the same state.
  const late = connect({ token: process.env.KLATSCH_APP_TOKEN, resource: "late" });
  const other = late.channel("app:shop:door", { meta: {} });
  const theirs = new Presence(other);
  await outcome(other.join());
  const seen = () => theirs.list((_, { metas }) => metas)[0]?.find((it) => it.resource === "page");
  await until(() => seen());
  same([seen().phx_ref, seen().phx_ref_prev], [meta().phx_ref, before], "its reference");
  for (const topic of [ROOM, "user:nils@localhost", "presence:*"]) {
    const shut = nils.channel(topic);
    same(await outcome(shut.join()), ["error", { reason: "unauthorized" }], topic);
    shut.leave();
  }
});

await step("references of presence are the same after another connection", async () => {
  const desk = connect(as("nils", { resource: "steady" }));
  await join(desk, "user:nils@localhost");
  const reference = async () => {
    const mona = connect(as("nils", { resource: "looker" }));
    const channel = mona.channel("presence:nils@localhost");
    const presence = new Presence(channel);
    channel.join();
    const steady = () => presence.list((_, { metas }) => metas).flat().find((it) => it.resource === "steady");
    await until(() => steady());
    const { phx_ref } = steady();
    mona.disconnect();
    return phx_ref;
  };
  same(await reference(), await reference(), "the reference");
});

await step("long-poll: the same, asking again and again", async () => {
  const options = { transport: LongPoll };
  const mona = connect(as("mona"), options);
  const nils = connect(as("nils"));
  const there = await join(nils, ROOM);
  const here = mona.channel(ROOM);
  const presence = new Presence(here);
  same((await outcome(here.join()))[0], "ok", "the join");
  await until(() => presence.list().length >= 2);
  const heard = new Promise((resolve) => there.on("message", (it) => it.body === "polled" && resolve(it)));
  same((await outcome(here.push("send", { body: "polled" })))[0], "ok", "the push");
  await heard;
  const back = new Promise((resolve) => here.on("message", (it) => it.body === "pushed" && resolve(it)));
  await outcome(there.push("send", { body: "pushed" }));
  await back;
  const bytes = new Uint8Array([1, 2, 255]).buffer;
  same((await outcome(here.push("send", bytes)))[0], "error", "a binary push");
  const board = await join(mona, BOARD);
  const wall = await join(nils, BOARD);
  const drawn = new Promise((resolve) => wall.on("drawn", resolve));
  same(await outcome(board.push("drawn", bytes)), ["ok", {}], "bytes for an app");
  same([...new Uint8Array(await drawn)], [1, 2, 255], "the bytes");
  const moved = new Promise((resolve) => board.on("moved", resolve));
  await outcome(wall.push("moved", { x: 2 }));
  same(await moved, { x: 2 }, "a broadcast");
  same(await outcome(here.leave()), ["ok", {}], "the leave");
});

if (version === "1-8") {
  await step("long-poll: a token in the header, and a session that is lost", async () => {
    const options = { transport: LongPoll, authToken: process.env.KLATSCH_TOKEN };
    const socket = connect({ resource: "polled" }, options);
    const channel = await join(socket, ROOM);
    const before = channel.joinRef();
    const [command, ...more] = klatsch;
    execFileSync(command, [...more, "session", "kick", "mona@localhost/polled"]);
    await until(() => channel.state === "joined" && channel.joinRef() !== before);
    same((await outcome(channel.push("typing", {})))[0], "ok", "the channel works");
  });
}

process.exit(tally.failed === 0 ? 0 : 1);
