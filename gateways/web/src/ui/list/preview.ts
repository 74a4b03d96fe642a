// The line below a name in the list. Pure but for the language.

import type { Conversation, Message } from "../../chat/model";
import { t } from "../../i18n/i18n.svelte";
import { noticeText } from "../talk/notices";

export interface Preview {
  readonly kind: "typing" | "draft" | "failed" | "message" | "nothing";
  readonly label: string;
  readonly text: string;
}

/** Characters of a preview; a line shows fewer. */
const LENGTH_MAX = 140;

export function preview(conversation: Conversation, isCurrent: boolean): Preview {
  const { typing, draft, lastMessage: last, kind } = conversation;
  if (typing.length > 0) {
    return { kind: "typing", label: "", text: kind === "direct" ? t("is-typing") : t("typing", { names: typing[0] ?? "", count: 1 }) };
  }
  if (!isCurrent && draft && draft.body.trim() !== "" && draft.edits === undefined) {
    return { kind: "draft", label: t("draft"), text: oneLine(draft.body) };
  }
  if (!last) return { kind: "nothing", label: "", text: conversation.contact?.presence.status || conversation.room?.description || "" };
  const text = summary(last);
  if (last.state === "failed") return { kind: "failed", label: t("not-sent"), text };
  if (last.notice || last.invitation) return { kind: "message", label: "", text };
  const label = last.sender.isMe ? t("you-said") : kind === "room" ? `${last.sender.name}:` : "";
  return { kind: "message", label, text };
}

/** A message in a few words. */
export function summary(message: Message): string {
  if (message.notice) return noticeText([message]);
  if (message.retraction) return t("retracted");
  if (message.isEncrypted) return t("encrypted-brief");
  if (message.call) return t(`call-${message.call.outcome}`);
  if (message.invitation) return t("invitation");
  if (message.body !== "") return oneLine(message.body);
  const first = message.attachments[0];
  if (first?.kind === "image") return t("picture");
  if (first?.kind === "audio" && first.duration !== undefined) return t("voice-message");
  return first ? first.name : "";
}

function oneLine(body: string): string {
  const flat = body.slice(0, LENGTH_MAX * 2).replace(/\s+/g, " ").trim();
  return flat.length > LENGTH_MAX ? `${flat.slice(0, LENGTH_MAX)}…` : flat;
}
