// What is recorded here for a call: the microphone, the camera, the screen. Opened when they are
// wanted, let go of when they are not, and at once where the call is over by then.

import { audioConstraints, type DeviceChoice, openMedia, stopAll, videoConstraints } from "./devices";

/** The media of this side of a call. */
export class LocalMedia {
  #voice: MediaStream | undefined;
  #screen: MediaStream | undefined;
  #isMuted = false;
  #isClosed = false;

  constructor(
    private devices: DeviceChoice,
    /** The person has ended the sharing in the browser's own bar. */
    private readonly screenEnded: () => void,
  ) {}

  /**
   * Microphone and camera.
   *
   * @throws Error before they are open
   */
  get stream(): MediaStream {
    if (this.#voice === undefined) throw new Error("no microphone yet");
    return this.#voice;
  }

  get cameras(): readonly MediaStreamTrack[] {
    return this.#voice?.getVideoTracks() ?? [];
  }

  get screen(): MediaStream | undefined {
    return this.#screen;
  }

  /** Opens the microphone, and the camera where it is wanted; whether there is a camera. */
  async open(hasVideo: boolean): Promise<boolean> {
    const stream = await openMedia(this.devices, hasVideo);
    if (this.#isClosed) {
      stopAll(stream);
      throw new Error("the call is over");
    }
    this.#voice = stream;
    this.mute(this.#isMuted);
    return this.cameras.length > 0;
  }

  mute(isOn: boolean): void {
    this.#isMuted = isOn;
    for (const track of this.#voice?.getAudioTracks() ?? []) track.enabled = !isOn;
  }

  /** The camera's picture; it is opened where it is not. */
  async openCamera(): Promise<MediaStreamTrack> {
    const { stream } = this;
    const kept = this.cameras[0];
    if (kept !== undefined) return kept;
    const opened = await navigator.mediaDevices.getUserMedia({ video: videoConstraints(this.devices) });
    return this.#keep(opened, (track) => stream.addTrack(track));
  }

  /** The screen's picture; the person is asked which where none is shared. */
  async openScreen(): Promise<MediaStreamTrack> {
    const kept = this.#screen?.getVideoTracks()[0];
    if (kept !== undefined) return kept;
    const opened = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 15 } }, audio: false });
    return this.#keep(opened, (track) => {
      this.#screen = opened;
      track.contentHint = "detail";
      track.addEventListener("ended", this.screenEnded);
    });
  }

  /** What comes when the call is over is let go of at once. */
  #keep(stream: MediaStream, keep: (track: MediaStreamTrack) => void): MediaStreamTrack {
    const track = stream.getVideoTracks()[0];
    if (this.#isClosed || track === undefined) {
      stopAll(stream);
      throw new Error("no picture");
    }
    keep(track);
    return track;
  }

  closeCamera(): void {
    for (const track of this.cameras) {
      track.stop();
      this.#voice?.removeTrack(track);
    }
  }

  closeScreen(): void {
    stopAll(this.#screen);
    this.#screen = undefined;
  }

  /**
   * Takes other devices for what is open; `replaced` gets each track that takes the place of another
   * before that one ends.
   */
  async use(choice: DeviceChoice, replaced: (old: MediaStreamTrack, fresh: MediaStreamTrack) => Promise<void>): Promise<void> {
    const before = this.devices;
    this.devices = choice;
    const { stream } = this;
    if (choice.microphone !== before.microphone) {
      await this.#replace(stream.getAudioTracks(), { audio: audioConstraints(choice) }, replaced);
    }
    if (choice.camera !== before.camera && this.cameras.length > 0) {
      await this.#replace(this.cameras, { video: videoConstraints(choice) }, replaced);
    }
    this.mute(this.#isMuted);
  }

  async #replace(
    old: readonly MediaStreamTrack[],
    constraints: MediaStreamConstraints,
    replaced: (old: MediaStreamTrack, fresh: MediaStreamTrack) => Promise<void>,
  ): Promise<void> {
    const fresh = (await navigator.mediaDevices.getUserMedia(constraints)).getTracks()[0];
    if (fresh === undefined) return;
    for (const track of old) {
      await replaced(track, fresh);
      track.stop();
      this.#voice?.removeTrack(track);
    }
    this.#voice?.addTrack(fresh);
  }

  close(): void {
    this.#isClosed = true;
    stopAll(this.#voice);
    stopAll(this.#screen);
  }
}
