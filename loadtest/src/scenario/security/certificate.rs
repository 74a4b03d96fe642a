//! Experiment 18: the certificate is replaced by another one, by an expired one and by rubbish,
//! while clients are online and others log in. New handshakes show the new certificate within a
//! second, a bad one is never shown, and nobody who is online notices.
//!
//! Give it the files that the server reads its certificate from; they are put back at the end.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::{Common, Verdict};
use crate::client::Connection;
use crate::error::{LoadError, Result};
use crate::options::{Target, Tls, require_open_files};
use crate::scenario::{answer_request, crowd, provide_accounts};

/// Logins at the same time before the first replacement.
const AT_ONCE: usize = 16;

/// How long a server is watched that must not show what it was given.
const WATCHED: Duration = Duration::from_secs(2);

/// `security certificate`
#[derive(Args, Clone, Debug)]
pub(super) struct CertificateOptions {
    #[command(flatten)]
    common: Common,
    /// File with the server's certificate, as in tls.certificate
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// File with its key, as in tls.key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Clients online all the time
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Seconds within which a new certificate must be shown
    #[arg(long, default_value_t = 1.0)]
    within: f64,
}

pub(super) async fn run(options: CertificateOptions) -> Result<ExitCode> {
    let common = &options.common;
    if common.target.tls == Tls::None {
        return Err(LoadError::Usage("certificates need --tls".into()));
    }
    let Some(pid) = common.report.pid else {
        return Err(LoadError::Usage("SIGHUP goes to --pid".into()));
    };
    require_open_files(options.clients)?;
    let target = Arc::new(common.target.clone());
    provide_accounts(&target, &common.provision, options.clients + 1).await?;
    let files = Files::of(&options, pid)?;
    let mut verdict = Verdict::new("certificate", common);
    verdict.report.setting("clients", options.clients);
    let mut online = log_in_all(&target, options.clients).await?;
    let first = shown(&target).await?;

    let (chain, key) = certificate(&target.domain, 2100)?;
    let took = replace(&files, &target, (&chain, &key), &options).await?;
    let second = shown(&target).await?;
    verdict.report.figure("shown_after_s", took);
    verdict.require(
        second != first && took <= options.within,
        format!(
            "new certificate shown after {took:.2} s (at most {})",
            options.within
        ),
    );
    let (expired, its_key) = certificate(&target.domain, 2001)?;
    for (what, chain, key) in [
        ("expired certificate", expired.as_str(), its_key.as_str()),
        ("rubbish", "rubbish", "rubbish"),
        (
            "key of another certificate",
            chain.as_str(),
            its_key.as_str(),
        ),
    ] {
        files.write(chain, key)?;
        let kept = keeps(&target, &second).await?;
        verdict.require(kept, format!("{what} not shown"));
    }
    files.put_back()?;
    let alive = count_alive(&mut online).await;
    verdict.require(
        alive == options.clients,
        format!("{alive} of {} clients noticed nothing", options.clients),
    );
    verdict
        .require_bystander(&target, options.clients + 1)
        .await;
    verdict.publish(&common.report)
}

/// The server's files, as they were.
struct Files {
    certificate: (PathBuf, Vec<u8>),
    key: (PathBuf, Vec<u8>),
    pid: u32,
}

impl Files {
    fn of(options: &CertificateOptions, pid: u32) -> Result<Self> {
        let read = |path: &PathBuf| Ok::<_, LoadError>((path.clone(), fs::read(path)?));
        Ok(Self {
            certificate: read(&options.certificate)?,
            key: read(&options.key)?,
            pid,
        })
    }

    /// Gives the server other files and tells it so.
    fn write(&self, chain: &str, key: &str) -> Result<()> {
        fs::write(&self.certificate.0, chain)?;
        fs::write(&self.key.0, key)?;
        self.hang_up()
    }

    fn put_back(&self) -> Result<()> {
        fs::write(&self.certificate.0, &self.certificate.1)?;
        fs::write(&self.key.0, &self.key.1)?;
        self.hang_up()
    }

    fn hang_up(&self) -> Result<()> {
        let pid = self.pid.to_string();
        match Command::new("kill")
            .args(["-HUP", &pid])
            .status()?
            .success()
        {
            true => Ok(()),
            false => Err(LoadError::Usage(format!("no SIGHUP to process {pid}"))),
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Nothing better is to be done than to leave it to the operator.
        let _ = self.put_back();
    }
}

/// A self-signed certificate that ends in a year, and its key.
fn certificate(domain: &str, ends: i32) -> Result<(String, String)> {
    let wrong = |error: rcgen::Error| LoadError::Usage(error.to_string());
    let key = KeyPair::generate().map_err(wrong)?;
    let mut params = CertificateParams::new(vec![domain.to_owned()]).map_err(wrong)?;
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(ends, 1, 1);
    let certificate = params.self_signed(&key).map_err(wrong)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Replaces the certificate; tells after how many seconds a new handshake shows another one.
async fn replace(
    files: &Files,
    target: &Arc<Target>,
    (chain, key): (&str, &str),
    options: &CertificateOptions,
) -> Result<f64> {
    let before = shown(target).await?;
    let started = Instant::now();
    files.write(chain, key)?;
    // Long enough to tell late from never.
    while started.elapsed().as_secs_f64() < options.within * 10.0 {
        if shown(target).await? != before {
            return Ok(started.elapsed().as_secs_f64());
        }
    }
    Ok(f64::INFINITY)
}

/// Tells whether all handshakes of a while show this certificate.
async fn keeps(target: &Arc<Target>, wanted: &[u8]) -> Result<bool> {
    let until = Instant::now() + WATCHED;
    while Instant::now() < until {
        if shown(target).await? != wanted {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The certificate that a new handshake shows.
async fn shown(target: &Arc<Target>) -> Result<Vec<u8>> {
    let (connection, _) = Connection::negotiate(target).await?;
    let certificate = connection.certificate();
    certificate.ok_or_else(|| LoadError::protocol("no certificate shown"))
}

async fn log_in_all(target: &Arc<Target>, clients: usize) -> Result<Vec<Connection>> {
    let target = Arc::clone(target);
    let one = move |number| {
        let target = Arc::clone(&target);
        async move { Ok(Connection::login(&target, number).await?.0) }
    };
    crowd(clients, AT_ONCE, one).await
}

/// How many clients still get an answer.
async fn count_alive(online: &mut [Connection]) -> usize {
    let mut alive = 0;
    for connection in online {
        let ping = "<iq type='get' id='alive'><ping xmlns='urn:xmpp:ping'/></iq>";
        while let Ok(Some(klatsch_protocol::xml::Token::Fragment(element))) = connection.buffered()
        {
            answer_request(&element, connection);
        }
        alive += usize::from(connection.request("alive", ping).await.is_ok());
    }
    alive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_made_with_their_keys() {
        let (chain, key) = certificate("localhost", 2001).unwrap();
        assert!(chain.contains("BEGIN CERTIFICATE") && key.contains("PRIVATE KEY"));
    }
}
