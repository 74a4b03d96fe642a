"""Fills in the sign-up form as a person without a script would.

Usage: form.py LOCALPART PASSWORD < page     prints the form's action and the body to post.
Proves that the page is a plain form: one <form method=post>, a password field, no script.
"""

import sys
from html.parser import HTMLParser
from urllib.parse import urlencode


class Form(HTMLParser):
    def __init__(self):
        super().__init__()
        self.forms, self.fields, self.scripts = [], [], 0

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "script":
            self.scripts += 1
        elif tag == "form":
            self.forms.append(attributes)
        elif tag == "input" and attributes.get("name"):
            self.fields.append(attributes)


def main():
    localpart, password = sys.argv[1:]
    page = Form()
    page.feed(sys.stdin.read())
    if page.scripts or len(page.forms) != 1 or page.forms[0].get("method", "").lower() != "post":
        sys.exit(f"not one plain form: {page.forms}, {page.scripts} scripts")
    body = []
    for field in page.fields:
        kind = field.get("type", "text").lower()
        if kind == "password":
            body.append((field["name"], password))
        elif kind == "hidden":
            body.append((field["name"], field.get("value", "")))
        elif kind in ("text", "email"):
            body.append((field["name"], localpart))
    if not any(field.get("type", "").lower() == "password" for field in page.fields):
        sys.exit("no password field")
    print(page.forms[0].get("action", ""))
    print(urlencode(body))


main()
