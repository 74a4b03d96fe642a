import { describe, expect, it } from "vitest";
import type { Message, RoomNotice } from "../../chat/model";
import { lastOwn, rows } from "./rows";

let count = 0;
function message(who: string, at: string, more: Partial<Message> = {}): Message {
  count += 1;
  return {
    key: `k${count}`, id: `i${count}`, archiveId: undefined, at: Date.parse(at),
    sender: { jid: `${who}@x`, name: who, occupantId: undefined, isMe: who === "me" },
    body: "text", attachments: [], replyTo: undefined, mentions: [], mentionsMe: false, reactions: [], versions: [],
    retraction: undefined, invitation: undefined, call: undefined, notice: undefined, isEncrypted: false,
    state: "sent", error: undefined, seenBy: [], isAfterGap: false, isUnstyled: false, ...more,
  };
}
const shape = (made: ReturnType<typeof rows>) =>
  made.map((row) => (row.kind === "message" ? `${row.isFirst ? "<" : ""}${row.message.sender.name}${row.isLast ? ">" : ""}` : row.kind));

describe("rows", () => {
  it("group what one person says within minutes, and part days", () => {
    const made = rows(
      [
        message("anna", "2026-03-01T10:00+01:00"), message("anna", "2026-03-01T10:02+01:00"),
        message("me", "2026-03-01T10:03+01:00"), message("anna", "2026-03-01T10:04+01:00"),
        message("anna", "2026-03-01T10:30+01:00"), message("anna", "2026-03-02T00:01+01:00"),
      ],
      undefined,
    );
    expect(shape(made)).toEqual(["day", "<anna", "anna>", "<me>", "<anna>", "<anna>", "day", "<anna>"]);
  });
  it("put the divider where it belongs, and it ends a group", () => {
    const second = message("anna", "2026-03-01T10:01+01:00");
    const made = rows([message("anna", "2026-03-01T10:00+01:00"), second], second.key);
    expect(shape(made)).toEqual(["day", "<anna>", "divider", "<anna>"]);
  });
  it("gather comings and goings, and mark gaps", () => {
    const notice: RoomNotice = { what: "joined", who: "bob", detail: "" };
    const made = rows(
      [
        message("bob", "2026-03-01T10:00+01:00", { notice }), message("bob", "2026-03-01T10:01+01:00", { notice }),
        message("anna", "2026-03-01T10:02+01:00", { isAfterGap: true }),
      ],
      undefined,
    );
    expect(shape(made)).toEqual(["day", "notices", "gap", "<anna>"]);
  });
  it("have keys of their own each", () => {
    const many = Array.from({ length: 50 }, (_, at) => message(at % 3 ? "anna" : "me", `2026-03-${String(1 + at % 20).padStart(2, "0")}T10:00+01:00`));
    const keys = rows(many, many[5]?.key).map((row) => row.key);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe("the last own message", () => {
  it("is the newest that can be edited", () => {
    const mine = message("me", "2026-03-01T10:00+01:00");
    const gone = message("me", "2026-03-01T10:01+01:00", { retraction: { at: 1, moderator: undefined, reason: "" } });
    expect(lastOwn([mine, gone, message("anna", "2026-03-01T10:02+01:00")])).toBe(mine);
    expect(lastOwn([gone])).toBeUndefined();
  });
});
