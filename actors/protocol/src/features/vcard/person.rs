//! Cards of people in the directory: as vcard-temp (XEP-0054 §3) and as vCard4 (XEP-0292, RFC 6351).
//!
//! What the directory says of somebody is not theirs to change: it stands on their card whatever
//! they have published, and what they write in its place is not kept. All the rest is theirs.

use crate::colleagues::Person;
use crate::xml::Element;

/// vcard-temp.
use super::NS;
/// The node of the other kind (XEP-0292 §3).
pub(crate) const NODE_4: &str = "urn:xmpp:vcard4";
/// vCard4 itself.
const NS_4: &str = "urn:ietf:params:xml:ns:vcard-4.0";

/// The card, with what its owner has published besides.
pub(crate) fn card(person: &Person, own: Option<&Element>) -> Element {
    laid_over(Element::new("vCard", NS), entries(person), own)
}

/// The same as vCard4.
pub(crate) fn card_4(person: &Person, own: Option<&Element>) -> Element {
    laid_over(Element::new("vcard", NS_4), entries_4(person), own)
}

/// What an owner may write, without what is not theirs to say.
pub(crate) fn writable(person: &Person, own: &Element) -> Element {
    let said = entries(person);
    Element::new("vCard", NS).children_from(unsaid(&said, own).cloned())
}

fn laid_over(card: Element, said: Vec<Element>, own: Option<&Element>) -> Element {
    let unsaid: Vec<Element> =
        own.map_or_else(Vec::new, |own| unsaid(&said, own).cloned().collect());
    card.children_from(said).children_from(unsaid)
}

/// The entries of a card of which the directory says nothing.
fn unsaid<'a>(said: &'a [Element], own: &'a Element) -> impl Iterator<Item = &'a Element> {
    let is_said = |entry: &&Element| said.iter().any(|it| it.name() == entry.name());
    own.children().filter(move |entry| !is_said(entry))
}

fn entries(person: &Person) -> Vec<Element> {
    let card = &person.card;
    let text = |name: &'static str, text: &str| Element::new(name, NS).text(text);
    let of = |name, parts: [(&'static str, &Option<Box<str>>); 2]| {
        let parts = parts.into_iter();
        let parts: Vec<Element> = parts
            .filter_map(|(name, part)| Some(text(name, part.as_ref()?)))
            .collect();
        (!parts.is_empty()).then(|| Element::new(name, NS).children_from(parts))
    };
    let number = |kind, number: &Option<Box<str>>| {
        let number = text("NUMBER", number.as_ref()?);
        let phone = Element::new("TEL", NS).child(Element::new("WORK", NS));
        Some(phone.child(Element::new(kind, NS)).child(number))
    };
    let address = person.account.as_str();
    let mail = ["INTERNET", "WORK", "PREF"].map(|kind| Element::new(kind, NS));
    let mail = Element::new("EMAIL", NS).children_from(mail);
    [
        Some(text("FN", &person.name)),
        of("N", [("FAMILY", &card.family), ("GIVEN", &card.given)]),
        of(
            "ORG",
            [("ORGNAME", &card.organisation), ("ORGUNIT", &card.unit)],
        ),
        card.title.as_ref().map(|title| text("TITLE", title)),
        number("VOICE", &card.phone),
        number("CELL", &card.mobile),
        Some(mail.child(text("USERID", address))),
        Some(text("JABBERID", address)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn entries_4(person: &Person) -> Vec<Element> {
    let card = &person.card;
    let of = |name: &'static str, kind: &'static str, value: &str| {
        Element::new(name, NS_4).child(Element::new(kind, NS_4).text(value))
    };
    // RFC 6351 §5.2: whoever is found twice under TEL is told apart by its types.
    let number = |kind: &str, number: &Option<Box<str>>| {
        let text = |text: &str| Element::new("text", NS_4).text(text);
        let kinds = ["work", kind].map(text);
        let kinds = Element::new("type", NS_4).children_from(kinds);
        let kinds = Element::new("parameters", NS_4).child(kinds);
        let number = text(number.as_ref()?);
        Some(Element::new("tel", NS_4).child(kinds).child(number))
    };
    let parts = |name, parts: [Option<(&'static str, &str)>; 2]| {
        let parts = parts.into_iter().flatten();
        let parts: Vec<Element> = parts
            .map(|(kind, part)| Element::new(kind, NS_4).text(part))
            .collect();
        (!parts.is_empty()).then(|| Element::new(name, NS_4).children_from(parts))
    };
    let address = person.account.as_str();
    [
        Some(of("fn", "text", &person.name)),
        parts(
            "n",
            [
                card.family.as_deref().map(|it| ("surname", it)),
                card.given.as_deref().map(|it| ("given", it)),
            ],
        ),
        // RFC 6350 §6.6.4: the organisation, then its units.
        parts(
            "org",
            [
                card.organisation.as_deref().map(|it| ("text", it)),
                card.unit.as_deref().map(|it| ("text", it)),
            ],
        ),
        card.title
            .as_deref()
            .map(|title| of("title", "text", title)),
        number("voice", &card.phone),
        number("cell", &card.mobile),
        Some(of("email", "text", address)),
        Some(of("impp", "uri", &format!("xmpp:{address}"))),
        card.language
            .as_deref()
            .map(|language| of("lang", "language-tag", language)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colleagues::Card;
    use crate::testkit::element;

    fn doe() -> Person {
        Person {
            account: "doe@example.org".parse().unwrap(),
            aliases: vec!["j.doe@example.org".parse().unwrap()],
            name: "Doe, John".into(),
            tenant: "example.org".into(),
            is_disabled: false,
            is_admin: false,
            card: Card {
                given: Some("John".into()),
                family: Some("Doe".into()),
                unit: Some("Sales".into()),
                phone: Some("+49 30 1".into()),
                mobile: Some("+49 170 1".into()),
                language: Some("de".into()),
                ..Card::default()
            },
            photo: None,
        }
    }

    fn text(element: &Element) -> String {
        String::from_utf8(element.to_bytes().to_vec()).unwrap()
    }

    const TEMP: &str = "<vCard xmlns='vcard-temp'><FN>Doe, John</FN>\
        <N><FAMILY>Doe</FAMILY><GIVEN>John</GIVEN></N><ORG><ORGUNIT>Sales</ORGUNIT></ORG>\
        <TEL><WORK/><VOICE/><NUMBER>+49 30 1</NUMBER></TEL>\
        <TEL><WORK/><CELL/><NUMBER>+49 170 1</NUMBER></TEL>\
        <EMAIL><INTERNET/><WORK/><PREF/><USERID>doe@example.org</USERID></EMAIL>\
        <JABBERID>doe@example.org</JABBERID></vCard>";

    const FOUR: &str = "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'>\
        <fn><text>Doe, John</text></fn><n><surname>Doe</surname><given>John</given></n>\
        <org><text>Sales</text></org>\
        <tel><parameters><type><text>work</text><text>voice</text></type></parameters>\
        <text>+49 30 1</text></tel>\
        <tel><parameters><type><text>work</text><text>cell</text></type></parameters>\
        <text>+49 170 1</text></tel>\
        <email><text>doe@example.org</text></email><impp><uri>xmpp:doe@example.org</uri></impp>\
        <lang><language-tag>de</language-tag></lang></vcard>";

    #[test]
    fn card_says_what_the_directory_says() {
        assert_eq!(text(&card(&doe(), None)), TEMP);
        assert_eq!(text(&card_4(&doe(), None)), FOUR);
    }

    #[test]
    fn what_the_directory_says_goes_before_what_its_owner_has_published() {
        let own = element(
            "<vCard xmlns='vcard-temp'><FN>The Boss</FN><TITLE>Boss</TITLE>\
             <BDAY>1980-01-01</BDAY><TEL><NUMBER>1</NUMBER></TEL></vCard>",
        );
        let shown = text(&card(&doe(), Some(&own)));
        let besides = "<TITLE>Boss</TITLE><BDAY>1980-01-01</BDAY></vCard>";
        assert_eq!(shown, TEMP.replace("</vCard>", besides));
        let own = element(
            "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Boss</text></fn>\
             <note><text>hi</text></note></vcard>",
        );
        let shown = text(&card_4(&doe(), Some(&own)));
        let besides = "<note><text>hi</text></note></vcard>";
        assert_eq!(shown, FOUR.replace("</vcard>", besides));
    }

    #[test]
    fn owner_writes_what_the_directory_does_not_say() {
        let own =
            element("<vCard xmlns='vcard-temp'><FN>The Boss</FN><NICKNAME>J</NICKNAME></vCard>");
        assert_eq!(
            text(&writable(&doe(), &own)),
            "<vCard xmlns='vcard-temp'><NICKNAME>J</NICKNAME></vCard>"
        );
    }
}
