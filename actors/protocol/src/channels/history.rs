//! `history`: a page of an archive (XEP-0313) as the answer to one push.

use std::collections::VecDeque;

use serde_json::Value;

use super::errands::{Errand, Origin};
use super::metas::Fields;
use super::socket::Socket;
use super::translate::{author_of, event_of, forwarded, object, reason};
use crate::features::data_forms;
use crate::features::{mam, rsm};
use crate::jid::{BareJid, Jid};
use crate::stanza::{Iq, IqKind, Message};
use crate::xml::Element;

/// Messages of a page: what fills a window, and when the client does not say.
const PAGE_MAX: u64 = 100;
const PAGE_DEFAULT: u64 = 50;

/// Bytes of an answer: a fraction of what may wait for a client.
const BYTES_MAX: usize = 256 * 1024;

/// Archives that one client reads at a time: one for each open window, about.
const AT_ONCE_MAX: usize = 4;

/// A page that is being read.
#[derive(Debug)]
pub(super) struct History {
    origin: Origin,
    /// Whose archive; the account's own when it is no room's.
    archive: BareJid,
    room: Option<BareJid>,
    /// The page goes on from its end, so its end is cut when it is too large.
    is_forward: bool,
    messages: VecDeque<(String, Value, usize)>,
    bytes: usize,
    is_cut: bool,
}

impl Socket {
    /// Asks an archive for a page: the room's, or the account's own.
    pub(super) fn ask_history(&mut self, origin: Origin, room: Option<&BareJid>, fields: &Fields) {
        if self.errands.histories() >= AT_ONCE_MAX {
            return self.answer(&origin, Err(reason("too many pages at once")));
        }
        let Some(request) = Request::read(fields) else {
            return self.answer(&origin, Err(reason("bad request")));
        };
        let id = self.next_id();
        let to = room.map(|room| room.as_str());
        let query = request.query(&id);
        let iq = Element::new("iq", crate::ns::CLIENT)
            .attr("type", "set")
            .attr("id", &*id)
            .attr_opt("to", to)
            .child(query);
        let history = History {
            origin: origin.clone(),
            archive: room.cloned().unwrap_or_else(|| self.me.bare()),
            room: room.cloned(),
            is_forward: request.is_forward(),
            messages: VecDeque::new(),
            bytes: 0,
            is_cut: false,
        };
        match self.say(&iq) {
            true => self.errands.add(&id, Errand::History(Box::new(history))),
            false => self.answer(&origin, Err(reason("bad request"))),
        }
    }

    /// A result of an archive; tells whether the message was one. Row R05: one that nobody has
    /// asked for, or of another archive than was asked, is dropped.
    pub(super) fn take_result(&mut self, message: &Message) -> bool {
        let Some(result) = message.payloads.element("result", mam::NS) else {
            return false;
        };
        let me = self.me.bare();
        let from = message.head.from.as_ref().map_or(me, Jid::bare);
        let history = result
            .get("queryid")
            .and_then(|id| self.errands.history(id));
        if let (Some(history), Some(id)) = (history, result.get("id"))
            && history.archive == from
            && message
                .head
                .from
                .as_ref()
                .is_none_or(|from| from.resource().is_none())
            && let Some(inner) = forwarded(&result)
        {
            history.add(id, &inner);
        }
        true
    }
}

impl History {
    /// Who has asked.
    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }

    fn add(&mut self, id: &str, message: &Message) {
        let from = message.head.from.as_ref();
        let author = match &self.room {
            Some(_) => from.and_then(Jid::resource),
            None => author_of(from),
        };
        let Some((event, mut fields)) = event_of(message, author, self.archive.as_str()) else {
            return;
        };
        fields.insert("event".into(), event.into());
        fields.insert("stanza_id".into(), id.into());
        if self.room.is_none()
            && let Some(to) = &message.head.to
        {
            fields.insert("to".into(), to.bare_str().into());
        }
        let value = Value::Object(fields);
        let bytes = value.to_string().len();
        self.push(id, value, bytes);
    }

    fn push(&mut self, id: &str, value: Value, bytes: usize) {
        if self.is_forward && (self.is_cut || self.bytes + bytes > BYTES_MAX) {
            self.is_cut = true;
            return;
        }
        self.bytes += bytes;
        self.messages.push_back((id.to_owned(), value, bytes));
        while self.bytes > BYTES_MAX {
            let Some((_, _, bytes)) = self.messages.pop_front() else {
                break;
            };
            self.bytes -= bytes;
            self.is_cut = true;
        }
    }

    /// The answer, when the archive has said that this is all.
    pub(super) fn finish(self, iq: &Iq) -> (Origin, Result<Value, Value>) {
        let fin = iq.payloads.element("fin", mam::NS);
        let (IqKind::Result, Some(fin)) = (iq.kind, fin) else {
            return (self.origin, Err(reason("no archive")));
        };
        let set = fin.find("set", rsm::NS);
        let edge = |name| {
            set.and_then(|set| set.find(name, rsm::NS))
                .map(Element::text_content)
        };
        let (mut first, mut last) = (edge("first"), edge("last"));
        if self.is_cut {
            // The page ends where the answer does, so that the next one begins there.
            let ids = || self.messages.iter().map(|(id, ..)| id.clone());
            match self.is_forward {
                true => last = ids().next_back().or(last),
                false => first = ids().next().or(first),
            }
        }
        let is_complete = fin.get("complete") == Some("true") && !self.is_cut;
        let messages = self.messages.into_iter().map(|(_, message, _)| message);
        let answer = object([
            ("messages", Value::Array(messages.collect())),
            ("complete", is_complete.into()),
            ("first", first.map_or(Value::Null, Value::from)),
            ("last", last.map_or(Value::Null, Value::from)),
        ]);
        (self.origin, Ok(answer))
    }
}

/// What a client asks for.
struct Request {
    max: u64,
    before: Option<String>,
    after: Option<String>,
    with: Option<Jid>,
}

impl Request {
    /// `None`: what it says is not of the right kind.
    fn read(fields: &Fields) -> Option<Self> {
        let max = match fields.get("max") {
            None | Some(Value::Null) => PAGE_DEFAULT,
            Some(max) => max.as_u64()?.clamp(1, PAGE_MAX),
        };
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(Value::String(text)) => Some(Some(text.clone())),
            Some(_) => None,
        };
        let with = match text("with")? {
            Some(with) => Some(Jid::parse(&with).ok()?),
            None => None,
        };
        Some(Self {
            max,
            before: text("before")?,
            after: text("after")?,
            with,
        })
    }

    fn is_forward(&self) -> bool {
        self.after.is_some()
    }

    fn query(&self, id: &str) -> Element {
        let item = |name: &'static str, text: &str| Element::new(name, rsm::NS).text(text);
        let set = Element::new("set", rsm::NS).child(item("max", &self.max.to_string()));
        let set = match (&self.after, &self.before) {
            (Some(after), _) => set.child(item("after", after)),
            (None, Some(before)) => set.child(item("before", before)),
            // The last page, which is what a window shows first.
            (None, None) => set.child(item("before", "")),
        };
        let query = Element::new("query", mam::NS).attr("queryid", id);
        let query = query.children_from(self.with.as_ref().map(filter));
        query.child(set)
    }
}

/// XEP-0313 §4.1.1: the conversation with one.
fn filter(with: &Jid) -> Element {
    let field = |name: &str, value: &str| {
        Element::new("field", data_forms::NS)
            .attr("var", name)
            .child(Element::new("value", data_forms::NS).text(value))
    };
    Element::new("x", data_forms::NS)
        .attr("type", "submit")
        .child(field("FORM_TYPE", mam::NS).attr("type", "hidden"))
        .child(field("with", with.as_str()))
}
