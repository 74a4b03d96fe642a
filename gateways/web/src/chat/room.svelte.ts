// One room's reactive state: who is there, what it is, where we stand in it.

import { SvelteMap } from "svelte/reactivity";
import type { OccupantPresence } from "../xmpp/muc";
import type { RoomInfo } from "../xmpp/muc_admin";
import { OFFLINE } from "./contact.svelte";
import type { Affiliation, JoinError, JoinState, Member, Presence, Role, Room } from "./model";

/** Occupants that are known at once: a large public room. */
const OCCUPANTS_MAX = 5_000;

/** Somebody in a room. */
export class MemberState implements Member {
  nick = $state("");
  jid = $state<string | undefined>(undefined);
  occupantId: string | undefined;
  affiliation = $state<Affiliation>("none");
  role = $state<Role>("none");
  presence = $state.raw<Presence>(OFFLINE);
  avatar = $state<string | undefined>(undefined);
  photoHash: string | undefined;
  isMe = $state(false);

  /** Takes over what the room says. */
  update(occupant: OccupantPresence): void {
    this.nick = occupant.nick;
    this.jid = occupant.jid;
    this.occupantId = occupant.occupantId;
    this.affiliation = occupant.affiliation;
    this.role = occupant.role;
    const { show, status, idleSince } = occupant.info;
    this.presence = { show, status, idleSince };
    this.isMe = occupant.isSelf;
  }
}

const RANK: Readonly<Record<Role, number>> = { moderator: 0, participant: 1, visitor: 2, none: 3 };

/** One room. */
export class RoomState implements Room {
  readonly jid: string;
  name = $state("");
  description = $state("");
  subject = $state("");
  join = $state<JoinState>("left");
  joinError = $state<JoinError | undefined>(undefined);
  myNick = $state("");
  myAffiliation = $state<Affiliation>("none");
  myRole = $state<Role>("none");
  isMembersOnly = $state(false);
  isModerated = $state(false);
  isNonAnonymous = $state(false);
  isPersistent = $state(false);
  hasPassword = $state(false);
  hasArchive = $state(false);
  canModerateMessages = $state(false);
  myOccupantId: string | undefined;
  password: string | undefined;
  readonly #occupants = new SvelteMap<string, MemberState>();
  readonly members = $derived<readonly Member[]>(
    [...this.#occupants.values()].sort((a, b) => RANK[a.role] - RANK[b.role] || a.nick.localeCompare(b.nick)),
  );

  constructor(jid: string) {
    this.jid = jid;
  }

  /** Takes over what the room says of itself. */
  describe(info: RoomInfo): void {
    if (info.name !== "") this.name = info.name;
    this.description = info.description;
    this.isMembersOnly = info.isMembersOnly;
    this.isModerated = info.isModerated;
    this.isNonAnonymous = info.isNonAnonymous;
    this.isPersistent = info.isPersistent;
    this.hasPassword = info.hasPassword;
    this.hasArchive = info.hasArchive;
    this.canModerateMessages = info.canModerateMessages;
  }

  /** The subject has changed. */
  setSubject(subject: string): void {
    this.subject = subject;
  }

  /** Who bears a nick. */
  occupant(nick: string): MemberState | undefined {
    return this.#occupants.get(nick);
  }

  /** Somebody is there, or has changed. Those who come are collected until we are in. */
  arrive(occupant: OccupantPresence): MemberState {
    const member = this.#occupants.get(occupant.nick) ?? new MemberState();
    member.update(occupant);
    if (this.#occupants.size < OCCUPANTS_MAX || occupant.isSelf) this.#occupants.set(occupant.nick, member);
    if (occupant.isSelf) this.#self(occupant);
    return member;
  }

  #self(occupant: OccupantPresence): void {
    this.myNick = occupant.nick;
    this.myAffiliation = occupant.affiliation;
    this.myRole = occupant.role;
    this.myOccupantId = occupant.occupantId;
  }

  /** Somebody is gone. */
  leave(nick: string): void {
    this.#occupants.delete(nick);
  }

  /** Somebody is called otherwise. */
  rename(nick: string, newNick: string): void {
    const member = this.#occupants.get(nick);
    if (member === undefined) return;
    this.#occupants.delete(nick);
    member.nick = newNick;
    this.#occupants.set(newNick, member);
  }

  /** We are not in it. */
  empty(join: JoinState, error?: JoinError): void {
    this.join = join;
    this.joinError = error;
    this.myRole = "none";
    this.#occupants.clear();
  }
}

