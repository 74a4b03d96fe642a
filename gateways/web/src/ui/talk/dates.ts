// Days as fields for dates have them, by the clock of this machine. Pure.

const two = (value: number) => String(value).padStart(2, "0");

/** 2026-11-29 */
export function toInput(at: number): string {
  const date = new Date(at);
  return `${String(date.getFullYear()).padStart(4, "0")}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** The day's first moment; `undefined` for no day. */
export function fromInput(text: string): number | undefined {
  const [, year, month, day] = /^(\d{4,6})-(\d\d)-(\d\d)$/.exec(text) ?? [];
  if (year === undefined) return undefined;
  const at = new Date(Number(year), Number(month) - 1, Number(day));
  return at.getMonth() === Number(month) - 1 ? at.getTime() : undefined;
}
