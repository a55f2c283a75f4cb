# SPDX-License-Identifier: Apache-2.0
"""Lists in arguments, apart from what is in them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import Shortened, read_items, shown

EXPECTED = "expected a list of things"


def read(value: Any) -> list[Any]:
    return read_items(value, "things", EXPECTED)


@pytest.mark.parametrize(
    "value",
    [["a", 1], ("a", 1), iter(["a", 1]), {"a": 0, 1: 0}.keys(), '["a", 1]', "['a', 1]", "('a', 1)", " ['a', 1,]\n"],
    ids=["list", "tuple", "iterator", "keys", "JSON", "Python list", "Python tuple", "spaces at the ends"],
)
def test_each_form_gives_the_items_as_they_are(value: Any) -> None:
    assert read(value) == ["a", 1]


@pytest.mark.parametrize("text", ["a,b", "a b", "a;b", "a, b", "\ta\r\n b ", ",a,,b,", "a ; b;"])
def test_a_text_is_split_at_commas_semicolons_and_spaces(text: str) -> None:
    assert read(text) == ["a", "b"]


def test_a_text_of_one_item_is_a_list_of_it() -> None:
    assert read("7") == ["7"]


def test_items_are_not_checked() -> None:
    assert read([None, "", [], 1.5]) == [None, "", [], 1.5]


@pytest.mark.parametrize("value", [None, 5, 1.5, True, b"a", bytearray(b"a"), {"a": 1}, object], ids=repr)
def test_what_is_no_list_is_refused_by_name(value: Any) -> None:
    with pytest.raises(AlchemyArgumentError, match=r"argument 'things' is .* and no list; expected a list of things"):
        read(value)


@pytest.mark.parametrize("text", ["", " ", "\n\t"])
def test_an_empty_text_is_refused_because_a_template_may_have_rendered_to_nothing(text: str) -> None:
    with pytest.raises(AlchemyArgumentError, match="argument 'things' is empty, or its template rendered to nothing"):
        read(text)


@pytest.mark.parametrize(
    "text",
    ["[", "[1, 2", "(1", "[f(x)]", "[1] + [2]", '{"a": 1}', "(1)", "(" * 5000, "[" * 100_000, f"[{'9' * 5000}]"],
    ids=lambda text: text[:20],
)
def test_a_text_that_begins_like_a_list_is_never_split(text: str) -> None:
    with pytest.raises(AlchemyArgumentError, match="begins like a list but is none"):
        read(text)


@given(text=st.text(max_size=30) | st.text("[](){}'\",:10aN ", max_size=12))
def test_any_text_is_a_list_or_an_argument_error(text: str) -> None:
    with suppress(AlchemyArgumentError):
        assert isinstance(read(text), list)


def test_an_xcom_of_none_is_explained() -> None:
    with pytest.raises(AlchemyArgumentError, match="one that was skipped or pushed nothing leaves None"):
        read(None)


def test_a_whole_result_in_place_of_its_list_is_explained() -> None:
    with pytest.raises(AlchemyArgumentError, match=r"Take the key that holds the list"):
        read({"finished": []})


@pytest.mark.parametrize("whole", [{"things": [1, "2"]}, "{'things': [1, '2'], 'more': None}", {"things": "1 2"}])
def test_a_whole_result_is_taken_where_the_list_has_the_arguments_name(whole: Any) -> None:
    assert [str(item) for item in read_items(whole, "things", "expected a list")] == ["1", "2"]


class TestShown:
    def test_a_short_value_is_shown_whole(self) -> None:
        assert shown(["a", 1]) == "['a', 1]"

    def test_a_long_one_is_cut(self) -> None:
        assert shown("x" * 500) == f"'{'x' * 99}…"

    def test_one_that_python_cannot_write_is_no_crash(self) -> None:
        nested: list[Any] = []
        for _ in range(100_000):
            nested = [nested]

        assert shown(10**5000) == shown(nested) == "too large to show"

    def test_a_shortened_item_shows_its_first_characters(self) -> None:
        assert repr(Shortened(list(range(10_000)))) == shown(list(range(10_000)))
