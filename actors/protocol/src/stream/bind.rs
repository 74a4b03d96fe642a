//! The last step: a new session by resource binding (RFC 6120 §7), or an earlier one by
//! resumption (XEP-0198 version 1.6.3 §5).
//!
//! Left out: `<session/>`, which the session answers, and `<enable/>`, which comes after
//! binding and is the session's too.

use super::{Action, Bound, NotResumed, Phase, Resumed, Stream, sm};
use crate::jid::{FullJid, JidError, prepare_resource};
use crate::ns;
use crate::stanza::{StanzaError, StreamCondition};
use crate::xml::{Element, Fragment};

/// XEP-0198 §5: an SM-ID should not be longer.
const PREVID_BYTES_MAX: usize = 4000;

/// What an answer to a binding request needs of it.
pub(super) struct Request {
    id: Option<String>,
}

impl Request {
    /// §7.6.1.
    fn result(&self, jid: &FullJid) -> Element {
        let jid = Element::new("jid", ns::BIND).text(jid.as_str());
        self.answer("result")
            .child(Element::new("bind", ns::BIND).child(jid))
    }

    /// §7.6.2 and §7.7.2.
    fn error(&self, error: &StanzaError) -> Element {
        self.answer("error").child(error.to_element())
    }

    fn answer(&self, kind: &str) -> Element {
        Element::new("iq", ns::CLIENT)
            .attr("type", kind)
            .attr_opt("id", self.id.as_deref())
    }
}

/// What `<resume/>` says.
#[derive(Debug)]
pub(super) struct Resume {
    pub(super) previd: String,
    pub(super) h: u32,
}

impl Resume {
    /// Reads it from its attributes. Row X20: `h` is a number of 32 bits or it is broken.
    pub(super) fn read<'a>(attribute: impl Fn(&str) -> Option<&'a str>) -> Result<Self, ()> {
        let previd = attribute("previd").filter(|id| (1..=PREVID_BYTES_MAX).contains(&id.len()));
        let h = attribute("h").and_then(sm::parse_h);
        Ok(Self {
            previd: previd.ok_or(())?.to_owned(),
            h: h.ok_or(())?,
        })
    }
}

/// `<resumed/>` (§5).
pub(super) fn resumed(previd: String, h: u32) -> Element {
    Element::new("resumed", sm::NS)
        .attr("previd", previd)
        .attr("h", h.to_string())
}

impl Stream {
    /// An IQ that asks for a resource.
    pub(super) fn bind(&mut self, iq: &Fragment, actions: &mut Vec<Action>) {
        let Some(account) = self.account.clone() else {
            return self.fail(StreamCondition::NotAuthorized, actions);
        };
        let request = Request {
            id: iq.attr("id").map(str::to_owned),
        };
        match read_resource(iq) {
            // RFC 6120 §8.1.3: an IQ without an id cannot be answered as one.
            Ok(resource) if request.id.is_some() => {
                self.phase = Phase::Binding(request);
                actions.push(Action::Bind {
                    account,
                    resource,
                    wishes: None,
                });
            }
            _ => self.refuse(&request.error(&StanzaError::bad_request()), actions),
        }
    }

    /// A session was made, or not.
    pub(super) fn take_bound(
        &mut self,
        outcome: Result<Bound, StanzaError>,
        actions: &mut Vec<Action>,
    ) {
        let request = match std::mem::replace(&mut self.phase, Phase::Negotiating) {
            Phase::Binding(request) => request,
            Phase::Finishing(finish) => return self.finish_bound(*finish, outcome, actions),
            other => return self.phase = other,
        };
        match outcome {
            Ok(Bound { jid, .. }) => {
                self.write_element(&request.result(&jid), actions);
                self.phase = Phase::Done;
                actions.push(Action::Bound(jid));
            }
            Err(error) => self.refuse(&request.error(&error), actions),
        }
    }

    /// `<resume/>`.
    pub(super) fn resume(&mut self, resume: &Fragment, actions: &mut Vec<Action>) {
        let Some(account) = self.account.clone() else {
            return self.fail(StreamCondition::NotAuthorized, actions);
        };
        match Resume::read(|name| resume.attr(name)) {
            Ok(Resume { previd, h }) => {
                self.phase = Phase::Resuming(previd.clone());
                actions.push(Action::Resume { account, previd, h });
            }
            Err(()) => self.refuse(&sm::failed("bad-request", None), actions),
        }
    }

    /// A session was taken over, or not; then the client may bind (§5).
    pub(super) fn take_resumed(
        &mut self,
        outcome: Result<Resumed, NotResumed>,
        actions: &mut Vec<Action>,
    ) {
        let previd = match std::mem::replace(&mut self.phase, Phase::Negotiating) {
            Phase::Resuming(previd) => previd,
            Phase::Finishing(finish) => return self.finish_resumed(*finish, outcome, actions),
            other => return self.phase = other,
        };
        match outcome {
            Ok(Resumed { h, .. }) => {
                self.write_element(&resumed(previd, h), actions);
                self.phase = Phase::Done;
                actions.push(Action::Resumed);
            }
            Err(NotResumed::Gone(h)) => self.refuse(&sm::failed("item-not-found", h), actions),
            Err(NotResumed::TooHigh(error)) => {
                // §6 asks for both: <failed/> behind any <resume/> that fails, so that the client
                // does not try this again and again, and the end for one that counts wrongly.
                self.write_element(&sm::failed("unexpected-request", None), actions);
                self.end(Some(&error), actions);
            }
        }
    }
}

/// The resource the client wants, prepared; none when the server shall choose (§7.6).
fn read_resource(iq: &Fragment) -> Result<Option<String>, JidError> {
    let bind = iq.payloads().element("bind", ns::BIND);
    let wanted = bind
        .as_ref()
        .and_then(|bind| bind.find("resource", ns::BIND));
    match wanted.map(Element::text_content) {
        None => Ok(None),
        // COMPAT: several clients send an empty element and mean none.
        Some(empty) if empty.is_empty() => Ok(None),
        // §7.7.2.1: what cannot be prepared is a bad request.
        Some(text) => prepare_resource(&text).map(|resource| Some(resource.into_owned())),
    }
}
