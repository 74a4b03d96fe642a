//! The web client: what it is called, and whose pages may show it.

use std::path::PathBuf;

use super::Config;
use super::settings::settings;
use klatsch_gateways::http::web::{Theme, UploadFeature, WebFeatures, WebSettings, is_origin};

settings! {
    /// The web client at /, and the view of it at /chat/ that other pages may show.
    pub struct Web {
        /// False: there is none; / says how to connect with another client.
        enabled: bool = true;
        /// What it is called.
        name: String = Theme::default().name;
        /// The colour of what matters, as in `#8a3b12`. None: its own.
        accent: Option<String> = None, example "\"#8a3b12\"";
        /// A picture in the place of ours: svg, png, webp, jpg or gif, 256 KiB at most.
        logo: Option<PathBuf> = None, example "\"/etc/klatsch/logo.svg\"";
        /// Origins whose pages may show /chat/ in a frame, as in `https://mail.example.org`, besides our own.
        #[serde(deserialize_with = "super::one_or_many")]
        embed_origins: Vec<String> = Vec::new();
        /// Shows calls.
        calls: bool = true;
        /// A folder with another build of it. None: the one in the program.
        folder: Option<PathBuf> = None, example "\"/usr/share/klatsch/web\"";
    }
}

impl Config {
    /// The web client as the gateways take it; `None`: there is none.
    pub fn web_client(&self) -> Option<WebSettings> {
        let web = &self.web;
        let uploads = self.upload_url();
        let registration = self.registrations();
        web.enabled.then(|| WebSettings {
            folder: web.folder.clone(),
            theme: Theme {
                name: web.name.clone(),
                accent: web.accent.clone(),
            },
            logo: web.logo.clone(),
            embed_origins: web.embed_origins.clone(),
            upload_origins: uploads
                .as_deref()
                .map_or(Vec::new(), |url| self.origins(url)),
            features: WebFeatures {
                registration: registration.is_open,
                invitations: registration.invitations.is_enabled,
                calls: web.calls,
                upload: uploads.map(|_| UploadFeature {
                    file_bytes_max: self.upload.file_bytes_max,
                }),
                // Whoever has the key says so.
                push: None,
            },
        })
    }

    /// The origins of a URL in which `{domain}` stands for the domains, as browsers write them.
    fn origins(&self, url: &str) -> Vec<String> {
        let mut origins: Vec<String> = self
            .domains()
            .iter()
            .filter_map(|domain| {
                origin(&url.replace("{domain}", &idna::domain_to_ascii(domain).ok()?))
            })
            .collect();
        origins.sort_unstable();
        origins.dedup();
        origins
    }
}

fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next()?;
    let usual = match scheme {
        "https" => ":443",
        _ => ":80",
    };
    let host = host.strip_suffix(usual).unwrap_or(host);
    Some(format!("{scheme}://{host}").to_ascii_lowercase()).filter(|origin| is_origin(origin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn web(toml: &str) -> Option<WebSettings> {
        toml::from_str::<Config>(toml).unwrap().web_client()
    }

    #[test]
    fn pictures_come_from_where_files_are() {
        let of = |toml: &str| web(toml).unwrap().upload_origins;
        let two = "domains = [\"b.example\", \"grüße.example\"]\n";
        assert_eq!(
            of(two),
            [
                "https://b.example:5443",
                "https://xn--gre-6ka8l.example:5443"
            ]
        );
        let usual = format!("{two}[listen]\nhttps = \"*:443\"");
        assert_eq!(of(&usual)[0], "https://b.example");
        let named = format!("{two}[upload]\nurl = \"https://Files.example:443/up\"");
        assert_eq!(of(&named), ["https://files.example"]);
        assert_eq!(of(&format!("{two}[upload]\nenabled = false")), [""; 0]);
    }

    #[test]
    fn client_is_told_what_the_server_offers() {
        let default = web("").unwrap();
        assert!(!default.features.registration && default.features.invitations);
        assert!(default.features.upload.is_some() && default.folder.is_none());
        let open = web("[registration]\nopen = true\n[upload]\nenabled = false").unwrap();
        assert!(open.features.registration && open.features.upload.is_none());
        assert!(web("[web]\nenabled = false").is_none());
    }
}
