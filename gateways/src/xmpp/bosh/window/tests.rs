//! The order of requests and answers, without a clock and without HTTP.

use klatsch_protocol::stream::bosh::Wishes;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A window of requests that bring their id, waited for by somebody with a name.
struct It {
    window: Window<u64, &'static str>,
    now: Instant,
}

fn terms(hold: u32, wait: u64) -> Terms {
    Terms::agree(&Wishes {
        wait: Some(Duration::from_secs(wait)),
        hold: Some(hold),
        version: None,
        content: None,
        acks: true,
    })
}

fn place(rid: u64) -> Place {
    Place {
        rid,
        ack: None,
        pause: None,
        ends: false,
        is_empty: false,
    }
}

impl It {
    fn new(hold: u32, wait: u64) -> Self {
        let now = Instant::now();
        Self {
            window: Window::new(terms(hold, wait), 10, now),
            now,
        }
    }

    fn arrive(&mut self, place: Place, waiter: &'static str) -> Arrival<&'static str> {
        self.window.arrive(place, place.rid, waiter, self.now)
    }

    /// A request that fits; tells what was taken because of it.
    fn send(&mut self, rid: u64, waiter: &'static str) -> Vec<u64> {
        assert_eq!(self.arrive(place(rid), waiter), Arrival::Placed);
        self.taken()
    }

    fn taken(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.window.take(self.now))
            .map(Result::unwrap)
            .collect()
    }

    /// Answers what is due, as there are no news; tells whom.
    fn answered(&mut self) -> Vec<&'static str> {
        let mut all = Vec::new();
        while let Some(has_news) = self.window.due(false, self.now) {
            let body = format!("{:?}", self.window.ack()).into();
            all.extend(self.window.answer(body, has_news, self.now));
        }
        all
    }

    fn tell(&mut self, news: &'static str) -> Option<&'static str> {
        match self.window.due(true, self.now)? {
            true => self
                .window
                .answer(Bytes::from_static(news.as_bytes()), true, self.now),
            false => None,
        }
    }
}

#[test]
fn requests_are_taken_in_the_order_of_their_ids() {
    let mut it = It::new(2, 60);
    assert!(it.send(12, "c").is_empty());
    assert!(it.send(11, "b").is_empty());
    assert_eq!(it.send(10, "a"), [10, 11, 12]);
    assert_eq!(it.answered(), ["a"], "two may wait");
    assert_eq!(it.tell("news"), Some("b"), "the oldest hears it");
}

#[test]
fn w09_ids_beyond_the_window_end_the_session() {
    let mut it = It::new(1, 60);
    it.send(10, "a");
    let too_far = Arrival::Refused("x", Condition::ItemNotFound);
    assert_eq!(it.arrive(place(13), "x"), too_far);
    assert_eq!(it.arrive(place(u64::MAX), "x"), too_far);
    assert_eq!(
        it.arrive(place(9), "x"),
        too_far,
        "nor from before it began"
    );
    assert_eq!(it.arrive(place(12), "b"), Arrival::Placed);
    // One more than may be made, to go (§11).
    let end = Place {
        ends: true,
        ..place(13)
    };
    assert_eq!(it.arrive(end, "e"), Arrival::Placed);
}

#[test]
fn w09_answers_are_repeated_as_long_as_they_are_kept_and_are_never_others() {
    let mut it = It::new(1, 60);
    for (rid, who) in [(10, "a"), (11, "b"), (12, "c"), (13, "d")] {
        it.send(rid, who);
        it.answered();
    }
    it.now += 60 * SECOND;
    it.answered();
    let Arrival::Answered("again", body) = it.arrive(place(12), "again") else {
        panic!("kept");
    };
    assert_eq!(body, "Some(13)", "as it was when it was given");
    assert!(it.taken().is_empty(), "it is not taken twice");
    let gone = Arrival::Refused("x", Condition::ItemNotFound);
    assert_eq!(it.arrive(place(10), "x"), gone);
    // What the client has is not kept for it (§9.2).
    let has = Place {
        ack: Some(12),
        ..place(14)
    };
    it.arrive(has, "e");
    it.taken();
    assert_eq!(it.arrive(place(12), "x"), gone);
}

#[test]
fn repeated_request_takes_the_place_of_the_one_that_waits() {
    let mut it = It::new(1, 60);
    it.send(10, "a");
    assert_eq!(it.arrive(place(10), "again"), Arrival::Again("a"));
    assert!(it.send(12, "c").is_empty());
    assert_eq!(it.arrive(place(12), "c2"), Arrival::Again("c"));
    assert_eq!(it.tell("news"), Some("again"));
}

#[test]
fn w09_request_repeated_without_end_is_a_violation() {
    let mut it = It::new(1, 60);
    it.send(10, "a");
    let mut count = 0;
    while let Arrival::Again(_) = it.arrive(place(10), "a") {
        count += 1;
        assert!(count < 100);
    }
    let violation = Arrival::Refused("x", Condition::PolicyViolation);
    assert_eq!(it.arrive(place(10), "x"), violation);
}

#[test]
fn request_waits_no_longer_than_agreed() {
    let mut it = It::new(1, 5);
    it.send(10, "a");
    assert!(it.answered().is_empty());
    assert_eq!(it.window.answer_until(), Some(it.now + 5 * SECOND));
    it.now += 5 * SECOND;
    assert_eq!(it.answered(), ["a"]);
}

#[test]
fn pause_sends_everybody_home_and_lengthens_the_silence() {
    let mut it = It::new(1, 60);
    it.send(10, "a");
    let pause = Place {
        pause: Some(100 * SECOND),
        ..place(11)
    };
    it.arrive(pause, "p");
    it.taken();
    assert_eq!(it.answered(), ["a", "p"]);
    assert_eq!(it.window.idle_until(), Some(it.now + 100 * SECOND));
    assert_eq!(it.window.due(true, it.now), None);
    it.now += 50 * SECOND;
    it.send(12, "b");
    assert_eq!(it.window.idle_until(), None);
    it.tell("news");
    let usual = terms(1, 60).inactivity;
    assert_eq!(it.window.idle_until(), Some(it.now + usual));
    // However long it asks for.
    let forever = Place {
        pause: Some(Duration::MAX),
        ..place(13)
    };
    it.arrive(forever, "p");
    it.taken();
    it.answered();
    assert!(it.window.idle_until().unwrap() <= it.now + 120 * SECOND);
}

#[test]
fn answer_to_a_pause_has_nothing_in_it() {
    let mut it = It::new(1, 60);
    let pause = Place {
        pause: Some(SECOND),
        ..place(10)
    };
    it.arrive(pause, "p");
    it.taken();
    assert_eq!(it.window.due(true, it.now), Some(false));
}

#[test]
fn client_that_has_gone_hears_nothing_and_is_missed_in_time() {
    let mut it = It::new(1, 60);
    it.send(10, "a");
    assert_eq!(it.window.idle_until(), None);
    for (_, is_gone) in it.window.waiters() {
        *is_gone = true;
    }
    it.window.note_gone(it.now);
    assert_eq!(
        it.window.due(true, it.now),
        None,
        "news are kept for its return"
    );
    assert!(it.window.idle_until().is_some());
    assert_eq!(it.arrive(place(10), "again"), Arrival::Again("a"));
    assert_eq!(it.tell("news"), Some("again"));
}

#[test]
fn who_waits_hears_it_though_an_older_one_has_gone() {
    let mut it = It::new(2, 60);
    it.send(10, "a");
    it.send(11, "b");
    let mut waiters = it.window.waiters();
    *waiters.next().unwrap().1 = true;
    drop(waiters);
    assert_eq!(
        it.window.due(true, it.now),
        Some(false),
        "first the older one"
    );
    it.window.answer(Bytes::new(), false, it.now);
    assert_eq!(it.tell("news"), Some("b"));
}

fn empty(rid: u64) -> Place {
    Place {
        is_empty: true,
        ..place(rid)
    }
}

#[test]
fn w09_asking_again_while_asking_is_a_violation() {
    let mut it = It::new(1, 60);
    it.arrive(empty(10), "a");
    it.taken();
    it.now += SECOND;
    it.arrive(empty(11), "b");
    assert_eq!(
        it.window.take(it.now),
        Some(Err(Condition::PolicyViolation))
    );
    // Later it is none, nor is it for who has something to say.
    let mut it = It::new(1, 60);
    it.arrive(empty(10), "a");
    it.taken();
    it.now += 6 * SECOND;
    it.arrive(empty(11), "b");
    assert_eq!(it.taken(), [11]);
    it.arrive(place(12), "c");
    assert_eq!(it.taken(), [12]);
}

#[test]
fn w09_polling_has_its_interval() {
    for (later, is_allowed) in [(6, true), (1, false)] {
        let mut it = It::new(0, 0);
        it.arrive(empty(10), "a");
        it.taken();
        assert_eq!(it.answered(), ["a"], "at once");
        it.now += later * SECOND;
        it.arrive(empty(11), "b");
        let taken = it.window.take(it.now).unwrap();
        assert_eq!(taken.is_ok(), is_allowed, "after {later} s");
    }
    // There was something: there may be more.
    let mut it = It::new(0, 0);
    it.arrive(empty(10), "a");
    it.taken();
    it.tell("news");
    it.arrive(empty(11), "b");
    assert_eq!(it.taken(), [11]);
}

#[test]
fn end_reaches_everybody_who_listens_first() {
    let mut it = It::new(2, 60);
    it.send(10, "a");
    it.send(11, "b");
    it.send(13, "d");
    *it.window.waiters().next().unwrap().1 = true;
    assert_eq!(it.window.end(), ["b", "a", "d"]);
}
