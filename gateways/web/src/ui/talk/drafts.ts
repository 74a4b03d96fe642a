// Answers and corrections begin in the draft: it is what the composer shows and what a reload keeps.

import type { Chat } from "../../chat/chat";
import type { Conversation, Message } from "../../chat/model";

/** The composer answers a message; what is written so far stays. */
export function beginReply(chat: Chat, conversation: Conversation, message: Message): void {
  const { draft } = conversation;
  const body = draft?.edits === undefined ? (draft?.body ?? "") : "";
  chat.setDraft(conversation.jid, { body, replyTo: message.key, edits: undefined, at: Date.now() });
}

/** The composer corrects a message. */
export function beginEdit(chat: Chat, conversation: Conversation, message: Message): void {
  chat.setDraft(conversation.jid, { body: message.body, replyTo: undefined, edits: message.key, at: Date.now() });
}
