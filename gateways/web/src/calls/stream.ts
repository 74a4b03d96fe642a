// A stream in a `video` or `audio` element, on the loudspeaker that is meant.

import type { Attachment } from "svelte/attachments";

/** Shows a stream; where a sound comes out is the browser's choice unless one is named. */
export function shows(stream: MediaStream | undefined, speaker?: string): Attachment<HTMLMediaElement> {
  return (element) => {
    if (!isSame(element.srcObject, stream)) element.srcObject = stream ?? null;
    if (speaker !== undefined && "setSinkId" in element) void element.setSinkId(speaker).catch(() => undefined);
    // A page that nobody has touched may play nothing with sound; the click that called was one.
    void element.play().catch(() => undefined);
  };
}

/** Two streams of the same tracks show the same; a new one would blink. */
function isSame(shown: MediaProvider | null, stream: MediaStream | undefined): boolean {
  if (!(shown instanceof MediaStream) || stream === undefined) return false;
  const [one, two] = [shown.getTracks(), stream.getTracks()];
  return one.length === two.length && one.every((track) => two.includes(track));
}
