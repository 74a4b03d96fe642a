// Where the page begins: the server's settings, the chat, and then the interface.

import { mount } from "svelte";
import { createChat } from "./chat/create.svelte";
import { preferred, setLanguage } from "./i18n/i18n.svelte";
import "./look/tokens.css";
import "./look/base.css";
import { apply } from "./look/theme";
import App from "./ui/App.svelte";
import { App as AppState } from "./ui/app.svelte";
import { loadConfig } from "./ui/config";
import { forgetPush } from "./ui/shell/push";
import { isVouchedFor, listenToVoucher } from "./ui/shell/vouch";

/** A link to a conversation, a path or a query (`?with=`, `?room=`), becomes the part behind #, which the client goes by. */
function takeUpPath(isEmbedded: boolean): void {
  const [, path] = /^\/(?:c|chat)\/(.+)$/.exec(location.pathname) ?? [];
  const asked = new URLSearchParams(location.search);
  const named = asked.get("with") ?? asked.get("room");
  const jid = path ?? (named === null ? undefined : encodeURIComponent(named));
  if (jid === undefined || location.hash !== "") return;
  asked.delete("with");
  asked.delete("room");
  const rest = asked.size > 0 ? `?${asked}` : "";
  history.replaceState(null, "", `${isEmbedded ? "/chat/" : "/"}${rest}#${jid}`);
}

async function begin(target: HTMLElement): Promise<void> {
  const isEmbedded = document.documentElement.dataset["view"] === "embedded";
  takeUpPath(isEmbedded);
  const config = await loadConfig();
  const chat = await createChat({ url: config.websocket, domain: config.domain });
  const app = new AppState(chat, config, isEmbedded);
  const { settings } = app;
  // The first thing seen is in the right colours and words.
  apply({ ...settings.current, accent: settings.current.accent ?? config.theme.accent });
  const { language } = settings.current;
  await setLanguage(language === "auto" ? preferred(navigator.languages) : language).catch(() => {});
  mount(App, { target, props: { app } });
  if (isEmbedded && isVouchedFor(location.search)) {
    const leave = async () => {
      await chat.signOut();
      await forgetPush();
    };
    await chat.enter(listenToVoucher([location.origin, ...config.embedOrigins], leave));
  } else await chat.restore();
}

const target = document.getElementById("app");
if (target) void begin(target);
