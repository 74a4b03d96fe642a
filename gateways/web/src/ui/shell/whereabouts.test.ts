import { describe, expect, it } from "vitest";
import type { Contact, Subscription } from "../../chat/model";
import { Teller, type Whereabouts } from "./whereabouts";

function contact(jid: string, show: "online" | "away" | "offline", subscription: Subscription = "both"): Contact {
  const presence = { show, status: "" };
  return { jid, name: jid, groups: [], subscription, isAsked: false, presence, resources: [], isBlocked: false, avatar: undefined } as unknown as Contact;
}

function teller() {
  const said: Whereabouts[] = [];
  const it = new Teller((what) => said.push(what));
  return { see: (contacts: readonly Contact[] | undefined) => it.see(contacts), take: () => said.splice(0).map((what) => what.presence) };
}

describe("what the page around is told of contacts", () => {
  const online = { show: "online", status: "" };
  const away = { show: "away", status: "" };

  it("is all at first, and then what has changed", () => {
    const { see, take } = teller();
    see([contact("jane@x", "online"), contact("max@x", "away")]);
    expect(take()).toEqual([{ "jane@x": online, "max@x": away }]);
    see([contact("jane@x", "online"), contact("max@x", "online")]);
    expect(take()).toEqual([{ "max@x": online }]);
    see([contact("jane@x", "online"), contact("max@x", "online")]);
    expect(take()).toEqual([]);
  });

  it("is nothing of whoever does not let us see them", () => {
    const { see, take } = teller();
    see([contact("jane@x", "offline", "from"), contact("max@x", "offline", "none")]);
    expect(take()).toEqual([]);
    see([contact("jane@x", "offline", "to")]);
    expect(take()).toEqual([{ "jane@x": { show: "offline", status: "" } }]);
  });

  it("ends when we see no more, and begins anew", () => {
    const { see, take } = teller();
    see(undefined);
    expect(take()).toEqual([]);
    see([contact("jane@x", "online")]);
    see(undefined);
    see(undefined);
    see([contact("jane@x", "online")]);
    expect(take()).toEqual([{ "jane@x": online }, null, { "jane@x": online }]);
  });
});
