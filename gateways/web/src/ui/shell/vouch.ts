// The page around logs this view in: `/chat/?login=parent` in a frame.
//
// We say `token` when a login wants one, and are told `token` with `token` and `jid`; told `leave`,
// we sign out, forget what is kept here, and say `left`. A message and not the address, since an
// address stays in histories and logs, and since every login after the first wants another token.
// What is heard counts only from the parent, and only from our own origin or one that the server
// names (web.embed_origins); what is said is no secret.

import { bareJid } from "../../xmpp/jid";
import type { Voucher, Vouched } from "../../chat/voucher";
import { address } from "../names";

/** What the page around can say to it. */
export type Word = { readonly type: "token"; readonly vouched: Vouched } | { readonly type: "leave" };

/** Tokens are short; more is none. */
const TOKEN_CHARS_MAX = 4_096;

/** Tells whether this page is to be logged in by the one around it. */
export function isVouchedFor(search: string): boolean {
  return new URLSearchParams(search).get("login") === "parent" && window.parent !== window;
}

/** What a page said, if it is of this. */
export function parseWord(data: unknown): Word | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const { klatsch, type, token, jid } = data as Record<string, unknown>;
  if (klatsch !== 1) return undefined;
  if (type === "leave") return { type };
  if (type !== "token" || typeof jid !== "string" || typeof token !== "string") return undefined;
  const whole = address(bareJid(jid), "");
  // RFC 6750 §2.1: nothing else stands in a token, and so in what is said with it.
  const isToken = token.length <= TOKEN_CHARS_MAX && /^[\w\-.~+/]+=*$/.test(token);
  return whole !== undefined && isToken ? { type, vouched: { jid: whole, token } } : undefined;
}

/** What this needs of a window. */
export interface Scope {
  readonly parent: Pick<Window, "postMessage">;
  addEventListener(type: "message", heard: (event: Pick<MessageEvent, "source" | "origin" | "data">) => void): void;
}

/** Where the page around is that has vouched for us; nobody before that. */
let guarantor: string | undefined;

/** Says something to the page that has vouched for us, and to no other that may be there by now. */
export function tellGuarantor(what: object, scope: Pick<Scope, "parent"> = window): void {
  if (guarantor !== undefined) scope.parent.postMessage({ klatsch: 1, ...what }, guarantor);
}

/** Listens to the page around: it vouches, and it ends what it began. */
export function listenToVoucher(origins: readonly string[], leave: () => Promise<void>, scope: Scope = window): Voucher {
  let take: ((vouched: Vouched) => void) | undefined;
  const tell = (type: "token" | "left") => scope.parent.postMessage({ klatsch: 1, type }, "*");
  scope.addEventListener("message", ({ source, origin, data }) => {
    if (source !== scope.parent || !origins.includes(origin)) return;
    const word = parseWord(data);
    if (word?.type === "token") {
      guarantor = origin;
      take?.(word.vouched);
    } else if (word) void leave().finally(() => tell("left"));
  });
  // Who asks again has given up what was asked before.
  return () => {
    const answer = new Promise<Vouched>((resolve) => (take = resolve));
    tell("token");
    return answer;
  };
}
