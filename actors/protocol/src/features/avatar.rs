//! User avatars: XEP-0084 version 1.1.4 and its conversion to vCard-based ones, XEP-0398
//! version 1.0.0 and XEP-0153 version 1.1.1, <https://xmpp.org/extensions/xep-0398.html>
//!
//! There is one avatar, in the account's nodes. The photo of the vCard is made from it when
//! somebody asks ([`super::vcard`]), a photo set there is published here, and the server puts
//! the hash into every available presence the account sends.

pub mod directory;

use sha1::{Digest, Sha1};

use super::pubsub::config::{AccessModel, Config, SendLast};
use super::{Feature, Spec};
use crate::effect::Effect;
use crate::facts::{Facts, SessionFacts};
use crate::features::presence::announce;
use crate::stanza::{Presence, PresenceKind};
use crate::xml::Element;

/// The node of what avatars there are.
pub const NS_METADATA: &str = "urn:xmpp:avatar:metadata";
/// The node of the image itself.
pub const NS_DATA: &str = "urn:xmpp:avatar:data";
/// The hash in presence (XEP-0153 §3).
pub const NS_UPDATE: &str = "vcard-temp:x:update";

/// The feature.
pub const FEATURE: Feature = Feature {
    name: "avatar",
    title: "User Avatar to vCard-Based Avatars Conversion",
    spec: Spec::Xep {
        number: 398,
        version: "1.0.0",
    },
    disco_account: &["urn:xmpp:pep-vcard-conversion:0"],
    ..Feature::NONE
};

/// Avatars in nodes.
pub mod user_avatar {
    use super::{Feature, Spec};

    /// The feature.
    pub const FEATURE: Feature = Feature {
        name: "avatar",
        title: "User Avatar",
        spec: Spec::Xep {
            number: 84,
            version: "1.1.4",
        },
        ..Feature::NONE
    };
}

/// Avatars in vCards.
pub mod vcard_avatar {
    use super::{Feature, Spec};

    /// The feature.
    pub const FEATURE: Feature = Feature {
        name: "avatar",
        title: "vCard-Based Avatars",
        spec: Spec::Xep {
            number: 153,
            version: "1.1.1",
        },
        ..Feature::NONE
    };
}

/// Bytes of a hash in metadata: SHA-1 in hexadecimal has forty.
const HASH_BYTES_MAX: usize = 64;

/// What presence says of this metadata: the hash of the image, or nothing when there is none;
/// `None` when it is no metadata.
pub fn shown(metadata: &Element) -> Option<Box<str>> {
    if !metadata.is("metadata", NS_METADATA) {
        return None;
    }
    // XEP-0398 §3.1: the one that is here, not elsewhere.
    let mut infos = metadata
        .children()
        .filter(|info| info.is("info", NS_METADATA));
    let info = infos.find(|info| info.get("url").is_none());
    let hash = info.and_then(|info| info.get("id")).unwrap_or_default();
    let is_hash = hash.len() <= HASH_BYTES_MAX && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some(if is_hash { hash.into() } else { Box::default() })
}

/// The type of the image with this hash, as the metadata says.
pub(super) fn kind_of(metadata: &Element, hash: &str) -> Option<String> {
    let mut infos = metadata
        .children()
        .filter(|info| info.is("info", NS_METADATA));
    let info = infos.find(|info| info.get("id") == Some(hash))?;
    info.get("type").map(str::to_owned)
}

/// The hash of an image (XEP-0084 §4.1).
pub(super) fn hash(image: &[u8]) -> String {
    let digest = Sha1::digest(image);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Metadata of one image, or of none.
pub(super) fn metadata(image: Option<(&str, usize, &str)>) -> Element {
    let info = image.map(|(hash, bytes, kind)| {
        Element::new("info", NS_METADATA)
            .attr("bytes", bytes.to_string())
            .attr("id", hash)
            .attr("type", kind)
    });
    Element::new("metadata", NS_METADATA).children_from(info)
}

/// What a node is that is made for a photo in a vCard: as public as that was.
pub(super) fn config_of_photo() -> Config {
    Config {
        access_model: AccessModel::Open,
        send_last: SendLast::OnSubAndPresence,
        ..Config::of_account()
    }
}

/// The node of the image, whose notifications nobody wants.
pub(super) fn config_of_image() -> Config {
    Config {
        send_last: SendLast::Never,
        ..config_of_photo()
    }
}

/// XEP-0398 §4: available presence carries the hash, directed presence too.
pub(crate) fn inject(presence: &Presence, facts: &Facts<'_>) -> Presence {
    match presence.kind {
        PresenceKind::Available => match facts.avatar() {
            Some(hash) => with_hash(presence, &hash),
            None => presence.clone(),
        },
        _ => presence.clone(),
    }
}

fn with_hash(presence: &Presence, hash: &str) -> Presence {
    let known = presence.payloads.element("x", NS_UPDATE);
    let photo = known
        .as_ref()
        .and_then(|update| update.find("photo", NS_UPDATE));
    // §4: an empty photo is the client's wish to show none.
    if photo.is_some_and(|photo| photo.text_content().trim().is_empty()) {
        return presence.clone();
    }
    let mut presence = presence.clone();
    let photo = Element::new("photo", NS_UPDATE).text(hash);
    let update = Element::new("x", NS_UPDATE).child(photo);
    let payloads = presence.payloads.without(|child| child.is("x", NS_UPDATE));
    presence.payloads = payloads.with(&update);
    presence
}

/// The account shows another avatar: what this session does about it.
pub fn decide_shown(hash: &str, session: &SessionFacts, facts: &Facts<'_>) -> Vec<Effect> {
    let Some(before) = session.presence.as_deref() else {
        return Vec::new();
    };
    let after = with_hash(before, hash);
    if after == *before {
        return Vec::new();
    }
    let mut effects = vec![Effect::Publish(Some(Box::new(after.clone())))];
    effects.extend(announce::tell_everybody(&after, facts));
    effects
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testkit::*;

    const HASH: &str = "111f4b3c50d7b0df729d299bc6f8e9ef9066971f";

    fn sent(avatar: Option<&str>, presence: &str) -> String {
        let mut given = facts();
        given.data.avatar = avatar.map(Into::into);
        let effects = given.sends(presence);
        let published = effects.iter().find_map(|effect| match effect {
            Effect::Publish(Some(presence)) => Some(presence.clone()),
            _ => None,
        });
        let text = published
            .expect("it is published")
            .payloads
            .bytes()
            .to_vec();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn presence_carries_the_hash_unless_the_client_shows_no_photo() {
        let photo = format!("<x xmlns='{NS_UPDATE}'><photo>{HASH}</photo></x>");
        assert_eq!(sent(Some(HASH), "<presence/>"), photo);
        let unready = format!("<presence><x xmlns='{NS_UPDATE}'/></presence>");
        assert_eq!(sent(Some(HASH), &unready), photo);
        let other = format!("<presence><x xmlns='{NS_UPDATE}'><photo>00</photo></x></presence>");
        assert_eq!(sent(Some(HASH), &other), photo);
        let none = format!("<presence><x xmlns='{NS_UPDATE}'><photo/></x></presence>");
        assert_eq!(
            sent(Some(HASH), &none),
            format!("<x xmlns='{NS_UPDATE}'><photo/></x>")
        );
        assert_eq!(sent(None, "<presence/>"), "");
    }

    #[test]
    fn directed_presence_carries_the_hash_too() {
        let mut given = facts().available();
        given.data.avatar = Some(HASH.into());
        let effects = given.sends("<presence to='room@conference.example.org/me'/>");
        assert!(
            routed(&effects).iter().any(|it| it.contains(HASH)),
            "{effects:?}"
        );
    }

    #[test]
    fn metadata_says_what_is_shown() {
        let read = |inner: &str| {
            shown(&element(&format!(
                "<metadata xmlns='{NS_METADATA}'>{inner}</metadata>"
            )))
        };
        let elsewhere = "<info id='22' url='https://example.org/22' type='image/gif'/>";
        let here = format!("<info id='{HASH}' bytes='12' type='image/png'/>");
        assert_eq!(read(&format!("{elsewhere}{here}")).as_deref(), Some(HASH));
        assert_eq!(read("").as_deref(), Some(""));
        assert_eq!(read("<info id='&lt;no hash&gt;'/>").as_deref(), Some(""));
        assert_eq!(shown(&element("<metadata xmlns='x'/>")), None);
    }

    #[test]
    fn a_new_avatar_is_shown_by_every_session_once() {
        let mut given = facts().available();
        given.data.avatar = Some(HASH.into());
        let first = decide_shown(HASH, &given.session, &given.facts());
        assert!(
            matches!(first.first(), Some(Effect::Publish(Some(_)))),
            "{first:?}"
        );
        let Some(Effect::Publish(after)) = first.into_iter().next() else {
            panic!()
        };
        given.session.presence = after;
        assert!(decide_shown(HASH, &given.session, &given.facts()).is_empty());
    }
}
