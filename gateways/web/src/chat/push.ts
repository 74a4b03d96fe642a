// Being told while nobody looks: the node at the app server that stands for this browser.

import { NoAnswer, StanzaError } from "../xmpp/errors";
import { disablePush, enablePush, readSubscription } from "../xmpp/push";
import type { Core } from "./core.svelte";

/** Where the node is kept. */
const NODE = "push-node";

/**
 * Registers a Web Push subscription of this browser.
 *
 * @throws StanzaError, NoAnswer
 */
export async function registerPush({ cache, link }: Core, service: string | undefined, json: PushSubscriptionJSON): Promise<void> {
  const subscription = readSubscription(json);
  if (service === undefined || subscription === undefined) throw new StanzaError("feature-not-implemented");
  await cache.setValue(NODE, await enablePush(link, service, subscription));
}

/**
 * Takes it back.
 *
 * @throws StanzaError, NoAnswer
 */
export async function unregisterPush({ cache, link }: Core, service: string | undefined): Promise<void> {
  const node = await cache.value<string>(NODE);
  if (node === undefined || service === undefined) return;
  if (link.state !== "online") throw new NoAnswer("disconnected");
  await disablePush(link, service, node);
  await cache.setValue(NODE, undefined);
}
