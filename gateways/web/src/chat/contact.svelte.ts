// One contact's reactive state: the entry on the list, and the resources that are there.

import { localOf } from "../xmpp/jid";
import { isBetter } from "../xmpp/presence";
import type { RosterItem } from "../xmpp/roster";
import { nameText } from "../xmpp/text";
import type { Contact, Presence, Resource, Subscription } from "./model";

/** Nobody is there. */
export const OFFLINE: Presence = { show: "offline", status: "", idleSince: undefined };

/** Resources of one person that are known at once. */
const RESOURCES_MAX = 50;

/** One contact. */
export class ContactState implements Contact {
  readonly jid: string;
  ourName = $state("");
  /** What they call themselves (XEP-0172). */
  nick = $state("");
  groups = $state.raw<readonly string[]>([]);
  subscription = $state<Subscription>("none");
  isAsked = $state(false);
  isBlocked = $state(false);
  avatar = $state<string | undefined>(undefined);
  /** Whether the roster has them; a stranger one talks to is here, too. */
  isListed = $state(false);
  resources = $state.raw<readonly Resource[]>([]);
  lastStatus = $state.raw<Presence>(OFFLINE);
  readonly name = $derived.by(() => this.ourName || this.nick || nameText(localOf(this.jid) || this.jid));
  readonly presence = $derived.by<Presence>(() => this.best() ?? this.lastStatus);
  /** The picture's hash as last announced. */
  photoHash: string | undefined;

  constructor(jid: string) {
    this.jid = jid;
  }

  /** The resource that is worth talking to. */
  best(): Resource | undefined {
    return this.resources.reduce<Resource | undefined>(
      (best, it) => (best === undefined || isBetter(it, best) ? it : best),
      undefined,
    );
  }

  /** Takes over the entry on the list. */
  list(item: RosterItem): void {
    this.isListed = true;
    this.ourName = nameText(item.name);
    this.groups = item.groups.map(nameText).filter((it) => it !== "");
    this.subscription = item.subscription === "remove" ? "none" : item.subscription;
    this.isAsked = item.isAsked;
  }

  /** Takes the entry away. */
  unlist(): void {
    this.isListed = false;
    this.ourName = "";
    this.groups = [];
    this.subscription = "none";
    this.isAsked = false;
    this.resources = [];
  }

  /** A resource is there, or says something new. */
  arrive(resource: Resource): void {
    const others = this.resources.filter((it) => it.resource !== resource.resource);
    this.resources = [...others, resource].slice(-RESOURCES_MAX);
  }

  /** A resource has left. */
  leave(resource: string, status: string): void {
    this.resources = this.resources.filter((it) => it.resource !== resource);
    this.lastStatus = { ...OFFLINE, status };
  }

  /** What a resource's client can do has become known. */
  learn(resource: string, features: ReadonlySet<string>): void {
    this.resources = this.resources.map((it) => (it.resource === resource ? { ...it, features } : it));
  }
}
