// Who is there: asked for all that a page shows at once, seldom, and never twice at a time.
//
// A page with all its frames has one hub. What is shown says which address it wants to know of;
// the hub asks the webmail, which asks klatsch. Holds no element and knows nothing of Roundcube, so
// that it is tested by itself (gateways/tests/roundcube/hub.test.mjs).

"use strict";

window.klatsch ??= {};

klatsch.Hub = class Hub {
  /** What appears together is asked for together. */
  static GATHER_MS = 200;
  /** Answers are good for so long, in other pages of this tab too. */
  static FRESH_MS = 30_000;
  /** The longest wait for a klatsch that is down. */
  static PATIENCE_MS = 300_000;
  /** As many addresses as klatsch takes in one request. */
  static BATCH_MAX = 200;

  #ask;
  #storage;
  #now;
  #later;
  #isSeen;
  /** Address → what is known: { show, status, at }. */
  #known = new Map();
  /** Whose chat has another address than their mail. */
  #accounts = new Map();
  /** Addresses that the frame sees, as long as it does: nobody has to be asked for them. */
  #live = new Set();
  #watchers = new Set();
  #listeners = new Set();
  #timer;
  #due = Infinity;
  #isAsking = false;
  #failures = 0;
  #resumeAt = 0;
  #me;
  #isUp;
  #unread;

  /**
   * ask: addresses → promise of { up, me, presence, accounts }; storage: a Storage for this tab; isSeen: tells
   * whether anybody looks at the page; now, later, never: the clock.
   */
  constructor({ ask, storage, isSeen, now = Date.now, later = setTimeout.bind(window), never = clearTimeout.bind(window) }) {
    [this.#ask, this.#storage, this.#isSeen, this.#now] = [ask, storage, isSeen, now];
    this.#later = (run, wait) => (never(this.#timer), (this.#timer = later(run, wait)));
    this.#restore();
  }

  /** Our own state: { jid, show, status, wish, unread }, once it is known. */
  get me() {
    return this.#me;
  }

  /** Whether klatsch answers; undefined before the first answer. */
  get isUp() {
    return this.#isUp;
  }

  /** Hears of every change of `me` and `isUp`. */
  listen(hear) {
    this.#listeners.add(hear);
    this.#due = Math.min(this.#due, this.#now());
    this.#plan();
  }

  /**
   * Shows somebody from now on: watcher is { address, show(presence), isGone() }, with an address in
   * small letters. Nobody who is unknown is shown.
   */
  watch(watcher) {
    this.#watchers.add(watcher);
    const known = this.#known.get(watcher.address);
    if (known) watcher.show(known);
    if (!this.#isFresh(watcher.address)) this.#due = Math.min(this.#due, this.#now() + Hub.GATHER_MS);
    this.#plan();
  }

  /** Somebody looks again, or something was done: what is old is asked for now. */
  refresh() {
    this.#due = this.#now();
    this.#plan();
  }

  /** Takes in what the webmail answered to something else. */
  heed({ up, me }) {
    if (up === true && me) this.#become(true, me);
  }

  /** The frame, once it is there, knows better how much is unread. */
  setUnread(unread) {
    this.#unread = unread;
    if (this.#me && this.#me.unread !== unread) this.#become(this.#isUp, this.#me);
  }

  /** The frame sees how people are: { address: { show, status } }; null when it sees no more. */
  heedLive(presence) {
    if (presence === null) {
      if (this.#live.size === 0) return;
      this.#live.clear();
      return this.refresh();
    }
    const at = this.#now();
    const seen = new Map(Object.entries(presence).filter(([account]) => !this.#accounts.has(account)));
    for (const [address, account] of this.#accounts) if (account in presence) seen.set(address, presence[account]);
    for (const [address, { show, status }] of seen) {
      this.#live.add(address);
      this.#known.set(address, { show, status, at });
    }
    for (const { address, show } of this.#watchers) if (seen.has(address)) show(this.#known.get(address));
    this.#store();
  }

  #isFresh(address) {
    if (this.#live.has(address)) return true;
    const known = this.#known.get(address);
    return known !== undefined && this.#now() - known.at < Hub.FRESH_MS;
  }

  #plan() {
    if (this.#isAsking || this.#due === Infinity) return;
    // While it is down, what appears does not hurry it.
    const due = this.#failures > 0 ? Math.max(this.#due, this.#resumeAt) : this.#due;
    this.#later(() => void this.#run(), Math.max(0, due - this.#now()));
  }

  async #run() {
    if (this.#isAsking) return;
    // Nobody looks: whoever does next lets us know.
    if (!this.#isSeen()) {
      this.#due = Infinity;
      return;
    }
    this.#isAsking = true;
    this.#due = Infinity;
    try {
      for (const batch of this.#batches()) {
        if (!this.#take(batch, await this.#ask(batch))) break;
      }
    } catch {
      this.#take([], { up: false });
    }
    this.#isAsking = false;
    this.#due = Math.min(this.#due, this.#now() + Hub.FRESH_MS);
    this.#store();
    this.#plan();
  }

  /** The addresses to ask for; an empty batch asks for ourselves alone. */
  #batches() {
    for (const watcher of this.#watchers) if (watcher.isGone()) this.#watchers.delete(watcher);
    const wanted = new Set();
    for (const { address } of this.#watchers) if (!this.#isFresh(address)) wanted.add(address);
    const all = [...wanted];
    const batches = [];
    do batches.push(all.splice(0, Hub.BATCH_MAX));
    while (all.length > 0);
    return batches;
  }

  /** Takes an answer in; false when there will be no other now. */
  #take(batch, { up, me, presence = {}, accounts = {}, again = 0 }) {
    if (up !== true) {
      this.#failures += 1;
      const wait = Math.max(again * 1_000, Hub.FRESH_MS * 2 ** (this.#failures - 1));
      this.#resumeAt = this.#now() + Math.min(wait, Hub.PATIENCE_MS);
      this.#known.clear();
      this.#live.clear();
      this.#become(false, this.#me);
      for (const { show } of this.#watchers) show({ show: "unknown", status: "" });
      return false;
    }
    this.#failures = 0;
    const at = this.#now();
    for (const [address, account] of Object.entries(accounts)) this.#accounts.set(address, account);
    for (const address of batch) {
      const { show = "unknown", status = "" } = presence[address] ?? {};
      this.#known.set(address, { show, status, at });
    }
    const asked = new Set(batch);
    for (const { address, show } of this.#watchers) if (asked.has(address)) show(this.#known.get(address));
    this.#become(true, me ?? this.#me);
    return true;
  }

  #become(isUp, me) {
    this.#isUp = isUp;
    this.#me = me && { ...me, unread: this.#unread ?? me.unread };
    for (const hear of this.#listeners) hear(this);
  }

  // --- over the next page ---

  static #KEY = "klatsch.presence";

  #store() {
    const at = this.#now();
    // What the frame has seen is true until now, whenever it came about.
    const all = [...this.#known].filter(([address]) => this.#isFresh(address));
    const known = all.map(([address, it]) => [address, this.#live.has(address) ? { ...it, at } : it]);
    try {
      this.#storage.setItem(Hub.#KEY, JSON.stringify({ me: this.#me, isUp: this.#isUp, known }));
    } catch {
      // Full or forbidden: the next page asks.
    }
  }

  #restore() {
    try {
      const { me, isUp, known } = JSON.parse(this.#storage.getItem(Hub.#KEY) ?? "{}");
      if (isUp === true) [this.#me, this.#isUp] = [me, isUp];
      this.#known = new Map(known ?? []);
      for (const address of [...this.#known.keys()]) if (!this.#isFresh(address)) this.#known.delete(address);
    } catch {
      // Of another version, or nothing.
    }
  }
};
