//! What is good once, on every backend.

use klatsch_store::Store;

use crate::support::{at, on_every_backend};

on_every_backend![
    what_is_used_is_not_used_again,
    marks_whose_time_is_over_go,
    of_those_who_use_it_at_once_one_has_it,
];

async fn what_is_used_is_not_used_again(store: &Store) {
    assert!(store.spend([1; 32], at(60), at(0)).await.unwrap());
    assert!(store.spend([2; 32], at(60), at(0)).await.unwrap());
    for second in [0, 30, 59] {
        assert!(!store.spend([1; 32], at(60), at(second)).await.unwrap());
    }
}

async fn marks_whose_time_is_over_go(store: &Store) {
    assert!(store.spend([3; 32], at(60), at(0)).await.unwrap());
    assert!(store.spend([4; 32], at(120), at(60)).await.unwrap());
    assert!(store.spend([3; 32], at(120), at(60)).await.unwrap());
    assert!(!store.spend([4; 32], at(120), at(60)).await.unwrap());
}

async fn of_those_who_use_it_at_once_one_has_it(store: &Store) {
    let spend = || store.spend([5; 32], at(60), at(0));
    let (one, other, third) = tokio::join!(spend(), spend(), spend());
    let had = [one, other, third].map(Result::unwrap);
    assert_eq!(had.into_iter().filter(|had| *had).count(), 1);
}
