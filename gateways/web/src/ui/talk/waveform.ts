// How loud a recording is along its time, as bars. Pure.

/** Bars of a waveform: as many as fit into a bubble. */
export const BARS = 44;

/** The loudest of each part, from 0 to 1, the loudest of all being 1; silence stays silence. */
export function peaks(samples: ArrayLike<number>, bars: number = BARS): number[] {
  const found = Array.from({ length: bars }, (_, bar) => {
    const [begin, end] = [bar, bar + 1].map((it) => Math.floor((it * samples.length) / bars)) as [number, number];
    let most = 0;
    for (let at = begin; at < end; at += 1) most = Math.max(most, Math.abs(samples[at] ?? 0));
    return most;
  });
  const loudest = Math.max(...found);
  return loudest < 0.005 ? found.map(() => 0) : found.map((it) => it / loudest);
}

/** Bars as one path, in a box of so many units a bar and this height. */
export function barsPath(heights: readonly number[], height: number, unit = 4): string {
  const middle = height / 2;
  return heights
    .map((it, at) => {
      const half = Math.max(0.75, (it * (height - 3)) / 2);
      return `M${at * unit + unit / 2} ${(middle - half).toFixed(1)}v${(2 * half).toFixed(1)}`;
    })
    .join("");
}
