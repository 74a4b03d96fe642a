// Nothing jumps: the first row that is to be seen keeps its place while rows come and go around it.

/** The rows of a list, by the keys they carry. */
export const findRow = (list: HTMLElement | undefined, key: string): HTMLElement | undefined =>
  list?.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`) ?? undefined;

/** A row and its distance from the upper edge of what is to be seen; CSS pixels. */
export interface Anchor {
  readonly key: string;
  readonly top: number;
}

/** The first row that is to be seen. */
export function anchorOf(viewport: HTMLElement, list: HTMLElement): Anchor | undefined {
  const edge = viewport.getBoundingClientRect().top;
  for (const row of list.querySelectorAll<HTMLElement>("[data-key]")) {
    const { bottom, top } = row.getBoundingClientRect();
    if (bottom > edge) return { key: row.dataset["key"] ?? "", top: top - edge };
  }
  return undefined;
}

/** Scrolls so that a row is where it was, if it is still there. */
export function putBack(viewport: HTMLElement, list: HTMLElement, { key, top }: Anchor): void {
  const row = findRow(list, key);
  if (!row) return;
  const now = row.getBoundingClientRect().top - viewport.getBoundingClientRect().top;
  if (Math.abs(now - top) >= 1) viewport.scrollTop += now - top;
}
