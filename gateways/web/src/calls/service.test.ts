// Two people, three devices, and a wire between them that does what a server does: it says who has
// sent what, hands messages to all devices of an account and copies them (XEP-0280).

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeLink } from "../xmpp/fake_link";
import { bareJid } from "../xmpp/jid";
import { serialize } from "../xmpp/xml";
import { FakePeer } from "./fake_peer";
import type { Noted } from "./history";
import { CallService } from "./service";

/** A server of a few lines. */
class Wire {
  readonly links: WiredLink[] = [];

  carry(from: WiredLink, stanza: Element): void {
    const copy = stanza.cloneNode(true) as Element;
    copy.setAttribute("from", from.jid);
    const to = copy.getAttribute("to") ?? "";
    if (to === from.domain || to === "") return;
    const message = copy.localName === "message";
    const full = this.links.filter((it) => it.jid === to);
    const bare = this.links.filter((it) => it.bareJid === to);
    for (const it of [...full, ...(message ? bare : [])]) it.receive(serialize(copy));
    if (!message) return;
    for (const it of this.links) {
      if (it !== from && it.bareJid === from.bareJid && it.bareJid !== bareJid(to)) it.receive(carbon("sent", it.bareJid, copy));
      if (it.bareJid === bareJid(to) && it.jid !== to && to.includes("/")) it.receive(carbon("received", it.bareJid, copy));
    }
  }
}

function carbon(direction: string, own: string, stanza: Element): string {
  return `<message xmlns="jabber:client" from="${own}"><${direction} xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">${serialize(stanza)}</forwarded></${direction}></message>`;
}

class WiredLink extends FakeLink {
  constructor(
    private readonly wire: Wire,
    jid: string,
  ) {
    super();
    this.jid = jid;
    this.state = "online";
    wire.links.push(this);
  }

  override send(stanza: Element): boolean {
    if (!super.send(stanza)) return false;
    this.wire.carry(this, stanza);
    return true;
  }
}

/** Somebody's device. */
class Device {
  readonly link: WiredLink;
  readonly calls: CallService;
  readonly notes: Noted[] = [];
  peers: FakePeer[] = [];
  isForbidden = false;

  constructor(wire: Wire, jid: string, contacts: readonly string[]) {
    this.link = new WiredLink(wire, jid);
    this.link.script((request) => (request.firstElementChild?.localName === "services" ? "<services xmlns='urn:xmpp:extdisco:2'/>" : undefined));
    this.calls = new CallService({
      link: this.link,
      isContact: (bare) => contacts.includes(bare),
      isRoom: () => false,
      makePeer: async (options) => {
        const peer = new FakePeer(options);
        peer.isForbidden = this.isForbidden;
        this.peers.push(peer);
        return peer;
      },
      devices: () => ({ microphone: undefined, camera: undefined, speaker: undefined }),
      note: (noted) => this.notes.push(noted),
      changed: () => undefined,
      now: () => Date.now(),
    });
  }

  get phase(): string | undefined {
    return this.calls.call?.phase;
  }

  connected(): void {
    this.peers.at(-1)?.options.events.connection("connected");
  }
}

/** Lets everything happen that waits for nothing but its turn. */
const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(5);

describe("a call between two people", () => {
  let romeo: Device;
  let juliet: Device;
  let tablet: Device;

  beforeEach(() => {
    vi.useFakeTimers();
    const wire = new Wire();
    romeo = new Device(wire, "romeo@montague.example/orchard", ["juliet@capulet.example"]);
    juliet = new Device(wire, "juliet@capulet.example/phone", ["romeo@montague.example"]);
    tablet = new Device(wire, "juliet@capulet.example/tablet", ["romeo@montague.example"]);
  });
  afterEach(() => vi.useRealTimers());

  async function talk(): Promise<void> {
    romeo.calls.start("juliet@capulet.example", true);
    await settle();
    juliet.calls.accept(true);
    await settle();
    romeo.connected();
    juliet.connected();
    await settle();
  }

  it("rings on all devices, is taken on one, and stops on the others", async () => {
    romeo.calls.start("juliet@capulet.example", false);
    await settle();
    expect([romeo.phase, juliet.phase, tablet.phase]).toEqual(["ringing", "incoming", "incoming"]);
    juliet.calls.accept(false);
    await settle();
    expect([romeo.phase, juliet.phase]).toEqual(["connecting", "connecting"]);
    expect(tablet.calls.call?.ending).toBe("elsewhere");
    expect(tablet.notes[0]?.entry.outcome).toBe("answered-elsewhere");
  });

  it("flows, changes and ends, and both histories say how long it was", async () => {
    await talk();
    expect([romeo.phase, juliet.phase]).toEqual(["active", "active"]);
    await romeo.calls.switch("screen", true);
    await settle();
    expect(romeo.calls.call?.hasScreen).toBe(true);
    expect(juliet.calls.call?.media.some((it) => it.isScreen)).toBe(true);
    juliet.calls.mute(true);
    await settle();
    expect(romeo.calls.call?.theirMuted).toEqual(["0"]);
    await vi.advanceTimersByTimeAsync(60_000);
    juliet.calls.hangUp();
    await settle();
    expect([romeo.phase, juliet.phase]).toEqual(["ended", "ended"]);
    for (const device of [romeo, juliet]) {
      expect(device.notes).toHaveLength(1);
      expect(device.notes[0]?.entry).toMatchObject({ outcome: "answered", hasVideo: true, duration: 60 });
      expect(device.peers[0]?.asked.at(-1)).toBe("close");
    }
  });

  it("is missed when nobody takes it", async () => {
    romeo.calls.start("juliet@capulet.example", false);
    await vi.advanceTimersByTimeAsync(61_000);
    expect(romeo.calls.call?.ending).toBe("no-answer");
    expect(juliet.notes[0]?.entry.outcome).toBe("missed");
    expect(tablet.notes[0]?.entry.outcome).toBe("missed");
  });

  it("stops ringing everywhere when it is declined on one device", async () => {
    romeo.calls.start("juliet@capulet.example", false);
    await settle();
    tablet.calls.decline();
    await settle();
    expect(romeo.calls.call?.ending).toBe("declined");
    expect(juliet.calls.call?.ending).toBe("declined-elsewhere");
  });

  it("of both at once is one call", async () => {
    romeo.calls.start("juliet@capulet.example", false);
    juliet.calls.start("romeo@montague.example", false);
    await settle();
    await settle();
    expect(romeo.calls.call?.sid).toBe(juliet.calls.call?.sid);
    expect([romeo.phase, juliet.phase].sort()).toEqual(["connecting", "connecting"]);
    expect([...romeo.notes, ...juliet.notes]).toEqual([]);
  });

  it("rings nowhere when there is no microphone", async () => {
    romeo.isForbidden = true;
    romeo.calls.start("juliet@capulet.example", false);
    await settle();
    expect(romeo.calls.call?.ending).toBe("no-media");
    expect(juliet.phase).toBeUndefined();
  });

  it("says that a screen may not be shown, and goes on", async () => {
    await talk();
    const peer = romeo.peers[0];
    if (peer !== undefined) peer.isForbidden = true;
    expect(await romeo.calls.switch("screen", true)).toBe(false);
    expect(romeo.calls.call).toMatchObject({ phase: "active", hasScreen: false });
  });

  it("answers a malformed request with its name, and is not hurt", async () => {
    await talk();
    romeo.link.receive(
      `<iq xmlns="jabber:client" type="set" id="x1" from="juliet@capulet.example/phone"><jingle xmlns="urn:xmpp:jingle:1" action="transport-info" sid="${romeo.calls.call?.sid ?? ""}"><content creator="initiator" name="a b"/></jingle></iq>`,
    );
    await settle();
    const answer = romeo.link.sent.find((it) => it.getAttribute("id") === "x1");
    expect(answer?.getAttribute("type")).toBe("error");
    expect(answer?.getElementsByTagNameNS("urn:ietf:params:xml:ns:xmpp-stanzas", "bad-request")).toHaveLength(1);
    expect(romeo.phase).toBe("active");
  });

  it("t10_answers_a_foreign_session_as_unknown", async () => {
    await talk();
    romeo.link.receive(
      `<iq xmlns="jabber:client" type="set" id="x2" from="juliet@capulet.example/tablet"><jingle xmlns="urn:xmpp:jingle:1" action="session-terminate" sid="${romeo.calls.call?.sid ?? ""}"/></iq>`,
    );
    await settle();
    const answer = romeo.link.sent.find((it) => it.getAttribute("id") === "x2");
    expect(answer?.getElementsByTagNameNS("urn:xmpp:jingle:errors:1", "unknown-session")).toHaveLength(1);
    expect(romeo.phase).toBe("active");
  });

  it("r03_a_forged_copy_does_not_stop_the_ringing", async () => {
    romeo.calls.start("juliet@capulet.example", false);
    await settle();
    const sid = romeo.calls.call?.sid ?? "";
    const forged = `<message xmlns="jabber:client" type="chat" from="juliet@capulet.example/x" to="romeo@montague.example/orchard"><proceed xmlns="urn:xmpp:jingle-message:0" id="${sid}"/></message>`;
    juliet.link.receive(
      `<message xmlns="jabber:client" from="tybalt@capulet.example"><sent xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0">${forged}</forwarded></sent></message>`,
    );
    await settle();
    expect(juliet.phase).toBe("incoming");
  });

  it("keeps what it says while the connection is lost, and says it afterwards", async () => {
    await talk();
    romeo.link.goOffline();
    romeo.calls.hangUp();
    await settle();
    expect(juliet.phase).toBe("active");
    romeo.link.goOnline(true);
    await settle();
    expect(juliet.calls.call?.ending).toBe("hung-up");
  });
});
