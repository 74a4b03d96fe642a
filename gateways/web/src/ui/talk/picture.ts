// How large a picture is shown, known before it is loaded, so that nothing jumps.

/** CSS pixels. */
export const WIDTH_MAX = 340;
export const HEIGHT_MAX = 320;
const SIDE_MIN = 96;
const UNKNOWN = { width: 260, height: 195 } as const;

/** The box of a picture in the log. */
export function box(width: number | undefined, height: number | undefined): { width: number; height: number } {
  if (!width || !height || width < 1 || height < 1) return UNKNOWN;
  const scale = Math.min(1, WIDTH_MAX / width, HEIGHT_MAX / height);
  return {
    width: Math.round(Math.max(SIDE_MIN, width * scale)),
    height: Math.round(Math.max(SIDE_MIN, height * scale)),
  };
}

/** Whether loading it tells nobody new where we are: the page's own host, or one of the chat's domains. */
export function isOwnHost(url: string, page: URL, domains: readonly string[]): boolean {
  let host: string;
  try {
    const parsed = new URL(url, page);
    if (parsed.protocol === "blob:") return true;
    host = parsed.hostname;
  } catch {
    return false;
  }
  return host === page.hostname || domains.some((domain) => host === domain || host.endsWith(`.${domain}`));
}
