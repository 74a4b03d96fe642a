// How well a call comes through: W3C WebRTC Statistics, read every few seconds.

import type { Quality } from "./peer";

/** What a person can do something about: nothing, come nearer to the access point, hang up. */
export type Hint = "good" | "weak" | "bad";

/** Opus hides 5 % of loss, and nobody notices a quarter of a second there and back. */
const WEAK = { loss: 0.05, roundTripMs: 400 };
/** From here on sentences are lost, and people begin to talk at the same time. */
const BAD = { loss: 0.15, roundTripMs: 900 };

/** What to say about it. */
export function hint({ loss, roundTripMs }: Quality): Hint {
  if (loss >= BAD.loss || roundTripMs >= BAD.roundTripMs) return "bad";
  if (loss >= WEAK.loss || roundTripMs >= WEAK.roundTripMs) return "weak";
  return "good";
}

/** Compares each reading with the one before. */
export class QualityMeter {
  #received = 0;
  #lost = 0;

  /** The packets since the last reading, and the round trip now. */
  read(report: { forEach(each: (entry: unknown) => void): void }): Quality | undefined {
    let [received, lost, seconds] = [0, 0, 0];
    report.forEach((entry) => {
      received += field(entry, "inbound-rtp", "packetsReceived");
      lost += Math.max(0, field(entry, "inbound-rtp", "packetsLost"));
      seconds = Math.max(seconds, isNominated(entry) ? field(entry, "candidate-pair", "currentRoundTripTime") : 0);
    });
    const [came, missed] = [received - this.#received, Math.max(0, lost - this.#lost)];
    [this.#received, this.#lost] = [received, lost];
    if (came + missed <= 0) return undefined;
    return { loss: missed / (came + missed), roundTripMs: seconds * 1000 };
  }
}

function isNominated(entry: unknown): boolean {
  return typeof entry === "object" && entry !== null && Reflect.get(entry, "nominated") === true;
}

function field(entry: unknown, type: string, name: string): number {
  if (typeof entry !== "object" || entry === null || Reflect.get(entry, "type") !== type) return 0;
  const value: unknown = Reflect.get(entry, name);
  return typeof value === "number" ? value : 0;
}
