// The media of a call, as the rest of the call sees them: descriptions in, descriptions out.
//
// `RtcPeer` (rtc_peer.ts) is the browser's, `FakePeer` (fake_peer.ts) the one of the tests. What is
// asked is done in order, one thing after another.

import type { Change, Kind, Switched } from "./call";
import type { Content, Description, Party } from "./content";
import type { DeviceChoice } from "./devices";

/** What a peer tells without being asked. */
export interface PeerEvents {
  /** A way by which we may be reached. */
  candidate(content: Content): void;
  connection(state: "connected" | "shaky" | "failed"): void;
  /** ICE starts anew; our transports. */
  restarted(contents: readonly Content[]): void;
  /** The browser's own button has ended the sharing of the screen. */
  screenEnded(): void;
  /** What there is to see or hear has changed. */
  changed(): void;
}

/** What there is to see and hear. */
export interface Streams {
  /** Our camera, and our screen. */
  readonly camera: MediaStream | undefined;
  readonly screen: MediaStream | undefined;
  readonly theirAudio: MediaStream | undefined;
  readonly theirCamera: MediaStream | undefined;
  readonly theirScreen: MediaStream | undefined;
}

/** What a peer is made with. */
export interface PeerOptions {
  readonly self: Party;
  readonly servers: readonly RTCIceServer[];
  /** Nothing goes but through the relay. */
  readonly isRelayed: boolean;
  readonly devices: DeviceChoice;
  readonly events: PeerEvents;
}

/** How well packets come through. */
export interface Quality {
  /** Of those that were on their way, 0 to 1. */
  readonly loss: number;
  /** There and back, in milliseconds. */
  readonly roundTripMs: number;
}

/** The media of a call. */
export interface Peer {
  readonly streams: Streams;
  /** Asks for microphone and camera; whether there is a picture. */
  open(hasVideo: boolean): Promise<boolean>;
  offer(): Promise<Description>;
  answer(theirs: Description): Promise<Description>;
  /** Takes their answer, to the first offer or to more. */
  complete(theirs: Description): Promise<void>;
  candidates(contents: readonly Content[]): Promise<void>;
  mute(isOn: boolean): void;
  /** Asks for a picture to show, while the click that wants it still counts. */
  acquire(kind: Kind): Promise<void>;
  switch(change: Change): Promise<Switched>;
  /** Takes contents that they add. */
  add(theirs: Description): Promise<Description>;
  modified(contents: readonly Content[]): Promise<void>;
  removed(names: readonly string[]): Promise<void>;
  restart(): Promise<void>;
  rollback(keeps: boolean): Promise<void>;
  /** Uses other devices from now on. */
  useDevices(choice: DeviceChoice): Promise<void>;
  /** Since the last time it was asked; `undefined` while nothing is known. */
  quality(): Promise<Quality | undefined>;
  close(): void;
}
