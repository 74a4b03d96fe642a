// Pictures: fetched when they are announced, kept by their hash, shown as object URLs.

import {
  buildNoPicture,
  buildPicture,
  fetchPicture,
  fetchVcardPicture,
  NS_METADATA,
  parseMetadata,
  type Picture,
} from "../xmpp/avatar";
import { bareJid } from "../xmpp/jid";
import { onEvent } from "../xmpp/pubsub";
import type { Core } from "./core.svelte";

/** Whoever has a picture. */
export interface Pictured {
  readonly jid?: string | undefined;
  avatar: string | undefined;
  photoHash: string | undefined;
}

/** Pictures that are kept: those of a large list of contacts. */
const PICTURES_MAX = 500;
/** Pictures that are fetched at once. */
const FETCHES_MAX = 4;
/** Pixels of a side of our own: XEP-0084 §4.1 wants at most 96, screens have become finer. */
const OWN_SIDE = 192;

/** Knows the pictures. */
export class Avatars {
  readonly #urls = new Map<string, Promise<string | undefined>>();
  readonly #queue: (() => void)[] = [];
  #running = 0;

  constructor(private readonly core: Core) {
    onEvent(core.link, NS_METADATA, "anybody", ({ from, items }) => {
      const hash = parseMetadata(items[0]?.payload);
      const contact = core.contacts.get(from) ?? (from === core.account ? core.stranger(from) : undefined);
      if (hash !== undefined && contact !== undefined) this.#show(contact, hash, () => fetchPicture(core.link, from, hash));
    });
  }

  /** Somebody's presence names a picture. */
  announced(contact: Pictured & { readonly jid: string }, hash: string): void {
    this.#show(contact, hash, () => fetchVcardPicture(this.core.link, bareJid(contact.jid), hash));
  }

  /** Somebody in a room has a picture. */
  announcedInRoom(occupant: Pictured, address: string, hash: string): void {
    this.#show(occupant, hash, () => fetchVcardPicture(this.core.link, address, hash));
  }

  #show(pictured: Pictured, hash: string, fetch: () => Promise<Picture | undefined>): void {
    if (pictured.photoHash === hash) return;
    pictured.photoHash = hash;
    if (hash === "") {
      pictured.avatar = undefined;
      return;
    }
    void this.#url(hash, fetch).then((url) => {
      // Another may have been announced meanwhile.
      if (pictured.photoHash === hash && url !== undefined) pictured.avatar = url;
    });
  }

  #url(hash: string, fetch: () => Promise<Picture | undefined>): Promise<string | undefined> {
    const known = this.#urls.get(hash);
    if (known !== undefined) return known;
    const asked = this.#turn(fetch).then(toUrl, () => {
      this.#urls.delete(hash);
      return undefined;
    });
    if (this.#urls.size >= PICTURES_MAX) this.#forgetOldest();
    this.#urls.set(hash, asked);
    return asked;
  }

  #forgetOldest(): void {
    const [oldest] = this.#urls;
    if (oldest !== undefined) this.#urls.delete(oldest[0]);
  }

  async #turn<T>(run: () => Promise<T>): Promise<T> {
    if (this.#running >= FETCHES_MAX) await new Promise<void>((resolve) => this.#queue.push(resolve));
    this.#running += 1;
    try {
      return await run();
    } finally {
      this.#running -= 1;
      this.#queue.shift()?.();
    }
  }

  /** Sets our own picture, or takes it away. */
  async setOwn(picture: Blob | undefined): Promise<void> {
    const { link } = this.core;
    if (picture === undefined) {
      await link.iq(buildNoPicture());
      return;
    }
    const bytes = new Uint8Array(await (await scale(picture)).arrayBuffer());
    const [data, metadata] = await buildPicture({ bytes, mediaType: "image/png" }, OWN_SIDE);
    await link.iq(data);
    await link.iq(metadata);
  }
}

function toUrl(picture: Picture | undefined): string | undefined {
  return picture && URL.createObjectURL(new Blob([picture.bytes], { type: picture.mediaType }));
}

/** A square of the middle, as a PNG. */
async function scale(picture: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(picture);
  const side = Math.min(bitmap.width, bitmap.height);
  const canvas = new OffscreenCanvas(OWN_SIDE, OWN_SIDE);
  const [x, y] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
  canvas.getContext("2d")?.drawImage(bitmap, x, y, side, side, 0, 0, OWN_SIDE, OWN_SIDE);
  bitmap.close();
  return canvas.convertToBlob({ type: "image/png" });
}
