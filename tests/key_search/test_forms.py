# SPDX-License-Identifier: Apache-2.0
"""A key is found in each of its forms, and no other key is."""

from __future__ import annotations

import base64
import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.key_search.forms import Form, KeyForms
from tests.key_search.written import WRITERS, Writer

# What a connection accepts as a key.
KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=60)
EACH_WRITER = pytest.mark.parametrize(("form", "write"), WRITERS.values(), ids=WRITERS.keys())


@EACH_WRITER
def test_a_key_is_found_however_it_is_written(form: Form, write: Writer, key: str) -> None:
    assert KeyForms(key).forms_in(f"GET {write(key)}/reingestContract".encode()) == [form]


@EACH_WRITER
def test_another_key_is_not_found(form: Form, write: Writer, key: str, other_key: str) -> None:
    assert KeyForms(key).forms_in(write(other_key).encode()) == [], form


@given(key=KEYS, write=st.sampled_from([write for _, write in WRITERS.values()]))
def test_any_key_is_found(key: str, write: Writer) -> None:
    assert KeyForms(key).forms_in(write(key).encode())


@given(key=KEYS, before=st.binary(max_size=40), behind=st.binary(max_size=40))
def test_any_key_is_found_in_the_base64_of_what_is_round_it(key: str, before: bytes, behind: bytes) -> None:
    assert Form.BASE64 in KeyForms(key).forms_in(base64.b64encode(before + key.encode() + behind))


@given(key=KEYS)
def test_any_key_is_found_where_python_shows_it(key: str) -> None:
    assert KeyForms(key).forms_in(repr({"url": json.dumps(key).encode()}).encode())


# Only letters and digits: an escape may look like another character that is missing.
@given(
    key=st.text(st.characters(max_codepoint=0x7E, categories=["L", "N"]), min_size=8, max_size=60),
    at=st.integers(0, 59),
    write=st.sampled_from([write for _, write in WRITERS.values()]),
)
def test_a_key_that_differs_in_one_character_is_not_found(key: str, at: int, write: Writer) -> None:
    at %= len(key)
    other = f"{key[:at]}{'b' if key[at] == 'a' else 'a'}{key[at + 1 :]}"
    assert KeyForms(key).forms_in(write(other).encode()) == []


def test_a_key_that_is_cut_short_is_not_found(key: str) -> None:
    assert KeyForms(key).forms_in(key[:-1].encode()) == []


def test_bytes_that_mean_nothing_hold_no_key(key: str) -> None:
    assert KeyForms(key).forms_in(os.urandom(2**20)) == []


def test_each_place_of_a_key_is_told(key: str) -> None:
    found = KeyForms(key).find(f"{key} {key}".encode())
    assert [(one.start, one.form) for one in found] == [(0, Form.CLEAR_TEXT), (len(key) + 1, Form.CLEAR_TEXT)]


@EACH_WRITER
def test_the_key_is_taken_out_of_a_name_in_any_form(form: Form, write: Writer, key: str) -> None:
    shown = KeyForms(key).without(f"before {write(key)} behind")
    assert (KeyForms(key).forms_in(shown.encode()), "***" in shown) == ([], True), form


@EACH_WRITER
def test_no_form_is_longer_than_what_a_search_keeps_of_a_block(form: Form, write: Writer, key: str) -> None:
    assert len(write("".join(one for one in key if not one.isalnum()) * 10)) <= KeyForms(key).longest * 10, form


def test_a_key_that_would_be_found_everywhere_is_refused() -> None:
    with pytest.raises(ValueError, match="a key of 4 characters is found by chance"):
        KeyForms("demo")
