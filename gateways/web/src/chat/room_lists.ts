// The lists of a room: owners, admins, members and outcasts, with who of them is there.

import { fetchAffiliates } from "../xmpp/muc_admin";
import { OFFLINE } from "./contact.svelte";
import type { Core } from "./core.svelte";
import type { Affiliation, BareJid, Member } from "./model";

const LISTS: readonly Affiliation[] = ["owner", "admin", "member", "outcast"];

/**
 * Fetches the lists; those that we may not read are left out.
 *
 * @throws StanzaError, NoAnswer where we may read none
 */
export async function fetchLists({ link, rooms, account }: Core, jid: BareJid): Promise<Member[]> {
  const lists = await Promise.allSettled(LISTS.map((it) => fetchAffiliates(link, jid, it)));
  if (lists.every((it) => it.status === "rejected")) throw (lists[0] as PromiseRejectedResult).reason;
  const members = rooms.get(jid)?.members ?? [];
  return lists
    .flatMap((it) => (it.status === "fulfilled" ? it.value : []))
    .map((it): Member => {
      const here = members.find((member) => member.jid === it.jid);
      const { nick, affiliation } = it;
      const absent: Member = { nick, jid: it.jid, occupantId: undefined, affiliation, role: "none", presence: OFFLINE, avatar: undefined, isMe: it.jid === account };
      return here ?? absent;
    });
}
