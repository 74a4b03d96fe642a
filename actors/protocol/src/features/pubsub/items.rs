//! Reading items: XEP-0060 §6.5, with pages (§6.5.4, XEP-0059).

use super::access::Operation;
use super::errors;
use super::node::{Item, Wanted};
use super::{Asked, Decided, NS};
use crate::features::rsm;
use crate::xml::Element;

/// Payload bytes of one answer. A client that gets more than its connection has room for is
/// cut off; what does not fit comes with the next page.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// §6.5.
pub(super) fn retrieve(asked: &Asked<'_>, wanted: &Wanted) -> Decided {
    let node = asked.node_for(Operation::Retrieve)?;
    if !node.config.persist_items && !node.config.deliver_payloads {
        return Err(errors::unsupported("persistent-items"));
    }
    let found = &asked.found.items;
    let shown = fitting(found, matches!(wanted, Wanted::Before(..)));
    let elements = shown
        .iter()
        .map(|item| element(item, node.config.shows_publisher));
    let list = Element::new("items", NS)
        .attr("node", node.name.clone())
        .children_from(elements);
    let mut answer = Element::new("pubsub", NS).child(list);
    let is_page = !matches!(wanted, Wanted::Ids(_));
    // §6.5.4: what was left out is said, and so is the page to whoever asked for one.
    let asks_for_page = asked.iq.payload().and_then(|child| child.element());
    let asks_for_page = asks_for_page.is_some_and(|it| it.find("set", rsm::NS).is_some());
    if is_page && (asks_for_page || is_cut(asked, wanted, shown.len())) {
        answer = answer.child(page(shown, asked.found.count));
    }
    Ok(vec![asked.reply(Some(answer))])
}

/// Fewer than there are, though nobody has asked for fewer.
fn is_cut(asked: &Asked<'_>, wanted: &Wanted, shown: usize) -> bool {
    shown < asked.found.items.len()
        || (matches!(wanted, Wanted::After(None, _)) && (shown as u64) < asked.found.count)
}

/// As many as fit, from the end that was asked for; one always does.
fn fitting(items: &[Item], from_the_end: bool) -> &[Item] {
    let mut bytes = 0;
    let mut fits = |item: &&Item| {
        bytes += item.payload.len();
        bytes <= ANSWER_BYTES_MAX
    };
    let count = match from_the_end {
        true => items.iter().rev().take_while(&mut fits).count(),
        false => items.iter().take_while(&mut fits).count(),
    };
    let count = count.max(1).min(items.len());
    match from_the_end {
        true => &items[items.len() - count..],
        false => &items[..count],
    }
}

pub(super) fn page(items: &[Item], count: u64) -> Element {
    let id = |item: Option<&Item>| item.map(|item| item.id.clone());
    let (first, last) = (id(items.first()), id(items.last()));
    rsm::page(first.as_deref(), last.as_deref(), Some(count))
}

/// An item as an answer carries it.
pub(crate) fn element(item: &Item, shows_publisher: bool) -> Element {
    let publisher = shows_publisher.then(|| item.publisher.as_str());
    let element = Element::new("item", NS)
        .attr("id", item.id.clone())
        .attr_opt("publisher", publisher);
    match item.payload.is_empty() {
        true => element,
        false => element.raw_child(item.payload.clone()),
    }
}
