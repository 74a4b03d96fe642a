// What the interface knows beside the chat: where it is, what lies open, what it has to say.
//
// One object, handed to every view through Svelte's context.

import { getContext, setContext } from "svelte";
import type { LoadedCalls } from "../calls/load";
import type { Chat } from "../chat/chat";
import type { Attachment, BareJid, Message } from "../chat/model";
import type { Config } from "./config";
import { SettingsStore } from "./settings.svelte";

/** A window that lies over the page; one at a time. */
export type Dialog =
  | { kind: "settings" }
  | { kind: "add-contact"; jid?: string }
  | { kind: "create-room" }
  | { kind: "browse-rooms" }
  | { kind: "room-settings"; jid: BareJid }
  | { kind: "invite"; jid: BareJid }
  | { kind: "rename-contact"; jid: BareJid }
  | { kind: "go-to-date"; jid: BareJid; at: number }
  | { kind: "switcher" }
  | { kind: "shortcuts" };

/** What stands beside a conversation. */
export type Panel = "details" | "search" | undefined;

/** Something done, with a way back for a few seconds. */
export interface Toast {
  readonly id: number;
  readonly text: string;
  readonly undo: (() => void) | undefined;
}

/** A picture in front of everything, among those of its conversation. */
export interface Lightbox {
  readonly images: readonly Attachment[];
  readonly at: number;
}

/** How long a toast stays, and with it the way back. */
const TOAST_MILLISECONDS = 6_000;

export class App {
  readonly settings = new SettingsStore();
  dialog = $state.raw<Dialog | undefined>();
  panel = $state<Panel>();
  lightbox = $state.raw<Lightbox | undefined>();
  toasts = $state.raw<readonly Toast[]>([]);
  /** Said to screen readers, politely. */
  announcement = $state("");
  /** The message that is to be looked at: scrolled to and flashed. */
  target = $state.raw<{ jid: BareJid; key: string; at: number } | undefined>();
  /** Calls, once they are loaded; none where there are none. */
  calls = $state.raw<LoadedCalls | undefined>();
  private toastId = 0;

  constructor(
    readonly chat: Chat,
    readonly config: Config,
    /** In a frame of another page: narrow, without what belongs to a page of its own. */
    readonly isEmbedded: boolean,
  ) {}

  /** Shows a conversation, and puts it into the address so that Back goes back. */
  open(jid: BareJid): void {
    this.dialog = undefined;
    if (this.panel === "search") this.panel = undefined;
    const hash = `#${encodeURIComponent(jid)}`;
    if (location.hash === hash) this.follow();
    else location.hash = hash;
  }

  /** Back to the list, on a narrow page. */
  home(): void {
    this.panel = undefined;
    if (location.hash === "") this.chat.close();
    else location.hash = "";
  }

  /** Shows what the address names: the part behind #, or a path that a link from elsewhere has. */
  follow(): void {
    let jid = "";
    try {
      jid = decodeURIComponent(location.hash.slice(1));
    } catch {
      // A mistyped address names nothing.
    }
    if (jid === "") this.chat.close();
    else if (this.chat.current?.jid !== jid) this.chat.open(jid);
  }

  /** Shows one message: loads what is around it, scrolls to it and flashes it. */
  async jump(jid: BareJid, where: { archiveId?: string; id?: string; at?: number }): Promise<boolean> {
    this.open(jid);
    const key = await this.chat.jumpTo(jid, where);
    if (key !== undefined) this.target = { jid, key, at: Date.now() };
    return key !== undefined;
  }

  jumpToMessage(jid: BareJid, message: Message): Promise<boolean> {
    return this.jump(jid, {
      ...(message.archiveId === undefined ? {} : { archiveId: message.archiveId }),
      id: message.id,
      at: message.at,
    });
  }

  /** Whether somebody is on the contact list; a stranger one talks to is not. */
  isContact(jid: BareJid): boolean {
    return this.chat.contacts.some((contact) => contact.jid === jid);
  }

  /** Nobody is signed in: nothing of what lay open stays. */
  leave(): void {
    this.dialog = undefined;
    this.panel = undefined;
    this.lightbox = undefined;
    this.target = undefined;
    this.announcement = "";
  }

  toast(text: string, undo?: () => void): void {
    const id = (this.toastId += 1);
    this.toasts = [...this.toasts.slice(-2), { id, text, undo }];
    setTimeout(() => this.dismiss(id), TOAST_MILLISECONDS);
  }

  dismiss(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id);
  }

  /** Does something after a while unless it is taken back: undo instead of a question. */
  later(text: string, act: () => void, takeBack: () => void): void {
    const timer = setTimeout(act, TOAST_MILLISECONDS);
    this.toast(text, () => {
      clearTimeout(timer);
      takeBack();
    });
  }

  announce(text: string): void {
    // The same words twice would not be said twice.
    this.announcement = this.announcement === text ? `${text}\u00a0` : text;
  }
}

const APP = Symbol("app");
export const provideApp = (app: App): App => setContext(APP, app);
export const useApp = (): App => getContext<App>(APP);
