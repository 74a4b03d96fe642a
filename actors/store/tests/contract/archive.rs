//! Queries of archives (XEP-0313, XEP-0059).

use klatsch_protocol::archive::{ArchiveQuery, Page, PageFrom};
use klatsch_protocol::jid::Jid;
use klatsch_store::log::{HIDDEN, IDS_MAX, PAGE_MAX};
use klatsch_store::{Append, Store, StoreError};

use crate::support::{append, at, bare, create, jid, message, on_every_backend};

on_every_backend!(
    pages_forward_until_complete,
    pages_backward_until_complete,
    c09_no_page_is_larger_than_the_bound,
    times_are_inclusive,
    with_an_account_matches_all_its_resources,
    with_a_full_address_matches_that_resource,
    with_oneself_matches_messages_to_oneself,
    ids_bound_from_both_sides,
    chosen_ids_are_returned_in_order,
    unknown_ids_are_errors,
    filters_combine,
    a_page_of_nothing_counts,
    hidden_entries_are_not_shown,
    every_time_is_found_after_purging,
    random_queries_agree_with_a_plain_filter,
    c08_addresses_are_never_code,
);

const ME: &str = "me@x.org";

/// Ids 1 to 10 at 10 s, 20 s …: odd ones to A, even ones from B.
async fn ten(store: &Store) {
    create(store, &[ME, "a@x.org", "b@x.org"]).await;
    let batch = (1..=10).map(|n| match n % 2 {
        1 => message("me@x.org/here", &format!("a@x.org/{}", n % 4), n * 10),
        _ => message(&format!("b@x.org/{}", n % 4), ME, n * 10),
    });
    store.append(batch.collect()).await.unwrap();
}

fn all() -> ArchiveQuery {
    ArchiveQuery {
        max: 100,
        ..ArchiveQuery::default()
    }
}

fn page(from: PageFrom, max: u32) -> ArchiveQuery {
    ArchiveQuery {
        page: from,
        max,
        ..ArchiveQuery::default()
    }
}

async fn query(store: &Store, query: ArchiveQuery) -> Page {
    store.query(&bare(ME), &query).await.unwrap()
}

async fn ids(store: &Store, asked: ArchiveQuery) -> Vec<u64> {
    query(store, asked)
        .await
        .entries
        .iter()
        .map(|entry| entry.id)
        .collect()
}

fn shape(page: &Page) -> (Vec<u64>, bool, Option<u64>) {
    (
        page.entries.iter().map(|entry| entry.id).collect(),
        page.complete,
        page.count,
    )
}

async fn pages_forward_until_complete(store: &Store) {
    ten(store).await;
    let shape_of = async |asked| shape(&query(store, asked).await);
    assert_eq!(
        shape_of(page(PageFrom::Start, 4)).await,
        (vec![1, 2, 3, 4], false, None)
    );
    assert_eq!(
        shape_of(page(PageFrom::After(4), 4)).await,
        (vec![5, 6, 7, 8], false, None)
    );
    assert_eq!(
        shape_of(page(PageFrom::After(8), 4)).await,
        (vec![9, 10], true, None)
    );
    assert_eq!(
        shape_of(page(PageFrom::After(6), 4)).await,
        (vec![7, 8, 9, 10], true, None)
    );
    assert_eq!(
        shape_of(page(PageFrom::After(10), 4)).await,
        (vec![], true, None)
    );
    assert_eq!(shape_of(all()).await, ((1..=10).collect(), true, Some(10)));
}

async fn pages_backward_until_complete(store: &Store) {
    ten(store).await;
    let shape_of = async |asked| shape(&query(store, asked).await);
    assert_eq!(
        shape_of(page(PageFrom::End, 4)).await,
        (vec![7, 8, 9, 10], false, None)
    );
    assert_eq!(
        shape_of(page(PageFrom::Before(7), 4)).await,
        (vec![3, 4, 5, 6], false, None)
    );
    assert_eq!(
        shape_of(page(PageFrom::Before(3), 4)).await,
        (vec![1, 2], true, None)
    );
    assert_eq!(
        shape_of(page(PageFrom::Before(1), 4)).await,
        (vec![], true, None)
    );
    assert_eq!(
        shape_of(page(PageFrom::End, 10)).await,
        ((1..=10).collect(), true, Some(10))
    );
}

async fn c09_no_page_is_larger_than_the_bound(store: &Store) {
    create(store, &[ME]).await;
    let own = || message("me@x.org/here", ME, 1);
    store
        .append((0..=PAGE_MAX).map(|_| own()).collect())
        .await
        .unwrap();
    let found = query(store, page(PageFrom::Start, u32::MAX)).await;
    assert_eq!(
        (found.entries.len(), found.complete),
        (PAGE_MAX as usize, false)
    );
}

async fn times_are_inclusive(store: &Store) {
    ten(store).await;
    let between = |start, end| ArchiveQuery {
        start,
        end,
        ..all()
    };
    assert_eq!(
        ids(store, between(Some(at(30)), Some(at(50)))).await,
        [3, 4, 5]
    );
    assert_eq!(ids(store, between(Some(at(31)), Some(at(49)))).await, [4]);
    assert_eq!(ids(store, between(Some(at(90)), None)).await, [9, 10]);
    assert_eq!(ids(store, between(None, Some(at(10)))).await, [1]);
    assert_eq!(ids(store, between(None, Some(at(9)))).await, [0; 0]);
    assert_eq!(ids(store, between(Some(at(101)), None)).await, [0; 0]);
    assert_eq!(
        ids(store, between(Some(at(50)), Some(at(30)))).await,
        [0; 0]
    );
    let ends = (
        klatsch_protocol::time::Timestamp(i64::MIN),
        klatsch_protocol::time::Timestamp(i64::MAX),
    );
    assert_eq!(
        ids(store, between(Some(ends.0), Some(ends.1))).await.len(),
        10
    );
}

fn with(address: &str) -> ArchiveQuery {
    ArchiveQuery {
        with: Some(jid(address)),
        ..all()
    }
}

async fn with_an_account_matches_all_its_resources(store: &Store) {
    ten(store).await;
    assert_eq!(
        shape(&query(store, with("a@x.org")).await),
        (vec![1, 3, 5, 7, 9], true, Some(5))
    );
    assert_eq!(ids(store, with("b@x.org")).await, [2, 4, 6, 8, 10]);
    let backward = ArchiveQuery {
        page: PageFrom::End,
        max: 2,
        ..with("b@x.org")
    };
    assert_eq!(
        shape(&query(store, backward).await),
        (vec![8, 10], false, None)
    );
    assert_eq!(
        shape(&query(store, with("c@x.org")).await),
        (vec![], true, Some(0))
    );
}

async fn with_a_full_address_matches_that_resource(store: &Store) {
    ten(store).await;
    assert_eq!(ids(store, with("a@x.org/1")).await, [1, 5, 9]);
    assert_eq!(ids(store, with("b@x.org/2")).await, [2, 6, 10]);
    assert_eq!(ids(store, with("b@x.org/3")).await, [0; 0]);
}

async fn with_oneself_matches_messages_to_oneself(store: &Store) {
    ten(store).await;
    append(store, message("me@x.org/here", ME, 200)).await;
    // XEP-0313 §4.1.1: otherwise every message would match.
    assert_eq!(ids(store, with(ME)).await, [11]);
}

async fn ids_bound_from_both_sides(store: &Store) {
    ten(store).await;
    let between = ArchiveQuery {
        after_id: Some(3),
        before_id: Some(7),
        ..all()
    };
    assert_eq!(
        shape(&query(store, between).await),
        (vec![4, 5, 6], true, Some(3))
    );
    let last = ArchiveQuery {
        before_id: Some(7),
        page: PageFrom::End,
        max: 2,
        ..all()
    };
    assert_eq!(ids(store, last).await, [5, 6]);
}

async fn chosen_ids_are_returned_in_order(store: &Store) {
    ten(store).await;
    let chosen = ArchiveQuery {
        ids: vec![9, 2, 5, 2],
        ..all()
    };
    assert_eq!(
        shape(&query(store, chosen.clone()).await),
        (vec![2, 5, 9], true, Some(3))
    );
    let first = ArchiveQuery {
        max: 2,
        ..chosen.clone()
    };
    assert_eq!(shape(&query(store, first).await), (vec![2, 5], false, None));
    let of_a = ArchiveQuery {
        with: Some(jid("a@x.org")),
        ..chosen
    };
    assert_eq!(ids(store, of_a).await, [5, 9]);
}

async fn unknown_ids_are_errors(store: &Store) {
    ten(store).await;
    store.purge_before(&bare(ME), at(20), 10).await.unwrap();
    let too_many = (2..=10).cycle().take(IDS_MAX + 1).collect();
    for asked in [
        page(PageFrom::After(11), 1),
        page(PageFrom::After(0), 1),
        page(PageFrom::Before(u64::MAX), 1),
        page(PageFrom::After(1), 1),
        ArchiveQuery {
            after_id: Some(99),
            ..all()
        },
        ArchiveQuery {
            before_id: Some(1),
            ..all()
        },
        ArchiveQuery {
            ids: vec![2, 11],
            ..all()
        },
        ArchiveQuery {
            ids: too_many,
            ..all()
        },
    ] {
        assert_eq!(
            store.query(&bare(ME), &asked).await,
            Err(StoreError::NoSuchItem),
            "{asked:?}"
        );
    }
    let nobody = bare("nobody@x.org");
    assert_eq!(
        store.query(&nobody, &all()).await,
        Err(StoreError::NoSuchAccount)
    );
    assert_eq!(store.bounds(&nobody).await, Err(StoreError::NoSuchAccount));
}

async fn filters_combine(store: &Store) {
    ten(store).await;
    let asked = ArchiveQuery {
        start: Some(at(20)),
        end: Some(at(90)),
        after_id: Some(1),
        page: PageFrom::Before(9),
        max: 2,
        ..with("a@x.org")
    };
    assert_eq!(shape(&query(store, asked).await), (vec![5, 7], false, None));
}

async fn a_page_of_nothing_counts(store: &Store) {
    ten(store).await;
    let none = ArchiveQuery {
        max: 0,
        ..with("a@x.org")
    };
    assert_eq!(shape(&query(store, none).await), (vec![], false, Some(5)));
    assert_eq!(
        shape(&query(store, page(PageFrom::Start, 0)).await),
        (vec![], false, Some(10))
    );
    let nobody = ArchiveQuery {
        max: 0,
        ..with("c@x.org")
    };
    assert_eq!(shape(&query(store, nobody).await), (vec![], true, Some(0)));
}

async fn hidden_entries_are_not_shown(store: &Store) {
    create(store, &[ME]).await;
    for second in 1..=5 {
        let flags = if second % 2 == 1 { HIDDEN } else { 0 };
        append(
            store,
            Append {
                flags,
                ..message("me@x.org/here", ME, second)
            },
        )
        .await;
    }
    assert_eq!(
        shape(&query(store, all()).await),
        (vec![2, 4], true, Some(2))
    );
    assert_eq!(store.entries(&bare(ME), 0, 10).await.unwrap().len(), 5);
    let bounds = store.bounds(&bare(ME)).await.unwrap().unwrap();
    assert_eq!((bounds.first, bounds.last), ((2, at(2)), (4, at(4))));
}

async fn every_time_is_found_after_purging(store: &Store) {
    create(store, &[ME]).await;
    let batch = (1..=40)
        .map(|n| message("me@x.org/here", ME, n / 2 * 10))
        .collect();
    store.append(batch).await.unwrap();
    store.purge_before(&bare(ME), at(70), 40).await.unwrap();
    for second in 0..=210 {
        let since = ArchiveQuery {
            start: Some(at(second)),
            ..all()
        };
        let expected: Vec<u64> = (14..=40)
            .filter(|n| (n / 2 * 10) as i64 >= second)
            .collect();
        assert_eq!(ids(store, since).await, expected, "{second}");
    }
}

/// A generator of numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % sides
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.roll(3) == 0).then(|| value(self))
    }
}

async fn random_queries_agree_with_a_plain_filter(store: &Store) {
    create(store, &[ME, "a@x.org", "b@x.org"]).await;
    let mut dice = Dice(7);
    let mut lines: Vec<(u64, i64, Jid)> = Vec::new();
    for id in 1..=60 {
        let second = lines.last().map_or(0, |line| line.1) + dice.roll(3) as i64;
        let other = format!(
            "{}@x.org/{}",
            ["a", "b"][dice.roll(2) as usize],
            dice.roll(2)
        );
        let sent = if dice.roll(2) == 0 {
            message("me@x.org/h", &other, second)
        } else {
            message(&other, ME, second)
        };
        append(store, sent).await;
        lines.push((id, second, jid(&other)));
    }
    for _ in 0..400 {
        let asked = ArchiveQuery {
            with: dice.maybe(|dice| match dice.roll(2) {
                0 => jid(["a@x.org", "b@x.org"][dice.roll(2) as usize]),
                _ => lines[dice.roll(60) as usize].2.clone(),
            }),
            start: dice.maybe(|dice| at(dice.roll(70) as i64)),
            end: dice.maybe(|dice| at(dice.roll(70) as i64)),
            after_id: dice.maybe(|dice| dice.roll(60) + 1),
            before_id: dice.maybe(|dice| dice.roll(60) + 1),
            ids: dice
                .maybe(|dice| (0..5).map(|_| dice.roll(60) + 1).collect())
                .unwrap_or_default(),
            page: match dice.roll(4) {
                0 => PageFrom::Start,
                1 => PageFrom::End,
                2 => PageFrom::After(dice.roll(60) + 1),
                _ => PageFrom::Before(dice.roll(60) + 1),
            },
            search: None,
            max: dice.roll(12) as u32 + 1,
        };
        assert_eq!(
            shape(&query(store, asked.clone()).await),
            expected(&lines, &asked),
            "{asked:?}"
        );
    }
}

/// What XEP-0313 and XEP-0059 say, as plainly as can be.
fn expected(lines: &[(u64, i64, Jid)], asked: &ArchiveQuery) -> (Vec<u64>, bool, Option<u64>) {
    let passes = |(id, second, other): &&(u64, i64, Jid)| {
        asked
            .with
            .as_ref()
            .is_none_or(|with| with == other || with.as_str() == other.bare_str())
            && asked.start.is_none_or(|start| at(*second) >= start)
            && asked.end.is_none_or(|end| at(*second) <= end)
            && asked.after_id.is_none_or(|after| *id > after)
            && asked.before_id.is_none_or(|before| *id < before)
            && (asked.ids.is_empty() || asked.ids.contains(id))
    };
    let result: Vec<u64> = lines.iter().filter(passes).map(|line| line.0).collect();
    let max = asked.max as usize;
    let mut rest = result.clone();
    match asked.page {
        PageFrom::After(after) => rest.retain(|id| *id > after),
        PageFrom::Before(before) => rest.retain(|id| *id < before),
        PageFrom::Start | PageFrom::End => {}
    }
    let complete = rest.len() <= max;
    let backward = matches!(asked.page, PageFrom::Before(_) | PageFrom::End);
    let skipped = if backward {
        rest.len().saturating_sub(max)
    } else {
        0
    };
    let page: Vec<u64> = rest.into_iter().skip(skipped).take(max).collect();
    let from_an_end = matches!(asked.page, PageFrom::Start | PageFrom::End);
    let count = (complete && from_an_end).then_some(page.len() as u64);
    (page, complete, count)
}

async fn c08_addresses_are_never_code(store: &Store) {
    ten(store).await;
    // Localparts refuse quotes (RFC 7622 §3.3.1), resources do not.
    for resource in [
        "' OR 1=1 --",
        "\"; DELETE FROM entry; --",
        "?3",
        "%",
        "1' UNION SELECT 1,2,3,4,5",
    ] {
        let asked = with(&format!("a@x.org/{resource}"));
        assert_eq!(ids(store, asked).await, [0; 0]);
    }
    assert_eq!(ids(store, all()).await.len(), 10);
}
