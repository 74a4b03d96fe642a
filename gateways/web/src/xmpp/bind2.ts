// A session with the login: Bind 2, XEP-0386 version 1.1.0, with copies (XEP-0280) and stream
// management (XEP-0198) from its beginning. What has waited for us is not sent: the archive has it
// (§3.2).

import { NS_CARBONS } from "./carbons";
import { NS_SM } from "./sm";
import { attr, child, children, el } from "./xml";

/** The namespace. */
export const NS_BIND2 = "urn:xmpp:bind:0";

/** What a server offers for a session that comes with the login. */
export interface SessionOffer {
  readonly hasSm: boolean;
  readonly hasCarbons: boolean;
}

/** Reads what is offered; nothing where no session comes with the login. */
export function readSessionOffer(inline: Element): SessionOffer | undefined {
  const bind = child(inline, "bind", NS_BIND2);
  if (bind === undefined) return undefined;
  const names = children(child(bind, "inline", NS_BIND2), "feature", NS_BIND2).map((it) => attr(it, "var"));
  return { hasSm: names.includes(NS_SM), hasCarbons: names.includes(NS_CARBONS) };
}

/** Builds the wish for a session. The tag is seen by others, in its resource (§3.2.1). */
export function buildBind(tag: string, { hasSm, hasCarbons }: SessionOffer): Element {
  return el(
    "bind",
    NS_BIND2,
    {},
    el("tag", NS_BIND2, {}, tag),
    hasCarbons ? el("enable", NS_CARBONS) : undefined,
    hasSm ? el("enable", NS_SM, { resume: "true" }) : undefined,
  );
}
