//! What becomes of names that are bound, freed, moved and shown.

use klatsch_cluster::presence::Why;
use klatsch_protocol::facts::Views;

use super::*;
use crate::directory::Wire;

fn slice() -> Slice {
    Slice {
        directory: Arc::new(Directory::new(Wire::Direct, None)),
        began: HashMap::new(),
        shadowed: HashMap::new(),
        moved: HashMap::new(),
    }
}

fn jid(text: &str) -> FullJid {
    FullJid::parse(text).unwrap()
}

#[test]
fn a_resource_bound_again_replaces_the_session_before() {
    let mut slice = slice();
    let first = slice.directory.slots.reserve(1);
    let second = slice.directory.slots.reserve(1);
    assert_eq!(
        slice.bind(Resource::unseen(jid("a@x/r")), first, 10, false),
        Ok(None)
    );
    let before = Some(Place::Here(first));
    assert_eq!(
        slice.bind(Resource::unseen(jid("a@x/r")), second, 10, false),
        Ok(before)
    );
    assert!(
        !slice.unbind(&jid("a@x/r"), first, None),
        "the old session no longer owns the name"
    );
    assert_eq!(slice.directory.slot(&jid("a@x/r")), Some(second));
}

#[test]
fn a15_an_account_has_so_many_resources_and_no_more() {
    let mut slice = slice();
    for n in 0..10 {
        let slot = slice.directory.slots.reserve(n);
        assert!(
            slice
                .bind(Resource::unseen(jid(&format!("a@x/{n}"))), slot, 10, false)
                .is_ok()
        );
    }
    let slot = slice.directory.slots.reserve(11);
    assert_eq!(
        slice.bind(Resource::unseen(jid("a@x/11")), slot, 10, false),
        Err(NotBound::TooManyResources)
    );
}

#[test]
fn a_shard_started_again_knows_who_was_bound() {
    let mut slice = slice();
    let slot = slice.directory.slots.reserve(1);
    slice
        .bind(Resource::unseen(jid("a@x/r")), slot, 10, false)
        .unwrap();
    let shard = shard_of("a@x");
    let mut again = Slice::read_back(shard, slice.directory.clone());
    assert!(again.unbind(&jid("a@x/r"), slot, None));
    assert!(
        again
            .directory
            .view(&jid("a@x/r").bare())
            .resources
            .is_empty()
    );
}

const TIME: Duration = Duration::from_secs(10);

/// A slice whose one session was said to have moved to the second node, with its name.
fn after_a_move() -> (Slice, FullJid) {
    let (mut slice, name) = (slice(), jid("a@x/r"));
    let slot = slice.directory.slots.reserve(1);
    slice
        .bind(Resource::unseen(name.clone()), slot, 10, false)
        .unwrap();
    slice.moved(&name, slot, NodeId(2), TIME);
    (slice, name)
}

/// What a node shows of a name now.
fn shown(name: &FullJid, node: u16, is_there: bool) -> Arrived {
    let resource = Box::new(Resource::unseen(name.clone()));
    Arrived {
        key: Key::Session(name.clone()),
        node: NodeId(node),
        before: None,
        after: is_there.then_some(Entry::Session(resource)),
        why: Why::Said,
    }
}

#[test]
fn a_session_that_is_never_shown_where_it_went_is_gone() {
    let (mut slice, name) = after_a_move();
    let there = Some(Place::There(NodeId(2)));
    assert_eq!(slice.directory.place(&name), there);
    assert_eq!(slice.give_up(&name), Some(GivenUp { presence: None }));
    assert_eq!(slice.directory.place(&name), None);
}

#[test]
fn a_session_that_is_shown_where_it_went_stays() {
    let (mut slice, name) = after_a_move();
    slice.hear(vec![shown(&name, 2, true)]);
    slice.give_up(&name);
    assert_eq!(slice.directory.place(&name), Some(Place::There(NodeId(2))));
}

#[test]
fn a_session_that_is_shown_where_it_goes_before_it_has_left_stays() {
    let (mut slice, name) = (slice(), jid("a@x/r"));
    let slot = slice.directory.slots.reserve(1);
    slice
        .bind(Resource::unseen(name.clone()), slot, 10, false)
        .unwrap();
    slice.hear(vec![shown(&name, 2, true)]);
    slice.moved(&name, slot, NodeId(2), TIME);
    slice.give_up(&name);
    assert_eq!(slice.directory.place(&name), Some(Place::There(NodeId(2))));
    slice.hear(vec![shown(&name, 2, false)]);
    assert_eq!(slice.directory.place(&name), None);
}

#[test]
fn whoever_waits_for_its_client_takes_no_name_that_another_has() {
    let mut slice = slice();
    let first = slice.directory.slots.reserve(1);
    let second = slice.directory.slots.reserve(1);
    slice
        .bind(Resource::unseen(jid("a@x/r")), first, 10, false)
        .unwrap();
    let taken = slice.bind(Resource::unseen(jid("a@x/r")), second, 10, true);
    assert_eq!(taken, Err(NotBound::Taken));
    slice.hear(vec![shown(&jid("a@x/other"), 2, true)]);
    let taken = slice.bind(Resource::unseen(jid("a@x/other")), second, 10, true);
    assert_eq!(taken, Err(NotBound::Taken));
}

#[test]
fn a_session_that_gives_way_begins_when_its_client_comes() {
    let mut slice = slice();
    let slot = slice.directory.slots.reserve(1);
    slice
        .bind(Resource::unseen(jid("a@x/r")), slot, 10, true)
        .unwrap();
    let shown = |is_away| Resource {
        is_away,
        ..Resource::unseen(jid("a@x/r"))
    };
    slice.show(shown(true), slot);
    assert_eq!(slice.began[&slot], GIVES_WAY);
    slice.show(shown(false), slot);
    assert!(slice.began[&slot] > GIVES_WAY);
}
