// The calls as the views see them: the call there is, what there is to see, what one can do.

import type { Chat } from "../chat/chat";
import { bareJid } from "../xmpp/jid";
import { abilitiesOf } from "./abilities";
import type { CallAbilities } from "./abilities";
import type { Call, Kind } from "./call";
import { keepChoice, loadChoice } from "./devices";
import type { DeviceChoice } from "./devices";
import type { Streams } from "./peer";
import { hint } from "./quality";
import type { Hint } from "./quality";
import { play } from "./ringtone";
import type { Tone } from "./ringtone";
import { RtcPeer } from "./rtc_peer";
import { CallService } from "./service";

/** The line is looked at so often; a hint that changes faster is noise. */
const QUALITY_MS = 3_000;
/** How long the end of a call is shown. */
const ENDED_MS = 3_500;

/** What the views need of the rest. */
export interface CallOptions {
  /** Whether a call makes a sound. */
  readonly hasSound: () => boolean;
  /** Whether it is told on the desktop when nobody looks at the page. */
  readonly notifies: () => boolean;
  /** Nothing goes but through the relay; for tests. */
  readonly isRelayed?: boolean;
}

/** The calls of whoever is signed in. */
export class Calls {
  call = $state.raw<Call | undefined>();
  streams = $state.raw<Streams | undefined>();
  devices = $state.raw<DeviceChoice>(loadChoice());
  /** How well it comes through. */
  network = $state<Hint>("good");
  /** What could not be shown, for want of a permission. */
  refused = $state<Kind | undefined>();

  readonly #service: CallService;
  #tone: { readonly tone: Tone; readonly stop: () => void } | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #ended: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly chat: Chat,
    readonly options: CallOptions,
  ) {
    this.#service = new CallService({
      link: chat.link,
      isContact: (bare) => this.#isContact(bare),
      isRoom: (bare) => chat.conversations.some((it) => it.jid === bare && it.kind === "room"),
      makePeer: async (peer) => new RtcPeer(peer),
      devices: () => this.devices,
      note: ({ peer, entry, at, isMine }) => chat.noteCall(peer, entry, at, isMine),
      changed: (call, streams) => this.#changed(call, streams),
      now: () => Date.now(),
      ...(options.isRelayed === undefined ? {} : { isRelayed: options.isRelayed }),
    });
  }

  /** They see our presence, so a ringing tells them nothing new. */
  #isContact(bare: string): boolean {
    const subscription = this.chat.contacts.find((it) => it.jid === bare)?.subscription;
    return subscription === "both" || subscription === "from";
  }

  /** What calls somebody can take; none for a room. */
  abilities(jid: string): CallAbilities {
    const resources = this.chat.contacts.find((it) => it.jid === bareJid(jid))?.resources ?? [];
    return abilitiesOf(resources);
  }

  /** Whether there is a call that is not over. */
  get isBusy(): boolean {
    return this.call !== undefined && this.call.phase !== "ended";
  }

  /** What to call the other side. */
  get name(): string {
    const peer = this.call?.peer ?? "";
    return this.chat.contacts.find((it) => it.jid === peer)?.name ?? this.chat.conversation(peer)?.name ?? peer;
  }

  get avatar(): string | undefined {
    return this.chat.contacts.find((it) => it.jid === this.call?.peer)?.avatar;
  }

  start(jid: string, hasVideo: boolean): void {
    this.#service.start(jid, hasVideo);
  }

  accept(hasVideo: boolean): void {
    this.#service.accept(hasVideo);
  }

  decline(): void {
    this.#service.decline();
  }

  hangUp(): void {
    this.#service.hangUp();
  }

  toggleMute(): void {
    this.#service.mute(this.call?.isMuted !== true);
  }

  async toggle(kind: Kind): Promise<void> {
    const isOn = kind === "camera" ? this.call?.hasCamera : this.call?.hasScreen;
    this.refused = undefined;
    if (!(await this.#service.switch(kind, isOn !== true))) this.refused = kind;
  }

  /** Uses other devices, at once and from now on. */
  async choose(choice: DeviceChoice): Promise<void> {
    this.devices = choice;
    keepChoice(choice);
    await this.#service.peer?.useDevices(choice).catch(() => undefined);
  }

  dismiss(): void {
    this.#service.dismiss();
  }

  /** Ends everything, as on signing out. */
  close(): void {
    this.#service.close();
    this.#quiet();
    clearInterval(this.#watch);
    clearTimeout(this.#ended);
  }

  #changed(call: Call | undefined, streams: Streams | undefined): void {
    const before = this.call;
    this.call = call;
    this.streams = streams;
    if (before?.sid !== call?.sid) this.refused = undefined;
    this.#sound(call);
    if (before?.phase === call?.phase && before?.sid === call?.sid) return;
    clearInterval(this.#watch);
    clearTimeout(this.#ended);
    this.network = "good";
    if (call?.phase === "active") this.#watch = setInterval(() => void this.#look(), QUALITY_MS);
    if (call?.phase === "ended") this.#ended = setTimeout(() => this.dismiss(), ENDED_MS);
  }

  #sound(call: Call | undefined): void {
    const tone: Tone | undefined = call?.phase === "incoming" ? "ring" : call?.phase === "ringing" ? "ringback" : undefined;
    if (tone === this.#tone?.tone) return;
    this.#quiet();
    if (tone !== undefined && (tone === "ringback" || this.options.hasSound())) this.#tone = { tone, stop: play(tone) };
  }

  #quiet(): void {
    this.#tone?.stop();
    this.#tone = undefined;
  }

  async #look(): Promise<void> {
    const quality = await this.#service.peer?.quality().catch(() => undefined);
    if (quality !== undefined) this.network = hint(quality);
  }
}
