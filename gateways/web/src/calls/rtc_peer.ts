// The browser's media of a call: W3C WebRTC, driven as RFC 8829 (JSEP) wants it.
//
// `bundlePolicy: 'balanced'`, for some clients do not bundle (Dino 0.5 has no XEP-0338) and a
// browser that insists on it refuses their offers. What the descriptions mean in Jingle is
// negotiation.ts' business, and what is recorded here that of local_media.ts.

import type { Change, Kind, Switched } from "./call";
import { preferCodecs } from "./codecs";
import type { Content, Description } from "./content";
import type { DeviceChoice } from "./devices";
import { LocalMedia } from "./local_media";
import { Negotiation } from "./negotiation";
import type { Peer, PeerOptions, Quality, Streams } from "./peer";
import { QualityMeter } from "./quality";

/** The media of a call in a browser. */
export class RtcPeer implements Peer {
  readonly #connection: RTCPeerConnection;
  readonly #negotiation: Negotiation;
  readonly #options: PeerOptions;
  readonly #meter = new QualityMeter();
  readonly #media: LocalMedia;
  #isClosed = false;
  #isRestarting = false;
  #candidates = 0;
  /** What was added for a change that has no answer yet. */
  #pending: RTCRtpTransceiver | undefined;
  #screenLine: RTCRtpTransceiver | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: PeerOptions) {
    this.#options = options;
    this.#media = new LocalMedia(options.devices, () => options.events.screenEnded());
    this.#negotiation = new Negotiation(options.self);
    this.#connection = new RTCPeerConnection({
      iceServers: [...options.servers],
      iceTransportPolicy: options.isRelayed ? "relay" : "all",
      bundlePolicy: "balanced",
    });
    this.#listen(this.#connection);
  }

  #listen(connection: RTCPeerConnection): void {
    const { events } = this.#options;
    connection.addEventListener("icecandidate", ({ candidate }) => {
      if (candidate?.sdpMid === null || candidate?.sdpMid === undefined || candidate.candidate === "") return;
      this.#candidates += 1;
      const content = this.#negotiation.candidate(candidate.candidate, candidate.sdpMid, `c${this.#candidates}`);
      if (content !== undefined) events.candidate(content);
    });
    connection.addEventListener("connectionstatechange", () => {
      const state = connection.connectionState;
      if (state === "connected" || state === "failed") events.connection(state);
      if (state === "disconnected") events.connection("shaky");
    });
    connection.addEventListener("track", ({ track }) => {
      track.addEventListener("mute", () => events.changed());
      track.addEventListener("unmute", () => events.changed());
      events.changed();
    });
  }

  /** One thing after another: a description of one may not come between two halves of another. */
  #run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(() => {
      if (this.#isClosed) throw new Error("the call is over");
      return work();
    });
    this.#queue = result.catch(() => undefined);
    return result;
  }

  get streams(): Streams {
    const { cameras, screen } = this.#media;
    return {
      camera: cameras.length === 0 ? undefined : new MediaStream([...cameras]),
      screen,
      theirAudio: this.#theirs((content) => content.rtp?.media === "audio"),
      theirCamera: this.#theirs((content) => content.rtp?.media === "video" && !isScreen(content)),
      theirScreen: this.#theirs(isScreen),
    };
  }

  #theirs(fits: (content: Content) => boolean): MediaStream | undefined {
    const lines = this.#negotiation.alive().filter(({ theirs }) => theirs !== undefined && fits(theirs));
    const mids = lines.map(({ name }) => this.#negotiation.mid(name));
    const receiving = this.#connection.getTransceivers().filter(
      ({ mid, currentDirection }) => mid !== null && mids.includes(mid) && (currentDirection === "sendrecv" || currentDirection === "recvonly"),
    );
    return receiving.length === 0 ? undefined : new MediaStream(receiving.map(({ receiver }) => receiver.track));
  }

  open(hasVideo: boolean): Promise<boolean> {
    return this.#run(async () => {
      const hasCamera = await this.#media.open(hasVideo);
      this.#options.events.changed();
      return hasCamera;
    });
  }

  offer(): Promise<Description> {
    return this.#run(async () => {
      const { stream } = this.#media;
      for (const track of stream.getTracks()) {
        preferCodecs(this.#connection.addTransceiver(track, { direction: "sendrecv", streams: [stream] }));
      }
      return this.#offer();
    });
  }

  answer(theirs: Description): Promise<Description> {
    return this.#run(async () => {
      await this.#setRemote("offer", this.#negotiation.offer(theirs));
      const { stream } = this.#media;
      for (const track of stream.getTracks()) await this.#attach(track, stream);
      return this.#answer();
    });
  }

  /** Sends a track in the first content of theirs that is of its kind. */
  async #attach(track: MediaStreamTrack, stream: MediaStream): Promise<void> {
    const line = this.#negotiation.alive().find(({ theirs }) => theirs?.rtp?.media === track.kind && !isScreen(theirs));
    const transceiver = this.#transceiver(line?.name);
    if (transceiver === undefined) return;
    await transceiver.sender.replaceTrack(track);
    assign(transceiver.sender, stream);
    transceiver.direction = "sendrecv";
  }

  complete(theirs: Description): Promise<void> {
    return this.#run(async () => {
      await this.#setRemote("answer", this.#negotiation.completed(theirs));
      this.#pending = undefined;
      this.#options.events.changed();
    });
  }

  candidates(contents: readonly Content[]): Promise<void> {
    return this.#run(async () => {
      if (contents.some((content) => this.#negotiation.isRestart(content))) await this.#restarted(contents);
      for (const candidate of this.#negotiation.candidates(contents)) {
        // One that the browser cannot use is no reason to lose the others.
        await this.#connection.addIceCandidate(candidate).catch(() => undefined);
      }
    });
  }

  /** They start ICE anew, or answer that we do. */
  async #restarted(contents: readonly Content[]): Promise<void> {
    const type = this.#isRestarting ? "answer" : "offer";
    const text = this.#negotiation.restarted(contents, type);
    this.#isRestarting = false;
    if (text === undefined) return;
    await this.#setRemote(type, text);
    if (type === "answer") return;
    await this.#answer();
    this.#options.events.restarted(this.#negotiation.transports());
  }

  mute(isOn: boolean): void {
    this.#media.mute(isOn);
  }

  switch({ kind, isOn }: Change): Promise<Switched> {
    return this.#run(() => {
      if (kind === "camera") return isOn ? this.#startCamera() : this.#stopCamera();
      return isOn ? this.#startScreen() : this.#stopScreen();
    });
  }

  async acquire(kind: Kind): Promise<void> {
    if (kind === "camera") await this.#media.openCamera();
    else await this.#media.openScreen();
    this.#options.events.changed();
  }

  async #startCamera(): Promise<Switched> {
    const track = await this.#media.openCamera();
    this.#options.events.changed();
    return this.#sendPicture(track, this.#media.stream);
  }

  /** Sends a picture in the content that there is for it, or asks for one. */
  async #sendPicture(track: MediaStreamTrack, stream: MediaStream): Promise<Switched> {
    const line = this.#negotiation.alive().find(({ ours, theirs }) => {
      const content = theirs ?? ours;
      return content?.rtp?.media === "video" && !isScreen(content) && this.#transceiver(content.name) !== this.#screenLine;
    });
    const transceiver = this.#transceiver(line?.name);
    if (line === undefined || transceiver === undefined) return this.#addPicture(track, stream, "sendrecv");
    await transceiver.sender.replaceTrack(track);
    if (transceiver.currentDirection === "sendrecv" || transceiver.currentDirection === "sendonly") return { needs: "nothing" };
    assign(transceiver.sender, stream);
    transceiver.direction = "sendrecv";
    const { name, creator } = line;
    const senders = line.theirs?.senders === "none" ? this.#options.self : "both";
    await this.#offer();
    await this.#setRemote("answer", this.#negotiation.agreed(name, senders));
    return { needs: "modify", content: { creator, name, senders, rtp: undefined, ice: undefined } };
  }

  async #addPicture(track: MediaStreamTrack, stream: MediaStream, direction: "sendrecv" | "sendonly"): Promise<Switched> {
    const transceiver = this.#connection.addTransceiver(track, { direction, streams: [stream] });
    preferCodecs(transceiver);
    this.#pending = transceiver;
    return { needs: "add", description: await this.#offer() };
  }

  async #stopCamera(): Promise<Switched> {
    const { cameras } = this.#media;
    await this.#sender((track) => cameras.includes(track))?.replaceTrack(null);
    this.#media.closeCamera();
    this.#options.events.changed();
    return { needs: "nothing" };
  }

  async #startScreen(): Promise<Switched> {
    const track = await this.#media.openScreen();
    const stream = new MediaStream([track]);
    // Who does not bundle rarely knows of two pictures: the screen takes the camera's place.
    if (this.#negotiation.bundle.length === 0) return this.#sendPicture(track, stream);
    const result = await this.#addPicture(track, stream, "sendonly");
    this.#screenLine = this.#pending;
    return result.needs === "add" ? { needs: "add", description: asSlides(result.description) } : result;
  }

  async #stopScreen(): Promise<Switched> {
    const line = this.#screenLine;
    const track = this.#media.screen?.getVideoTracks()[0];
    this.#media.closeScreen();
    this.#screenLine = undefined;
    this.#options.events.changed();
    const known = this.#negotiation.line(line?.mid ?? "");
    if (line === undefined || known === undefined) return this.#backToCamera(track);
    line.stop();
    await this.#offer();
    await this.#setRemote("answer", this.#negotiation.completed({ contents: [], bundle: [] }));
    const { name, creator } = known;
    return { needs: "remove", contents: [{ creator, name, senders: "both", rtp: undefined, ice: undefined }] };
  }

  async #backToCamera(screen: MediaStreamTrack | undefined): Promise<Switched> {
    await this.#sender((track) => track === screen)?.replaceTrack(this.#media.cameras[0] ?? null);
    return { needs: "nothing" };
  }

  add(theirs: Description): Promise<Description> {
    return this.#run(async () => {
      await this.#setRemote("offer", this.#negotiation.offer(theirs));
      const description = await this.#answer();
      this.#options.events.changed();
      return description;
    });
  }

  modified(contents: readonly Content[]): Promise<void> {
    return this.#run(async () => {
      for (const { name, senders } of contents) {
        await this.#setRemote("offer", this.#negotiation.modified(name, senders));
        await this.#answer();
      }
      this.#options.events.changed();
    });
  }

  removed(names: readonly string[]): Promise<void> {
    return this.#run(async () => {
      await this.#setRemote("offer", this.#negotiation.removed(names));
      await this.#answer();
      this.#options.events.changed();
    });
  }

  restart(): Promise<void> {
    return this.#run(async () => {
      this.#isRestarting = true;
      await this.#connection.setLocalDescription(await this.#connection.createOffer({ iceRestart: true }));
      this.#negotiation.offered(this.#connection.localDescription?.sdp ?? "");
      this.#options.events.restarted(this.#negotiation.transports());
    });
  }

  rollback(keeps: boolean): Promise<void> {
    return this.#run(async () => {
      if (this.#connection.signalingState === "have-local-offer") {
        await this.#connection.setLocalDescription({ type: "rollback" });
      }
      this.#negotiation.undo();
      const transceiver = this.#pending;
      this.#pending = undefined;
      if (transceiver === this.#screenLine) this.#screenLine = undefined;
      await transceiver?.sender.replaceTrack(null);
      transceiver?.stop();
      if (!keeps) this.#forget(transceiver);
      this.#options.events.changed();
    });
  }

  /** Lets go of what a change would have shown that they do not want to see. */
  #forget(transceiver: RTCRtpTransceiver | undefined): void {
    if (transceiver === undefined) return;
    const isOfScreen = this.#media.screen !== undefined && this.#screenLine === undefined;
    if (isOfScreen) this.#media.closeScreen();
    else this.#media.closeCamera();
  }

  useDevices(choice: DeviceChoice): Promise<void> {
    return this.#run(async () => {
      await this.#media.use(choice, async (old, fresh) => this.#sender((track) => track === old)?.replaceTrack(fresh));
      this.#options.events.changed();
    });
  }

  async quality(): Promise<Quality | undefined> {
    if (this.#isClosed) return undefined;
    return this.#meter.read(await this.#connection.getStats());
  }

  close(): void {
    this.#isClosed = true;
    this.#media.close();
    this.#connection.close();
  }

  // --- what the browser says ---

  async #offer(): Promise<Description> {
    await this.#connection.setLocalDescription(await this.#connection.createOffer());
    return this.#negotiation.offered(this.#connection.localDescription?.sdp ?? "");
  }

  async #answer(): Promise<Description> {
    await this.#connection.setLocalDescription(await this.#connection.createAnswer());
    return this.#negotiation.answered(this.#connection.localDescription?.sdp ?? "");
  }

  async #setRemote(type: "offer" | "answer", sdp: string): Promise<void> {
    await this.#connection.setRemoteDescription({ type, sdp });
  }

  #transceiver(name: string | undefined): RTCRtpTransceiver | undefined {
    const mid = name === undefined ? undefined : this.#negotiation.mid(name);
    return this.#connection.getTransceivers().find((it) => it.mid !== null && it.mid === mid);
  }

  #sender(sends: (track: MediaStreamTrack) => boolean): RTCRtpSender | undefined {
    return this.#connection.getSenders().find(({ track }) => track !== null && sends(track));
  }
}

/** Says to which stream a track belongs; a browser that cannot sends it on its own. */
function assign(sender: RTCRtpSender, stream: MediaStream): void {
  if ("setStreams" in sender) sender.setStreams(stream);
}

function isScreen(content: Content): boolean {
  return content.rtp?.categories.includes("slides") === true;
}

/** XEP-0507: says that a picture is a screen. */
function asSlides({ contents, bundle }: Description): Description {
  const mark = (content: Content): Content =>
    content.rtp === undefined ? content : { ...content, rtp: { ...content.rtp, categories: ["slides"] } };
  return { contents: contents.map(mark), bundle };
}
