// Puts the parts together in a page of Roundcube. The top window has the hub, the dock and the
// button; frames in it, such as the preview of a mail, use its.

"use strict";

(() => {
  if (!window.rcmail) return;

  /** As long as a webmail may take with a klatsch that answers slowly. */
  const ASK_MS = 15_000;
  /** Between two attempts to get a token. */
  const TOKEN_MS = 15_000;

  /** Asks the plugin's server side; never rejects, and never tells the mail that something failed. */
  async function ask(action, data = {}) {
    const body = new URLSearchParams();
    for (const [name, value] of Object.entries(data)) for (const one of [value].flat()) body.append(Array.isArray(value) ? `${name}[]` : name, one);
    try {
      const response = await fetch(rcmail.url(`utils/plugin.klatsch.${action}`, { _remote: 1 }), {
        method: "POST",
        headers: { "X-Roundcube-Request": rcmail.env.request_token, "X-Requested-With": "XMLHttpRequest" },
        body,
        signal: AbortSignal.timeout(ASK_MS),
      });
      const { callbacks = [] } = await response.json();
      return callbacks.find(([name]) => name === "plugin.klatsch")?.[1] ?? { up: false };
    } catch {
      return { up: false };
    }
  }

  /** The parts of the top window. */
  function makePage() {
    const { text } = klatsch;
    const hub = new klatsch.Hub({
      ask: (addresses) => ask("state", { _addresses: addresses }),
      storage: sessionStorage,
      isSeen: () => document.visibilityState === "visible",
    });
    const askToken = async () => {
      for (;;) {
        const answer = await ask("token");
        if (answer.up === true && answer.token) return answer;
        await new Promise((done) => setTimeout(done, Math.max(TOKEN_MS, (answer.again ?? 0) * 1_000)));
      }
    };
    const dock = new klatsch.Dock({ origin: rcmail.env.klatsch_origin, text, askToken, onUnread: (count) => hub.setUnread(count), onPresence: (presence) => hub.heedLive(presence) });
    const open = async (address, name = address) => {
      if (address === undefined) return void dock.open();
      const { up, jid } = await ask("chat", { _with: address });
      if (jid) dock.open(jid);
      else rcmail.display_message(up === true ? text("nobody", { name }) : text("down"), "notice");
    };
    document.addEventListener("visibilitychange", () => hub.refresh());
    // The frame comes when the mail is there, and only while there is a klatsch.
    const idle = window.requestIdleCallback ?? ((run) => setTimeout(run, 1_000));
    hub.listen(() => {
      dock.tell(hub.isUp);
      if (hub.isUp && !rcmail.env.extwin) idle(() => dock.attend());
    });
    let hasLeft = false;
    rcmail.addEventListener("beforeswitch-task", (task) => {
      if (task !== "logout" || hasLeft) return undefined;
      hasLeft = true;
      sessionStorage.removeItem("klatsch.presence");
      void dock.leave().then(() => rcmail.command("switch-task", "logout"));
      return false;
    });
    klatsch.toolbar({ hub, text, ask, open });
    return { hub, open };
  }

  /** The parts that the window around has, in a frame of it. */
  function parentPage() {
    try {
      return window.parent === window ? undefined : window.parent.klatsch?.page;
    } catch {
      return undefined;
    }
  }

  /** A mail's own ways to a chat: a link to its sender, and an entry in the menu of an address. */
  function message({ address }, open) {
    const { text } = klatsch;
    const sender = document.getElementById("klatsch-sender");
    const from = document.querySelector("#message-header a.rcmContactAddress[href^='mailto:']");
    if (sender && from) {
      sender.classList.remove("hidden");
      sender.title = text("chat_with", { name: from.textContent });
      sender.addEventListener("click", (event) => {
        event.preventDefault();
        open(address(from), from.textContent);
      });
    }
    rcmail.addEventListener("menu-open", ({ name, props }) => {
      if (name !== "mailto-menu" || !props?.link) return;
      const item = document.getElementById("klatsch-mailto");
      if (!item) return;
      item.classList.add("active");
      item.onclick = () => (open(address(props.link), props.link.textContent), false);
    });
  }

  const early = [];
  let takeRow = (it) => early.push(it);
  rcmail.addEventListener("insertrow", (it) => takeRow(it));
  rcmail.addEventListener("init", () => {
    if (!rcmail.env.klatsch_origin) return;
    const page = rcmail.env.framed ? parentPage() : (klatsch.page = makePage());
    if (!page) return;
    const dots = klatsch.dots(page.hub, page.open);
    dots.scan(document, false);
    if (rcmail.env.action === "compose") dots.recipients(document);
    takeRow = dots.row;
    early.forEach(takeRow);
    message(dots, page.open);
  });
})();
