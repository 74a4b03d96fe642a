//! XMPP as pure decisions: stanzas in, effects out.
