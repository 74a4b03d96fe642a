// A voice message while it is spoken: W3C MediaStream Recording, with how loud it is for the eye.

import { audioConstraints, loadChoice, stopAll } from "../../calls/devices";

/** What other clients can play, best first; browsers record one of them. */
const TYPES = ["audio/ogg;codecs=opus", "audio/webm;codecs=opus", "audio/mp4"] as const;
/** Loudness is looked at so often. */
const LEVEL_MILLISECONDS = 80;
/** Nobody listens to more; milliseconds. */
export const RECORDING_MAX = 15 * 60_000;

/** A recording that is done. */
export interface Recording {
  readonly file: File;
  /** Seconds. */
  readonly duration: number;
}

/** Whether this browser can record at all. */
export const canRecord = () => "MediaRecorder" in globalThis && navigator.mediaDevices !== undefined;

/** One recording, from the first word to the last. */
export class Recorder {
  readonly #parts: Blob[] = [];
  readonly #begin = performance.now();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #audio = new AudioContext();
  #end: number | undefined;

  private constructor(
    private readonly stream: MediaStream,
    private readonly media: MediaRecorder,
    heard: (level: number, seconds: number) => void,
  ) {
    media.addEventListener("dataavailable", ({ data }) => this.#parts.push(data));
    const analyser = this.#audio.createAnalyser();
    analyser.fftSize = 1024;
    this.#audio.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.#timer = setInterval(() => {
      analyser.getFloatTimeDomainData(samples);
      heard(samples.reduce((most, it) => Math.max(most, Math.abs(it)), 0), this.seconds);
    }, LEVEL_MILLISECONDS);
    media.start();
  }

  /**
   * Begins; the person is asked for the microphone.
   *
   * @throws DOMException where there is none, or it may not be used
   */
  static async begin(heard: (level: number, seconds: number) => void): Promise<Recorder> {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: audioConstraints(loadChoice()) });
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    return new Recorder(stream, new MediaRecorder(stream, { ...(mimeType === undefined ? {} : { mimeType }), audioBitsPerSecond: 32_000 }), heard);
  }

  get seconds(): number {
    return ((this.#end ?? performance.now()) - this.#begin) / 1000;
  }

  /** Ends it; what was recorded, under this name with an ending that fits. */
  async finish(name: string): Promise<Recording> {
    this.#end = performance.now();
    const stopped = new Promise((done) => this.media.addEventListener("stop", done, { once: true }));
    this.media.stop();
    await stopped;
    this.#release();
    const [type = "audio/webm"] = this.media.mimeType.split(";");
    const ending = { "audio/ogg": "ogg", "audio/mp4": "m4a" }[type] ?? "weba";
    return { file: new File(this.#parts, `${name}.${ending}`, { type }), duration: this.seconds };
  }

  /** Ends it, and nothing of it stays. */
  cancel(): void {
    if (this.media.state !== "inactive") this.media.stop();
    this.#release();
  }

  /** The microphone's light goes out. */
  #release(): void {
    clearInterval(this.#timer);
    stopAll(this.stream);
    if (this.#audio.state !== "closed") void this.#audio.close();
  }
}
