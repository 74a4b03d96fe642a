// What the server says about itself at /config.json: read once, believed only where it fits.

/** The server's settings for this page. */
export interface Config {
  /** What the chat is called. */
  readonly name: string;
  /** Accounts without a domain are of this one. */
  readonly domain: string;
  readonly domains: readonly string[];
  /** Where the socket is; the page's own host speaks for itself otherwise. */
  readonly websocket: string;
  readonly theme: { readonly accent: string | undefined; readonly logo: string | undefined };
  readonly features: {
    /** Somebody without an invitation may make an account here. */
    readonly registration: boolean;
    /** People may invite others who have no account yet. */
    readonly invitations: boolean;
    readonly calls: boolean;
    /** The application server's key for Web Push, if there is push. */
    readonly vapid: string | undefined;
  };
  /** Pages that the embedded view listens to, besides those of its own origin. */
  readonly embedOrigins: readonly string[];
}

type Json = Record<string, unknown>;
const object = (value: unknown): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
const texts = (value: unknown) => (Array.isArray(value) ? value.flatMap((one) => text(one) ?? []) : []);
const text = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** The configuration in an answer of the server; what is missing or odd gets its default. */
export function parseConfig(answer: unknown, page: URL): Config {
  const json = object(answer);
  const theme = object(json["theme"]);
  const features = object(json["features"]);
  const domains = texts(json["domains"]);
  const push = object(features["push"]);
  return {
    name: text(theme["name"]) ?? "klatsch",
    domain: domains[0] ?? page.hostname,
    domains: domains.length > 0 ? domains : [page.hostname],
    websocket: socket(text(json["websocket"]) ?? "/xmpp-websocket", page),
    theme: { accent: colour(text(theme["accent"])), logo: logo(text(theme["logo"]), page) },
    features: {
      registration: features["registration"] === true,
      invitations: features["invitations"] === true,
      calls: features["calls"] === true,
      vapid: text(push["key"]),
    },
    embedOrigins: texts(json["embed_origins"]),
  };
}

const colour = (value: string | undefined) => (value && /^#(?:[0-9a-f]{3}|[0-9a-f]{6})$/i.test(value) ? value : undefined);

function address(value: string, page: URL): URL | undefined {
  try {
    return new URL(value, page);
  } catch {
    return undefined;
  }
}

/** A path becomes an address of the page's own host; a page with TLS never speaks without. */
function socket(value: string, page: URL): string {
  const url = address(value, page) ?? new URL("/xmpp-websocket", page);
  const isSecure = page.protocol === "https:" || url.protocol === "wss:" || url.protocol === "https:";
  url.protocol = isSecure ? "wss:" : "ws:";
  return url.href;
}

function logo(value: string | undefined, page: URL): string | undefined {
  const url = value === undefined ? undefined : address(value, page);
  return url && (url.protocol === "https:" || url.origin === page.origin) ? url.href : undefined;
}

/** Kept for a start without a connection. */
const KEPT = "klatsch.config";

/** Asks the server, for at most three seconds; an old answer serves while there is none. */
export async function loadConfig(page: URL = new URL(location.href)): Promise<Config> {
  try {
    const answer = await fetch("/config.json", { signal: AbortSignal.timeout(3_000), credentials: "omit" });
    if (answer.ok) {
      const json: unknown = await answer.json();
      localStorage.setItem(KEPT, JSON.stringify(json));
      return parseConfig(json, page);
    }
  } catch {
    // Offline, or no answer that can be read: what was kept says the same as last time.
  }
  return parseConfig(kept(), page);
}

function kept(): unknown {
  try {
    return JSON.parse(localStorage.getItem(KEPT) ?? "null");
  } catch {
    return null;
  }
}
