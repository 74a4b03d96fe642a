// The keyboard in the list of messages: up and down from message to message, Enter to its tools and
// Escape back.

/** The message that something belongs to. */
export const rowOf = (target: EventTarget | null): HTMLElement | undefined =>
  (target instanceof Element ? target.closest<HTMLElement>("li.row") : undefined) ?? undefined;

/** Does what a key stands for. `focused` is the key of the message that had the focus last. */
export function moveByKey(event: KeyboardEvent, list: HTMLElement, viewport: HTMLElement, focused: string | undefined): void {
  const all = [...list.querySelectorAll<HTMLElement>("li.row")];
  const current = rowOf(event.target);
  if (event.key === "Enter" && event.target === current) {
    event.preventDefault();
    current?.querySelector<HTMLElement>(".tools button")?.focus();
    return;
  }
  if (event.key === "Escape" && current && event.target !== current) {
    event.stopPropagation();
    current.focus();
    return;
  }
  if (event.target !== current && event.target !== viewport) return;
  const at = current ? all.indexOf(current) : all.findIndex((row) => row.dataset["key"] === focused);
  const to = next(event.key, at, all.length);
  if (to === undefined) return;
  event.preventDefault();
  const row = all[Math.max(0, Math.min(to, all.length - 1))];
  row?.focus({ preventScroll: true });
  row?.scrollIntoView({ block: "nearest" });
}

function next(key: string, at: number, length: number): number | undefined {
  if (key === "ArrowUp") return at < 0 ? length - 1 : at - 1;
  if (key === "ArrowDown") return at < 0 ? length - 1 : at + 1;
  return key === "End" ? length - 1 : undefined;
}
