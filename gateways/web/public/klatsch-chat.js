// <klatsch-chat>: the chat in another page, in a frame of the server's own origin, so that neither
// page can read the other.
//
//   <script type="module" src="https://chat.example.org/klatsch-chat.js"></script>
//   <klatsch-chat jid="anna@example.org" theme="dark" accent="#2a5fd0"></klatsch-chat>
//
// Attributes: `jid`, the conversation to open; `theme`, auto, light or dark; `accent`, a colour;
// `label`, the frame's title. Property `unread`, and an event of that name when it changes.
// The server has to name the page's origin (web.embed_origins).

const ORIGIN = new URL(import.meta.url).origin;

class KlatschChat extends HTMLElement {
  static observedAttributes = ["jid", "theme", "accent", "label"];
  #frame = document.createElement("iframe");
  #isReady = false;
  unread = 0;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).append(this.#frame);
    this.#frame.allow = "camera; microphone; display-capture; autoplay; clipboard-write; fullscreen";
    this.#frame.style.cssText = "display: block; width: 100%; height: 100%; border: 0";
  }

  connectedCallback() {
    if (!this.style.display) this.style.display = "block";
    if (!this.style.height && this.clientHeight === 0) this.style.height = "32rem";
    this.#frame.title = this.getAttribute("label") ?? "Chat";
    this.#frame.src = `${ORIGIN}/chat/`;
    addEventListener("message", this.#heard);
  }

  disconnectedCallback() {
    removeEventListener("message", this.#heard);
    this.#isReady = false;
  }

  attributeChangedCallback(name) {
    if (name === "label") this.#frame.title = this.getAttribute("label") ?? "Chat";
    else if (name === "jid") this.#open();
    else this.#look();
  }

  /** Shows a conversation. */
  open(jid) {
    this.setAttribute("jid", jid);
  }

  #heard = (event) => {
    if (event.source !== this.#frame.contentWindow || event.origin !== ORIGIN || event.data?.klatsch !== 1) return;
    const { type, count } = event.data;
    if (type === "ready") {
      this.#isReady = true;
      this.#look();
      this.#open();
    } else if (type === "unread" && Number.isSafeInteger(count)) {
      this.unread = count;
      this.dispatchEvent(new CustomEvent("unread", { detail: count }));
    }
  };

  #open() {
    const jid = this.getAttribute("jid");
    if (jid) this.#say({ type: "open", jid });
  }

  #look() {
    this.#say({ type: "look", theme: this.getAttribute("theme") ?? undefined, accent: this.getAttribute("accent") ?? undefined });
  }

  #say(what) {
    if (this.#isReady) this.#frame.contentWindow?.postMessage({ klatsch: 1, ...what }, ORIGIN);
  }
}

if (!customElements.get("klatsch-chat")) customElements.define("klatsch-chat", KlatschChat);
