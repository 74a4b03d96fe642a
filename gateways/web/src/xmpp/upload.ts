// HTTP File Upload: XEP-0363 version 1.2.0.

import { fetchInfo, fetchItems, infoValue } from "./disco";
import { StanzaError } from "./errors";
import type { XmppLink } from "./link";
import { NS_PEOPLE } from "./people_search";
import { NS_WEB_PUSH } from "./push";
import { attr, child, children, el, iq, textOf, wholeNumber } from "./xml";

/** The namespace. */
export const NS_UPLOAD = "urn:xmpp:http:upload:0";

/** Where files go. */
export interface UploadService {
  readonly jid: string;
  /** Bytes of a file. */
  readonly bytesMax: number | undefined;
}

/** Where one file goes, and where it will be. */
export interface UploadSlot {
  readonly put: string;
  readonly get: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** §4: the only headers that a client passes on, and none with a line's end in it. */
const HEADERS: readonly string[] = ["authorization", "cookie", "expires"];

/** Asks for a place for a file. */
export async function fetchSlot(
  link: XmppLink,
  service: UploadService,
  file: { readonly name: string; readonly size: number; readonly mediaType: string },
): Promise<UploadSlot> {
  const { name: filename, size, mediaType } = file;
  const request = el("request", NS_UPLOAD, { filename, size, "content-type": mediaType });
  return parseSlot(await link.iq(iq("get", service.jid, request)));
}

/** Reads the answer. Addresses that are not https (or http on loopback) are refused (§9). */
export function parseSlot(answer: Element): UploadSlot {
  const slot = child(answer, "slot", NS_UPLOAD);
  const put = child(slot, "put", NS_UPLOAD);
  const [putUrl, getUrl] = [safeUrl(attr(put, "url")), safeUrl(attr(child(slot, "get", NS_UPLOAD), "url"))];
  if (putUrl === undefined || getUrl === undefined) throw new StanzaError("undefined-condition");
  const headers = children(put, "header", NS_UPLOAD).flatMap((it): [string, string][] => {
    const name = attr(it, "name")?.toLowerCase() ?? "";
    return HEADERS.includes(name) ? [[name, textOf(it).replace(/[\r\n]/g, "")]] : [];
  });
  return { put: putUrl, get: getUrl, headers: Object.fromEntries(headers) };
}

function safeUrl(text: string | undefined): string | undefined {
  if (text === undefined || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isLocal = ["localhost", "[::1]"].includes(url.hostname) || /^127(?:\.\d{1,3}){3}$/.test(url.hostname) || url.hostname.endsWith(".localhost");
  return url.protocol === "https:" || (url.protocol === "http:" && isLocal) ? url.href : undefined;
}

/** The most that the service takes, as a refusal says it (§5). */
export function maxOfError(error: StanzaError): number | undefined {
  const tooLarge = error.element && child(error.element, "file-too-large", NS_UPLOAD);
  return wholeNumber(textOf(child(tooLarge, "max-file-size", NS_UPLOAD)), 0, Number.MAX_SAFE_INTEGER);
}

/** What a server has for its people. */
export interface Services {
  readonly upload: UploadService | undefined;
  readonly rooms: string | undefined;
  readonly push: string | undefined;
  readonly people: string | undefined;
}

/** Services that are asked what they are. */
const SERVICES_MAX = 20;

/** Looks for what the server has (XEP-0030). */
export async function findServices(link: XmppLink): Promise<Services> {
  const items = (await fetchItems(link, link.domain)).slice(0, SERVICES_MAX);
  const infos = await Promise.all(
    items.map(async ({ jid }) => ({ jid, info: await fetchInfo(link, jid).catch(() => undefined) })),
  );
  const known = infos.flatMap(({ jid, info }) => (info === undefined ? [] : [{ jid, info }]));
  const upload = known.find((it) => it.info.features.has(NS_UPLOAD));
  const max = upload && wholeNumber(infoValue(upload.info, "max-file-size"), 0, Number.MAX_SAFE_INTEGER);
  const isRooms = (it: (typeof known)[number]): boolean =>
    it.info.identities.some((identity) => identity.category === "conference" && identity.type === "text");
  return {
    upload: upload && { jid: upload.jid, bytesMax: max },
    rooms: known.find(isRooms)?.jid,
    push: known.find((it) => it.info.features.has(NS_WEB_PUSH))?.jid,
    people: known.find((it) => it.info.features.has(NS_PEOPLE))?.jid,
  };
}
