// For tests: a chat over a fake link whose server answers as klatsch does, briefly.

import { FakeLink, type Script } from "../xmpp/fake_link";
import { attr } from "../xmpp/xml";
import { assemble } from "./create.svelte";
import type { ChatState } from "./chat_state.svelte";
import type { Storages } from "./account";

/** Our account in tests. */
export const ME = "romeo@montague.example";
/** Somebody on the list in tests. */
export const JULIET = "juliet@capulet.example";

/** A storage in memory. */
export class MemoryStorage implements Storage {
  readonly #values = new Map<string, string>();
  get length(): number {
    return this.#values.size;
  }
  clear(): void {
    this.#values.clear();
  }
  getItem(key: string): string | null {
    return this.#values.get(key) ?? null;
  }
  key(index: number): string | null {
    return [...this.#values.keys()][index] ?? null;
  }
  removeItem(key: string): void {
    this.#values.delete(key);
  }
  setItem(key: string, value: string): void {
    this.#values.set(key, value);
  }
}

/** What stands between one page and the next. */
export function storages(): Storages {
  return { local: new MemoryStorage(), session: new MemoryStorage() };
}

const ROSTER = `<query xmlns="jabber:iq:roster" ver="1">
  <item jid="${JULIET}" name="Juliet" subscription="both"><group>Capulets</group></item>
  <item jid="nurse@capulet.example" subscription="from"/>
</query>`;

/** What a server without anything of interest answers. */
const QUIET: Script = (request) => {
  const payload = request.firstElementChild;
  switch (payload?.namespaceURI) {
    case "jabber:iq:roster":
      return attr(request, "type") === "get" ? ROSTER : "";
    case "urn:xmpp:mam:2":
      return `<fin xmlns="urn:xmpp:mam:2" complete="true"><set xmlns="http://jabber.org/protocol/rsm"/></fin>`;
    case "urn:xmpp:blocking":
      return `<blocklist xmlns="urn:xmpp:blocking"/>`;
    case "http://jabber.org/protocol/disco#items":
      return `<query xmlns="http://jabber.org/protocol/disco#items"/>`;
    case "http://jabber.org/protocol/disco#info":
      return `<query xmlns="http://jabber.org/protocol/disco#info"/>`;
    default:
      return "";
  }
};

/** Lets everything that waits for answers go on. */
export async function settle(): Promise<void> {
  for (let count = 0; count < 60; count += 1) await Promise.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
}

/** Waits for something that comes about by itself, for two seconds at most. */
export async function until(isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 2_000;
  while (!isTrue()) {
    if (Date.now() > end) throw new Error(`never came about: ${isTrue.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Begins a new session after a lost one, and waits until what was missed is read. */
export async function comeBack(link: FakeLink): Promise<void> {
  const before = link.sent.length;
  link.goOnline(false);
  const isQuery = (it: Element): boolean => it.firstElementChild?.namespaceURI === "urn:xmpp:mam:2";
  await until(() => link.sent.slice(before).some(isQuery));
  for (let count = 0; count < 5; count += 1) await settle();
}

/** Waits until a room has been asked to let us in. */
export function asks(link: FakeLink, room: string): Promise<void> {
  return until(() => link.sent.some((it) => it.localName === "presence" && attr(it, "to")?.startsWith(room) === true));
}

/** A chat that is signed in, and its link. */
export async function signedIn(
  more: { readonly storages?: Storages; readonly databases?: IDBFactory; readonly scripts?: readonly Script[] } = {},
): Promise<{ chat: ChatState; link: FakeLink }> {
  const link = new FakeLink();
  link.script(QUIET);
  for (const script of more.scripts ?? []) link.script(script);
  const chat = assemble(link, { url: "ws://localhost/ws", domain: "montague.example" }, {
    storages: more.storages ?? storages(),
    databases: more.databases,
    tab: "tab",
  });
  await chat.signIn({ user: "romeo", password: "secret" });
  await until(() => link.sent.some((it) => it.localName === "presence"));
  await settle();
  return { chat, link };
}

/** The messages that were sent, newest last. */
export function sentMessages(link: FakeLink): Element[] {
  return link.sent.filter((it) => it.localName === "message");
}

/** A message of a contact. */
export function fromJuliet(id: string, content: string, archiveId = `a-${id}`): string {
  return `<message xmlns="jabber:client" type="chat" id="${id}" from="${JULIET}/balcony" to="${ME}">${content}
    <stanza-id xmlns="urn:xmpp:sid:0" by="${ME}" id="${archiveId}"/></message>`;
}

/** A room in tests. */
export const ROOM = "verona@rooms.montague.example";

/** The link by which an archive answers; it is there after the script. */
export const answering: { link: FakeLink | undefined } = { link: undefined };

/** An archive of numbered messages, of which it answers pages as a server does. */
export function archive(count: number, of: (number: number) => string): Script {
  return (request) => {
    const query = request.firstElementChild;
    if (query?.namespaceURI !== "urn:xmpp:mam:2" || query.localName !== "query") return undefined;
    const { link } = answering;
    const set = query.getElementsByTagName("set")[0];
    const value = (name: string): string | undefined => set?.getElementsByTagName(name)[0]?.textContent ?? undefined;
    const max = Number(value("max") ?? "50");
    const [before, after] = [value("before"), value("after")];
    const all = Array.from({ length: count }, (_, index) => index + 1);
    const range = after !== undefined ? all.filter((it) => it > Number(after)) : all.filter((it) => before === undefined || before === "" || it < Number(before));
    const page = after !== undefined ? range.slice(0, max) : range.slice(-max);
    const from = attr(request, "to") ?? ME;
    for (const number of page) {
      link?.receive(`<message xmlns="jabber:client" from="${from}" to="${ME}/orchard"><result xmlns="urn:xmpp:mam:2" queryid="${attr(query, "queryid") ?? ""}" id="${String(number)}">
        <forwarded xmlns="urn:xmpp:forward:0"><delay xmlns="urn:xmpp:delay" stamp="2026-01-01T00:${String(Math.floor(number / 60) % 60).padStart(2, "0")}:${String(number % 60).padStart(2, "0")}Z"/>${of(number)}</forwarded></result></message>`);
    }
    const complete = page.length === range.length ? ` complete="true"` : "";
    return `<fin xmlns="urn:xmpp:mam:2"${complete}><set xmlns="http://jabber.org/protocol/rsm"><first>${String(page[0] ?? "")}</first><last>${String(page.at(-1) ?? "")}</last></set></fin>`;
  };
}

/** One of those messages. */
export const says = (number: number): string =>
  `<message xmlns="jabber:client" type="chat" id="m${String(number)}" from="${JULIET}/balcony" to="${ME}"><body>line ${String(number)}</body></message>`;

/** Enters the room. */
export async function enter(chat: ChatState, link: FakeLink, more = ""): Promise<void> {
  const entered = chat.joinRoom(ROOM);
  await asks(link, ROOM);
  link.receive(`<presence xmlns="jabber:client" from="${ROOM}/romeo"><x xmlns="http://jabber.org/protocol/muc#user"><item affiliation="owner" role="moderator"/><status code="110"/>${more}</x><occupant-id xmlns="urn:xmpp:occupant-id:0" id="o-romeo"/></presence>`);
  await entered;
  await settle();
}
