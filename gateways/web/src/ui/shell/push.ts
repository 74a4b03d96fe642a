// Being told while the page is closed: the service worker, and a subscription at the browser's push
// service, taken up at every sign-in and given back when it is not wanted.

import type { App } from "../app.svelte";
import { t } from "../../i18n/i18n.svelte";
import { conversationId, forgetTold, tellWorker } from "../../worker/names";

/** The policy that lets one script be a worker, and no other (Trusted Types). */
const POLICY = "klatsch-worker";
const SCRIPT = "/sw.js";

interface PolicyFactory {
  createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): string };
}

let registering: Promise<ServiceWorkerRegistration> | undefined;

/** The worker, registered once; `undefined` where there is none. */
function worker(): Promise<ServiceWorkerRegistration> | undefined {
  if (!("serviceWorker" in navigator)) return undefined;
  return (registering ??= navigator.serviceWorker.register(scriptUrl()));
}

function scriptUrl(): string {
  const { trustedTypes } = globalThis as { trustedTypes?: PolicyFactory };
  const rules = {
    createScriptURL(url: string): string {
      if (url !== SCRIPT) throw new TypeError("only the page's own worker");
      return url;
    },
  };
  return (trustedTypes?.createPolicy(POLICY, rules) ?? rules).createScriptURL(SCRIPT);
}

/** The key as the browser wants it. */
export function keyBytes(base64url: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64url.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Takes up or gives back the subscription, as the settings say. */
export async function keepPush(app: App, wants: boolean): Promise<void> {
  const { chat, config } = app;
  const key = config.features.vapid;
  if (key === undefined || app.isEmbedded || !("PushManager" in globalThis)) return;
  const registration = await worker();
  if (!registration) return;
  const existing = await registration.pushManager.getSubscription();
  if (!wants) {
    if (!existing) return;
    await chat.disablePush();
    await existing.unsubscribe();
    return;
  }
  const subscription =
    existing ?? (await registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: keyBytes(key) }));
  await chat.enablePush(subscription.toJSON());
}

/** Conversations whose names the worker knows: the ones that are likely to be heard of. */
const NAMES_MAX = 200;

/** Tells the worker how conversations are called. */
export async function tellNames(app: App): Promise<void> {
  const { chat, config } = app;
  const account = chat.me.jid;
  const shown = chat.conversations.slice(0, NAMES_MAX).map(({ jid, name }) => ({ jid, name }));
  const entries = await Promise.all(shown.map(async (one) => [await conversationId(account, one.jid), one] as const));
  await tellWorker({
    conversations: Object.fromEntries(entries),
    title: config.name,
    texts: {
      message: t("notice-kind-message"),
      mention: t("notice-kind-mention"),
      invitation: t("notice-kind-invitation"),
      call: t("notice-kind-call"),
    },
  });
}

/** Nothing of it stays when somebody signs out. */
export async function forgetPush(): Promise<void> {
  await forgetTold();
  const registration = await navigator.serviceWorker?.getRegistration();
  await (await registration?.pushManager?.getSubscription())?.unsubscribe();
}

/** A click on a notification of the worker's opens its conversation here. */
export function hearWorker(app: App): () => void {
  const heard = (event: MessageEvent) => {
    const data: unknown = event.data;
    if (typeof data !== "object" || data === null || !("type" in data) || data.type !== "open") return;
    if ("jid" in data && typeof data.jid === "string") app.open(data.jid);
  };
  navigator.serviceWorker?.addEventListener("message", heard);
  return () => navigator.serviceWorker?.removeEventListener("message", heard);
}
