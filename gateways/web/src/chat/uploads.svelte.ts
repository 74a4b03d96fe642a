// Files on their way out: a slot, the bytes with progress, then the message. XEP-0363 1.2.0.

import { StanzaError } from "../xmpp/errors";
import { freshId } from "../xmpp/dispatcher";
import { kindOf } from "../xmpp/files";
import { nameText } from "../xmpp/text";
import { fetchSlot, type UploadService, type UploadSlot } from "../xmpp/upload";
import type { OutgoingFile } from "./chat";
import type { ConversationState } from "./conversation.svelte";
import type { Core } from "./core.svelte";
import type { Attachment, Upload } from "./model";
import type { Outbox } from "./outbox";

/** Files that are sent at once: more would only make each slower. */
const AT_ONCE = 2;
/** Files that wait. */
const WAITING_MAX = 100;

interface Job {
  readonly file: OutgoingFile;
  readonly conversation: ConversationState;
  readonly id: string;
  request: XMLHttpRequest | undefined;
}

/** Sends files. */
export class Uploads {
  list = $state.raw<readonly Upload[]>([]);
  service: UploadService | undefined;
  readonly #jobs = new Map<string, Job>();
  #running = 0;

  constructor(
    private readonly core: Core,
    private readonly outbox: Outbox,
  ) {}

  /** Begins to send files. */
  add(conversation: ConversationState, files: readonly OutgoingFile[]): void {
    for (const file of files.slice(0, WAITING_MAX - this.#jobs.size)) {
      const id = freshId();
      this.#jobs.set(id, { file, conversation, id, request: undefined });
      const { name, size, type } = file.file;
      const upload: Upload = {
        id,
        conversation: conversation.jid,
        name: nameText(name) || "file",
        size,
        mediaType: type || "application/octet-stream",
        sent: 0,
        state: "waiting",
        error: undefined,
      };
      this.list = [...this.list, upload];
    }
    this.#next();
  }

  /** Stops one, and takes it off the list. */
  cancel(id: string): void {
    this.#jobs.get(id)?.request?.abort();
    this.#jobs.delete(id);
    this.list = this.list.filter((it) => it.id !== id);
  }

  /** Tries one again that has failed. */
  retry(id: string): void {
    if (!this.#jobs.has(id)) return;
    this.#set(id, { state: "waiting", error: undefined, sent: 0 });
    this.#next();
  }

  #set(id: string, changes: Partial<Upload>): void {
    this.list = this.list.map((it) => (it.id === id ? { ...it, ...changes } : it));
  }

  #next(): void {
    const waiting = this.list.find((it) => it.state === "waiting");
    const job = waiting && this.#jobs.get(waiting.id);
    if (waiting === undefined || job === undefined || this.#running >= AT_ONCE) return;
    this.#running += 1;
    this.#set(waiting.id, { state: "sending" });
    void this.#run(job, waiting).finally(() => {
      this.#running -= 1;
      this.#next();
    });
    this.#next();
  }

  async #run(job: Job, upload: Upload): Promise<void> {
    const error = await this.#send(job, upload).catch((thrown: unknown) => toError(thrown));
    if (error !== undefined) {
      this.#set(job.id, { state: "failed", error });
      return;
    }
    this.#jobs.delete(job.id);
    this.list = this.list.filter((it) => it.id !== job.id);
  }

  async #send(job: Job, upload: Upload): Promise<Upload["error"]> {
    const { service } = this;
    if (service === undefined) return "unavailable";
    if (service.bytesMax !== undefined && upload.size > service.bytesMax) return "too-large";
    const slot = await fetchSlot(this.core.link, service, upload);
    if (!this.#jobs.has(job.id)) return undefined;
    const status = await this.#put(job, slot, upload.mediaType);
    // Taken away meanwhile: there is nothing to say about it.
    if (!this.#jobs.has(job.id)) return undefined;
    if (status === 413) return "too-large";
    if (status < 200 || status >= 300) return status === 0 ? "unreachable" : "refused";
    const attachment = await describe(job.file, upload, slot.get);
    this.outbox.send(job.conversation, job.file.caption ?? "", { file: attachment });
    return undefined;
  }

  /** `fetch` cannot tell how far it is; the older way can. The status, 0 for none. */
  #put(job: Job, slot: UploadSlot, mediaType: string): Promise<number> {
    return new Promise((resolve) => {
      const request = new XMLHttpRequest();
      job.request = request;
      request.open("PUT", slot.put);
      request.setRequestHeader("Content-Type", mediaType);
      for (const [name, value] of Object.entries(slot.headers)) {
        // Browsers set cookies themselves, and let nobody else do it.
        if (name !== "cookie") request.setRequestHeader(name, value);
      }
      request.upload.onprogress = ({ loaded }) => this.#set(job.id, { sent: loaded });
      request.onload = () => resolve(request.status);
      request.onerror = request.onabort = request.ontimeout = () => resolve(0);
      request.send(job.file.file);
    });
  }

  /** Nobody is signed in any more. */
  clear(): void {
    for (const id of [...this.#jobs.keys()]) this.cancel(id);
    this.service = undefined;
  }
}

function toError(thrown: unknown): Upload["error"] {
  if (!(thrown instanceof StanzaError)) return "unreachable";
  return thrown.specific?.name === "file-too-large" ? "too-large" : "refused";
}

async function describe(outgoing: OutgoingFile, upload: Upload, url: string): Promise<Attachment> {
  const kind = kindOf(upload.mediaType);
  const size = kind === "image" ? await measure(outgoing.file) : undefined;
  return {
    url,
    name: upload.name,
    kind,
    mediaType: upload.mediaType,
    size: upload.size,
    width: size?.width,
    height: size?.height,
    duration: outgoing.duration,
    description: outgoing.description ?? "",
  };
}

/** Pixels of a picture, that nothing moves when it is shown. */
async function measure(file: File): Promise<{ width: number; height: number } | undefined> {
  try {
    const { width, height, close } = await createImageBitmap(file).then((it) => ({
      width: it.width,
      height: it.height,
      close: () => it.close(),
    }));
    close();
    return { width, height };
  } catch {
    return undefined;
  }
}
