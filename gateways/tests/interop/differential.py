"""Row X11: what the server accepts as XML means the same to another parser, expat.

    differential.py CANONICAL [COUNT [SEED]]

CANONICAL is the program `canonical` (actors/protocol/examples). Documents are made from a few
good ones by a seeded dice. Proves: (1) what klatsch accepts, expat accepts, and what klatsch
forwards of it is to expat the tree that came in, so that nobody can say one thing to the server
and another to those behind it; (2) what klatsch refuses and expat accepts is refused for a rule
of XMPP's own (no comments, no DTDs, limits).
"""

import random
import struct
import subprocess
import sys
from collections import Counter
from xml.parsers import expat

GOOD = [
    b"<message to='a@b/c' type='chat' id='1'><body>hi &amp; bye</body></message>",
    b"<iq type='get' id='x'><query xmlns='jabber:iq:roster' ver=''/></iq>",
    b"<p:a xmlns:p='urn:p' p:x='1' x='2'><p:b/><c xmlns=''>t</c></p:a>",
    b"<presence xml:lang='de'><show>away</show><x xmlns='vcard-temp:x:update'><photo/></x></presence>",
    b"<message><x xmlns='a' xmlns:b='b'><b:y b:z='&lt;'>&#x41;&#66;</b:y><![CDATA[<raw>]]></x></message>",
    "<message><body>äöü €😀\u2028</body></message>".encode(),
    b"<a\tb = \"1'\"\r\n c='2'\n>x\r\ny\r</a >",
]
WORDS = [
    b"<", b">", b"/>", b"</", b"</message>", b"<message>", b"<a>", b"</a>", b"<b/>", b"'", b'"',
    b"=", b" ", b"\t", b"\n", b"\r", b"\r\n", b"&", b";", b"&amp;", b"&lt;", b"&apos;", b"&quot;",
    b"&#60;", b"&#x3c;", b"&#0;", b"&#xFFFE;", b"&#xD800;", b"&#x10FFFF;", b"&#x110000;", b"&nbsp;",
    b"<![CDATA[", b"]]>", b"]]", b"<!--", b"-->", b"<?x?>", b"<!DOCTYPE a>", b"xmlns=''",
    b"xmlns='urn:x'", b"xmlns:p='urn:p'", b"xmlns:q='urn:p'", b"xmlns:p=''", b"xmlns:xml='urn:x'",
    b"xmlns:xmlns='urn:x'", b"xmlns='http://www.w3.org/2000/xmlns/'", b"xml:lang='en'",
    b"p:", b"q:", b"xml:", b"xmlns:", b":", b"p:x='1'", b"q:x='2'", b"x='1'", b"\x00", b"\x1f",
    b"\x7f", b"\xc2\x85", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbf\xbe",
    b"\xef\xbf\xbf", b"\xef\xbb\xbf", b"\xc3\xa4", b"\xff", b"-", b".", b"1", b"\xc2\xb7",
]
# What XMPP forbids, and XML does not (RFC 6120 §11.1), and what is too large.
OWN_RULES = ("Restricted", "TooLarge")


def mutate(dice):
    text = dice.choice(GOOD)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        at = dice.randrange(len(text) + 1)
        end = min(len(text), at + dice.randrange(1, 12))
        kind = dice.randrange(4)
        if kind == 0:
            text = text[:at] + dice.choice(WORDS) + text[at:]
        elif kind == 1:
            text = text[:at] + text[end:]
        elif kind == 2:
            text = text[:at] + text[at:end] + text[at:]
        else:
            text = text[:at] + dice.choice(WORDS) + text[end:]
    return text


def tree(text):
    """What expat understands of a document in a stream of clients; None when it refuses."""
    parser = expat.ParserCreate(encoding="UTF-8", namespace_separator="\x01")
    parser.buffer_text = True
    root = ("", (), [])
    stack = [root]

    def start(name, attributes):
        node = (name, tuple(sorted(attributes.items())), [])
        stack[-1][2].append(node)
        stack.append(node)

    def characters(data):
        content = stack[-1][2]
        if content and isinstance(content[-1], str):
            content[-1] += data
        else:
            content.append(data)

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: stack.pop()
    parser.CharacterDataHandler = characters
    try:
        parser.Parse(b"<s xmlns='jabber:client'>" + text.strip(b" \t\r\n") + b"</s>", True)
    except expat.ExpatError:
        return None
    content = root[2][0][2]
    if len(content) != 1 or isinstance(content[0], str):
        return None  # not one element
    return outer(content[0])


def outer(node):
    """Of a stanza itself the server keeps its text and its children, not how they are mixed, and
    of its attributes those of XMPP."""
    name, attributes, content = node
    is_kept = lambda it: "\x01" not in it[0] or it[0].endswith("namespace\x01lang")
    attributes = tuple(filter(is_kept, attributes))
    text = "".join(it for it in content if isinstance(it, str))
    return (name, attributes, text, [it for it in content if not isinstance(it, str)])


def ask(program, documents):
    packed = b"".join(struct.pack(">I", len(it)) + it for it in documents)
    output = subprocess.run([program], input=packed, stdout=subprocess.PIPE, check=True).stdout
    at = 0
    for _ in documents:
        accepted, length = output[at], struct.unpack(">I", output[at + 1:at + 5])[0]
        yield bool(accepted), output[at + 5:at + 5 + length]
        at += 5 + length


def is_own_rule(document, name):
    # Behind its one element nothing may come at all, whatever it is.
    has_own = any(word in document for word in (b"<?", b"<!--", b"<!DOCTYPE"))
    # Namespaces in XML §3 leaves names in the namespace of xml: to XML itself.
    is_xmls = name == "BadNamespacePrefix" and b"<xml:" in document
    return name.startswith(OWN_RULES) or is_xmls or (name == "NotWellFormed" and has_own)


def judge(document, accepted, text):
    """What is wrong with an answer; None for nothing."""
    theirs = tree(document)
    if accepted:
        if theirs is None:
            return "accepted, and expat refuses it"
        if tree(text) != theirs:
            return f"forwarded as another tree: {text!r}"
    elif theirs is not None and not is_own_rule(document, text.decode()):
        return f"refused as {text.decode()}, and expat accepts it"
    return None


def main():
    program = sys.argv[1]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 20_000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(2**32)
    dice = random.Random(seed)
    documents = GOOD + [mutate(dice) for _ in range(count)]
    tally, wrong = Counter(), []
    for document, (accepted, text) in zip(documents, ask(program, documents)):
        tally["accepted" if accepted else "refused"] += 1
        what = judge(document, accepted, text)
        if what:
            wrong.append((document, what))
    for document, what in wrong[:10]:
        print(f"  {document!r}: {what}")
    named = f"{count} documents of seed {seed}, {dict(tally)}"
    # A dice that makes nothing good, or nothing bad, shows nothing.
    fair = min(tally["accepted"], tally["refused"]) > count // 20
    verdict = "PASS" if fair and not wrong else "FAIL"
    print(f"{verdict} differential: x11 expat sees what klatsch sees: {named}, {len(wrong)} differ")
    sys.exit(verdict == "FAIL")


main()
