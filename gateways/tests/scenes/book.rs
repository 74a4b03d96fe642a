//! A directory of people, for servers whose accounts are elsewhere.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use klatsch_gateways::auth::{Answer, Attempt, Source, Standing, Verdict};
use klatsch_protocol::jid::BareJid;
use klatsch_protocol::sasl::Login;

use crate::server::{DOMAIN, PASSWORD};

/// A directory with one person, `john.doe`, who is also called `doe`.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Inside>>);

#[derive(Default)]
struct Inside {
    standings: HashMap<BareJid, Standing>,
    is_down: bool,
}

pub(crate) fn john() -> BareJid {
    BareJid::new(Some("john.doe"), DOMAIN).unwrap()
}

impl Book {
    pub(crate) fn says(&self, standing: Standing) {
        let mut inside = self.0.lock().unwrap();
        inside.standings.insert(john(), standing);
    }

    pub(crate) fn is_down(&self, is_down: bool) {
        self.0.lock().unwrap().is_down = is_down;
    }

    fn find(&self, login: &Login) -> Option<BareJid> {
        let is_john = ["doe", "john.doe"].contains(&login.name());
        is_john.then(john)
    }
}

impl Source for Book {
    fn name(&self) -> &'static str {
        "book"
    }

    fn check<'a>(&'a self, attempt: &'a Attempt) -> Answer<'a, Verdict> {
        let is_down = self.0.lock().unwrap().is_down;
        let is_right = attempt.password.expose() == PASSWORD;
        let found = self.find(&attempt.login).filter(|_| is_right);
        Box::pin(async move {
            match (is_down, found) {
                (true, _) => Verdict::Unavailable,
                (false, Some(account)) => Verdict::Right(account),
                (false, None) => Verdict::Wrong,
            }
        })
    }

    fn resolve<'a>(&'a self, login: &'a Login) -> Answer<'a, Option<BareJid>> {
        let found = self.find(login);
        Box::pin(async { found })
    }

    fn standing<'a>(&'a self, account: &'a BareJid) -> Answer<'a, Standing> {
        let inside = self.0.lock().unwrap();
        let known = inside.standings.get(account).copied();
        let standing = match (inside.is_down, known) {
            (true, _) => Standing::Unavailable,
            (false, known) => known.unwrap_or(Standing::Unknown),
        };
        Box::pin(async move { standing })
    }
}
