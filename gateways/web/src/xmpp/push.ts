// Web Push: Push Notifications, XEP-0357 version 0.4.1, with the app server of this server
// (`urn:klatsch:web-push:0`, described in ops/docs/web-push.md).

import { buildSubmit } from "./data_forms";
import { StanzaError } from "./errors";
import type { XmppLink } from "./link";
import { attr, child, el, iq } from "./xml";

/** The namespace of the app server. */
export const NS_WEB_PUSH = "urn:klatsch:web-push:0";
const NS_PUSH = "urn:xmpp:push:0";
const NS_OPTIONS = "http://jabber.org/protocol/pubsub#publish-options";

/** Where a browser is told: what `PushSubscription.toJSON()` says. */
export interface Subscription {
  readonly endpoint: string;
  readonly p256dh: string;
  readonly auth: string;
}

/** Reads what the browser says; `undefined` where it lacks something. */
export function readSubscription(json: PushSubscriptionJSON): Subscription | undefined {
  const { endpoint, keys } = json;
  const [p256dh, auth] = [keys?.["p256dh"], keys?.["auth"]];
  return endpoint === undefined || p256dh === undefined || auth === undefined ? undefined : { endpoint, p256dh, auth };
}

/** Builds the registration with the app server. */
export function buildRegister(service: string, { endpoint, p256dh, auth }: Subscription): Element {
  return iq("set", service, el("register", NS_WEB_PUSH, { endpoint, p256dh, auth }));
}

/** Reads the node and the secret that the app server gives. */
export function parseRegistered(answer: Element): { node: string; secret: string } {
  const registered = child(answer, "registered", NS_WEB_PUSH);
  const [node, secret] = [attr(registered, "node"), attr(registered, "secret")];
  if (node === undefined || secret === undefined) throw new StanzaError("undefined-condition");
  return { node, secret };
}

/** Builds what asks our server to tell the node (XEP-0357 §5). */
export function buildEnable(jid: string, node: string, secret: string): Element {
  return iq("set", undefined, el("enable", NS_PUSH, { jid, node }, buildSubmit(NS_OPTIONS, { secret })));
}

/** Builds the end of it (XEP-0357 §6). */
export function buildDisable(jid: string, node: string): Element {
  return iq("set", undefined, el("disable", NS_PUSH, { jid, node }));
}

/** Registers a browser; the node that stands for it. */
export async function enablePush(link: XmppLink, service: string, subscription: Subscription): Promise<string> {
  const { node, secret } = parseRegistered(await link.iq(buildRegister(service, subscription)));
  await link.iq(buildEnable(service, node, secret));
  return node;
}

/** Ends what a browser is told. */
export async function disablePush(link: XmppLink, service: string, node: string): Promise<void> {
  await link.iq(buildDisable(service, node));
  await link.iq(iq("set", service, el("unregister", NS_WEB_PUSH, { node })));
}
