// The service worker: shows what is pushed while nobody looks, and opens what is clicked. It keeps
// no files: the page is small, and its parts are kept by the browser for as long as they last.

import { readTold } from "./names";
import { parsePushed, shown, type Pushed } from "./pushed";

// The library of workers and that of pages cannot be had in one project; these are the few parts.
interface WorkerEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface PushEvent extends WorkerEvent {
  readonly data: { json(): unknown } | null;
}
interface ClickEvent extends WorkerEvent {
  readonly notification: Notification;
}
interface PageClient {
  readonly url: string;
  readonly focused: boolean;
  focus(): Promise<PageClient>;
  postMessage(message: unknown): void;
}
interface Worker {
  readonly registration: ServiceWorkerRegistration;
  readonly clients: {
    matchAll(options: { type: "window"; includeUncontrolled: boolean }): Promise<readonly PageClient[]>;
    openWindow(url: string): Promise<unknown>;
    claim(): Promise<void>;
  };
  skipWaiting(): Promise<void>;
  addEventListener(type: "push", hear: (event: PushEvent) => void): void;
  addEventListener(type: "notificationclick", hear: (event: ClickEvent) => void): void;
  addEventListener(type: "install" | "activate", hear: (event: WorkerEvent) => void): void;
}
const worker = self as unknown as Worker;

worker.addEventListener("install", (event) => event.waitUntil(worker.skipWaiting()));
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));

worker.addEventListener("push", (event) => {
  let pushed: Pushed | undefined;
  try {
    pushed = parsePushed(event.data?.json());
  } catch {
    // No JSON: nothing of ours.
  }
  if (pushed) event.waitUntil(show(pushed));
});

async function show(pushed: Pushed): Promise<void> {
  const told = await readTold().catch(() => undefined);
  const { title, body, tag, jid, isCall } = shown(pushed, told);
  if (pushed.kind === "call-ended") {
    for (const notification of await worker.registration.getNotifications({ tag })) notification.close();
    return;
  }
  // A page that is looked at tells by itself.
  const pages = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  if (pages.some((page) => page.focused)) return;
  await worker.registration.showNotification(title, { body, tag, icon: "/icon.svg", requireInteraction: isCall, data: { jid } });
}

worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const data: unknown = event.notification.data;
  const jid = typeof data === "object" && data !== null && "jid" in data && typeof data.jid === "string" ? data.jid : undefined;
  event.waitUntil(open(jid));
});

async function open(jid: string | undefined): Promise<void> {
  const pages = await worker.clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = pages.find((client) => !new URL(client.url).pathname.startsWith("/chat"));
  if (!page) {
    await worker.clients.openWindow(jid === undefined ? "/" : `/#${encodeURIComponent(jid)}`);
    return;
  }
  // A browser may refuse to bring it to the front; what was asked for is shown there all the same.
  await page.focus().catch(() => undefined);
  if (jid !== undefined) page.postMessage({ type: "open", jid });
}
