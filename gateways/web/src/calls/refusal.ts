// What a peer may send in a call, and the names under which the rest is refused.
//
// Jingle (XEP-0166 1.1.2) leaves sizes open; a browser that is handed a description of ten
// thousand candidates opens ten thousand checks (rows T07 and T10 of the attack corpus). Every
// value that would end up in a line of SDP is a token or a number before it gets there.

/** Contents in a session: microphone, camera and screen of both sides, and as many again. */
export const CONTENTS_MAX = 8;
/** Candidates of a content over the whole session; a laptop with six addresses has about 20. */
export const CANDIDATES_MAX = 64;
/** Encodings of a content; Chromium offers 45 with every profile of H.264 and its repairs. */
export const PAYLOADS_MAX = 96;
/** Parameters of an encoding, or of a source: AV1 and Opus have fewer than ten. */
export const PARAMETERS_MAX = 32;
/** Kinds of feedback of an encoding or a content; there are seven in use. */
export const FEEDBACK_MAX = 16;
/** Header extensions of a content: the one-byte form has 14 ids, Chromium names 12. */
export const EXTENSIONS_MAX = 32;
/** Sources of a content: three layers of simulcast with their repairs are six. */
export const SOURCES_MAX = 16;
/** Characters of any value: the longest one in use, an H.264 parameter set, has about 100. */
export const VALUE_MAX = 512;
/** Characters of a session's or a content's name. */
export const NAME_MAX = 128;

/** Why something of a peer's is refused. */
export type Refusal =
  | "not-jingle"
  | "bad-action"
  | "bad-sid"
  | "bad-jid"
  | "bad-name"
  | "bad-creator"
  | "bad-senders"
  | "bad-media"
  | "bad-payload"
  | "bad-parameter"
  | "bad-feedback"
  | "bad-extension"
  | "bad-source"
  | "bad-credentials"
  | "bad-candidate"
  | "bad-fingerprint"
  | "no-contents"
  | "no-payloads"
  | "no-fingerprint"
  | "no-credentials"
  | "no-mux"
  | "duplicate-content"
  | "unknown-content"
  | "unsupported-application"
  | "unsupported-transport"
  | "too-many-contents"
  | "too-many-payloads"
  | "too-many-parameters"
  | "too-many-feedbacks"
  | "too-many-extensions"
  | "too-many-sources"
  | "too-many-candidates";

/** Something of a peer's that is not taken. */
export class Refused extends Error {
  constructor(readonly refusal: Refusal) {
    super(refusal);
    this.name = "Refused";
  }
}

/** The value, or the refusal if it is none. */
export function need<T>(value: T | undefined, refusal: Refusal): T {
  if (value === undefined) throw new Refused(refusal);
  return value;
}

/** The list, unless it is longer than it may be. */
export function atMost<T>(list: T[], max: number, refusal: Refusal): T[] {
  if (list.length > max) throw new Refused(refusal);
  return list;
}

// RFC 8866 §9 `token`: what may stand where SDP has no quotes; no blank, no line end.
const TOKEN = /^[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]+$/;
// A value that stands at the end of a line or between semicolons: printable ASCII.
const PRINTABLE = /^[\x20-\x7e]*$/;

/** A token (RFC 8866 §9). */
export function token(value: string | undefined, refusal: Refusal, max = NAME_MAX): string {
  if (value === undefined || value.length > max || !TOKEN.test(value)) throw new Refused(refusal);
  return value;
}

/** Printable text without line ends, maybe empty. */
export function printable(value: string, refusal: Refusal): string {
  if (value.length > VALUE_MAX || !PRINTABLE.test(value)) throw new Refused(refusal);
  return value;
}

/** A whole number in decimal digits between two bounds. */
export function whole(value: string | undefined, min: number, max: number, refusal: Refusal): number {
  if (value === undefined || !/^[0-9]{1,10}$/.test(value)) throw new Refused(refusal);
  const number = Number(value);
  if (number < min || number > max) throw new Refused(refusal);
  return number;
}

/** The value if it is one of these. */
export function oneOf<T extends string>(
  value: string | undefined,
  of: readonly T[],
  refusal: Refusal,
): T {
  return need(
    of.find((known) => known === value),
    refusal,
  );
}
