// Saying that we type: XEP-0085 version 2.1, said rarely enough to be no burden.

import { buildHint } from "../xmpp/ids";
import { buildChatState, type ChatState } from "../xmpp/markers";
import { message as build } from "../xmpp/xml";
import type { ConversationState } from "./conversation.svelte";
import type { Core } from "./core.svelte";

/** Who goes on typing says so again after this time, for those who have come meanwhile. */
const REPEAT_MS = 20_000;
/** No key for so long is a pause. */
const PAUSE_MS = 5_000;
/** Rooms up to this size are told. */
const ROOM_MAX = 20;

/** Says that we type. */
export class Typing {
  readonly #said = new Map<string, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly core: Core) {}

  /** A key was pressed, or the composer is empty. */
  set(conversation: ConversationState, isTyping: boolean): void {
    clearTimeout(this.#timer);
    if (!this.core.sendsTyping || !this.#mayKnow(conversation)) return;
    const said = this.#said.get(conversation.jid);
    if (!isTyping) {
      if (said !== undefined) this.#say(conversation, "active");
      return;
    }
    if (said === undefined || this.core.now() - said > REPEAT_MS) this.#say(conversation, "composing");
    this.#timer = setTimeout(() => this.#say(conversation, "paused"), PAUSE_MS);
  }

  /** A message is on its way, which says it all. */
  sent(conversation: ConversationState): void {
    clearTimeout(this.#timer);
    this.#said.delete(conversation.jid);
  }

  #say(conversation: ConversationState, state: ChatState): void {
    if (state === "composing") this.#said.set(conversation.jid, this.core.now());
    else this.#said.delete(conversation.jid);
    const type = conversation.kind === "room" ? "groupchat" : "chat";
    this.core.link.send(build({ to: conversation.jid, type }, buildChatState(state), buildHint("no-store")));
  }

  /** Who does not see our presence does not see us type (XEP-0085 §11). */
  #mayKnow(conversation: ConversationState): boolean {
    if (conversation.kind === "room") {
      const room = this.core.rooms.get(conversation.jid);
      return room?.join === "joined" && room.members.length <= ROOM_MAX;
    }
    const subscription = this.core.contacts.get(conversation.jid)?.subscription;
    return subscription === "from" || subscription === "both";
  }
}
