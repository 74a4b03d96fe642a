// Whoever vouches for the person in front of this page, such as the webmail around it.

import type { BareJid } from "./model";

/** Who it is, and what the server is told for it: a token that is good for one login. */
export interface Vouched {
  readonly jid: BareJid;
  readonly token: string;
}

/** Asks; the answer may be a long time coming. */
export type Voucher = () => Promise<Vouched>;

/**
 * A token for each login: the first is there already, another is asked for. Rejects when somebody
 * else is vouched for by then: what is shown here is not theirs.
 */
export function bearerOf(first: Vouched, ask: Voucher): () => Promise<string> {
  let next: Vouched | undefined = first;
  return async () => {
    const { jid, token } = next ?? (await ask());
    next = undefined;
    if (jid !== first.jid) throw new Error("somebody else");
    return token;
  };
}
