// Entity Capabilities: XEP-0115 version 1.6.0.
//
// Asked once for each name of a set of capabilities, and believed only when the answer makes the
// same name (§5.4), for anybody may claim the name of another's.

import { fetchInfo, type Identity, type Info } from "./disco";
import type { XmppLink } from "./link";
import type { Caps } from "./presence";

/** Names that are remembered: there are a few dozen clients with a few versions each. */
const KNOWN_MAX = 500;

/** The string that is hashed (§5.1). */
export function verificationString(identities: readonly Identity[], features: Iterable<string>, info?: Info): string {
  const parts = identities.map((it) => `${it.category}/${it.type}/${it.lang}/${it.name}`).sort(byBytes);
  parts.push(...[...features].sort(byBytes));
  const form = info?.form;
  const type = form?.fields.get("FORM_TYPE")?.values[0];
  if (form !== undefined && type !== undefined) {
    parts.push(type);
    const fields = [...form.fields.values()].filter((it) => it.name !== "FORM_TYPE");
    for (const field of fields.sort((a, b) => byBytes(a.name, b.name))) {
      parts.push(field.name, ...[...field.values].sort(byBytes));
    }
  }
  return parts.map((it) => `${it}<`).join("");
}

/** §5.1, i;octet: by bytes. For what is no surrogate, code units are in the same order. */
function byBytes(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** The name of a set of capabilities (§5.1): SHA-1, which all clients understand. */
export async function capsVersion(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return btoa(String.fromCharCode(...new Uint8Array(hash)));
}

/** Knows what others' clients can do. */
export class CapsCache {
  readonly #known = new Map<string, Promise<ReadonlySet<string>>>();

  constructor(private readonly link: XmppLink) {}

  /** The features of whoever announced these capabilities; empty where they are not to be had. */
  features(jid: string, caps: Caps): Promise<ReadonlySet<string>> {
    const key = `${caps.hash} ${caps.ver}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const asked = this.#ask(jid, caps).catch(() => {
      // Somebody else with the same name may answer.
      this.#known.delete(key);
      return new Set<string>();
    });
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.set(key, asked);
    return asked;
  }

  async #ask(jid: string, caps: Caps): Promise<ReadonlySet<string>> {
    if (caps.hash !== "sha-1") throw new Error("a hash that is not known");
    const info = await fetchInfo(this.link, jid, `${caps.node}#${caps.ver}`);
    const made = await capsVersion(verificationString(info.identities, info.features, info));
    if (made !== caps.ver) throw new Error("not what was announced");
    return info.features;
  }
}
