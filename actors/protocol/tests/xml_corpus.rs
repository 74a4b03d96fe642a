//! What the tokenizer refuses, and how: rows X01 to X12, X18 and X19 of the attack corpus.
//!
//! Each construct is tried in one piece and byte by byte, as a TCP peer may send it.

use klatsch_protocol::ns;
use klatsch_protocol::stanza::Stanza;
use klatsch_protocol::xml::{
    Element, Fragment, Limits, Token, Tokenizer, XmlError, parse_fragment,
};

const HEADER: &str = "<?xml version='1.0'?><stream:stream to='example.org' version='1.0' \
    xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";

/// Everything that comes of these bytes when they arrive in pieces of this size.
fn tokens(bytes: &[u8], piece: usize, limits: Limits) -> Result<Vec<Token>, XmlError> {
    let mut tokenizer = Tokenizer::new(limits);
    let mut tokens = Vec::new();
    for piece in bytes.chunks(piece) {
        tokenizer.push(piece);
        while let Some(token) = tokenizer.next()? {
            tokens.push(token);
        }
    }
    Ok(tokens)
}

/// Bytes after a stream header, whole and byte by byte, which must make no difference.
fn after_header(bytes: &[u8]) -> Result<Vec<Token>, XmlError> {
    let stream = [HEADER.as_bytes(), bytes].concat();
    let whole = tokens(&stream, stream.len(), Limits::AFTER_LOGIN);
    assert_eq!(
        tokens(&stream, 1, Limits::AFTER_LOGIN),
        whole,
        "{}",
        bytes.escape_ascii()
    );
    whole
}

fn refusal(bytes: &[u8]) -> XmlError {
    match after_header(bytes) {
        Err(error) => error,
        Ok(tokens) => panic!("{} was read as {tokens:?}", bytes.escape_ascii()),
    }
}

fn only(bytes: &[u8]) -> Fragment {
    match after_header(bytes).as_deref() {
        Ok([Token::Header(_), Token::Fragment(fragment)]) => fragment.clone(),
        other => panic!("{} was read as {other:?}", bytes.escape_ascii()),
    }
}

fn canonical(xml: &str) -> String {
    String::from_utf8(only(xml.as_bytes()).payloads().bytes().to_vec()).expect("UTF-8")
}

#[test]
fn x01_x02_document_types_are_restricted_wherever_they_stand() {
    let doctype = "<!DOCTYPE a [<!ENTITY b 'x'><!ENTITY c SYSTEM 'file:///etc/passwd'>]>";
    for stream in [
        doctype.to_owned(),
        format!("<?xml version='1.0'?>{doctype}<stream:stream>"),
        format!("{HEADER}{doctype}"),
        format!("{HEADER}<message>{doctype}</message>"),
    ] {
        let refused = tokens(stream.as_bytes(), 7, Limits::BEFORE_LOGIN);
        assert_eq!(refused, Err(XmlError::Restricted), "{stream}");
    }
    let frame = format!("{doctype}<message/>");
    assert_eq!(
        parse_fragment(frame.as_bytes(), &Limits::AFTER_LOGIN),
        Err(XmlError::Restricted)
    );
    assert_eq!(Element::parse(frame.as_bytes()), Err(XmlError::Restricted));
    assert!(Stanza::parse(frame.as_bytes()).is_err());
}

#[test]
fn x01_entities_other_than_the_five_are_refused() {
    assert_eq!(
        canonical("<message><body>&lt;&gt;&amp;&apos;&quot;</body></message>"),
        "<body>&lt;&gt;&amp;'\"</body>"
    );
    for xml in [
        "<message>&b;</message>",
        "<message a='&b;'/>",
        "<message>&</message>",
        "<message>&;</message>",
        "<message>& </message>",
        "<message a='&amp'/>",
    ] {
        assert_eq!(refusal(xml.as_bytes()), XmlError::NotWellFormed, "{xml}");
    }
}

#[test]
fn x03_comments_and_instructions_are_restricted_at_every_place() {
    for restricted in [
        "<!-- -->",
        "<?php ?>",
        "<?xml version='1.0'?>",
        "<!DOCTYPEs/%<!A",
        "<!A",
        "<?",
    ] {
        for (before, after) in [("", ""), ("<iq>", "</iq>"), ("<iq><a>x", "</a></iq>")] {
            let xml = format!("{before}{restricted}x{after}");
            assert_eq!(refusal(xml.as_bytes()), XmlError::Restricted, "{xml}");
        }
    }
    let late = "<?xml version='1.0'?><?xml version='1.0'?>";
    assert_eq!(
        tokens(late.as_bytes(), 1, Limits::BEFORE_LOGIN),
        Err(XmlError::Restricted)
    );
}

#[test]
fn cdata_sections_are_text() {
    assert_eq!(
        canonical("<message><body>a<![CDATA[<b>&amp;]] ]>]]>c</body></message>"),
        "<body>a&lt;b&gt;&amp;amp;]] ]&gt;c</body>"
    );
    assert_eq!(
        canonical("<message><body><![CDATA[]]></body></message>"),
        "<body/>"
    );
    assert_eq!(refusal(b"<![CDATA[x]]>"), XmlError::Restricted);
}

#[test]
fn x04_a_header_or_stanza_before_login_is_refused_at_8_kib() {
    let long = "A".repeat(1024);
    for start in [
        "<stream:stream xmlns:a='".to_owned(),
        format!("{HEADER}<auth>"),
        format!("{HEADER}<auth a='"),
    ] {
        let mut tokenizer = Tokenizer::new(Limits::BEFORE_LOGIN);
        tokenizer.push(start.as_bytes());
        let mut pushed = 0;
        let error = loop {
            match tokenizer.next() {
                Ok(Some(_)) => {}
                Ok(None) => tokenizer.push(long.as_bytes()),
                Err(error) => break error,
            }
            pushed += 1;
            assert!(pushed < 20, "never refused: {start}");
        };
        assert_eq!(error, XmlError::TooLarge("bytes"));
        assert_eq!(tokenizer.buffered(), 0);
    }
}

#[test]
fn x04_elements_before_login_are_counted() {
    let xml = format!("{HEADER}<iq>{}</iq>", "<a/>".repeat(31));
    assert!(tokens(xml.as_bytes(), 100, Limits::BEFORE_LOGIN).is_ok());
    let xml = format!("{HEADER}<iq>{}</iq>", "<a/>".repeat(32));
    assert_eq!(
        tokens(xml.as_bytes(), 100, Limits::BEFORE_LOGIN),
        Err(XmlError::TooLarge("elements"))
    );
}

#[test]
fn x05_a_stanza_may_have_its_limit_and_not_one_byte_more() {
    let limit = Limits::AFTER_LOGIN.stanza_bytes;
    let frame = "<message><body></body></message>";
    for (size, is_fine) in [(limit - 1, true), (limit, true), (limit + 1, false)] {
        let text = "x".repeat(size - frame.len());
        let stream = format!("{HEADER}<message><body>{text}</body></message>");
        for piece in [1, 1000, stream.len()] {
            let result = tokens(stream.as_bytes(), piece, Limits::AFTER_LOGIN);
            match is_fine {
                true => assert_eq!(result.map(|tokens| tokens.len()), Ok(2)),
                false => assert_eq!(result, Err(XmlError::TooLarge("bytes"))),
            }
        }
    }
}

#[test]
fn x05_the_canonical_form_does_not_grow_without_bound() {
    let namespace = "n".repeat(256);
    let children = "<p:a/>".repeat(16_000);
    let xml = format!("<message xmlns:p='{namespace}'>{children}</message>");
    assert_eq!(
        refusal(xml.as_bytes()),
        XmlError::TooLarge("canonical bytes")
    );
}

#[test]
fn x06_the_33rd_level_is_refused() {
    let nested = |depth: usize| "<a>".repeat(depth) + &"</a>".repeat(depth);
    assert_eq!(only(nested(32).as_bytes()).name(), "a");
    assert_eq!(refusal(nested(33).as_bytes()), XmlError::TooLarge("depth"));
    assert_eq!(
        refusal("<a>".repeat(100_000).as_bytes()),
        XmlError::TooLarge("depth")
    );
}

#[test]
fn x07_attribute_explosion_is_refused_before_the_duplicate_check() {
    let attributes = |count: usize| (0..count).map(|n| format!(" a{n}=''")).collect::<String>();
    assert_eq!(
        only(format!("<iq{}/>", attributes(64)).as_bytes())
            .attributes()
            .count(),
        64
    );
    for count in [65, 80_000] {
        let xml = format!("<iq{}/>", attributes(count));
        assert_eq!(refusal(xml.as_bytes()), XmlError::TooLarge("attributes"));
    }
}

#[test]
fn x08_namespace_explosion_is_refused() {
    let declarations = |count: usize| {
        (0..count)
            .map(|n| format!(" xmlns:p{n}='u:{n}'"))
            .collect::<String>()
    };
    only(format!("<iq{}/>", declarations(16)).as_bytes());
    let refused = refusal(format!("<iq{}/>", declarations(17)).as_bytes());
    assert_eq!(refused, XmlError::TooLarge("namespace declarations"));
    let refused = refusal(format!("<iq{}/>", declarations(20_000)).as_bytes());
    assert_eq!(refused, XmlError::TooLarge("attributes"));
    let nested = (0..5)
        .map(|_| format!("<a{}>", declarations(16)))
        .collect::<String>();
    let refused = refusal(format!("{nested}{}", "</a>".repeat(5)).as_bytes());
    assert_eq!(refused, XmlError::TooLarge("namespace declarations"));
}

#[test]
fn x09_long_names_are_refused() {
    let long = "a".repeat(257);
    for xml in [
        format!("<{long}/>"),
        format!("<iq {long}=''/>"),
        format!("<iq xmlns:{long}='u:a'/>"),
        format!("<iq><{long}:b/></iq>"),
    ] {
        assert_eq!(refusal(xml.as_bytes()), XmlError::TooLarge("name"), "{xml}");
    }
    let xml = format!("<iq xmlns='{long}'/>");
    assert_eq!(refusal(xml.as_bytes()), XmlError::TooLarge("namespace"));
}

#[test]
fn x09_namespaces_are_declared_as_the_recommendation_says() {
    for declaration in [
        "xmlns:p=''",
        "xmlns:xml='u:other'",
        "xmlns:p='http://www.w3.org/XML/1998/namespace'",
        "xmlns='http://www.w3.org/XML/1998/namespace'",
        "xmlns:xmlns='u:a'",
        "xmlns:p='http://www.w3.org/2000/xmlns/'",
        "xmlns='http://www.w3.org/2000/xmlns/'",
    ] {
        let xml = format!("<iq {declaration}/>");
        assert_eq!(
            refusal(xml.as_bytes()),
            XmlError::BadNamespacePrefix,
            "{xml}"
        );
    }
    only(b"<iq xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='en'/>");
    for xml in [
        "<p:iq/>",
        "<iq p:a=''/>",
        "<xmlns:iq/>",
        "<iq><a xmlns:p='u:p'/><p:b/></iq>",
        "<xml:iq/>",
    ] {
        assert_eq!(
            refusal(xml.as_bytes()),
            XmlError::BadNamespacePrefix,
            "{xml}"
        );
    }
}

#[test]
fn x10_invalid_utf8_is_never_mended() {
    for bytes in [
        &b"\xC0\x80"[..],
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\xFF",
        b"\xE2\x82",
        b"\x80",
    ] {
        for (before, after) in [("<iq>", "</iq>"), ("<iq a='", "'/>"), ("<iq", "/>")] {
            let xml = [before.as_bytes(), bytes, after.as_bytes()].concat();
            assert_eq!(refusal(&xml), XmlError::BadFormat, "{}", xml.escape_ascii());
        }
    }
}

#[test]
fn x10_characters_that_xml_has_not_are_refused() {
    for text in [
        "\0",
        "\u{1}",
        "\u{B}",
        "\u{1F}",
        "\u{FFFE}",
        "\u{FFFF}",
        "&#0;",
        "&#x0;",
        "&#xB;",
        "&#xFFFE;",
        "&#xFFFF;",
        "&#xD800;",
        "&#x110000;",
        "&#99999999999999999999;",
        "&#x;",
        "&#;",
        "&#-1;",
        "&#+65;",
        "&#X41;",
        "&#4_1;",
        "&# 65;",
    ] {
        for (before, after) in [("<iq>", "</iq>"), ("<iq a='", "'/>")] {
            let xml = format!("{before}{text}{after}");
            assert_eq!(refusal(xml.as_bytes()), XmlError::NotWellFormed, "{xml:?}");
        }
    }
    assert_eq!(
        only("<iq>\u{7F}\u{85}\u{FFFD}&#x10FFFF;&#65;</iq>".as_bytes()).text(),
        "\u{7F}\u{85}\u{FFFD}\u{10FFFF}A"
    );
}

#[test]
fn x11_what_other_parsers_may_read_otherwise_is_refused() {
    for xml in [
        "<iq a='<'/>",
        "<iq>]]></iq>",
        "<iq a='1' a='2'/>",
        "<iq xmlns:p='u:a' xmlns:q='u:a' p:x='1' q:x='2'/>",
        "<iq xmlns='u:a' xmlns='u:b'/>",
        "<iq a='1'b='2'/>",
        "<iq a=1/>",
        "<iq a/>",
        "<iq a=/>",
        "<iq ='1'/>",
        "<iq a='1' / >",
        "<iq/ a='1'>",
        "<iq></ iq>",
        "<iq></iq a='1'>",
        "<iq></IQ>",
        "<iq><a></iq></a>",
        "< iq/>",
        "<>",
        "<a:b:c/>",
        "<:a/>",
        "<a:/>",
        "<1a/>",
        "<-a/>",
        "<a\u{D7}/>",
        "<iq 1a=''/>",
        "<iq a\"b='1'\"/>",
        "<iq \u{37E}=''/>",
        "<iq\u{A0}a='1'/>",
        "<iq a='1\"/>'></iq>b'/>",
        "<iq><\u{FEFF}a/></iq>",
        "<iq a\u{FEFF}='1'/>",
        "<iq><a\u{10000}/></iq>",
        "<iq><\u{2070}/></iq>",
    ] {
        assert!(
            after_header(xml.as_bytes()).is_err(),
            "{xml} was read as {:?}",
            after_header(xml.as_bytes())
        );
    }
}

#[test]
fn x11_smuggled_stanzas_stay_text() {
    let xml = "<message><body>&lt;/body>&lt;/message>&lt;message from='root'><![CDATA[</body>]]></body></message>";
    assert_eq!(
        canonical(xml),
        "<body>&lt;/body&gt;&lt;/message&gt;&lt;message from='root'&gt;&lt;/body&gt;</body>"
    );
}

#[test]
fn x11_white_space_in_attributes_and_line_ends_are_normalised_once() {
    assert_eq!(
        canonical("<iq><a b='1\t2\n3\r\n4\r5&#9;6&#10;7&#13;8'>\r\n\r&#13;</a></iq>"),
        "<a b='1 2 3 4 5&#9;6&#10;7&#13;8'>\n\n&#13;</a>"
    );
}

#[test]
fn prefixes_are_gone_from_the_canonical_form() {
    assert_eq!(
        canonical(
            "<message xmlns:p='u:p' xmlns:q='u:q'><p:x q:a='1' xml:lang='en' q:b='2' p:c='3'>\
             <p:y/><z/><q:w xmlns='u:d'><v/></q:w></p:x></message>"
        ),
        "<x xmlns='u:p' xmlns:p0='u:q' p0:a='1' xml:lang='en' p0:b='2' xmlns:p3='u:p' p3:c='3'>\
         <y/><z xmlns='jabber:client'/><w xmlns='u:q'><v xmlns='u:d'/></w></x>"
    );
}

#[test]
fn children_in_the_content_namespace_fit_client_and_server_streams() {
    let header = HEADER.replace("jabber:client", "jabber:server");
    let stream = format!(
        "{header}<message><body>hi</body><x xmlns='u:x'/><y xmlns='jabber:client'/></message>"
    );
    let found = tokens(stream.as_bytes(), 9, Limits::S2S).expect("valid");
    let Token::Fragment(fragment) = &found[1] else {
        panic!("no fragment")
    };
    assert_eq!(
        &fragment.payloads().bytes()[..],
        b"<body>hi</body><x xmlns='u:x'/><y xmlns='jabber:client'/>"
    );
    assert!(fragment.payloads().has("body", ns::CLIENT));
    assert!(fragment.clone().into_stanza().is_ok());
}

#[test]
fn header_prefixes_hold_for_the_stream() {
    let stream = "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:server' \
        xmlns:db='jabber:server:dialback' from=\"a\" to='b' id='1' version='1.0' xml:lang='de'>\
        <db:result>key</db:result><s:features/></s:stream >";
    let found = tokens(stream.as_bytes(), 3, Limits::S2S).expect("valid");
    let [
        Token::Header(header),
        Token::Fragment(result),
        Token::Fragment(features),
        Token::Footer,
    ] = &found[..]
    else {
        panic!("{found:?}")
    };
    assert_eq!(header.content_ns, ns::SERVER);
    assert_eq!(header.from.as_deref(), Some("a"));
    assert_eq!(header.lang.as_deref(), Some("de"));
    assert!(result.is("result", "jabber:server:dialback"));
    assert_eq!(result.text(), "key");
    assert!(features.is("features", ns::STREAMS));
}

#[test]
fn headers_of_something_else_are_refused() {
    for (stream, error) in [
        (
            "<stream:stream xmlns:stream='u:other'>",
            XmlError::InvalidNamespace,
        ),
        ("<stream xmlns='jabber:client'>", XmlError::InvalidNamespace),
        (
            "<s:other xmlns:s='http://etherx.jabber.org/streams'>",
            XmlError::BadFormat,
        ),
        (
            "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>",
            XmlError::BadFormat,
        ),
        ("<stream:stream>", XmlError::BadNamespacePrefix),
        ("GET / HTTP/1.1\r\n", XmlError::NotWellFormed),
        ("\u{16}\u{3}\u{1}", XmlError::NotWellFormed),
        ("</stream:stream>", XmlError::NotWellFormed),
    ] {
        assert_eq!(
            tokens(stream.as_bytes(), 1, Limits::BEFORE_LOGIN),
            Err(error),
            "{stream}"
        );
    }
    assert_eq!(refusal(b"</stream>"), XmlError::NotWellFormed);
    assert_eq!(refusal(b"text"), XmlError::BadFormat);
}

#[test]
fn x12_names_and_values_from_outside_cannot_break_out() {
    let nasty = "'/><admin/>\u{0}\u{FFFF}&\"]]>";
    let element = Element::new("item", "u:x").attr("name", nasty).text(nasty);
    let read = Element::parse(&element.to_bytes()).expect("well-formed");
    let expected = nasty.replace(['\u{0}', '\u{FFFF}'], "\u{FFFD}");
    assert_eq!(read.get("name"), Some(&*expected));
    assert_eq!(read.text_content(), expected);
    assert_eq!(read.children().count(), 0);
}

#[test]
fn x18_white_space_between_stanzas_costs_nothing() {
    let mut tokenizer = Tokenizer::new(Limits::BEFORE_LOGIN);
    tokenizer.push(HEADER.as_bytes());
    assert!(matches!(tokenizer.next(), Ok(Some(Token::Header(_)))));
    let spaces = [b' '; 4096];
    for _ in 0..100 {
        tokenizer.push(&spaces);
        assert_eq!(tokenizer.next(), Ok(None));
        assert_eq!(tokenizer.buffered(), 0);
    }
    tokenizer.push(b"\r\n\t <presence/>");
    assert!(matches!(tokenizer.next(), Ok(Some(Token::Fragment(_)))));
}

#[test]
fn x19_what_was_wrong_is_not_echoed_at_length() {
    let xml = format!(
        "<iq type='get' id='1' to='{}'><a xmlns='u:a'/></iq>",
        "a@".repeat(4096)
    );
    let malformed = only(xml.as_bytes()).into_stanza().expect_err("no address");
    let reply = malformed.reply().expect("a request is answered");
    assert_eq!(reply.get("from"), None);
    assert!(reply.to_bytes().len() < 512);
}

#[test]
fn a01_a_restart_forgets_what_was_sent_before() {
    let mut tokenizer = Tokenizer::new(Limits::BEFORE_LOGIN);
    tokenizer.push(HEADER.as_bytes());
    tokenizer.push(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/><auth>injec");
    assert!(matches!(tokenizer.next(), Ok(Some(Token::Header(_)))));
    assert!(matches!(tokenizer.next(), Ok(Some(Token::Fragment(_)))));
    assert!(tokenizer.buffered() > 0);
    tokenizer.restart();
    assert_eq!(tokenizer.buffered(), 0);
    tokenizer.push(HEADER.as_bytes());
    assert!(matches!(tokenizer.next(), Ok(Some(Token::Header(_)))));
}

#[test]
fn nothing_follows_an_error_or_a_footer() {
    let mut tokenizer = Tokenizer::new(Limits::AFTER_LOGIN);
    tokenizer.push(format!("{HEADER}</stream:stream><presence/>").as_bytes());
    assert!(matches!(tokenizer.next(), Ok(Some(Token::Header(_)))));
    assert_eq!(tokenizer.next(), Ok(Some(Token::Footer)));
    tokenizer.push(b"<presence/>");
    assert_eq!(tokenizer.next(), Ok(None));

    let mut tokenizer = Tokenizer::new(Limits::AFTER_LOGIN);
    tokenizer.push(b"x");
    assert_eq!(tokenizer.next(), Err(XmlError::NotWellFormed));
    tokenizer.push(HEADER.as_bytes());
    assert_eq!(tokenizer.next(), Err(XmlError::NotWellFormed));
}

#[test]
fn a_frame_is_one_element_and_nothing_else() {
    let limits = &Limits::AFTER_LOGIN;
    assert!(parse_fragment(b" <message xmlns='jabber:client'/>\n", limits).is_ok());
    for frame in [
        "",
        " ",
        "<a>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "<a></a></a>",
        "</a>",
        "<?xml version='1.0'?><a/>",
    ] {
        assert!(parse_fragment(frame.as_bytes(), limits).is_err(), "{frame}");
    }
}
