// Errors of stanzas: RFC 6120 §8.3, typed by their condition.

import { attr, children, childText } from "./xml";

/** The namespace of the conditions. */
export const NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas";

/** The defined conditions (RFC 6120 §8.3.3). */
export const CONDITIONS = [
  "bad-request",
  "conflict",
  "feature-not-implemented",
  "forbidden",
  "gone",
  "internal-server-error",
  "item-not-found",
  "jid-malformed",
  "not-acceptable",
  "not-allowed",
  "not-authorized",
  "policy-violation",
  "recipient-unavailable",
  "redirect",
  "registration-required",
  "remote-server-not-found",
  "remote-server-timeout",
  "resource-constraint",
  "service-unavailable",
  "subscription-required",
  "undefined-condition",
  "unexpected-request",
] as const;

/** A defined condition. */
export type Condition = (typeof CONDITIONS)[number];

/** What the sender should do about it (RFC 6120 §8.3.2). */
export type ErrorKind = "auth" | "cancel" | "continue" | "modify" | "wait";

const KINDS: readonly string[] = ["auth", "cancel", "continue", "modify", "wait"];

/** A stanza came back as an error. */
export class StanzaError extends Error {
  override readonly name = "StanzaError";
  constructor(
    /** The defined condition. */
    readonly condition: Condition,
    readonly kind: ErrorKind = "cancel",
    /** What the other side says about it, in its own words. */
    readonly text: string = "",
    /** An application's own condition: its name, and its namespace. */
    readonly specific: { readonly name: string; readonly ns: string } | undefined = undefined,
    /** The whole `error` element, for what else stands in it. */
    readonly element: Element | undefined = undefined,
  ) {
    super(text === "" ? condition : `${condition}: ${text}`);
  }
}

/** No answer: the time was up, or the connection ended for good before it came. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  constructor(readonly why: "timeout" | "disconnected") {
    super(why === "timeout" ? "no answer in time" : "the connection ended");
  }
}

/** Why nobody is signed in. */
export type SignInReason = "not-authorized" | "expired" | "unreachable" | "replaced" | "refused" | "insecure";

/** Signing in failed. */
export class SignInError extends Error {
  override readonly name = "SignInError";
  constructor(
    readonly reason: SignInReason,
    readonly text = "",
  ) {
    super(text === "" ? reason : `${reason}: ${text}`);
  }
}

/** Reads the error of a stanza of type `error`. What is not well said is an undefined condition. */
export function parseError(stanza: Element): StanzaError {
  const error = Array.from(stanza.children).find((it) => it.localName === "error");
  if (error === undefined) return new StanzaError("undefined-condition");
  const names = children(error, "*", NS_STANZAS).map((it) => it.localName);
  const condition = CONDITIONS.find((it) => names.includes(it)) ?? "undefined-condition";
  const specific = Array.from(error.children).find((it) => it.namespaceURI !== NS_STANZAS);
  return new StanzaError(
    condition,
    parseKind(attr(error, "type")),
    (childText(error, "text", NS_STANZAS) ?? "").slice(0, TEXT_CHARS_MAX),
    specific === undefined ? undefined : { name: specific.localName, ns: specific.namespaceURI ?? "" },
    error,
  );
}

/** Characters of an error's text: a sentence to show, not a page. */
const TEXT_CHARS_MAX = 500;

function parseKind(text: string | undefined): ErrorKind {
  return KINDS.includes(text ?? "") ? (text as ErrorKind) : "cancel";
}
