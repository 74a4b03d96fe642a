//! Invitations and what is made with them, on every backend.

use klatsch_protocol::features::invitation::{Invitation, TokenHash, hash_of};
use klatsch_store::{Credentials, Store, StoreError};

use crate::support::{at, bare, create, invite, on_every_backend};

on_every_backend![
    an_invitation_is_good_until_its_time_is_over,
    a16_fifty_at_once_make_one_account_with_one_invitation,
    a16_an_invitation_for_a_taken_name_is_not_used_up,
    an_invitation_is_for_its_domain_and_its_name,
    a_reserved_name_is_nobody_elses_until_the_time_is_over,
    an_account_has_so_many_invitations_at_once,
    an_operator_invites_without_an_account,
    a13_an_invitation_makes_one_contact_of_its_inviter,
    a_removed_account_invites_nobody,
    c15_a_name_that_was_somebodys_is_not_for_strangers,
];

async fn register(
    store: &Store,
    account: &str,
    token: Option<&str>,
    second: i64,
) -> Result<Option<Invitation>, StoreError> {
    let hash: Option<TokenHash> = token.map(hash_of);
    let none = Credentials::default();
    store
        .register_account(&bare(account), &none, hash, at(second))
        .await
}

async fn an_invitation_is_good_until_its_time_is_over(store: &Store) {
    create(store, &["a@x"]).await;
    let invite = invite("t", Some("a@x"), None);
    assert!(store.add_invitation(&invite).await.unwrap());
    let find = async |second| store.invitation(hash_of("t"), at(second)).await.unwrap();
    assert_eq!(find(99).await, Some(invite.invitation.clone()));
    assert_eq!(find(100).await, None);
    assert_eq!(store.invitation(hash_of("u"), at(1)).await.unwrap(), None);
    let used = register(store, "b@x", Some("t"), 5).await.unwrap();
    assert_eq!(used, Some(invite.invitation));
    assert_eq!(find(6).await, None);
}

async fn a16_fifty_at_once_make_one_account_with_one_invitation(store: &Store) {
    create(store, &["a@x"]).await;
    let invite = invite("t", Some("a@x"), None);
    assert!(store.add_invitation(&invite).await.unwrap());
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..50 {
        let store = store.clone();
        tries.spawn(async move { register(&store, &format!("b{n}@x"), Some("t"), 1).await });
    }
    let outcomes = tries.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let others = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    assert!(
        others
            .into_iter()
            .all(|error| *error == StoreError::NoSuchItem)
    );
    assert_eq!(store.count_accounts().await.unwrap(), 2);
}

async fn a16_an_invitation_for_a_taken_name_is_not_used_up(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    let invite = invite("t", Some("a@x"), None);
    assert!(store.add_invitation(&invite).await.unwrap());
    let taken = register(store, "b@x", Some("t"), 1).await;
    assert_eq!(taken, Err(StoreError::Conflict));
    assert!(register(store, "c@x", Some("t"), 1).await.is_ok());
}

async fn an_invitation_is_for_its_domain_and_its_name(store: &Store) {
    let invite = invite("t", None, Some("b@x"));
    assert!(store.add_invitation(&invite).await.unwrap());
    for another in ["c@x", "b@y"] {
        let refused = register(store, another, Some("t"), 1).await;
        assert_eq!(refused, Err(StoreError::NoSuchItem), "{another}");
    }
    assert!(register(store, "b@x", Some("t"), 1).await.is_ok());
}

async fn a_reserved_name_is_nobody_elses_until_the_time_is_over(store: &Store) {
    create(store, &["a@x"]).await;
    let first = invite("t", None, Some("b@x"));
    assert!(store.add_invitation(&first).await.unwrap());
    for taken in ["a@x", "b@x"] {
        let again = invite("u", Some("a@x"), Some(taken));
        let refused = store.add_invitation(&again).await;
        assert_eq!(refused, Err(StoreError::Conflict), "{taken}");
    }
    assert_eq!(
        register(store, "b@x", None, 99).await,
        Err(StoreError::Conflict)
    );
    assert_eq!(register(store, "b@x", None, 100).await, Ok(None));
}

async fn an_account_has_so_many_invitations_at_once(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    let add = async |token, inviter| {
        let invite = invite(token, Some(inviter), None);
        store.add_invitation(&invite).await.unwrap()
    };
    for token in ["1", "2", "3"] {
        assert!(add(token, "a@x").await);
    }
    assert!(!add("4", "a@x").await);
    assert!(add("5", "b@x").await);
    let mut later = invite("6", Some("a@x"), None);
    (later.invitation.created, later.invitation.expiry) = (at(100), at(200));
    assert!(
        store.add_invitation(&later).await.unwrap(),
        "the others are over"
    );
    let nobody = invite("7", Some("nobody@x"), None);
    let refused = store.add_invitation(&nobody).await;
    assert_eq!(refused, Err(StoreError::NoSuchAccount));
}

async fn an_operator_invites_without_an_account(store: &Store) {
    for token in ["1", "2", "3", "4"] {
        assert!(
            store
                .add_invitation(&invite(token, None, None))
                .await
                .unwrap()
        );
    }
    let used = register(store, "b@x", Some("4"), 1).await.unwrap().unwrap();
    assert_eq!(used.inviter, None);
}

async fn a13_an_invitation_makes_one_contact_of_its_inviter(store: &Store) {
    create(store, &["a@x", "b@x"]).await;
    let invite = invite("t", Some("a@x"), None);
    assert!(store.add_invitation(&invite).await.unwrap());
    let take = async |inviter, second| {
        let inviter = bare(inviter);
        let taken = store.use_invitation(&inviter, hash_of("t"), at(second));
        taken.await.unwrap()
    };
    assert!(!take("b@x", 1).await, "of another account");
    assert!(!take("a@x", 100).await, "too late");
    assert!(take("a@x", 1).await);
    assert!(!take("a@x", 1).await, "twice");
    assert_eq!(
        register(store, "c@x", Some("t"), 1).await,
        Err(StoreError::NoSuchItem)
    );
}

async fn a_removed_account_invites_nobody(store: &Store) {
    create(store, &["a@x"]).await;
    let invite = invite("t", Some("a@x"), None);
    assert!(store.add_invitation(&invite).await.unwrap());
    store.remove_account(&bare("a@x"), at(1)).await.unwrap();
    assert_eq!(store.invitation(hash_of("t"), at(2)).await.unwrap(), None);
}

async fn c15_a_name_that_was_somebodys_is_not_for_strangers(store: &Store) {
    create(store, &["a@x"]).await;
    store.remove_account(&bare("a@x"), at(1)).await.unwrap();
    assert_eq!(
        register(store, "a@x", None, 2).await,
        Err(StoreError::Conflict)
    );
    create(store, &["a@x"]).await;
}
