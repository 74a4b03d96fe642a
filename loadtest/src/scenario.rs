//! The scenarios, and what they share: accounts, crowds of logins, versions.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use klatsch_protocol::xml::Fragment;
use tokio::task::JoinSet;

use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::options::{Provision, Target};
use crate::report::{Report, say};

pub(crate) mod accounts;
pub(crate) mod archive;
pub(crate) mod channels;
pub(crate) mod chaos;
pub(crate) mod chat;
pub(crate) mod cluster;
pub(crate) mod crash;
pub(crate) mod fleet;
pub(crate) mod idle;
pub(crate) mod login;
pub(crate) mod rolling;
pub(crate) mod room;
pub(crate) mod security;

/// Software version (XEP-0092 §3).
const VERSION: &str = "jabber:iq:version";

/// Runs `job` for the numbers `1..=count`, at most `concurrency` at a time.
/// The first failure ends the run.
pub(crate) async fn crowd<T, F, Fut>(count: usize, concurrency: usize, job: F) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Fn(usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T>> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(1));
    let job = Arc::new(job);
    let mut workers = JoinSet::new();
    for _ in 0..concurrency.clamp(1, count.max(1)) {
        let (next, job) = (Arc::clone(&next), Arc::clone(&job));
        workers.spawn(async move {
            let mut done = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > count {
                    return Ok::<_, LoadError>(done);
                }
                done.push(job(number).await?);
            }
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(worker) = workers.join_next().await {
        all.extend(
            worker
                .map_err(|error| LoadError::protocol(format!("a client panicked: {error}")))??,
        );
    }
    Ok(all)
}

/// Creates the accounts `1..=count`, where the command line asks for it.
pub(crate) async fn provide_accounts(
    target: &Arc<Target>,
    provision: &Provision,
    count: usize,
) -> Result<()> {
    if let Some(command) = &provision.accounts_command {
        return import_accounts(target, command, count);
    }
    if provision.register {
        say(&format!("registering {count} accounts"));
        let target = Arc::clone(target);
        let register = move |number| {
            let target = Arc::clone(&target);
            async move { Connection::register(&target, number).await }
        };
        crowd(count, provision.register_concurrency, register).await?;
    }
    Ok(())
}

/// Asks the server for its name and version (XEP-0092).
pub(crate) async fn ask_version(connection: &mut Connection, report: &mut Report) {
    let domain = connection.target().domain.clone();
    let query =
        format!("<iq type='get' id='version' to='{domain}'><query xmlns='{VERSION}'/></iq>");
    let Ok(answer) = connection.request("version", &query).await else {
        return; // A server may keep it to itself.
    };
    if let Some(query) = answer.payloads().element("query", VERSION) {
        let text = |name| {
            query
                .find(name, VERSION)
                .map(|child| child.text_content())
                .unwrap_or_default()
        };
        report.server(text("name"), text("version"));
    }
}

/// Answers what a client owes whoever asks: RFC 6120 §8.2.3, every IQ request gets a reply.
pub(crate) fn answer_request(element: &Fragment, connection: &mut Connection) {
    if element.name() != "iq" || !matches!(element.attr("type"), Some("get" | "set")) {
        return;
    }
    let to = element
        .attr("from")
        .map(|from| format!(" to='{from}'"))
        .unwrap_or_default();
    let id = element.attr("id").unwrap_or_default();
    connection.queue(&format!(
        "<iq type='error' id='{id}'{to}><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
}

/// Gives a file of all accounts to a command such as `klatsch user import {file}`.
fn import_accounts(target: &Target, command: &str, count: usize) -> Result<()> {
    let file = std::env::temp_dir().join(format!("klatsch-loadtest-{}.csv", std::process::id()));
    let lines: String = (1..=count)
        .map(|number| format!("{},{}\n", target.account(number), target.password))
        .collect();
    std::fs::write(&file, lines)?;
    let command = command.replace("{file}", &file.to_string_lossy());
    let mut words = command.split_whitespace();
    let program = words
        .next()
        .ok_or_else(|| LoadError::Usage("empty command".into()))?;
    let status = Command::new(program).args(words).status();
    std::fs::remove_file(&file)?;
    match status?.success() {
        true => Ok(()),
        false => Err(LoadError::Usage(format!("failed: {command}"))),
    }
}
