// Media for tests: says what a browser would say, and remembers what it was asked.

import type { Change, Kind, Switched } from "./call";
import type { Content, Description, Party } from "./content";
import type { Peer, PeerOptions, Quality, Streams } from "./peer";

/** The description of a medium that could be a browser's. */
export function content(name: string, creator: Party, media: "audio" | "video", categories: string[] = []): Content {
  return {
    creator,
    name,
    senders: "both",
    rtp: {
      media,
      payloads: [
        {
          id: media === "audio" ? 111 : 96,
          name: media === "audio" ? "opus" : "VP8",
          clockrate: media === "audio" ? 48_000 : 90_000,
          channels: media === "audio" ? 2 : 1,
          ptime: undefined,
          maxptime: undefined,
          parameters: [],
          feedback: [],
        },
      ],
      feedback: [],
      extensions: [],
      allowsMixed: false,
      sources: [],
      groups: [],
      mux: true,
      categories,
    },
    ice: {
      ufrag: "abcd",
      pwd: "abcdefghijklmnopqrstuv",
      fingerprints: [{ hash: "sha-256", value: FINGERPRINT, setup: "actpass" }],
      candidates: [],
    },
  };
}

/** A fingerprint of the right length. */
export const FINGERPRINT = Array.from({ length: 32 }, (_, index) => index.toString(16).padStart(2, "0").toUpperCase()).join(":");

/** A transport with one candidate. */
export function candidate(name: string, creator: Party, port = 5000): Content {
  return {
    creator,
    name,
    senders: "both",
    rtp: undefined,
    ice: {
      ufrag: "abcd",
      pwd: "abcdefghijklmnopqrstuv",
      fingerprints: [],
      candidates: [
        {
          component: 1,
          foundation: "1",
          generation: 0,
          id: `c${port}`,
          ip: "192.0.2.1",
          network: 0,
          port,
          priority: 1,
          type: "host",
          relAddr: undefined,
          relPort: undefined,
        },
      ],
    },
  };
}

const NO_STREAMS: Streams = {
  camera: undefined,
  screen: undefined,
  theirAudio: undefined,
  theirCamera: undefined,
  theirScreen: undefined,
};

/** Media without a browser. */
export class FakePeer implements Peer {
  readonly streams = NO_STREAMS;
  /** What was asked, by name. */
  readonly asked: string[] = [];
  hasVideo = false;
  /** Asking for devices is refused. */
  isForbidden = false;

  constructor(readonly options: PeerOptions) {}

  async open(hasVideo: boolean): Promise<boolean> {
    this.asked.push("open");
    if (this.isForbidden) throw new Error("not allowed");
    this.hasVideo = hasVideo;
    return hasVideo;
  }

  async offer(): Promise<Description> {
    this.asked.push("offer");
    return this.#describe();
  }

  async answer(theirs: Description): Promise<Description> {
    this.asked.push(`answer ${theirs.contents.map((it) => it.name).join(" ")}`);
    return theirs;
  }

  #describe(): Description {
    const names = this.hasVideo ? (["audio", "video"] as const) : (["audio"] as const);
    return { contents: names.map((name, index) => content(String(index), this.options.self, name)), bundle: names.map((_, index) => String(index)) };
  }

  async complete(): Promise<void> {
    this.asked.push("complete");
  }

  async candidates(contents: readonly Content[]): Promise<void> {
    this.asked.push(`candidates ${contents.length}`);
  }

  mute(isOn: boolean): void {
    this.asked.push(`mute ${isOn}`);
  }

  async acquire(kind: Kind): Promise<void> {
    this.asked.push(`acquire ${kind}`);
    if (this.isForbidden) throw new Error("not allowed");
  }

  async switch({ kind, isOn }: Change): Promise<Switched> {
    this.asked.push(`switch ${kind} ${isOn}`);
    if (!isOn) return { needs: "nothing" };
    const added = content(kind, this.options.self, "video", kind === "screen" ? ["slides"] : []);
    return { needs: "add", description: { contents: [added], bundle: [kind] } };
  }

  async add(theirs: Description): Promise<Description> {
    this.asked.push(`add ${theirs.contents.map((it) => it.name).join(" ")}`);
    return theirs;
  }

  async modified(): Promise<void> {
    this.asked.push("modified");
  }

  async removed(names: readonly string[]): Promise<void> {
    this.asked.push(`removed ${names.join(" ")}`);
  }

  async restart(): Promise<void> {
    this.asked.push("restart");
  }

  async rollback(keeps: boolean): Promise<void> {
    this.asked.push(`rollback ${keeps}`);
  }

  async useDevices(): Promise<void> {
    this.asked.push("devices");
  }

  async quality(): Promise<Quality | undefined> {
    return undefined;
  }

  close(): void {
    this.asked.push("close");
  }
}
