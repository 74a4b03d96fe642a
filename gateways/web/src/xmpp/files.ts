// Files in messages: Stateless file sharing (XEP-0447 version 0.3.0) with file metadata (XEP-0446
// version 0.2.0), and Out of Band Data (XEP-0066 version 1.5) for clients without it.

import type { Attachment, AttachmentKind } from "../chat/model";
import { buildFallback } from "./fallback";
import { webUrl } from "./links";
import { bodyText, nameText } from "./text";
import { attr, child, children, childText, el, textOf, wholeNumber } from "./xml";

/** The namespace of shared files. */
export const NS_SFS = "urn:xmpp:sfs:0";
const NS_FILE = "urn:xmpp:file:metadata:0";
const NS_URL = "http://jabber.org/protocol/url-data";
/** The namespace of addresses beside a message. */
export const NS_OOB = "jabber:x:oob";

/** Files of one message that are shown. */
const FILES_MAX = 20;
const SIZE_MAX = Number.MAX_SAFE_INTEGER;
/** Pixels of a side: more than any camera has. */
const SIDE_MAX = 100_000;

/** Reads the files of a message. Addresses that are not http or https are no files. */
export function parseFiles(message: Element): Attachment[] {
  const shared = children(message, "file-sharing", NS_SFS).slice(0, FILES_MAX).flatMap(parseShared);
  if (shared.length > 0) return shared;
  const urls = children(message, "x", NS_OOB).slice(0, FILES_MAX);
  return urls.flatMap((it) => {
    const url = webUrl(childText(it, "url", NS_OOB));
    return url === undefined ? [] : [bareAttachment(url, childText(it, "desc", NS_OOB) ?? "")];
  });
}

function parseShared(sharing: Element): Attachment[] {
  const sources = children(child(sharing, "sources", NS_SFS), "url-data", NS_URL);
  const url = sources.map((it) => webUrl(attr(it, "target"))).find((it) => it !== undefined);
  if (url === undefined) return [];
  const file = child(sharing, "file", NS_FILE);
  const known = bareAttachment(url, textOf(child(file, "desc", NS_FILE)));
  const mediaType = readMediaType(childText(file, "media-type", NS_FILE)) ?? known.mediaType;
  const name = nameText(childText(file, "name", NS_FILE) ?? "");
  const length = wholeNumber(childText(file, "length", NS_FILE), 0, SIZE_MAX);
  return [
    {
      ...known,
      name: name === "" ? known.name : name,
      mediaType,
      kind: kindOf(mediaType),
      size: wholeNumber(childText(file, "size", NS_FILE), 0, SIZE_MAX),
      width: wholeNumber(childText(file, "width", NS_FILE), 1, SIDE_MAX),
      height: wholeNumber(childText(file, "height", NS_FILE), 1, SIDE_MAX),
      // XEP-0446 §3: milliseconds.
      duration: length === undefined ? undefined : length / 1000,
    },
  ];
}

function bareAttachment(url: string, description: string): Attachment {
  const last = new URL(url).pathname.split("/").at(-1) ?? "";
  const name = nameText(decode(last));
  const mediaType = TYPES[/\.(\w{1,5})$/.exec(name)?.[1]?.toLowerCase() ?? ""] ?? "application/octet-stream";
  return {
    url,
    name,
    mediaType,
    kind: kindOf(mediaType),
    size: undefined,
    width: undefined,
    height: undefined,
    duration: undefined,
    description: bodyText(description),
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What the end of a name tells of its content. */
const TYPES: Readonly<Record<string, string>> = {
  avif: "image/avif",
  gif: "image/gif",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  m4a: "audio/mp4",
  mp3: "audio/mpeg",
  ogg: "audio/ogg",
  opus: "audio/ogg",
  wav: "audio/wav",
  mp4: "video/mp4",
  webm: "video/webm",
  pdf: "application/pdf",
};

function readMediaType(text: string | undefined): string | undefined {
  const type = text?.trim().toLowerCase() ?? "";
  return /^[a-z0-9!#$&^_.+-]{1,100}\/[a-z0-9!#$&^_.+-]{1,100}$/.test(type) ? type : undefined;
}

/** What the view shows it as. SVG is a document that can run, and is a file like any other. */
export function kindOf(mediaType: string): AttachmentKind {
  if (mediaType === "image/svg+xml") return "file";
  const [major] = mediaType.split("/");
  return major === "image" || major === "audio" || major === "video" ? major : "file";
}

/** Builds what shares a file: the body is its address, for everybody else, or its caption, for all. */
export function buildFile(file: Attachment, hasCaption: boolean): Element[] {
  const text = (name: string, value: string | number | undefined): Element | undefined =>
    value === undefined || value === "" ? undefined : el(name, NS_FILE, {}, String(value));
  const metadata = el(
    "file",
    NS_FILE,
    {},
    text("media-type", file.mediaType),
    text("name", file.name),
    text("size", file.size),
    text("width", file.width),
    text("height", file.height),
    text("length", file.duration === undefined ? undefined : Math.round(file.duration * 1000)),
    text("desc", file.description),
  );
  const sources = el("sources", NS_SFS, {}, el("url-data", NS_URL, { target: file.url }));
  return [
    el("file-sharing", NS_SFS, { disposition: file.kind === "file" ? "attachment" : "inline" }, metadata, sources),
    ...(hasCaption ? [] : [buildFallback(NS_SFS)]),
    el("x", NS_OOB, {}, el("url", NS_OOB, {}, file.url)),
  ];
}
