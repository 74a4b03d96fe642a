// What this client understands, as others are told (XEP-0030, XEP-0115), beside what its parts
// announce themselves.

import { NS_CARBONS } from "../xmpp/carbons";
import { NS_CORRECT } from "../xmpp/corrections";
import { NS_INFO } from "../xmpp/disco";
import { NS_OOB, NS_SFS } from "../xmpp/files";
import { NS_CHAT_STATES, NS_MARKERS, NS_RECEIPTS } from "../xmpp/markers";
import { NS_CAPS, NS_IDLE } from "../xmpp/presence";
import { NS_REACTIONS } from "../xmpp/reactions";
import { NS_REPLY } from "../xmpp/replies";
import { NS_RETRACT } from "../xmpp/retraction";

/** The namespace of pings, XEP-0199 version 2.0.1. */
export const NS_PING = "urn:xmpp:ping";

export const FEATURES = [
  NS_INFO,
  NS_CAPS,
  NS_IDLE,
  NS_CARBONS,
  NS_CHAT_STATES,
  NS_RECEIPTS,
  NS_MARKERS,
  NS_CORRECT,
  NS_REACTIONS,
  NS_REPLY,
  NS_RETRACT,
  NS_SFS,
  NS_OOB,
  NS_PING,
];
