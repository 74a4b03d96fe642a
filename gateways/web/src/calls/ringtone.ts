// The sound of a call: two tones, made here, so that no file has to be loaded first.
//
// W3C Web Audio. A page that nobody has touched may make no sound; then the dialog has to do.

/** What is heard: it rings here, or there. */
export type Tone = "ring" | "ringback";

/** Tones in Hz, seconds of sound, seconds until it comes again; the second as telephones have it. */
const TONES: Readonly<Record<Tone, { readonly hertz: readonly number[]; readonly on: number; readonly every: number }>> = {
  ring: { hertz: [587, 740], on: 0.9, every: 2.5 },
  ringback: { hertz: [425], on: 1, every: 4 },
};
const LOUDNESS = 0.08;

/** Plays a tone until it is told to stop. */
export function play(tone: Tone): () => void {
  const context = new AudioContext();
  const { hertz, on, every } = TONES[tone];
  const sound = (): void => {
    for (const [index, frequency] of hertz.entries()) beep(context, frequency, context.currentTime + (index * on) / hertz.length, on / hertz.length);
  };
  void context.resume().then(sound, () => undefined);
  const timer = setInterval(sound, every * 1000);
  return () => {
    clearInterval(timer);
    void context.close().catch(() => undefined);
  };
}

function beep(context: AudioContext, frequency: number, at: number, seconds: number): void {
  if (context.state !== "running") return;
  const tone = new OscillatorNode(context, { frequency });
  const gain = new GainNode(context, { gain: 0 });
  // Without a slope there is a click at both ends.
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(LOUDNESS, at + 0.02);
  gain.gain.setValueAtTime(LOUDNESS, at + seconds - 0.05);
  gain.gain.linearRampToValueAtTime(0, at + seconds);
  tone.connect(gain).connect(context.destination);
  tone.start(at);
  tone.stop(at + seconds);
}
