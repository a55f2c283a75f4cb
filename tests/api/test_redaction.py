# SPDX-License-Identifier: Apache-2.0
"""A key is taken out of texts in each form in which a library or a proxy may show it."""

from __future__ import annotations

import base64
import json
import logging
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.client import AlchemyClient
from airflow_provider_alchemy.api.redaction import URL_LOG, KeyFilter, redact
from airflow_provider_alchemy.api.settings import ClientSettings

from .shells import KEY

# Visible ASCII, as the settings accept it; a star is left out because it is what a key becomes.
KEYS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="*"), min_size=4)


def forms(key: str) -> list[str]:
    in_json = json.dumps(key)[1:-1]
    # Some libraries escape in JSON what HTML or a script would read as its own.
    careful = "".join(one if one.isalnum() else f"\\u{ord(one):04x}" for one in key)
    encoded = base64.b64encode(key.encode()).decode()
    return [key, quote(key, safe=""), quote_plus(key), in_json.replace("/", "\\/"), careful, encoded]


@given(key=KEYS, before=st.text(), after=st.text(), data=st.data())
def test_a_key_is_never_left_in_a_text_in_any_of_its_forms(
    key: str, before: str, after: str, data: st.DataObject
) -> None:
    text = before + data.draw(st.sampled_from(forms(key))) + after
    redacted = redact(text, key)
    assert [form for form in forms(key) if form in redacted] == []


def test_a_backslash_of_a_key_may_be_written_twice_and_four_times() -> None:
    once = json.dumps("00\\0")[1:-1]
    assert redact(f"{once} {json.dumps(once)[1:-1]}", "00\\0") == "*** ***"


@given(key=KEYS, text=st.text())
def test_a_text_without_the_key_is_left_as_it_is(key: str, text: str) -> None:
    assume(not any(form in text for form in forms(key)))
    assert redact(text, key) == text


def test_each_occurrence_of_a_key_is_taken_out() -> None:
    assert redact(f"{KEY} and {KEY}", KEY) == "*** and ***"


def test_without_a_key_nothing_is_taken_out() -> None:
    assert redact("some text", "") == "some text"


def record(text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord(URL_LOG.name, logging.DEBUG, __file__, 1, text, values, None)


@pytest.mark.parametrize("shown", ["a/b+c=d-key", "a%2Fb%2Bc%3Dd-key", "a%2fb%2bc%3dd-key"])
def test_the_key_is_taken_out_of_a_record(shown: str) -> None:
    told = record('%s "GET %s HTTP/1.1" %s', "https://alchemy.example", f"/nft/v2/{shown}/reingestContract", 200)
    assert KeyFilter("a/b+c=d-key").filter(told)
    assert told.getMessage() == 'https://alchemy.example "GET /nft/v2/***/reingestContract HTTP/1.1" 200'


def test_a_record_without_the_key_is_left_as_it_is() -> None:
    told = record("%s of %d", "a record", 1)
    assert KeyFilter("a/b+c=d-key").filter(told)
    assert (told.msg, told.args) == ("%s of %d", ("a record", 1))


def test_a_client_that_is_closed_leaves_no_filter() -> None:
    before = list(URL_LOG.filters)
    with AlchemyClient(ClientSettings(api_key="a-key-for-a-while")):
        assert len(URL_LOG.filters) == len(before) + 1
    assert URL_LOG.filters == before
