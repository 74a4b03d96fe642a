// What is told outside of the page: a notification of the desktop, one per conversation, and a sound.

import type { Notice } from "../../chat/model";
import { t } from "../../i18n/i18n.svelte";
import type { App } from "../app.svelte";
import { summary } from "../list/preview";

/** Begins to tell; the answer ends it. */
export function tellNotices(app: App): () => void {
  const shown = new Map<string, Notification>();
  const close = (jid: string) => {
    shown.get(jid)?.close();
    shown.delete(jid);
  };

  const show = (notice: Notice) => {
    const { settings, chat } = app;
    const isHere = document.visibilityState === "visible" && document.hasFocus();
    if (settings.current.sound && chat.me.presence.show !== "dnd" && !isHere) beep();
    if (isHere || app.isEmbedded || !settings.current.notifies || chat.me.presence.show === "dnd") return;
    if (!("Notification" in globalThis) || Notification.permission !== "granted") return;
    const conversation = chat.conversation(notice.conversation);
    const title = conversation?.kind === "room" ? `${notice.from} · ${conversation.name}` : notice.from;
    const said = settings.current.notifiesText && notice.message ? summary(notice.message) : t(`notice-kind-${notice.kind}`);
    const options = { body: said, tag: notice.conversation, icon: conversation?.avatar ?? "/icon.svg" };
    try {
      const notification = new Notification(title, options);
      close(notice.conversation);
      shown.set(notice.conversation, notification);
      notification.onclick = () => {
        window.focus();
        app.open(notice.conversation);
        notification.close();
      };
    } catch {
      // Browsers of phones show notifications of service workers only.
      void navigator.serviceWorker?.ready.then((worker) =>
        worker.showNotification(title, { ...options, data: { jid: notice.conversation } }),
      );
    }
  };

  const ends = [app.chat.onNotice(show), app.chat.onRead(close)];
  return () => {
    ends.forEach((end) => end());
    for (const jid of shown.keys()) close(jid);
  };
}

let audio: AudioContext | undefined;

/** Two soft tones; without a gesture of the person's before, browsers keep silent. */
function beep(): void {
  try {
    audio ??= new AudioContext();
    if (audio.state === "suspended") void audio.resume();
    const now = audio.currentTime;
    for (const [at, frequency] of [[0, 659], [0.12, 880]] as const) {
      const tone = audio.createOscillator();
      const volume = audio.createGain();
      tone.frequency.value = frequency;
      volume.gain.setValueAtTime(0, now + at);
      volume.gain.linearRampToValueAtTime(0.06, now + at + 0.015);
      volume.gain.exponentialRampToValueAtTime(0.0001, now + at + 0.35);
      tone.connect(volume).connect(audio.destination);
      tone.start(now + at);
      tone.stop(now + at + 0.4);
    }
  } catch {
    // No sound here; nothing else depends on it.
  }
}
