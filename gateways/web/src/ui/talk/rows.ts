// What the log shows: messages with what stands between them. Pure.

import type { Message } from "../../chat/model";

export type Row =
  | { readonly kind: "day"; readonly key: string; readonly at: number }
  | { readonly kind: "gap"; readonly key: string; readonly message: Message }
  | { readonly kind: "divider"; readonly key: string }
  | { readonly kind: "notices"; readonly key: string; readonly messages: readonly Message[] }
  | {
      readonly kind: "message";
      readonly key: string;
      readonly message: Message;
      /** The first of several by one person: name and picture stand here. */
      readonly isFirst: boolean;
      /** The last of several: the corner points at the sender. */
      readonly isLast: boolean;
    };

/** Messages of one person so close together read as one. */
const TOGETHER_MILLISECONDS = 5 * 60_000;

/** Rows for the messages of a window, oldest first. */
export function rows(messages: readonly Message[], dividerKey: string | undefined): Row[] {
  const made: Row[] = [];
  let before: Message | undefined;
  for (const message of messages) {
    const isNewDay = before === undefined || dayOf(before.at) !== dayOf(message.at);
    if (message.isAfterGap) made.push({ kind: "gap", key: `gap ${message.key}`, message });
    if (isNewDay) made.push({ kind: "day", key: `day ${dayOf(message.at)} ${message.key}`, at: message.at });
    if (message.key === dividerKey) made.push({ kind: "divider", key: "divider" });
    push(made, message, before);
    before = message;
  }
  return made;
}

function push(made: Row[], message: Message, before: Message | undefined): void {
  const last = made.at(-1);
  if (message.notice) {
    // Comings and goings in a row share a line.
    if (last?.kind === "notices") made[made.length - 1] = { ...last, messages: [...last.messages, message] };
    else made.push({ kind: "notices", key: message.key, messages: [message] });
    return;
  }
  const follows = last?.kind === "message" && before !== undefined && isTogether(before, message);
  if (follows) made[made.length - 1] = { ...last, isLast: false };
  made.push({ kind: "message", key: message.key, message, isFirst: !follows, isLast: true });
}

function isTogether(before: Message, message: Message): boolean {
  return (
    before.sender.jid === message.sender.jid &&
    before.sender.isMe === message.sender.isMe &&
    message.at - before.at < TOGETHER_MILLISECONDS &&
    !before.call && !message.call && !before.invitation && !message.invitation
  );
}

const dayOf = (at: number) => new Date(at).toDateString();

/** The newest of one's own messages that can still be edited. */
export function lastOwn(messages: readonly Message[]): Message | undefined {
  return messages.findLast((message) => canEdit(message));
}

/** Text of one's own that is there and has arrived. */
export function canEdit(message: Message): boolean {
  return (
    message.sender.isMe && message.body !== "" && message.attachments.length === 0 && !message.retraction &&
    !message.isEncrypted && message.state !== "failed" && !message.notice && !message.call && !message.invitation
  );
}

/** Something that can be answered, reacted to or taken back. */
export function isAlive(message: Message): boolean {
  return !message.retraction && !message.notice && !message.call && message.state !== "failed";
}
