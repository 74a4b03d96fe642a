// The chat at the foot of the page: a bar with a tab for each talk, and under it a frame with
// klatsch's embedded view, which stays hidden until it is wanted.
//
// The frame is of klatsch's origin: neither reads the other, and they speak by messages
// { klatsch: 1, type, … }. The frame says `ready`, `unread` with `count`, `presence` with how people
// are whom it sees, `token` when it wants to log in, and `left`; it is told `look`, `open` with `jid`, `token` and `leave`. What is heard counts only from
// this very frame and its origin, and what is said goes to that origin only. Open talks survive the
// page in sessionStorage; what is being written does in the frame's own storage.

"use strict";

window.klatsch ??= {};

klatsch.Dock = class Dock {
  static #KEY = "klatsch.dock";
  static #SHOWS = ["online", "chat", "away", "xa", "dnd", "offline"];
  static TABS_MAX = 6;
  /** A list of contacts has fewer. */
  static PEOPLE_MAX = 5_000;
  /** A frame that has not said a word by then did not load. */
  static LOAD_MS = 20_000;
  /** A frame that does not answer holds up no logout. */
  static LEAVE_MS = 1_000;

  #origin;
  #text;
  #askToken;
  #onUnread;
  #onPresence;
  #element;
  #tabs;
  #body;
  #wait;
  #frame;
  #isReady = false;
  #beganAt = 0;
  #left = () => {};
  /** Whose talks are open, by their addresses. */
  #state = { isOpen: false, current: "", tabs: [] };

  /** askToken: promise of { token, jid }, however long it takes. */
  constructor({ origin, text, askToken, onUnread, onPresence }) {
    [this.#origin, this.#text, this.#askToken, this.#onUnread, this.#onPresence] = [origin, text, askToken, onUnread, onPresence];
    this.#restore();
    this.#build();
    addEventListener("message", (event) => this.#heard(event));
    new MutationObserver(() => this.#look()).observe(document.documentElement, { attributeFilter: ["class"] });
    this.#draw();
  }

  /** Shows a talk, or the list of all when there is no address. */
  open(jid = "") {
    if (jid && !this.#state.tabs.includes(jid)) this.#state.tabs = [...this.#state.tabs, jid].slice(-Dock.TABS_MAX);
    this.#state.current = jid;
    this.#state.isOpen = true;
    this.#draw();
    this.#show();
    this.#frame.focus();
  }

  /** Says why nothing is shown, while nothing is. */
  tell(isUp) {
    if (!this.#isReady) this.#wait.textContent = this.#text(isUp === false ? "down" : "loading");
  }

  /** Begins to listen without being seen: somebody in the webmail is there for the others. */
  attend() {
    if (this.#isReady || Date.now() - this.#beganAt < Dock.LOAD_MS) return;
    this.#beganAt = Date.now();
    setTimeout(() => this.tell(false), Dock.LOAD_MS);
    const { current } = this.#state;
    this.#frame.src = `${this.#origin}/chat/?login=parent${current && `&with=${encodeURIComponent(current)}`}`;
  }

  /** The webmail is left: so is the chat, with what it keeps in this browser. */
  leave() {
    sessionStorage.removeItem(Dock.#KEY);
    if (!this.#isReady) return Promise.resolve();
    return new Promise((done) => {
      this.#left = done;
      setTimeout(done, Dock.LEAVE_MS);
      this.#say({ type: "leave" });
    });
  }

  // --- what is seen ---

  #build() {
    const element = (name, attributes, ...children) => {
      const made = document.createElement(name);
      for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
      made.append(...children);
      return made;
    };
    this.#tabs = element("div", { class: "klatsch-tabs", role: "group", "aria-label": this.#text("chats") });
    const fold = element("button", { type: "button", class: "klatsch-fold", "aria-expanded": "false", "aria-controls": "klatsch-frame" });
    fold.addEventListener("click", () => this.#fold(!this.#state.isOpen));
    const close = element("button", { type: "button", class: "klatsch-close", title: this.#text("close_all"), "aria-label": this.#text("close_all") });
    close.addEventListener("click", () => this.#closeAll());
    this.#frame = element("iframe", {
      id: "klatsch-frame",
      title: this.#text("chat"),
      allow: "camera; microphone; display-capture; autoplay; clipboard-write; fullscreen",
      // It may do what a chat does, and not take the webmail elsewhere.
      sandbox: "allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox allow-downloads allow-modals",
      referrerpolicy: "no-referrer",
    });
    this.#wait = element("p", { class: "klatsch-wait", role: "status" }, this.#text("loading"));
    this.#body = element("div", { class: "klatsch-body" }, this.#wait, this.#frame);
    this.#element = element("section", { id: "klatsch-dock", "aria-label": this.#text("chat") }, element("header", {}, this.#tabs, fold, close), this.#body);
    // Escape goes back to the page, as in a dialog.
    this.#element.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.#state.isOpen) this.#fold(false);
    });
    document.body.append(this.#element);
  }

  #draw() {
    const { isOpen, current, tabs } = this.#state;
    this.#element.classList.toggle("open", isOpen);
    this.#element.classList.toggle("shown", isOpen || tabs.length > 0);
    const fold = this.#element.querySelector(".klatsch-fold");
    fold.setAttribute("aria-expanded", `${isOpen}`);
    fold.title = this.#text(isOpen ? "minimise" : "restore");
    fold.setAttribute("aria-label", fold.title);
    this.#tabs.replaceChildren(...(tabs.length > 0 ? tabs.map((jid) => this.#tab(jid, jid === current)) : [this.#heading()]));
    this.#store();
  }

  #heading() {
    const heading = document.createElement("span");
    heading.className = "klatsch-heading";
    heading.textContent = this.#text("chat");
    return heading;
  }

  #tab(jid, isCurrent) {
    // By the address, as in the frame: what a mail calls its sender is only what its sender wrote.
    const name = jid.split("@")[0];
    const tab = document.createElement("span");
    tab.className = isCurrent ? "klatsch-tab current" : "klatsch-tab";
    const show = document.createElement("button");
    show.type = "button";
    show.textContent = name;
    show.title = jid;
    show.setAttribute("aria-pressed", `${isCurrent && this.#state.isOpen}`);
    show.addEventListener("click", () => (isCurrent && this.#state.isOpen ? this.#fold(false) : this.open(jid)));
    const close = document.createElement("button");
    close.type = "button";
    close.className = "klatsch-close";
    close.title = this.#text("close_chat_with", { name });
    close.setAttribute("aria-label", close.title);
    close.addEventListener("click", () => this.#close(jid));
    tab.append(show, close);
    return tab;
  }

  #fold(isOpen) {
    this.#state.isOpen = isOpen;
    this.#draw();
    if (isOpen) this.#show();
    this.#element.querySelector(".klatsch-fold").focus();
  }

  #close(jid) {
    const tabs = this.#state.tabs.filter((tab) => tab !== jid);
    if (tabs.length === 0) return this.#closeAll();
    this.#state.tabs = tabs;
    if (this.#state.current === jid) this.#state.current = tabs.at(-1);
    this.#draw();
    this.#show();
  }

  #closeAll() {
    this.#state = { isOpen: false, current: "", tabs: [] };
    this.#draw();
    if (this.#isReady) this.#say({ type: "open", jid: "" });
  }

  /** Has the frame show the talk in front. */
  #show() {
    this.attend();
    if (this.#isReady) this.#say({ type: "open", jid: this.#state.current });
  }

  // --- what is said ---

  #heard({ source, origin, data }) {
    if (source !== this.#frame.contentWindow || origin !== this.#origin || data?.klatsch !== 1) return;
    if (data.type === "ready") this.#begin();
    else if (data.type === "left") this.#left();
    else if (data.type === "token") void this.#login();
    else if (data.type === "unread" && Number.isSafeInteger(data.count)) this.#onUnread(data.count);
    else if (data.type === "presence") this.#onPresence(data.presence === null ? null : Dock.#whereabouts(data.presence));
  }

  /** What was said of people, as far as it is what can be said. */
  static #whereabouts(said) {
    const found = {};
    for (const [address, it] of Object.entries(Object(said)).slice(0, Dock.PEOPLE_MAX)) {
      const { show, status } = Object(it);
      if (/^[^\s@]+@[^\s@]+$/.test(address) && Dock.#SHOWS.includes(show)) found[address.toLowerCase()] = { show, status: typeof status === "string" ? status.slice(0, 200) : "" };
    }
    return found;
  }

  #begin() {
    this.#isReady = true;
    // Another frame, or the same anew: it says again what it sees.
    this.#onPresence(null);
    this.#body.classList.add("ready");
    this.#look();
    const { current } = this.#state;
    if (current) this.#say({ type: "open", jid: current });
  }

  async #login() {
    const { token, jid } = await this.#askToken();
    // The password has stayed in the webmail's server; this is good once, and for a minute.
    this.#say({ type: "token", token, jid });
  }

  #look() {
    const isDark = document.documentElement.classList.contains("dark-mode");
    if (this.#isReady) this.#say({ type: "look", theme: isDark ? "dark" : "light" });
  }

  #say(what) {
    this.#frame.contentWindow?.postMessage({ klatsch: 1, ...what }, this.#origin);
  }

  // --- over the next page ---

  #store() {
    try {
      sessionStorage.setItem(Dock.#KEY, JSON.stringify(this.#state));
    } catch {
      // Full or forbidden: the next page begins without.
    }
  }

  #restore() {
    try {
      const { isOpen, current, tabs } = JSON.parse(sessionStorage.getItem(Dock.#KEY) ?? "{}");
      const whole = (tabs ?? []).filter((tab) => typeof tab === "string");
      this.#state = { isOpen: isOpen === true, current: typeof current === "string" ? current : "", tabs: whole };
    } catch {
      // Of another version, or nothing.
    }
  }
};
