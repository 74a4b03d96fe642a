//! Nodes, placement and the wire; knows no JID and no stanza.
