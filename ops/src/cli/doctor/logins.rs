//! What `klatsch doctor` says of Kolab on this host, and of whoever is asked who somebody is.
//!
//! Each backend is tried as logins try it, but for a password: nobody's is known here.

use super::Look::{self, Fine, Note, Wrong};
use crate::boot::kolab;
use crate::config::{Backend, Config, Loaded};
use crate::error::Error;
use klatsch_gateways::auth::Service;
use klatsch_gateways::ldap::{Directory, LdapSettings, filter};
use klatsch_protocol::jid::BareJid;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// Kolab and the backends.
pub(super) fn look(loaded: &Loaded) -> Vec<Look> {
    let mut looks = look_at_kolab(loaded);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => looks.extend(runtime.block_on(look_at_all(loaded))),
        Err(error) => looks.push(Wrong(format!("logins: {error}"))),
    }
    looks
}

async fn look_at_all(loaded: &Loaded) -> Vec<Look> {
    let mut config = loaded.config.clone();
    let mut looks = Vec::new();
    if let Some(found) = &loaded.kolab {
        match kolab::complete(&mut config, found).await {
            Ok(added) if added.is_empty() => {}
            Ok(added) => looks.push(Fine(format!(
                "domains of the directory: {}",
                added.join(", ")
            ))),
            Err(error) => looks.push(Wrong(format!("directory: {error}"))),
        }
    }
    looks.extend(look_at_backends(&config).await);
    looks
}

fn look_at_kolab(loaded: &Loaded) -> Vec<Look> {
    let file = loaded.config.kolab.file.display();
    let Some(found) = &loaded.kolab else {
        return vec![Note(format!("no Kolab on this host: there is no {file}"))];
    };
    let taken = match (found.taken.is_empty(), found.wrong.is_empty()) {
        (true, true) => Some("all is set already".to_owned()),
        (true, false) => None,
        (false, _) => Some(found.taken.join("; ")),
    };
    let taken = taken.map(|taken| Fine(format!("Kolab on this host, {file}: {taken}")));
    let wrong = found
        .wrong
        .iter()
        .map(|why| Wrong(format!("{file}: {why}")));
    taken.into_iter().chain(wrong).collect()
}

async fn look_at_backends(config: &Config) -> Vec<Look> {
    let mut looks = Vec::new();
    for backend in &config.auth.backends {
        match backend {
            Backend::Internal => {}
            Backend::Ldap => looks.extend(look_at_directory(config).await),
            Backend::Http => {
                let service = config.auth.http.service();
                looks.push(match service {
                    Ok((service, method, _)) => {
                        judge_service("http", &service, service.knock(method).await)
                    }
                    Err(error) => Wrong(format!("backend http: {error}")),
                });
            }
            Backend::Saslauthd => looks.push(look_at_saslauthd(config)),
            Backend::Token => looks.extend(look_at_provider(config).await),
        }
    }
    looks
}

/// Its keys, and whoever says whose the other tokens are.
async fn look_at_provider(config: &Config) -> Vec<Look> {
    let token = &config.auth.token;
    let mut looks = Vec::new();
    match token.issuer() {
        Ok(None) => {}
        Ok(Some(issuer)) => looks.push(match issuer.look().await {
            Ok(keys) => Fine(format!("backend token: {} has {keys} keys", issuer.name())),
            Err(why) => Wrong(format!("backend token: {}: {why}", issuer.name())),
        }),
        Err(error) => looks.push(Wrong(format!("backend token: {error}"))),
    }
    match token.userinfo() {
        Ok(None) => {}
        Ok(Some(service)) => {
            let method = axum::http::Method::GET;
            looks.push(judge_service(
                "token",
                &service,
                service.knock(method).await,
            ));
        }
        Err(error) => looks.push(Wrong(format!("backend token: {error}"))),
    }
    looks
}

async fn look_at_directory(config: &Config) -> Vec<Look> {
    let settings = match config.ldap.settings() {
        Ok(settings) => settings,
        Err(error) => return vec![Wrong(format!("directory: {error}"))],
    };
    let domains = config.domains();
    let mut looks = Vec::new();
    for server in &settings.servers {
        let alone = LdapSettings {
            servers: vec![server.clone()],
            ..settings.clone()
        };
        let directory = match Directory::new(alone) {
            Ok(directory) => directory,
            Err(error) => return vec![Wrong(format!("directory: ldap.authorities: {error}"))],
        };
        looks.extend(look_at_server(&format!("directory {server}"), &directory, &domains).await);
    }
    looks
}

/// What is wrong with the server is said once, what is wrong with a domain for each.
async fn look_at_server(name: &str, directory: &Arc<Directory>, domains: &[String]) -> Vec<Look> {
    let mut looks = Vec::new();
    for domain in domains {
        let Ok(jid) = BareJid::parse(domain) else {
            continue;
        };
        let base = directory.base_of(&jid);
        match directory.has_people(&jid).await {
            Ok(true) => looks.push(Fine(format!("{name}: people of {domain} below {}", base.dn))),
            Ok(false) => looks.push(Wrong(format!(
                "{name}: nobody of {domain} below {} is {}, or the service account may not see them",
                base.dn,
                filter::text(&base.people)
            ))),
            Err(error) if error.is_about_base() => {
                looks.push(Wrong(format!("{name}: {domain}: {}: {error}", base.dn)));
            }
            Err(error) => {
                looks.push(Wrong(format!("{name}: {error}")));
                break;
            }
        }
    }
    looks
}

/// A service that lets in who has no name and no password lets everybody in.
fn judge_service(backend: &str, service: &Service, said: Result<u16, String>) -> Look {
    let name = format!("backend {backend}, {}", service.url());
    match said {
        Ok(401 | 403) => Fine(format!("{name}: answers, and wants to know who asks")),
        Ok(status @ 200..=299) => Wrong(format!("{name}: says {status} to nobody at all")),
        Ok(status) => Wrong(format!("{name}: says {status} where 401 is due")),
        Err(error) => Wrong(format!("{name}: {error}")),
    }
}

fn look_at_saslauthd(config: &Config) -> Look {
    let socket = &config.auth.saslauthd.socket;
    match UnixStream::connect(socket).map_err(Error::io("cannot connect to", socket)) {
        Ok(_) => Fine(format!("backend saslauthd, {}: answers", socket.display())),
        Err(error) => Wrong(format!("backend saslauthd: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::line;
    use super::*;
    use std::net::TcpListener;

    fn lines(conf: Option<&str>, toml: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let kolab = folder.path().join("kolab.conf");
        if let Some(conf) = conf {
            std::fs::write(&kolab, conf).unwrap();
        }
        let file = folder.path().join("klatsch.toml");
        let text = format!("{toml}\n[kolab]\nfile = \"{}\"\n", kolab.display());
        std::fs::write(&file, text).unwrap();
        let overrides = crate::config::Overrides {
            file: Some(file),
            data: Some(folder.path().join("data")),
            ..Default::default()
        };
        let loaded = crate::config::load(&overrides).unwrap();
        let shown = kolab.display().to_string();
        let hide = |look: &Look| line(look).replace(&shown, "kolab.conf");
        look(&loaded).iter().map(hide).collect()
    }

    #[test]
    fn bare_host_has_no_kolab_and_nothing_wrong() {
        assert_eq!(
            lines(None, ""),
            ["note   no Kolab on this host: there is no kolab.conf"]
        );
    }

    #[test]
    fn directory_that_does_not_answer_is_wrong_by_name() {
        // Bound and not listened at: nobody takes the port meanwhile.
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let conf = format!(
            "[kolab]\nprimary_domain = example.org\n[ldap]\nldap_uri = ldap://127.0.0.1:{port}\n\
             base_dn = dc=example,dc=org\nservice_bind_dn = uid=s\nservice_bind_pw = canary\n"
        );
        let lines = lines(Some(&conf), "");
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(
            lines[0],
            format!(
                "fine   Kolab on this host, kolab.conf: domains example.org; directory \
                 dc=example,dc=org at ldap://127.0.0.1:{port}; backends internal, ldap"
            )
        );
        let start = format!("wrong  directory ldap://127.0.0.1:{port}: ");
        assert!(lines[1].starts_with(&start), "{}", lines[1]);
        assert!(!lines.concat().contains("canary"));
    }

    #[test]
    fn kolab_that_names_no_service_account_is_wrong_by_name() {
        let conf = "[kolab]\nprimary_domain = example.org\n[ldap]\nldap_uri = ldap://localhost\n";
        let lines = lines(Some(conf), "");
        assert_eq!(lines[1], "wrong  kolab.conf: [ldap] has no service_bind_dn");
    }

    #[test]
    fn socket_of_saslauthd_that_is_not_there_is_wrong() {
        let toml = "[auth]\nbackends = [\"internal\", \"saslauthd\"]\n[auth.saslauthd]\n\
                    socket = \"/nowhere/mux\"";
        let lines = lines(None, toml);
        assert!(lines[1].starts_with("wrong  backend saslauthd: cannot connect to /nowhere/mux"));
    }

    #[test]
    fn service_that_lets_nobody_in_is_well_and_one_that_lets_all_in_is_not() {
        let service = Service::new("http://127.0.0.1/", &[], std::time::Duration::from_secs(1));
        let service = service.unwrap();
        let judge = |said| judge_service("http", &service, said);
        assert!(matches!(judge(Ok(401)), Fine(_)));
        for bad in [Ok(200), Ok(404), Ok(503), Err("refused".to_owned())] {
            assert!(matches!(judge(bad), Wrong(_)));
        }
    }
}
