// What stands for people and addresses on the screen.

/** One or two letters for an avatar. */
export function initials(name: string): string {
  const words = name.normalize("NFC").match(/[\p{L}\p{N}]+/gu) ?? [];
  const first = (word: string | undefined) => (word ? [...word][0]?.toLocaleUpperCase() ?? "" : "");
  if (words.length === 0) {
    // A name of emoji shows its first.
    const segment = [...new Intl.Segmenter().segment(name.trim())][0]?.segment;
    return segment ?? "?";
  }
  return first(words[0]) + (words.length > 1 ? first(words[words.length - 1]) : "");
}

/** The part in front of the @. */
export const localpart = (jid: string) => (jid.includes("@") ? jid.slice(0, jid.indexOf("@")) : jid);

/** The part behind the @ and in front of the resource. */
export const domain = (jid: string) => (jid.slice(jid.indexOf("@") + 1).split("/")[0] ?? "");

/** The part behind the first slash. */
export const resource = (jid: string) => (jid.includes("/") ? jid.slice(jid.indexOf("/") + 1) : "");

/** What somebody typed as an address, completed with the own domain; undefined if it cannot be one. */
export function address(typed: string, ownDomain: string): string | undefined {
  const text = typed.trim().replace(/^xmpp:/i, "").split("?")[0]?.toLowerCase() ?? "";
  const whole = text.includes("@") ? text : `${text}@${ownDomain}`;
  return /^[^\s"&'/:<>@]{1,255}@[^\s"&'/<>@]{1,255}$/u.test(whole) ? whole : undefined;
}

/** Lower case without accents, for finding. */
export const folded = (text: string) =>
  text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();

/** Whether every word of what was typed begins a word of one of the texts. */
export function matches(typed: string, ...texts: readonly string[]): boolean {
  const words = folded(typed).split(/\s+/).filter((word) => word !== "");
  const all = texts.map((text) => ` ${folded(text).replace(/[@._-]/g, " ")} ${folded(text)}`).join(" ");
  return words.every((word) => all.includes(` ${word}`) || (word.length > 2 && all.includes(word)));
}
