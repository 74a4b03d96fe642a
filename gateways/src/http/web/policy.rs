//! What the client's pages may load, send and be shown in: Content Security Policy, level 3, with
//! Trusted Types, and Permissions Policy (rows H09, H12).
//!
//! Leaves out `wasm-unsafe-eval` and hashes of inline scripts: there is neither.

/// Camera, microphone and screen are for calls, of our own pages alone.
pub(super) const PERMISSIONS: &str = "camera=(self), microphone=(self), display-capture=(self), \
                                      geolocation=(), payment=(), usb=()";

/// The policies that the client may make: for the parser of XML, which is never shown, and for the
/// addresses of workers. None makes HTML that is: Svelte builds its templates of nodes
/// (`fragments: 'tree'`).
const TRUSTED: &str = "klatsch-xml klatsch-worker";

/// Who looks at a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// The whole client, which nobody shows in a frame.
    Whole,
    /// The view that pages of some origins may.
    Embedded,
}

/// The policies of both.
pub(super) struct Policies {
    /// What uploads add: a blank and an origin, for each.
    uploads: String,
    /// Who may show the embedded view, besides our own pages.
    embedders: String,
}

impl Policies {
    pub(super) fn new(upload_origins: &[String], embed_origins: &[String]) -> Self {
        let listed = |origins: &[String]| -> String {
            let each = origins.iter().map(|origin| format!(" {origin}"));
            each.collect()
        };
        Self {
            uploads: listed(upload_origins),
            embedders: listed(embed_origins),
        }
    }

    /// Tells whether pages of other origins may show the embedded view.
    pub(super) fn is_shown_elsewhere(&self) -> bool {
        !self.embedders.is_empty()
    }

    /// The policy of a view, asked for at this host.
    pub(super) fn of(&self, view: View, host: Option<&str>) -> String {
        let uploads = &self.uploads;
        let ancestors = match view {
            View::Whole => "'none'".to_owned(),
            View::Embedded => format!("'self'{}", self.embedders),
        };
        // Not every browser counts our own WebSocket as 'self'.
        let sockets = host.map_or(String::new(), |host| format!(" wss://{host}"));
        format!(
            "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; \
             img-src 'self' blob: data:{uploads}; media-src 'self' blob:{uploads}; \
             connect-src 'self'{sockets}{uploads}; worker-src 'self'; manifest-src 'self'; \
             base-uri 'none'; form-action 'self'; frame-ancestors {ancestors}; \
             require-trusted-types-for 'script'; trusted-types {TRUSTED}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies() -> Policies {
        Policies::new(
            &["https://files.example.org".to_owned()],
            &["https://mail.example.org".to_owned()],
        )
    }

    fn directive<'a>(policy: &'a str, name: &str) -> &'a str {
        let found = policy
            .split(';')
            .find(|it| it.trim().starts_with(&format!("{name} ")));
        found.unwrap_or_default().trim()
    }

    #[test]
    fn h09_nothing_that_somebody_wrote_runs() {
        for view in [View::Whole, View::Embedded] {
            let policy = policies().of(view, Some("chat.example.org"));
            assert_eq!(directive(&policy, "script-src"), "script-src 'self'");
            assert_eq!(directive(&policy, "default-src"), "default-src 'none'");
            assert_eq!(directive(&policy, "base-uri"), "base-uri 'none'");
            assert!(policy.contains("require-trusted-types-for 'script'"));
            assert!(!policy.contains("unsafe") && !policy.contains("https: "));
            let pictures = "img-src 'self' blob: data: https://files.example.org";
            assert_eq!(directive(&policy, "img-src"), pictures);
        }
    }

    #[test]
    fn h12_only_the_embedded_view_is_shown_elsewhere_and_only_where_it_may() {
        let of = |view| {
            let policy = policies().of(view, None);
            directive(&policy, "frame-ancestors").to_owned()
        };
        assert_eq!(of(View::Whole), "frame-ancestors 'none'");
        let named = "frame-ancestors 'self' https://mail.example.org";
        assert_eq!(of(View::Embedded), named);
    }

    #[test]
    fn sockets_are_those_of_the_host_that_was_asked() {
        let policy = policies().of(View::Whole, Some("chat.example.org:5443"));
        let own = "connect-src 'self' wss://chat.example.org:5443 https://files.example.org";
        assert_eq!(directive(&policy, "connect-src"), own);
    }
}
