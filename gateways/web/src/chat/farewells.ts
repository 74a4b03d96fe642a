// Signing out without a connection: what has the server forget the token (XEP-0484 §3.6) waits here
// until there is one, and is erased when the server has answered. Until then whoever has this browser
// could use it to sign in, so there is nothing in it but that, on a public computer it goes with the
// tab, and after a month it is erased unused: the token ends by itself some weeks later.

import type { Farewell } from "../xmpp/invalidation";
import type { Storages } from "./account";

/** Where they are kept. */
const FAREWELLS_KEY = "klatsch.farewells";
/** Sign-outs without a connection in a row; the oldest gives way. */
const COUNT_MAX = 8;
/** How long one is kept. */
const KEPT_MS = 30 * 24 * 3_600_000;
/** A browser may have a network and the server none: then it is asked again after this. */
const AGAIN_MS = 60_000;

type Kept = Farewell & { readonly until: number };

/** Has the server forget a token, or throws when it cannot be asked. */
type Invalidate = (farewell: Farewell) => Promise<unknown>;

/** What waits to be told to the server. */
export class Farewells {
  #timer: ReturnType<typeof setTimeout> | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(
    private readonly storages: Storages,
    private readonly invalidate: Invalidate,
  ) {}

  /** Keeps one until it has been told. */
  add(farewell: Farewell, isPublic: boolean): void {
    const storage = isPublic ? this.storages.session : this.storages.local;
    const kept = [...read(storage), { ...farewell, until: Date.now() + KEPT_MS }];
    write(storage, kept.slice(-COUNT_MAX));
  }

  /** Tells the server what waits; what cannot be told now waits on. */
  tell(): Promise<void> {
    // One after the other: what was added meanwhile is told, too.
    return (this.#running = this.#running.then(() => this.#tell()));
  }

  async #tell(): Promise<void> {
    clearTimeout(this.#timer);
    for (const storage of [this.storages.session, this.storages.local]) {
      const kept = read(storage);
      // What is no farewell goes.
      write(storage, kept);
      for (const { until, ...farewell } of kept) {
        // What the server has refused it knows no more.
        const isTold = until < Date.now() || (await this.invalidate(farewell).then(() => true, () => false));
        if (isTold) erase(storage, farewell);
      }
    }
    // Another tab may have added one meanwhile.
    if (this.#isWaiting()) this.#timer = setTimeout(() => void this.tell(), AGAIN_MS);
  }

  #isWaiting(): boolean {
    return [this.storages.session, this.storages.local].some((storage) => storage.getItem(FAREWELLS_KEY) !== null);
  }
}

function read(storage: Storage): Kept[] {
  try {
    const found: unknown = JSON.parse(storage.getItem(FAREWELLS_KEY) ?? "[]");
    return Array.isArray(found) ? found.filter(isKept) : [];
  } catch {
    return [];
  }
}

function isKept(found: Partial<Kept> | null): found is Kept {
  const texts = [found?.domain, found?.agent, found?.message];
  return texts.every((it) => typeof it === "string") && typeof found?.until === "number";
}

function write(storage: Storage, kept: readonly Kept[]): void {
  if (kept.length === 0) storage.removeItem(FAREWELLS_KEY);
  else storage.setItem(FAREWELLS_KEY, JSON.stringify(kept));
}

function erase(storage: Storage, { message }: Farewell): void {
  write(storage, read(storage).filter((it) => it.message !== message));
}
