//! Laws of XML: what is written is read back, however it is cut.

use bytes::Bytes;
use klatsch_protocol::ns;
use klatsch_protocol::stanza::{Message, Stanza};
use klatsch_protocol::xml::{
    Element, Limits, Payloads, Token, Tokenizer, XmlError, parse_fragment,
};
use proptest::prelude::*;

/// Any character of XML (XML 1.0 §2.2), the dangerous ones often.
fn text() -> impl Strategy<Value = String> {
    let character = prop_oneof![
        3 => any::<char>().prop_filter("a character of XML", |&character| {
            matches!(character, '\t' | '\n' | '\r') || character >= ' ' && !matches!(character, '\u{FFFE}' | '\u{FFFF}')
        }),
        1 => prop::sample::select(vec!['<', '>', '&', '\'', '"', ']', '\r', '\n', '\t', ' ']),
    ];
    prop::collection::vec(character, 0..12).prop_map(String::from_iter)
}

fn namespace() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(ns::CLIENT.to_owned()),
        Just(ns::SERVER.to_owned()),
        Just("u:a".to_owned()),
        Just("u:b?c&d='e'".to_owned()),
        Just(String::new()),
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z_\u{E9}\u{4E2D}][a-zA-Z0-9_.\u{B7}\u{E9}-]{0,6}"
}

fn element() -> impl Strategy<Value = Element> {
    let attributes = || prop::collection::vec((name(), text(), any::<bool>()), 0..4);
    let leaf = (name(), namespace(), attributes(), text());
    let leaf = leaf.prop_map(|(name, namespace, attributes, text)| {
        build(name, namespace, attributes).text(text)
    });
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let content = prop::collection::vec((text(), inner), 0..5);
        (name(), namespace(), attributes(), content).prop_map(
            |(name, namespace, attributes, content)| {
                content.into_iter().fold(
                    build(name, namespace, attributes),
                    |element, (text, child)| element.text(text).child(child),
                )
            },
        )
    })
}

fn build(name: String, namespace: String, attributes: Vec<(String, String, bool)>) -> Element {
    attributes.into_iter().fold(
        Element::new(name, namespace),
        |element, (name, value, is_xml)| {
            let name = if is_xml { format!("xml:{name}") } else { name };
            element.attr(name, value)
        },
    )
}

fn tokens(pieces: &[&[u8]]) -> Vec<Result<Option<Token>, XmlError>> {
    let mut tokenizer = Tokenizer::new(Limits::AFTER_LOGIN);
    let mut results = Vec::new();
    for piece in pieces {
        tokenizer.push(piece);
        loop {
            match tokenizer.next() {
                Ok(None) => break,
                Ok(token) => results.push(Ok(token)),
                Err(error) => {
                    results.push(Err(error));
                    return results;
                }
            }
        }
    }
    results
}

fn split_at(bytes: &[u8], cuts: &[usize]) -> Vec<Vec<u8>> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.windows(2)
        .map(|pair| bytes[pair[0]..pair[1]].to_vec())
        .collect()
}

const HEADER: &str =
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

proptest! {
    // Trees are slow to grow in a debug build; the laws that have failed failed early.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn x12_any_tree_is_written_and_read_back(element in element()) {
        let bytes = element.to_bytes();
        let read = Element::parse(&bytes);
        prop_assert_eq!(read.as_ref(), Ok(&element));
        prop_assert_eq!(read.expect("read").to_bytes(), bytes);
    }

    #[test]
    fn the_canonical_form_of_children_is_a_fixed_point(elements in prop::collection::vec(element(), 0..4)) {
        let payloads: Payloads = elements.iter().cloned().collect();
        let stanza = Stanza::Message(Message { payloads: payloads.clone(), ..Message::default() });
        prop_assert_eq!(&Stanza::parse(&stanza.to_bytes()), &Ok(stanza.clone()));
        let mut framed = Vec::new();
        stanza.write_framed(&mut framed);
        prop_assert_eq!(&klatsch_protocol::stanza::framed(&stanza.to_bytes())[..], &framed[..]);
        prop_assert_eq!(&Stanza::parse(&framed), &Ok(stanza));
        prop_assert_eq!(&payloads.elements().collect::<Vec<_>>(), &elements);
        for (child, element) in payloads.iter().zip(&elements) {
            prop_assert_eq!(child.name(), element.name());
            prop_assert!(child.is(element.name(), element.namespace()));
            prop_assert_eq!(child.text(), Some(element.text_content().into()));
        }
    }

    #[test]
    fn children_taken_out_leave_the_others(elements in prop::collection::vec(element(), 0..6), mask in any::<u8>()) {
        let payloads: Payloads = elements.iter().cloned().collect();
        let mut at = 0;
        let left = payloads.without(|_| {
            at += 1;
            mask >> (at - 1) & 1 == 1
        });
        let expected = elements.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 0);
        let expected: Payloads = expected.map(|(_, element)| element.clone()).collect();
        prop_assert_eq!(&left, &expected);
        prop_assert_eq!(left.elements().collect::<Vec<_>>(), expected.elements().collect::<Vec<_>>());
    }

    #[test]
    fn tokens_do_not_depend_on_how_bytes_are_cut(
        elements in prop::collection::vec(element(), 0..4),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut stream = HEADER.as_bytes().to_vec();
        for element in &elements {
            element.write(&mut stream, ns::CLIENT);
            stream.extend_from_slice(b"\n ");
        }
        stream.extend_from_slice(b"</stream:stream>");
        let whole = tokens(&[&stream]);
        prop_assert_eq!(whole.len(), elements.len() + 2);
        let pieces = split_at(&stream, &cuts);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(tokens(&pieces), whole);
    }

    #[test]
    fn broken_streams_end_the_same_however_they_are_cut(
        element in element(),
        at in any::<usize>(),
        byte in any::<u8>(),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
    ) {
        let mut stream = HEADER.as_bytes().to_vec();
        element.write(&mut stream, ns::CLIENT);
        let at = at % stream.len();
        stream[at] = byte;
        let pieces = split_at(&stream, &cuts);
        let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(tokens(&pieces), tokens(&[&stream]));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse_fragment(&bytes, &Limits::AFTER_LOGIN);
        let _ = tokens(&[HEADER.as_bytes(), &bytes]);
    }

    #[test]
    fn any_soup_of_markup_is_read_or_refused(
        words in prop::collection::vec(prop::sample::select(vec![
            "<a", "<a>", "</a>", "/>", ">", "<", " b='", "'", "\"", "=", "xmlns", ":", "xmlns:p='u:p'", "<p:a",
            "&amp;", "&", ";", "<![CDATA[", "]]>", "]", "<!--", "-->", "<?xml ", "?>", "x", " ", "\u{E9}",
        ]), 0..12),
    ) {
        let soup = words.concat();
        let whole = parse_fragment(soup.as_bytes(), &Limits::AFTER_LOGIN);
        if let Ok(fragment) = whole {
            // What is read is read back from what is written.
            let again = Element::parse(&fragment.to_element().to_bytes());
            prop_assert_eq!(again, Ok(fragment.to_element()));
        }
        let _ = tokens(&[HEADER.as_bytes(), soup.as_bytes()]);
    }

    #[test]
    fn raw_children_are_read_as_what_they_are(element in element()) {
        let mut framed = Vec::new();
        Stanza::Message(Message { payloads: [element].into_iter().collect(), ..Message::default() })
            .write_framed(&mut framed);
        let tree = Element::parse(&framed).expect("well-formed");
        let raw = Element::new("forwarded", "urn:xmpp:forward:0").raw_child(Bytes::from(framed));
        let built = Element::new("forwarded", "urn:xmpp:forward:0").child(tree);
        prop_assert_eq!(raw.to_bytes(), built.to_bytes());
    }
}
