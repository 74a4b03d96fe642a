// Login with a token that somebody else has asked for in our name: SASL OAUTHBEARER, RFC 7628.
//
// Leaves out the server's hints at where tokens come from (§3.2.2): whoever gave this one gives the
// next.

import { Strophe } from "strophe.js";

type Connection = InstanceType<typeof Strophe.Connection>;

/** The mechanism, with the end that the library leaves out. */
export class Bearer extends Strophe.SASLOAuthBearer {
  override onChallenge(connection: Connection, challenge?: string): string {
    // §3.2.3: a challenge says why the token was refused; a lone separator lets the failure come.
    return challenge === undefined ? super.onChallenge(connection) : "\u0001";
  }
}
