import { describe, expect, it } from "vitest";
import type { Action, Call } from "./call";
import { hear, overhear, request } from "./desk";
import type { Around } from "./desk";
import { content } from "./fake_peer";
import type { Jingle } from "./jingle";
import { say } from "./jmi";
import { begin, step } from "./machine";

const ME = "romeo@montague.example/orchard";
const PEER = "juliet@capulet.example";
const PHONE = `${PEER}/phone`;
const around: Around = { me: ME, now: 100_000, isContact: (bare) => bare === PEER, isRoom: (bare) => bare === "room@muc.example" };
const propose = (sid: string, media: ("audio" | "video")[] = ["audio"]): ReturnType<typeof say> => say("propose", sid, { media });

const ringing = hear(undefined, PHONE, propose("m"), 100_000, around).calls[0] as Call;
const taken = step(step(ringing, { is: "accept", hasVideo: false }, 0).call, { is: "opened", hasVideo: false }, 0).call;
const calling = step(begin({ sid: "m", me: ME, peer: PEER, isContact: true, hasVideo: false, at: 0 }).call, { is: "opened", hasVideo: false }, 0).call;

function said(actions: readonly Action[]): string[] {
  return actions.flatMap((it) => (it.do === "say" ? [`${it.jmi.what} ${it.jmi.sid}${it.jmi.isTieBreak ? " tie-break" : ""}${it.jmi.migratedTo === undefined ? "" : ` to ${it.jmi.migratedTo}`}`] : []));
}

function asked(action: Jingle["action"], more: Partial<Jingle> = {}): Jingle {
  return { action, sid: "m", initiator: undefined, responder: undefined, contents: [], bundle: [], reason: undefined, info: undefined, hasUnknownInfo: false, ...more };
}

describe("a proposal", () => {
  it("rings when there is no call, or the last one is over", () => {
    expect(ringing).toMatchObject({ phase: "incoming", peer: PEER, device: PHONE, isContact: true });
    const over = step(ringing, { is: "decline" }, 0).call;
    expect(hear(over, PHONE, propose("n"), 100_000, around).calls.at(-1)?.sid).toBe("n");
  });

  it("does not ring when it is old, of a room's occupant, or of nothing to hear or see", () => {
    expect(hear(undefined, PHONE, propose("m"), 30_000, around).calls).toEqual([]);
    expect(hear(undefined, "room@muc.example/nurse", propose("m"), 100_000, around).calls).toEqual([]);
    expect(hear(undefined, PHONE, propose("m", []), 100_000, around).calls).toEqual([]);
  });

  it("of somebody else hears that we are busy", () => {
    const { calls, actions } = hear(taken, "paris@verona.example/x", propose("z"), 100_000, around);
    expect(calls).toEqual([taken]);
    expect(actions).toEqual([{ do: "say", to: "paris@verona.example/x", jmi: say("reject", "z", { reason: { condition: "busy", text: "" } }) }]);
  });

  it("at the same time as ours is taken when its id is the lower one (section 6.1)", () => {
    const { calls, actions } = hear(calling, PHONE, propose("a"), 100_000, around);
    expect(calls.map((it) => [it.sid, it.phase])).toEqual([["m", "ended"], ["a", "accepting"]]);
    expect(said(actions)).toEqual(["retract m tie-break"]);
  });

  it("at the same time as ours is rejected when its id is the higher one (section 6.1)", () => {
    const { calls, actions } = hear(calling, PHONE, propose("z"), 100_000, around);
    expect(calls).toEqual([calling]);
    expect(said(actions)).toEqual(["reject z tie-break"]);
  });

  it("while we are about to call them is taken", () => {
    const opening = begin({ sid: "m", me: ME, peer: PEER, isContact: true, hasVideo: false, at: 0 }).call;
    const { calls, actions } = hear(opening, PHONE, propose("z"), 100_000, around);
    expect(calls.map((it) => it.phase)).toEqual(["ended", "accepting"]);
    expect(said(actions)).toEqual([]);
  });

  it("of whom we talk with already goes on from the old call (section 6.2)", () => {
    const { calls, actions } = hear(taken, `${PEER}/tablet`, propose("n"), 100_000, around);
    expect(calls.map((it) => [it.sid, it.phase, it.device])).toEqual([["m", "ended", PHONE], ["n", "accepting", `${PEER}/tablet`]]);
    expect(said(actions)).toEqual(["finish m to n"]);
  });

  it("that comes again while it rings takes the place of the first", () => {
    const { calls } = hear(ringing, PHONE, propose("n"), 100_000, around);
    expect(calls.map((it) => [it.sid, it.phase])).toEqual([["m", "ended"], ["n", "incoming"]]);
  });
});

describe("row T10: what is not of the call does nothing to it", () => {
  it("t10_messages_of_another_account_or_session", () => {
    expect(hear(ringing, "tybalt@capulet.example/x", say("retract", "m"), 100_000, around).calls).toEqual([]);
    expect(hear(ringing, PHONE, say("retract", "other"), 100_000, around).calls).toEqual([]);
    expect(hear(calling, "tybalt@capulet.example/x", say("proceed", "m"), 100_000, around).calls).toEqual([]);
    expect(hear(calling, PHONE, say("proceed", "m"), 100_000, around).calls[0]?.phase).toBe("starting");
  });

  it("t10_requests_of_another_device_another_account_or_session", () => {
    for (const [from, sid] of [[`${PEER}/tablet`, "m"], ["tybalt@capulet.example/x", "m"], [PHONE, "other"]] as const) {
      for (const action of ["session-terminate", "session-accept", "transport-info", "content-remove"] as const) {
        expect(request(taken, from, asked(action, { sid }), around)).toEqual({ calls: [], actions: [], refusal: "unknown-session" });
      }
    }
  });

  it("t10_a_session_that_names_other_parties", () => {
    const stolen = asked("session-initiate", { contents: [content("0", "initiator", "audio")], initiator: "tybalt@capulet.example/x" });
    expect(request(taken, PHONE, stolen, around).refusal).toBe("bad-request");
    const honest = asked("session-initiate", { contents: [content("0", "initiator", "audio")], initiator: PHONE, responder: ME });
    expect(request(taken, PHONE, honest, around)).toMatchObject({ calls: [{ phase: "answering" }] });
  });

  it("t10_our_own_other_device_speaks_only_of_the_call_with_whom_it_was", () => {
    expect(overhear(ringing, PHONE, say("proceed", "m"), 0).calls[0]?.ending).toBe("elsewhere");
    expect(overhear(ringing, "paris@verona.example/x", say("proceed", "m"), 0).calls).toEqual([]);
    expect(overhear(ringing, PHONE, say("proceed", "other"), 0).calls).toEqual([]);
  });
});

describe("a session without a proposal", () => {
  const offer = asked("session-initiate", { sid: "d", contents: [content("0", "initiator", "audio")] });

  it("rings for a contact, and is unavailable for a stranger", () => {
    expect(request(undefined, PHONE, offer, around).calls[0]).toMatchObject({ phase: "incoming", isProposed: false });
    expect(request(undefined, "tybalt@capulet.example/x", offer, around).refusal).toBe("service-unavailable");
  });

  it("ends as busy while there is a call", () => {
    const { calls, actions } = request(taken, PHONE, offer, around);
    expect(calls).toEqual([taken]);
    expect(actions).toMatchObject([{ do: "jingle", to: PHONE, jingle: { action: "session-terminate", sid: "d", reason: { condition: "busy" } } }]);
  });
});
