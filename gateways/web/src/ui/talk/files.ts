// Files chosen for sending, before they are sent. Pure but for object URLs.

/** A file in the tray above the composer. */
export interface Chosen {
  readonly id: number;
  readonly file: File;
  /** An object URL of a picture, to be revoked. */
  readonly preview: string | undefined;
  /** What is to be seen, for those who do not see it. */
  readonly description: string;
}

/** Files in the tray at once; more would be a folder. */
export const FILES_MAX = 20;

let lastId = 0;

export function choose(file: File): Chosen {
  const isPicture = /^image\/(?:png|jpeg|gif|webp|avif)$/.test(file.type);
  lastId += 1;
  return { id: lastId, file, preview: isPicture ? URL.createObjectURL(file) : undefined, description: "" };
}

export function release(chosen: readonly Chosen[]): void {
  for (const { preview } of chosen) if (preview !== undefined) URL.revokeObjectURL(preview);
}

/** The files of a paste or a drop; folders and text are none. */
export function filesOf(data: DataTransfer | null): File[] {
  return [...(data?.items ?? [])].flatMap((item) => {
    if (item.kind !== "file" || item.webkitGetAsEntry?.()?.isDirectory) return [];
    return item.getAsFile() ?? [];
  });
}

export const hasFiles = (data: DataTransfer | null) => data?.types.includes("Files") ?? false;
