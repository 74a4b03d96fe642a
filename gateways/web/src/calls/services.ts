// STUN and TURN servers from our own server: XEP-0215 version 1.0.0.
//
// Asked anew for every call, for the credentials are good for an hour or so. Left out: services of
// other kinds, and pushes.

import type { XmppLink } from "../xmpp/link";
import { attr, child, children, el, iq } from "../xmpp/xml";

export const NS_SERVICES = "urn:xmpp:extdisco:2";

/** Servers that are used: a browser slows down and warns beyond five. */
const SERVERS_MAX = 4;
/** A call waits no longer than this to learn how to get around a wall. */
const ANSWER_MS = 4_000;

const KINDS = ["stun", "stuns", "turn", "turns"] as const;

interface Service {
  readonly kind: (typeof KINDS)[number];
  readonly host: string;
  readonly port: number;
  readonly transport: string | undefined;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** The servers, as a browser wants them; none where the server knows of none, or does not say. */
export async function fetchServers(link: XmppLink): Promise<RTCIceServer[]> {
  try {
    const answer = await link.iq(iq("get", link.domain, el("services", NS_SERVICES)), { timeoutMs: ANSWER_MS });
    const services = readServices(child(answer, "services", NS_SERVICES));
    return (await Promise.all(services.map((service) => withCredentials(link, service)))).flatMap(write);
  } catch {
    // Two in the same network find each other without.
    return [];
  }
}

/** Whether packets can be sent on by one of these. */
export function hasRelay(servers: readonly RTCIceServer[]): boolean {
  return servers.some((server) => [server.urls].flat().some((url) => url.startsWith("turn")));
}

function readServices(element: Element | undefined): Service[] {
  return children(element, "service", NS_SERVICES).flatMap(readService).slice(0, SERVERS_MAX);
}

function readService(element: Element): Service[] {
  const kind = KINDS.find((it) => it === attr(element, "type"));
  const host = attr(element, "host");
  const port = Number(attr(element, "port") ?? (kind?.endsWith("s") === true ? 5349 : 3478));
  const isHost = host !== undefined && host.length <= 255 && /^[A-Za-z0-9._:-]+$/.test(host);
  if (kind === undefined || !isHost || !Number.isInteger(port) || port < 1 || port > 65_535) return [];
  const transport = (["udp", "tcp"] as const).find((it) => it === attr(element, "transport")?.toLowerCase());
  return [{ kind, host, port, transport, username: attr(element, "username"), password: attr(element, "password") }];
}

/** Section 3.3: a relay's credentials may have to be asked for. */
async function withCredentials(link: XmppLink, service: Service): Promise<Service> {
  if (!service.kind.startsWith("turn") || service.username !== undefined) return service;
  const { host, kind: type, port } = service;
  const request = el("credentials", NS_SERVICES, {}, el("service", NS_SERVICES, { host, type, port }));
  try {
    const answer = await link.iq(iq("get", link.domain, request), { timeoutMs: ANSWER_MS });
    const found = child(child(answer, "credentials", NS_SERVICES), "service", NS_SERVICES);
    return { ...service, username: attr(found, "username"), password: attr(found, "password") };
  } catch {
    return service;
  }
}

/** RFC 7064 and RFC 7065. A browser refuses a relay without credentials, and with it the call. */
function write({ kind, host, port, transport, username, password }: Service): RTCIceServer[] {
  const address = host.includes(":") ? `[${host}]` : host;
  if (!kind.startsWith("turn")) return [{ urls: `${kind}:${address}:${port}` }];
  if (username === undefined || password === undefined) return [];
  const via = transport === undefined ? "" : `?transport=${transport}`;
  return [{ urls: `${kind}:${address}:${port}${via}`, username, credential: password }];
}
