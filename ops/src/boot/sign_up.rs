//! The link with which the first administrator signs up.
//!
//! Only who reads the server's output or log on this machine gets it, and the form listens on this
//! machine only, unless configured otherwise.

use crate::config::Config;
use std::io::Write;

/// Prints the one line, to standard output and never to the log: the token is a secret.
pub(super) fn announce(config: &Config, token: &str) {
    let Some(link) = link(config, token) else {
        tracing::warn!(
            "no administrator yet, and no HTTP listener to sign up at: klatsch user add JID --admin"
        );
        return;
    };
    // A server whose output nobody reads runs all the same.
    let _ = writeln!(std::io::stdout(), "No administrator yet. Sign up at {link}");
}

fn link(config: &Config, token: &str) -> Option<String> {
    let (scheme, listen) = match config.listen.http.port() {
        Some(_) => ("http", config.listen.http),
        None => ("https", config.listen.https),
    };
    let address = listen.addresses().pop()?;
    let host = match address.ip().is_unspecified() {
        true => "127.0.0.1".to_owned(),
        false if address.is_ipv6() => format!("[{}]", address.ip()),
        false => address.ip().to_string(),
    };
    Some(format!(
        "{scheme}://{host}:{}/signup/{token}",
        address.port()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link_with(toml: &str) -> Option<String> {
        link(&toml::from_str(toml).unwrap(), "t")
    }

    #[test]
    fn link_goes_to_this_machine() {
        assert_eq!(link_with("").unwrap(), "http://127.0.0.1:5280/signup/t");
        assert_eq!(
            link_with("[listen]\nhttp = \"*:80\"\n").unwrap(),
            "http://127.0.0.1:80/signup/t"
        );
        assert_eq!(
            link_with("[listen]\nhttp = \"[::1]:80\"\n").unwrap(),
            "http://[::1]:80/signup/t"
        );
        assert_eq!(
            link_with("[listen]\nhttp = \"off\"\n").unwrap(),
            "https://127.0.0.1:5443/signup/t"
        );
        assert_eq!(
            link_with("[listen]\nhttp = \"off\"\nhttps = \"off\"\n"),
            None
        );
    }
}
