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

/** A link to a conversation that is a path becomes the part behind #, which the client goes by. */
function takeUpPath(isEmbedded: boolean): void {
  const [, jid] = /^\/(?:c|chat)\/(.+)$/.exec(location.pathname) ?? [];
  if (jid !== undefined && location.hash === "") history.replaceState(null, "", `${isEmbedded ? "/chat/" : "/"}#${jid}`);
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
  await chat.restore();
}

const target = document.getElementById("app");
if (target) void begin(target);
