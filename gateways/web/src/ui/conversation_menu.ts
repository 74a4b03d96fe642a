// What can be done with a conversation as a whole: the same in its heading and in the list.

import type { Conversation } from "../chat/model";
import { t } from "../i18n/i18n.svelte";
import type { App } from "./app.svelte";
import type { MenuItem } from "./parts/menu";

export function conversationMenu(app: App, conversation: Conversation): MenuItem[] {
  const { chat } = app;
  const { jid, room } = conversation;
  const attempt = (what: Promise<unknown>) => void what.catch(() => app.toast(t("did-not-work")));
  const items: MenuItem[] = [
    {
      label: conversation.isPinned ? t("unpin") : t("pin"),
      icon: "pin",
      act: () => chat.setPinned(jid, !conversation.isPinned),
    },
    // On a narrow page the heading has no room for it.
    ...(chat.abilities.canSearch && chat.current?.jid === jid
      ? [{ label: t("search-here"), icon: "search" as const, act: () => void (app.panel = "search") }]
      : []),
    {
      label: t("go-to-date"),
      icon: "clock",
      act: () => {
        app.open(jid);
        app.dialog = { kind: "go-to-date", jid, at: conversation.messages[0]?.at ?? Date.now() };
      },
    },
  ];
  if (room) {
    const choices = [["always", "notify-always"], ["on-mention", "notify-on-mention"], ["never", "notify-never"]] as const;
    choices.forEach(([notify, key], at) =>
      items.push({
        label: t(key),
        checked: conversation.notify === notify,
        divides: at === 0,
        act: () => attempt(chat.setNotify(jid, notify)),
      }),
    );
    if (room.join === "joined" && (room.myAffiliation !== "none" || !room.isMembersOnly)) {
      items.push({ label: t("invite-people"), icon: "person-add", divides: true, act: () => (app.dialog = { kind: "invite", jid }) });
    }
    if (room.myAffiliation === "owner") {
      items.push({ label: t("room-settings"), icon: "settings", act: () => (app.dialog = { kind: "room-settings", jid }) });
    }
    items.push({ label: t("leave-room"), icon: "leave", danger: true, divides: true, act: () => leave(app, conversation) });
    return items;
  }
  items.push({
    label: conversation.isMuted ? t("unmute") : t("mute"),
    icon: conversation.isMuted ? "bell" : "bell-off",
    act: () => attempt(chat.setNotify(jid, conversation.isMuted ? "always" : "never")),
  });
  items.push({
    label: t("archive"),
    icon: "archive",
    act: () => {
      if (chat.current?.jid === jid) app.home();
      chat.archive(jid);
      app.toast(t("archived", { name: conversation.name }), () => chat.unarchive(jid));
    },
  });
  const isListed = app.isContact(jid);
  if (isListed) {
    items.push({ label: t("rename"), icon: "edit", divides: true, act: () => (app.dialog = { kind: "rename-contact", jid }) });
  }
  const isBlocked = chat.blocked.includes(jid);
  items.push({
    label: isBlocked ? t("unblock") : t("block"),
    icon: "block",
    danger: !isBlocked,
    divides: !isListed,
    act: () => {
      attempt(isBlocked ? chat.unblock(jid) : chat.block(jid));
      if (!isBlocked) app.toast(t("blocked", { name: conversation.name }), () => attempt(chat.unblock(jid)));
    },
  });
  if (isListed) {
    items.push({ label: t("remove-contact"), icon: "trash", danger: true, act: () => removeContact(app, jid, conversation.name) });
  }
  return items;
}

/** Gone from the list at once, from the room when nobody took it back. */
function leave(app: App, { jid, name }: Conversation): void {
  if (app.chat.current?.jid === jid) app.home();
  app.chat.archive(jid);
  app.later(
    t("left-room", { name }),
    () => void app.chat.leaveRoom(jid).catch(() => app.toast(t("did-not-work"))),
    () => app.chat.unarchive(jid),
  );
}

function removeContact(app: App, jid: string, name: string): void {
  if (app.chat.current?.jid === jid) app.home();
  app.later(
    t("contact-removed", { name }),
    () => void app.chat.removeContact(jid).catch(() => app.toast(t("did-not-work"))),
    () => {},
  );
}
