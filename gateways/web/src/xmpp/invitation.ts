// Invitations that make a contact of whom they are given to: XEP-0401 version 0.6.0 §5.1, by the
// ad-hoc command of the server (XEP-0050 version 1.3).

import { formValue, parseForm } from "./data_forms";
import { StanzaError } from "./errors";
import type { XmppLink } from "./link";
import { child, el, iq } from "./xml";

const NS_COMMANDS = "http://jabber.org/protocol/commands";
const NODE = "urn:xmpp:invite#invite";

/** A link to give away: its page on the web where there is one, else the `xmpp:` address. */
export async function fetchInvitation(link: XmppLink): Promise<string> {
  const command = el("command", NS_COMMANDS, { node: NODE, action: "execute" });
  return parseInvitationLink(await link.iq(iq("set", link.domain, command)));
}

/** Reads the answer. */
export function parseInvitationLink(answer: Element): string {
  const form = parseForm(child(answer, "command", NS_COMMANDS));
  const page = formValue(form, "landing-url");
  const uri = formValue(form, "uri");
  const isPage = page !== undefined && URL.canParse(page) && /^https?:$/.test(new URL(page).protocol);
  const found = isPage ? page : uri?.startsWith("xmpp:") === true ? uri : undefined;
  if (found === undefined) throw new StanzaError("undefined-condition");
  return found;
}
