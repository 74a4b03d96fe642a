//! How a test's node reaches a store in memory: each of them in a way of its own, as nodes reach a
//! database over a network that is slow, or cut.

use tokio::sync::watch;

use crate::error::{Result, StoreError};

/// How the store is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// At once.
    AtOnce,
    /// What is asked waits until it is reached in another way.
    Late,
    /// What is asked is done, and the answer is lost.
    NoAnswer,
    /// What is asked does not get there.
    NotAtAll,
}

/// Says how a node reaches the store.
#[derive(Debug)]
pub struct Reach(watch::Sender<Reached>);

impl Default for Reach {
    fn default() -> Self {
        Self(watch::Sender::new(Reached::AtOnce))
    }
}

impl Reach {
    /// From now on the store is reached like this, also by what waits.
    pub fn set(&self, reached: Reached) {
        self.0.send_replace(reached);
    }

    /// Has something done there.
    pub(crate) async fn carry<T>(&self, doing: impl Future<Output = Result<T>>) -> Result<T> {
        match self.reached_in_the_end().await {
            Reached::NotAtAll => Err(StoreError::Unavailable("it is not reached".to_owned())),
            Reached::NoAnswer => {
                // Whatever it is, nobody hears it.
                let _ = doing.await;
                Err(StoreError::Uncertain("the answer is lost".to_owned()))
            }
            Reached::AtOnce | Reached::Late => doing.await,
        }
    }

    async fn reached_in_the_end(&self) -> Reached {
        let mut reached = self.0.subscribe();
        let settled = reached.wait_for(|it| *it != Reached::Late).await;
        // Who says it lives as long as the store.
        settled.map_or(Reached::AtOnce, |it| *it)
    }
}

#[cfg(test)]
mod tests {
    use klatsch_protocol::jid::BareJid;
    use klatsch_protocol::time::Timestamp;
    use tokio::select;
    use tokio::task::yield_now;

    use super::*;
    use crate::{Credentials, Store};

    async fn create(store: &Store, name: &str) -> Result<()> {
        let account = BareJid::parse(name).unwrap();
        store
            .create_account(&account, &Credentials::default(), false, Timestamp(0))
            .await
    }

    #[tokio::test]
    async fn each_node_reaches_the_same_store_in_its_own_way() {
        let store = Store::open("memory:").await.unwrap();
        let (other, reach) = store.reached_apart().unwrap();
        reach.set(Reached::NotAtAll);
        let refused = create(&other, "a@x").await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))));
        assert_eq!(store.count_accounts().await, Ok(0));
        reach.set(Reached::NoAnswer);
        let unknown = create(&other, "a@x").await;
        assert!(matches!(unknown, Err(StoreError::Uncertain(_))));
        assert_eq!(store.count_accounts().await, Ok(1));
        reach.set(Reached::AtOnce);
        assert_eq!(create(&other, "a@x").await, Err(StoreError::Conflict));
    }

    #[tokio::test]
    async fn what_is_late_is_done_when_it_gets_there() {
        let store = Store::open("memory:").await.unwrap();
        let (other, reach) = store.reached_apart().unwrap();
        reach.set(Reached::Late);
        let mut creating = std::pin::pin!(create(&other, "a@x"));
        select! {
            biased;
            _ = &mut creating => panic!("it is late"),
            () = yield_now() => {}
        }
        assert_eq!(store.count_accounts().await, Ok(0));
        reach.set(Reached::AtOnce);
        assert_eq!(creating.await, Ok(()));
        assert_eq!(store.count_accounts().await, Ok(1));
    }

    #[tokio::test]
    async fn what_is_late_and_given_up_is_never_done() {
        let store = Store::open("memory:").await.unwrap();
        let (other, reach) = store.reached_apart().unwrap();
        reach.set(Reached::Late);
        select! {
            biased;
            _ = create(&other, "a@x") => panic!("it is late"),
            () = yield_now() => {}
        }
        reach.set(Reached::AtOnce);
        assert_eq!(store.count_accounts().await, Ok(0));
    }
}
