# SPDX-License-Identifier: Apache-2.0
"""How programs write a key: what the search must find, made by those who write it and not by the search's own rules."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from functools import partial
from urllib.parse import quote, quote_plus, urlencode

from tests.key_search.forms import Form

Writer = Callable[[str], str]


def _lower_escapes(key: str) -> str:
    parts = quote(key, safe="").split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])


def _in_unicode_escapes(key: str) -> str:
    return "".join(one if one.isalnum() else f"\\u{ord(one):04x}" for one in key)


def _celery(key: str) -> str:
    return json.dumps({"body": base64.b64encode(json.dumps([[key], {}]).encode()).decode(), "headers": {}})


def _in_base64(before: int, key: str) -> str:
    return base64.b64encode(f"{'x' * before}{key}, and more".encode()).decode()


def _for_urls(before: int, key: str) -> str:
    return base64.urlsafe_b64encode(f"{'?' * before}{key}".encode()).decode()


WRITERS: dict[str, tuple[Form, Writer]] = {
    "as it is": (Form.CLEAR_TEXT, str),
    "quote": (Form.URL_ENCODED, quote),
    "quote safe=''": (Form.URL_ENCODED, lambda key: quote(key, safe="")),
    "quote_plus": (Form.URL_ENCODED, quote_plus),
    "lower case escapes": (Form.URL_ENCODED, _lower_escapes),
    "a query in a query": (Form.URL_ENCODED, lambda key: urlencode({"next": urlencode({"key": key})})),
    "JSON with escaped slashes": (Form.ESCAPED, lambda key: json.dumps(key).replace("/", "\\/")),
    "JSON with \\u escapes": (Form.ESCAPED, _in_unicode_escapes),
    "JSON in JSON in JSON": (Form.ESCAPED, lambda key: json.dumps(json.dumps(json.dumps(key).replace("/", "\\/")))),
    "HTML": (Form.HTML, lambda key: html.escape(f"{key}").replace("=", "&#x3D;").replace("+", "&#43;")),
    "hex": (Form.HEX, lambda key: key.encode().hex()),
    "HEX": (Form.HEX, lambda key: key.encode().hex().upper()),
    "a message of Celery": (Form.BASE64, _celery),
    **{f"base64 after {before} bytes": (Form.BASE64, partial(_in_base64, before)) for before in range(3)},
    **{f"base64 for URLs after {before} bytes": (Form.BASE64, partial(_for_urls, before)) for before in range(3)},
    "base64 in a URL": (Form.BASE64, lambda key: quote(base64.b64encode(f"?{key}?".encode()), safe="")),
    "base64 of a URL": (Form.BASE64, lambda key: base64.b64encode(f"/v2/{quote(key, safe='')}/".encode()).decode()),
    "base64 of a URL with lower case escapes": (
        Form.BASE64,
        lambda key: base64.b64encode(f"/v2/{_lower_escapes(key)}/".encode()).decode(),
    ),
}
"""The form that is expected, and who writes it, by what it is."""
