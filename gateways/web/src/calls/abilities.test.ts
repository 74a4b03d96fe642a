import { describe, expect, it } from "vitest";
import { FEATURES, abilitiesOf, canCall } from "./abilities";

const resource = (...features: string[]): { features: ReadonlySet<string> } => ({ features: new Set(features) });
const ICE = "urn:xmpp:jingle:transports:ice-udp:1";
const AUDIO = "urn:xmpp:jingle:apps:rtp:audio";
const VIDEO = "urn:xmpp:jingle:apps:rtp:video";

describe("who can be called", () => {
  it("is who has a device that speaks Jingle over ICE", () => {
    expect(abilitiesOf([])).toEqual({ hasAudio: false, hasVideo: false });
    expect(abilitiesOf([resource(AUDIO)])).toEqual({ hasAudio: false, hasVideo: false });
    expect(abilitiesOf([resource(), resource(ICE, AUDIO)])).toEqual({ hasAudio: true, hasVideo: false });
    expect(abilitiesOf([resource(ICE, AUDIO), resource(ICE, AUDIO, VIDEO)])).toEqual({ hasAudio: true, hasVideo: true });
  });

  it("are we, by what we announce", () => {
    expect(abilitiesOf([resource(...FEATURES)])).toEqual({ hasAudio: true, hasVideo: true });
  });
});

describe("a browser that can call", () => {
  it("has WebRTC and devices, on a page that nobody could have changed on its way", () => {
    const scope = { RTCPeerConnection: class {}, isSecureContext: true, navigator: { mediaDevices: {} } };
    expect(canCall(scope)).toBe(true);
    expect(canCall({ ...scope, isSecureContext: false })).toBe(false);
    expect(canCall({ ...scope, RTCPeerConnection: undefined })).toBe(false);
    expect(canCall({ ...scope, navigator: {} })).toBe(false);
  });
});
