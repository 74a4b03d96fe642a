import { describe, expect, it } from "vitest";
import type { Action, Call, Event, Phase, Step } from "./call";
import { candidate, content } from "./fake_peer";
import type { Jingle } from "./jingle";
import { say } from "./jmi";
import { begin, ring, ringUnproposed, step } from "./machine";
import { jingle } from "./steps";

const ME = "romeo@montague.example/orchard";
const PEER = "juliet@capulet.example";
const PHONE = `${PEER}/phone`;
const START = { sid: "s1", me: ME, peer: PEER, isContact: true, hasVideo: false, at: 1000 };
const AUDIO = { contents: [content("0", "initiator", "audio")], bundle: ["0"] };
const BOTH = { contents: [content("0", "initiator", "audio"), content("1", "initiator", "video")], bundle: ["0", "1"] };

/** Everything that was asked for on the way, and where it led. */
function walk(first: Step, ...events: Event[]): Step {
  return events.reduce<Step>(
    (before, event) => {
      const { call, actions, refusal } = step(before.call, event, 2000);
      return { call, actions: [...before.actions, ...actions], ...(refusal === undefined ? {} : { refusal }) };
    },
    { call: first.call, actions: first.actions },
  );
}

/** What the last event alone asked for. */
function last(first: Step, ...events: Event[]): Step {
  const before = walk(first, ...events.slice(0, -1));
  const event = events.at(-1);
  return event === undefined ? before : step(before.call, event, 2000);
}

/** Actions in short: what is said, asked of the session, and of the media. */
function brief(actions: readonly Action[]): string[] {
  return actions.flatMap((action) => {
    if (action.do === "say") return [`${action.jmi.what} to ${action.to}${action.jmi.reason === undefined ? "" : ` (${action.jmi.reason.condition})`}`];
    if (action.do === "jingle") return [`${action.jingle.action}${action.jingle.reason === undefined ? "" : ` (${action.jingle.reason.condition})`}`];
    if (action.do === "media") return [action.media.op];
    return action.do === "timer" ? [`${action.timer} in ${action.ms}`] : [];
  });
}

function said(what: Jingle["action"], more: Partial<Jingle> = {}): Event {
  return { is: "jingle", jingle: { action: what, sid: "s1", initiator: undefined, responder: undefined, contents: [], bundle: [], reason: undefined, info: undefined, hasUnknownInfo: false, ...more } };
}

const jmi = (what: Parameters<typeof say>[0], more: Parameters<typeof say>[2] = {}, from = PHONE): Event => ({ is: "jmi", from, jmi: say(what, "s1", more) });

const opened: Event = { is: "opened", hasVideo: false };
const connected: Event = { is: "connection", state: "connected" };
const ours = begin(START);
const theirs = ring({ ...START, hasVideo: true }, PHONE, false);

const toOffer: Event[] = [opened, jmi("ringing"), jmi("proceed"), { is: "offered", description: AUDIO }];
const toActive: Event[] = [...toOffer, said("session-accept", AUDIO), { is: "completed" }, connected];
const takeTheirs: Event[] = [{ is: "accept", hasVideo: false }, opened, said("session-initiate", BOTH), { is: "answered", description: BOTH }, connected];

describe("a call of ours", () => {
  it("asks for the microphone before anybody's telephone rings", () => {
    expect(ours.call.phase).toBe("opening");
    expect(brief(ours.actions)).toEqual(["open"]);
    expect(brief(last(ours, opened).actions)).toEqual([`propose to ${PEER}`, "ring in 60000"]);
  });

  it("goes from the proposal to media", () => {
    const phases: Phase[] = [];
    toActive.reduce<Call>((call, event) => {
      const next = step(call, event, 2000).call;
      phases.push(next.phase);
      return next;
    }, ours.call);
    expect(phases).toEqual(["proposing", "ringing", "starting", "starting", "connecting", "connecting", "active"]);
    const { call, actions } = walk(ours, ...toActive);
    expect(brief(actions).filter((it) => !it.includes(" in "))).toEqual(["open", `propose to ${PEER}`, "offer", "session-initiate", "complete"]);
    expect(call.device).toBe(PHONE);
    expect(call.activeAt).toBe(2000);
  });

  it("belongs to the first device that takes it", () => {
    const { call } = walk(ours, opened, jmi("proceed"), jmi("proceed", {}, `${PEER}/tablet`));
    expect(call.device).toBe(PHONE);
  });

  it("holds our candidates back until our offer is sent, and theirs until their answer is taken", () => {
    const early = last(ours, opened, jmi("proceed"), { is: "candidate", content: candidate("0", "initiator") });
    expect(early.actions).toEqual([]);
    const sent = step(early.call, { is: "offered", description: AUDIO }, 2000);
    expect(brief(sent.actions)).toEqual(["session-initiate", "transport-info"]);
    const trickled = step(sent.call, said("transport-info", { contents: [candidate("0", "initiator", 6000)] }), 2000);
    expect(trickled.actions).toEqual([]);
    const accepted = step(trickled.call, said("session-accept", AUDIO), 2000);
    const completed = step(accepted.call, { is: "completed" }, 2000);
    expect(brief(completed.actions)).toEqual(["candidates"]);
    expect(completed.call.early).toEqual([]);
  });

  it("keeps no more candidates waiting than there may be (row T07)", () => {
    let { call } = walk(ours, opened, jmi("proceed"), { is: "offered", description: AUDIO });
    let refusal: string | undefined;
    for (let port = 1; port <= 600; port += 1) {
      const next = step(call, said("transport-info", { contents: [candidate("0", "responder", port)] }), 2000);
      call = next.call;
      refusal = next.refusal;
    }
    expect(refusal).toBe("bad-request");
    expect(call.early).toHaveLength(512);
  });

  it.each([
    ["nobody answers", [opened, jmi("ringing"), { is: "time", timer: "ring" }], "no-answer", [`retract to ${PEER} (cancel)`, "close"]],
    ["we think better of it", [opened, { is: "hang-up" }], "cancelled", [`retract to ${PEER} (cancel)`, "close"]],
    ["we think better of it before anybody heard", [{ is: "hang-up" }], "cancelled", ["close"]],
    ["we think better of it when it was taken", [...toOffer.slice(0, 3), { is: "hang-up" }], "cancelled", [`finish to ${PHONE} (cancel)`, "close"]],
    ["we think better of it when it was offered", [...toOffer, { is: "hang-up" }], "cancelled", ["session-terminate (cancel)", `finish to ${PHONE} (cancel)`, "close"]],
    ["they decline", [opened, jmi("reject", { reason: { condition: "busy", text: "" } })], "declined", ["close"]],
    ["they give way to their own call", [opened, jmi("reject", { isTieBreak: true })], "tie-break", [`retract to ${PEER} (expired)`, "close"]],
    ["there is no microphone", [{ is: "media-failed", what: "open", contents: [] }], "no-media", ["close"]],
    ["the offer cannot be made", [...toOffer.slice(0, 3), { is: "media-failed", what: "offer", contents: [] }], "incompatible", [`finish to ${PHONE} (failed-application)`, "close"]],
    ["they never answer the offer", [...toOffer, { is: "time", timer: "answer" }], "gone", ["session-terminate (connectivity-error)", `finish to ${PHONE} (connectivity-error)`, "close"]],
    ["the offer comes back", [...toOffer, { is: "refused", action: "session-initiate", isTieBreak: false, isGone: true }], "gone", [`finish to ${PHONE} (connectivity-error)`, "close"]],
    ["they terminate as busy", [...toOffer, said("session-terminate", { reason: { condition: "busy", text: "" } })], "busy", [`finish to ${PHONE} (busy)`, "close"]],
    ["their device goes while it looks for a way", [...toOffer, { is: "peer-offline" }], "gone", ["session-terminate (connectivity-error)", `finish to ${PHONE} (connectivity-error)`, "close"]],
    ["there is no way", [...toActive.slice(0, -1), { is: "time", timer: "connect" }], "no-connection", ["session-terminate (connectivity-error)", `finish to ${PHONE} (connectivity-error)`, "close"]],
    ["ICE finds no way", [...toActive.slice(0, -1), { is: "connection", state: "failed" }], "no-connection", ["session-terminate (connectivity-error)", `finish to ${PHONE} (connectivity-error)`, "close"]],
    ["we hang up", [...toActive, { is: "hang-up" }], "hung-up", ["session-terminate (success)", `finish to ${PHONE} (success)`, "close"]],
    ["they hang up", [...toActive, said("session-terminate", { reason: { condition: "success", text: "" } })], "hung-up", [`finish to ${PHONE} (success)`, "close"]],
    ["they finish without a farewell", [...toActive, jmi("finish", { reason: { condition: "success", text: "" } })], "hung-up", ["session-terminate (success)", `finish to ${PHONE} (success)`, "close"]],
    ["they remove the last content", [...toActive, said("content-remove", { contents: [content("0", "initiator", "audio")] })], "hung-up", ["session-terminate (success)", `finish to ${PHONE} (success)`, "close"]],
  ] satisfies [string, Event[], Call["ending"], string[]][])("ends when %s", (_, events, ending, actions) => {
    const { call, actions: asked } = last(ours, ...events);
    expect(call.phase).toBe("ended");
    expect(call.ending).toBe(ending);
    expect(brief(asked)).toEqual(actions);
  });

  it("goes on when the presence of a device that talks is gone", () => {
    expect(last(ours, ...toActive, { is: "peer-offline" }).call.phase).toBe("active");
  });

  it("stays over", () => {
    const over = walk(ours, ...toActive, { is: "hang-up" }).call;
    for (const event of [connected, opened, jmi("proceed"), said("session-accept", AUDIO), { is: "hang-up" }] satisfies Event[]) {
      expect(step(over, event, 3000)).toEqual({ call: over, actions: [] });
    }
  });

  it("refuses what comes out of order", () => {
    expect(last(ours, opened, jmi("proceed"), said("session-accept", AUDIO)).refusal).toBe("out-of-order");
    expect(last(ours, ...toOffer, said("content-add", AUDIO)).refusal).toBe("out-of-order");
    expect(last(ours, ...toActive, said("session-accept", AUDIO)).refusal).toBe("out-of-order");
    expect(last(ours, ...toActive, said("session-initiate", AUDIO)).refusal).toBe("out-of-order");
    expect(last(ours, ...toActive, said("content-accept", AUDIO)).refusal).toBe("out-of-order");
    expect(last(ours, ...toActive, said("transport-replace", AUDIO)).refusal).toBe("bad-request");
  });
});

describe("a call of theirs", () => {
  it("rings, and tells a contact so", () => {
    expect(theirs.call.phase).toBe("incoming");
    expect(brief(theirs.actions)).toEqual([`ringing to ${PHONE}`, "ring in 60000"]);
  });

  it("t11_does_not_tell_a_stranger_that_we_are_here_and_speaks_through_the_relay", () => {
    const stranger = ring({ ...START, isContact: false }, PHONE, false);
    expect(brief(stranger.actions)).toEqual(["ring in 60000"]);
    const taken = last(stranger, { is: "accept", hasVideo: false });
    expect(taken.actions).toContainEqual({ do: "media", media: { op: "open", hasVideo: false, isRelayed: true } });
  });

  it("t11_gathers_nothing_before_a_person_has_taken_it", () => {
    const ops = [...theirs.actions, ...last(theirs, said("transport-info", { contents: [candidate("0", "initiator")] })).actions];
    expect(ops.filter((it) => it.do === "media")).toEqual([]);
  });

  it("is taken: microphone, a word, their offer, our answer", () => {
    const { call, actions } = walk(theirs, ...takeTheirs);
    expect(brief(actions)).toEqual([
      `ringing to ${PHONE}`,
      "ring in 60000",
      "open",
      `proceed to ${PHONE}`,
      "offer in 30000",
      "answer",
      "session-accept",
      "connect in 30000",
    ]);
    expect(call.phase).toBe("active");
  });

  it("shows no camera that was not offered", () => {
    const spoken = ring(START, PHONE, false);
    const { actions } = last(spoken, { is: "accept", hasVideo: true });
    expect(actions).toContainEqual({ do: "media", media: { op: "open", hasVideo: false, isRelayed: false } });
  });

  it.each([
    ["is declined", [{ is: "decline" }], "declined", [`reject to ${PHONE} (busy)`, "close"]],
    ["is not answered", [{ is: "time", timer: "ring" }], "missed", ["close"]],
    ["is taken back", [jmi("retract", { reason: { condition: "cancel", text: "" } })], "missed", ["close"]],
    ["is answered elsewhere", [{ is: "own", jmi: say("proceed", "s1") }], "elsewhere", ["close"]],
    ["is answered elsewhere by an older client", [{ is: "own", jmi: say("accept", "s1") }], "elsewhere", ["close"]],
    ["is declined elsewhere", [{ is: "own", jmi: say("reject", "s1") }], "declined-elsewhere", ["close"]],
    ["finds no microphone", [{ is: "accept", hasVideo: false }, { is: "media-failed", what: "open", contents: [] }], "no-media", [`reject to ${PHONE} (busy)`, "close"]],
    ["never gets its offer", [...takeTheirs.slice(0, 2), { is: "time", timer: "offer" }], "gone", [`finish to ${PHONE} (connectivity-error)`, "close"]],
    ["cannot be answered", [...takeTheirs.slice(0, 3), { is: "media-failed", what: "answer", contents: [] }], "incompatible", ["session-terminate (failed-application)", `finish to ${PHONE} (failed-application)`, "close"]],
  ] satisfies [string, Event[], Call["ending"], string[]][])("ends when it %s", (_, events, ending, actions) => {
    const { call, actions: asked } = last(theirs, ...events);
    expect(call.ending).toBe(ending);
    expect(brief(asked)).toEqual(actions);
  });

  it("goes on here when another device takes it too late", () => {
    expect(last(theirs, ...takeTheirs.slice(0, 2), { is: "own", jmi: say("proceed", "s1") }).call.phase).toBe("proceeding");
  });

  it("t10_is_no_session_before_a_person_has_taken_it", () => {
    expect(last(theirs, said("session-initiate", BOTH)).refusal).toBe("out-of-order");
  });

  it("rings without a proposal for clients that make none, and is answered with what they offered", () => {
    const direct = ringUnproposed(START, PHONE, AUDIO);
    expect(brief(direct.actions)).toEqual(["session-info", "ring in 60000"]);
    const taken = walk(direct, { is: "accept", hasVideo: false }, opened, { is: "answered", description: AUDIO });
    expect(brief(taken.actions).slice(2)).toEqual(["open", "answer", "session-accept", "connect in 30000"]);
    expect(brief(last(direct, { is: "decline" }).actions)).toEqual(["session-terminate (decline)", "close"]);
  });
});

describe("while talking", () => {
  const active = walk(ours, ...toActive);
  const camera: Event = { is: "switch", kind: "camera", isOn: true };
  const added = { contents: [content("1", "initiator", "video")], bundle: ["0", "1"] };

  it("mutes, and tells them", () => {
    const muted = last(active, { is: "mute", isOn: true });
    expect(brief(muted.actions)).toEqual(["mute", "session-info"]);
    expect(muted.call.isMuted).toBe(true);
    expect(step(muted.call, { is: "mute", isOn: true }, 2000).actions).toEqual([]);
    expect(brief(step(muted.call, { is: "mute", isOn: false }, 2000).actions)).toEqual(["mute", "session-info"]);
  });

  it("mutes before anybody answers, and tells them once they do", () => {
    const { call, actions } = last(ours, opened, { is: "mute", isOn: true }, ...toActive.slice(1));
    expect(call.isMuted).toBe(true);
    expect(brief(actions)).toContain("session-info");
  });

  it("knows what they have muted, and that they hold", () => {
    const mute = said("session-info", { info: { what: "mute", content: { creator: "initiator", name: "0" } } });
    const muted = step(active.call, mute, 2000).call;
    expect(muted.theirMuted).toEqual(["0"]);
    expect(step(muted, said("session-info", { info: { what: "active", content: undefined } }), 2000).call.theirMuted).toEqual([]);
    const held = step(active.call, said("session-info", { info: { what: "hold", content: undefined } }), 2000).call;
    expect(held.isHeld).toBe(true);
    expect(step(held, said("session-info", { info: { what: "unhold", content: undefined } }), 2000).call.isHeld).toBe(false);
    expect(step(active.call, said("session-info", { hasUnknownInfo: true }), 2000).refusal).toBe("unsupported-info");
  });

  it("adds the camera: offered, sent, taken", () => {
    const asked = last(active, camera);
    expect(brief(asked.actions)).toEqual(["switch"]);
    expect(asked.call.hasCamera).toBe(false);
    const sent = step(asked.call, { is: "switched", change: { kind: "camera", isOn: true }, result: { needs: "add", description: added } }, 2000);
    expect(brief(sent.actions)).toEqual(["content-add"]);
    const accepted = step(sent.call, said("content-accept", added), 2000);
    expect(brief(accepted.actions)).toEqual(["complete"]);
    const done = step(accepted.call, { is: "completed" }, 2000);
    expect(done.call.hasCamera).toBe(true);
    expect(done.call.changing).toBeUndefined();
    expect(done.call.media.map((it) => it.media)).toEqual(["audio", "video"]);
  });

  it("is as before when they do not want the picture", () => {
    const sent = walk(active, camera, { is: "switched", change: { kind: "camera", isOn: true }, result: { needs: "add", description: added } });
    const refused = step(sent.call, said("content-reject", { contents: added.contents }), 2000);
    expect(refused.actions).toContainEqual({ do: "media", media: { op: "rollback", keeps: false } });
    expect(refused.call.hasCamera).toBe(false);
    expect(refused.call.media.map((it) => it.media)).toEqual(["audio"]);
  });

  it("is as before when nobody chooses a screen", () => {
    const failed = last(active, { is: "switch", kind: "screen", isOn: true }, { is: "media-failed", what: "switch", contents: [] });
    expect(failed.call).toMatchObject({ phase: "active", hasScreen: false, changing: undefined });
  });

  it("makes one change after another, and of each kind the last that was wished for", () => {
    const wishes = walk(active, camera, { is: "switch", kind: "screen", isOn: true }, { is: "switch", kind: "screen", isOn: false }, { is: "switch", kind: "screen", isOn: true });
    expect(wishes.call.changing).toEqual({ kind: "camera", isOn: true });
    expect(wishes.call.changes).toEqual([{ kind: "screen", isOn: true }]);
    const done = walk(wishes, { is: "switched", change: { kind: "camera", isOn: true }, result: { needs: "nothing" } });
    expect(done.call.changing).toEqual({ kind: "screen", isOn: true });
  });

  it("tells them when the camera stops and the content stays", () => {
    const video = walk(begin({ ...START, hasVideo: true }), { is: "opened", hasVideo: true }, ...toOffer.slice(1, 3), { is: "offered", description: BOTH }, said("session-accept", BOTH), { is: "completed" }, connected);
    expect(video.call.hasCamera).toBe(true);
    const off = walk({ call: video.call, actions: [] }, { is: "switch", kind: "camera", isOn: false }, { is: "switched", change: { kind: "camera", isOn: false }, result: { needs: "nothing" } });
    expect(off.call.hasCamera).toBe(false);
    expect(off.actions.at(-1)).toMatchObject({ do: "jingle", jingle: { info: { what: "mute", content: { name: "1" } } } });
  });

  it("stops the screen by itself when the browser's button does", () => {
    const description = { contents: [content("2", "initiator", "video", ["slides"])], bundle: ["0", "2"] };
    const shared = walk(active, { is: "switch", kind: "screen", isOn: true }, { is: "switched", change: { kind: "screen", isOn: true }, result: { needs: "add", description } }, said("content-accept", description), { is: "completed" });
    expect(shared.call.hasScreen).toBe(true);
    const stopped = walk({ call: shared.call, actions: [] }, { is: "screen-ended" }, { is: "switched", change: { kind: "screen", isOn: false }, result: { needs: "remove", contents: description.contents } });
    expect(brief(stopped.actions)).toEqual(["switch", "content-remove"]);
    expect(stopped.call).toMatchObject({ hasScreen: false, media: [{ media: "audio" }] });
  });

  it("takes what they add, and refuses what the browser does not", () => {
    const theirs_ = said("content-add", { contents: [content("v", "responder", "video")], bundle: ["0", "v"] });
    const taken = walk({ call: active.call, actions: [] }, theirs_, { is: "added", description: { contents: [content("v", "responder", "video")], bundle: [] } });
    expect(brief(taken.actions)).toEqual(["add", "content-accept"]);
    const failed = walk({ call: active.call, actions: [] }, theirs_, { is: "media-failed", what: "add", contents: [content("v", "responder", "video")] });
    expect(brief(failed.actions)).toEqual(["add", "content-reject (failed-application)"]);
    expect(failed.call).toMatchObject({ phase: "active", media: [{ name: "0" }] });
  });

  it("of two additions at once takes the initiator's, and makes the other again", () => {
    const sent = walk(active, camera, { is: "switched", change: { kind: "camera", isOn: true }, result: { needs: "add", description: added } });
    const tie = said("content-add", { contents: [content("v", "responder", "video")] });
    expect(step(sent.call, tie, 2000)).toMatchObject({ refusal: "tie-break", actions: [] });

    const responder = walk(theirs, ...takeTheirs);
    const mine = walk({ call: responder.call, actions: [] }, { is: "switch", kind: "screen", isOn: true });
    const yielded = step(mine.call, said("content-add", { contents: [content("9", "initiator", "video")] }), 2000);
    expect(brief(yielded.actions)).toEqual(["rollback", "add"]);
    const again = step(yielded.call, { is: "added", description: { contents: [content("9", "initiator", "video")], bundle: [] } }, 2000);
    expect(brief(again.actions)).toEqual(["content-accept", "switch"]);
  });

  it("waits for the initiator's addition after losing a tie", () => {
    const responder = walk(theirs, ...takeTheirs);
    const description = { contents: [content("s", "responder", "video")], bundle: [] };
    const sent = walk({ call: responder.call, actions: [] }, { is: "switch", kind: "screen", isOn: true }, { is: "switched", change: { kind: "screen", isOn: true }, result: { needs: "add", description } });
    const lost = step(sent.call, { is: "refused", action: "content-add", isTieBreak: true, isGone: false }, 2000);
    expect(lost.actions).toEqual([{ do: "media", media: { op: "rollback", keeps: true } }]);
    expect(lost.call.changes).toEqual([{ kind: "screen", isOn: true }]);
  });

  it("hands changes of direction and removals to the media", () => {
    expect(brief(last(active, said("content-modify", { contents: [content("0", "initiator", "audio")] })).actions)).toEqual(["modified"]);
    const two = walk(begin({ ...START, hasVideo: true }), { is: "opened", hasVideo: true }, ...toOffer.slice(1, 3), { is: "offered", description: BOTH }, said("session-accept", BOTH), { is: "completed" }, connected);
    expect(brief(last(two, said("content-remove", { contents: [content("1", "initiator", "video")] })).actions)).toEqual(["removed"]);
  });

  it("looks for another way when the one that there is breaks, and gives up after a while", () => {
    const shaky = last(active, { is: "connection", state: "shaky" });
    expect(shaky.call.isShaky).toBe(true);
    expect(brief(shaky.actions)).toEqual(["shaky in 4000"]);
    const searching = step(shaky.call, { is: "time", timer: "shaky" }, 2000);
    expect(brief(searching.actions)).toEqual(["restart", "shaky in 25000"]);
    expect(step(searching.call, connected, 2000).call).toMatchObject({ isShaky: false, isSearching: false, activeAt: 2000 });
    expect(step(searching.call, { is: "time", timer: "shaky" }, 2000).call).toMatchObject({ phase: "ended", ending: "connection-lost" });
    const transports = [candidate("0", "initiator")];
    expect(brief(step(searching.call, { is: "restarted", contents: transports }, 2000).actions)).toEqual(["transport-info"]);
  });

  it("names both sides as the session knows them", () => {
    expect(jingle(active.call, "session-info")).toMatchObject({ initiator: ME, responder: undefined });
    expect(jingle(walk(theirs, ...takeTheirs).call, "session-accept")).toMatchObject({ initiator: PHONE, responder: ME });
  });
});
