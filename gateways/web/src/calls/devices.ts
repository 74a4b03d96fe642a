// Microphones, cameras and loudspeakers: which there are, and which is meant.
//
// W3C Media Capture and Streams. A choice is kept by id on this computer; when the device is not
// there, the browser's own choice serves.

/** Which devices are meant; the browser's own for none. */
export interface DeviceChoice {
  readonly microphone: string | undefined;
  readonly camera: string | undefined;
  readonly speaker: string | undefined;
}

/** A kind of device. */
export type DeviceKind = keyof DeviceChoice;

/** A device as a list shows it. */
export interface Device {
  readonly id: string;
  readonly kind: DeviceKind;
  /** Empty until the page may use one of its kind. */
  readonly label: string;
}

const KEPT = "klatsch.devices";
const NONE: DeviceChoice = { microphone: undefined, camera: undefined, speaker: undefined };
const KINDS: Readonly<Record<MediaDeviceKind, DeviceKind>> = {
  audioinput: "microphone",
  audiooutput: "speaker",
  videoinput: "camera",
};

/** What was chosen the last time. */
export function loadChoice(storage: Pick<Storage, "getItem"> = localStorage): DeviceChoice {
  try {
    const kept: unknown = JSON.parse(storage.getItem(KEPT) ?? "null");
    if (typeof kept !== "object" || kept === null) return NONE;
    const id = (kind: DeviceKind): string | undefined => {
      const value: unknown = Reflect.get(kept, kind);
      return typeof value === "string" ? value : undefined;
    };
    return { microphone: id("microphone"), camera: id("camera"), speaker: id("speaker") };
  } catch {
    return NONE;
  }
}

/** Keeps a choice for the next call. */
export function keepChoice(choice: DeviceChoice, storage: Pick<Storage, "setItem"> = localStorage): void {
  try {
    storage.setItem(KEPT, JSON.stringify(choice));
  } catch {
    // A browser that keeps nothing asks again; the call is not hurt.
  }
}

/** The devices that there are. */
export async function listDevices(): Promise<Device[]> {
  const found = await navigator.mediaDevices.enumerateDevices();
  return found.filter((it) => it.deviceId !== "").map((it) => ({ id: it.deviceId, kind: KINDS[it.kind], label: it.label }));
}

/** Microphone, with what makes speech understandable. */
export function audioConstraints({ microphone }: DeviceChoice): MediaTrackConstraints {
  return { ...wanted(microphone), echoCancellation: true, noiseSuppression: true, autoGainControl: true };
}

/** Camera, at what a laptop sends without getting hot. */
export function videoConstraints({ camera }: DeviceChoice): MediaTrackConstraints {
  return { ...wanted(camera), width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
}

/** Wished for, not demanded: a camera that was unplugged is no reason not to be seen. */
function wanted(deviceId: string | undefined): MediaTrackConstraints {
  return deviceId === undefined ? {} : { deviceId: { ideal: deviceId } };
}

/** Opens the microphone, and the camera if there is one that may be used. */
export async function openMedia(choice: DeviceChoice, hasVideo: boolean): Promise<MediaStream> {
  const audio = audioConstraints(choice);
  if (!hasVideo) return navigator.mediaDevices.getUserMedia({ audio });
  try {
    return await navigator.mediaDevices.getUserMedia({ audio, video: videoConstraints(choice) });
  } catch {
    // Heard without being seen is better than not at all.
    return navigator.mediaDevices.getUserMedia({ audio });
  }
}

/** Lets go of devices: their lights go out. */
export function stopAll(stream: MediaStream | undefined): void {
  for (const track of stream?.getTracks() ?? []) track.stop();
}
