// Which encodings are offered, and in which order.
//
// Opus, VP8 and H.264 are what every client with XEP-0167 has; VP9 and AV1 come after them, for
// those who can. Left out is what repairs nothing any more (RED, ULPFEC) and the telephone's
// speech codecs, which only make the offer long.

const AUDIO = ["opus", "telephone-event"] as const;
const VIDEO = ["vp8", "h264", "vp9", "av1", "rtx"] as const;

/** A codec as a browser names it. */
export type Codec = Pick<RTCRtpCodec, "mimeType" | "sdpFmtpLine">;

/** The codecs to offer, best first. Of H.264 only the profile that all have: constrained baseline. */
export function choose<T extends Codec>(codecs: readonly T[], kind: "audio" | "video"): T[] {
  const order: readonly string[] = kind === "audio" ? AUDIO : VIDEO;
  const rank = ({ mimeType }: T): number => order.indexOf(mimeType.slice(kind.length + 1).toLowerCase());
  const isUseful = (codec: T): boolean => rank(codec) >= 0 && isCommon(codec);
  return codecs.filter(isUseful).sort((one, two) => rank(one) - rank(two));
}

function isCommon({ mimeType, sdpFmtpLine }: Codec): boolean {
  if (mimeType.toLowerCase() !== "video/h264") return true;
  return /profile-level-id=42e0/i.test(sdpFmtpLine ?? "") && /packetization-mode=1/.test(sdpFmtpLine ?? "");
}

/** Tells a transceiver what to offer; a browser without preferences offers all that it has. */
export function preferCodecs(transceiver: RTCRtpTransceiver): void {
  const kind = transceiver.receiver.track.kind === "video" ? "video" : "audio";
  const codecs = choose(RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [], kind);
  if (codecs.length > 0 && "setCodecPreferences" in transceiver) transceiver.setCodecPreferences(codecs);
}
