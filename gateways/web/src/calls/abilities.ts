// What a client can do in calls, by its capabilities: XEP-0167 1.2.3 section 10, 0176, 0320, 0338,
// 0339, 0293, 0294. Small, for it is loaded with the page; the calls themselves come later.

const NS_AUDIO = "urn:xmpp:jingle:apps:rtp:audio";
const NS_VIDEO = "urn:xmpp:jingle:apps:rtp:video";

/** What we announce ourselves. */
export const FEATURES: readonly string[] = [
  "urn:xmpp:jingle:1",
  "urn:xmpp:jingle:apps:rtp:1",
  NS_AUDIO,
  NS_VIDEO,
  "urn:xmpp:jingle:apps:rtp:rtcp-fb:0",
  "urn:xmpp:jingle:apps:rtp:rtp-hdrext:0",
  "urn:xmpp:jingle:apps:rtp:ssma:0",
  "urn:xmpp:jingle:apps:dtls:0",
  "urn:xmpp:jingle:apps:category:0",
  "urn:xmpp:jingle:transports:ice-udp:1",
  "urn:ietf:rfc:5888",
  "urn:ietf:rfc:5576",
  "urn:xmpp:jingle-message:0",
];

/** Whether somebody can be called, and seen. */
export interface CallAbilities {
  readonly hasAudio: boolean;
  readonly hasVideo: boolean;
}

/** What the devices of somebody can do, taken together: a call rings on all of them. */
export function abilitiesOf(resources: readonly { readonly features: ReadonlySet<string> }[]): CallAbilities {
  const has = (feature: string): boolean =>
    resources.some(({ features }) => features.has("urn:xmpp:jingle:transports:ice-udp:1") && features.has(feature));
  return { hasAudio: has(NS_AUDIO), hasVideo: has(NS_VIDEO) };
}

/** Whether this browser can call at all: it has WebRTC, and the page came over TLS or loopback. */
export function canCall(scope: { RTCPeerConnection?: unknown; isSecureContext: boolean; navigator: { mediaDevices?: unknown } } = globalThis): boolean {
  return scope.isSecureContext && scope.RTCPeerConnection !== undefined && scope.navigator.mediaDevices !== undefined;
}
