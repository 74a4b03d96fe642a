// How loud a microphone is: W3C Web Audio, for the bar that tells whether it is the right one.

/** Looks so often; the eye sees no more. */
const LOOK_MS = 80;
/** Speech at a desk has an effective value of about a fifth of what there is. */
const SPEECH = 5;

/** Tells the loudness of a stream, 0 to 1, until it is told to stop. */
export function meter(stream: MediaStream, tell: (level: number) => void): () => void {
  if (stream.getAudioTracks().length === 0) return () => undefined;
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 512 });
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    tell(loudness(samples));
  }, LOOK_MS);
  return () => {
    clearInterval(timer);
    void context.close().catch(() => undefined);
  };
}

/** The effective value of samples, so that speech fills the bar. */
export function loudness(samples: Float32Array): number {
  const sum = samples.reduce((before, sample) => before + sample * sample, 0);
  return Math.min(1, SPEECH * Math.sqrt(sum / Math.max(1, samples.length)));
}
