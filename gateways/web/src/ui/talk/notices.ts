// What happened in a room, in words.

import type { Message, RoomNotice } from "../../chat/model";
import { list, t } from "../../i18n/i18n.svelte";

/** Names written out in one line; more are counted. */
const NAMES_MAX = 4;

/** Several happenings in a row as one sentence each kind. */
export function noticeText(messages: readonly Message[]): string {
  const byKind = new Map<RoomNotice["what"], RoomNotice[]>();
  for (const { notice } of messages) {
    if (!notice) continue;
    byKind.set(notice.what, [...(byKind.get(notice.what) ?? []), notice]);
  }
  return [...byKind].map(([what, notices]) => sentence(what, notices)).join(" · ");
}

function sentence(what: RoomNotice["what"], notices: readonly RoomNotice[]): string {
  const last = notices.at(-1);
  const detail = last?.detail ?? "";
  if (what === "renamed") return notices.map(({ who, detail }) => t("notice-renamed", { who, detail })).join(" · ");
  if (what === "subject") {
    return detail === "" ? t("notice-subject-removed", { who: last?.who ?? "" }) : t("notice-subject", { who: last?.who ?? "", detail });
  }
  if (what === "created" || what === "destroyed") return t(`notice-${what}`);
  const names = [...new Set(notices.map(({ who }) => who))];
  const shown = names.slice(0, NAMES_MAX);
  if (names.length > NAMES_MAX) shown.push(t("others", { count: names.length - NAMES_MAX }));
  return t(`notice-${what}`, { who: list(shown), count: names.length });
}
