// What is chosen for a call's media: codecs, devices, and what is said about the line.

import { describe, expect, it } from "vitest";
import { choose } from "./codecs";
import { audioConstraints, keepChoice, loadChoice, videoConstraints } from "./devices";
import { QualityMeter, hint } from "./quality";

describe("the codecs that are offered", () => {
  const codecs = [
    { mimeType: "video/VP9" },
    { mimeType: "video/rtx" },
    { mimeType: "video/red" },
    { mimeType: "video/H264", sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640034" },
    { mimeType: "video/H264", sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f" },
    { mimeType: "video/H264", sdpFmtpLine: "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f" },
    { mimeType: "video/VP8" },
  ];

  it("begin with those that every client has", () => {
    expect(choose(codecs, "video").map((it) => it.mimeType)).toEqual(["video/VP8", "video/H264", "video/VP9", "video/rtx"]);
  });

  it("are one of H.264, and nothing that repairs nothing", () => {
    expect(choose(codecs, "video").filter((it) => it.mimeType === "video/H264")).toEqual([codecs[4]]);
    expect(choose([{ mimeType: "audio/red" }, { mimeType: "audio/opus" }, { mimeType: "audio/PCMU" }], "audio")).toEqual([{ mimeType: "audio/opus" }]);
  });
});

describe("the devices that are meant", () => {
  it("are kept for the next call", () => {
    const kept = new Map<string, string>();
    const storage = { getItem: (key: string) => kept.get(key) ?? null, setItem: (key: string, value: string) => void kept.set(key, value) };
    const choice = { microphone: "m", camera: undefined, speaker: "s" };
    keepChoice(choice, storage);
    expect(loadChoice(storage)).toEqual(choice);
  });

  it("are the browser's own where nothing that makes sense was kept", () => {
    for (const text of [null, "", "[]", "{", '{"microphone":7}', "null"]) {
      expect(loadChoice({ getItem: () => text })).toEqual({ microphone: undefined, camera: undefined, speaker: undefined });
    }
  });

  it("are wished for, not demanded: one that was unplugged ends no call", () => {
    const choice = { microphone: "m", camera: "c", speaker: undefined };
    expect(audioConstraints(choice)).toMatchObject({ deviceId: { ideal: "m" }, echoCancellation: true });
    expect(videoConstraints(choice)).toMatchObject({ deviceId: { ideal: "c" } });
    expect(videoConstraints({ ...choice, camera: undefined })).not.toHaveProperty("deviceId");
  });
});

describe("how well it comes through", () => {
  const stats = (packetsReceived: number, packetsLost: number, currentRoundTripTime = 0.05): unknown[] => [
    { type: "inbound-rtp", packetsReceived, packetsLost },
    { type: "candidate-pair", nominated: true, currentRoundTripTime },
    { type: "candidate-pair", nominated: false, currentRoundTripTime: 5 },
  ];

  it("is counted since the last look", () => {
    const meter = new QualityMeter();
    expect(meter.read(stats(100, 0))).toEqual({ loss: 0, roundTripMs: 50 });
    expect(meter.read(stats(190, 10))).toEqual({ loss: 0.1, roundTripMs: 50 });
    expect(meter.read(stats(190, 10))).toBeUndefined();
  });

  it("does not mind counters that go back, and statistics that say nothing", () => {
    const meter = new QualityMeter();
    meter.read(stats(100, 50));
    expect(meter.read(stats(200, 40))?.loss).toBe(0);
    expect(meter.read([null, 7, {}, { type: "inbound-rtp" }])).toBeUndefined();
  });

  it("is worth a word only when it is heard", () => {
    expect(hint({ loss: 0.01, roundTripMs: 100 })).toBe("good");
    expect(hint({ loss: 0.06, roundTripMs: 100 })).toBe("weak");
    expect(hint({ loss: 0, roundTripMs: 500 })).toBe("weak");
    expect(hint({ loss: 0.2, roundTripMs: 100 })).toBe("bad");
    expect(hint({ loss: 0, roundTripMs: 1000 })).toBe("bad");
  });
});
