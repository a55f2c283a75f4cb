# SPDX-License-Identifier: Apache-2.0
"""A task's tokens in every form that a person, a template or a task gives them, and as the database keeps them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.errors import AlchemyArgumentError, AlchemyTokenIdError
from airflow_provider_alchemy.api.inputs import LARGEST_TOKEN_ID, TokenList, pack_ids, read_token_ids, unpack_ids

token_ids = st.integers(0, 20) | st.integers(0, LARGEST_TOKEN_ID)
lists = st.lists(token_ids, max_size=30)
spellings: list[Callable[[int], int | str]] = [int, str, hex, "0x{:064X}".format, " {} ".format]
written: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "tuple": tuple,
    "iterator": iter,
    "texts": lambda items: [str(item) for item in items],
    "hexadecimal texts": lambda items: [hex(item) for item in items],
    "JSON": json.dumps,
    "JSON of texts": lambda items: json.dumps([str(item) for item in items]),
    "Python list": str,
    "Python tuple": lambda items: str(tuple(items)),
    "commas": lambda items: ",".join(map(str, items)) or "[]",
    "hexadecimal lines": lambda items: "\n".join(map(hex, items)) or "[]",
    "semicolons and spaces": lambda items: " ; ".join(map(str, items)) or "[]",
}


@pytest.mark.parametrize("form", written.values(), ids=written.keys())
class TestEveryForm:
    @given(items=lists)
    def test_it_gives_each_token_once_in_the_order_of_the_first(self, form: Any, items: list[int]) -> None:
        assert read_token_ids(form(items)).ids == tuple(dict.fromkeys(items))

    @given(items=lists)
    def test_what_is_left_out_is_counted(self, form: Any, items: list[int]) -> None:
        tokens = read_token_ids(form(items))

        assert len(tokens.ids) + tokens.duplicates == len(items)


@given(token_id=token_ids, spelling=st.lists(st.sampled_from(spellings), min_size=1, max_size=6))
def test_another_spelling_is_the_same_token(token_id: int, spelling: list[Callable[[int], Any]]) -> None:
    tokens = read_token_ids([spell(token_id) for spell in spelling])

    assert tokens == TokenList((token_id,), len(spelling) - 1)


def test_forms_may_be_mixed() -> None:
    assert read_token_ids([3, "4", "0x5", "3", "0x04", 5]) == TokenList((3, 4, 5), 3)


@pytest.mark.parametrize("value", [[], (), "[]", "()", ",", range(0)], ids=repr)
def test_an_empty_list_is_one_because_nothing_may_have_been_minted(value: Any) -> None:
    assert read_token_ids(value) == TokenList(())


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "argument 'token_ids' is None and no list"),
        (7, "argument 'token_ids' is 7 and no list"),
        ({"tokens": [1]}, "and no list"),
        ("", "argument 'token_ids' is empty, or its template rendered to nothing"),
        ("[1, 2", "begins like a list but is none"),
    ],
    ids=str,
)
def test_what_is_no_list_is_refused_by_name(value: Any, problem: str) -> None:
    with pytest.raises(AlchemyArgumentError) as caught:
        read_token_ids(value)

    assert problem in str(caught.value)
    assert "expected a list of token ids" in str(caught.value)


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (-1, "is -1, which is no token id"),
        ("-1", "is '-1', which is no token id"),
        ("", "is empty, which is no token id"),
        ("dragon", "is 'dragon', which is no token id"),
        (1.5, "is 1.5, which is no token id"),
        (True, "is True, which is no token id"),
        (None, "is None, which is no token id"),
        ([1], "is [1], which is no token id"),
        (LARGEST_TOKEN_ID + 1, "which is no token id; expected a whole number from 0 to 2^256 - 1"),
        (10**5000, "is too large to show, which is no token id"),
        ([10**5000], "is too large to show, which is no token id"),
    ],
    ids=range(11),
)
def test_a_bad_id_is_named_with_its_position(item: Any, problem: str) -> None:
    with pytest.raises(AlchemyTokenIdError) as caught:
        read_token_ids([*range(17), item, *range(982)])

    assert str(caught.value).startswith("token_ids[17] (number 18 of 1,000) is ")
    assert problem in str(caught.value)


def test_it_says_how_many_more_are_bad() -> None:
    with pytest.raises(AlchemyTokenIdError, match=r"token_ids\[1\] .*; 2 more of the ids cannot be right"):
        read_token_ids([1, "a", "b", 2, None])


def test_one_bad_id_is_the_only_one() -> None:
    with pytest.raises(AlchemyTokenIdError) as caught:
        read_token_ids([1, "a"])

    assert "more of the ids" not in str(caught.value)


@given(good=lists, bad=st.text("0123456789abcdef-x.", max_size=12).filter(lambda text: "-" in text), data=st.data())
def test_no_list_with_a_bad_id_gets_through(good: list[int], bad: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(good)))

    with pytest.raises(AlchemyTokenIdError) as caught:
        read_token_ids([*good[:position], bad, *good[position:]])

    assert f"token_ids[{position}]" in str(caught.value)


def test_a_long_item_does_not_fill_the_log() -> None:
    with pytest.raises(AlchemyTokenIdError) as caught:
        read_token_ids([list(range(10_000))])

    assert len(str(caught.value)) < 500


class TestItemsThatAreNotKnownYet:
    @staticmethod
    def is_unknown(item: Any) -> bool:
        return bool(item == "{{ later }}")

    def test_they_are_left_out(self) -> None:
        assert read_token_ids(["{{ later }}", 7], self.is_unknown) == TokenList((7,))

    def test_positions_count_them(self) -> None:
        with pytest.raises(AlchemyTokenIdError, match=r"token_ids\[2\] \(number 3 of 3\)"):
            read_token_ids(["{{ later }}", 7, "x"], self.is_unknown)


@given(items=lists)
def test_a_list_has_the_same_digest_wherever_it_is_read(items: list[int]) -> None:
    assert read_token_ids(items).digest() == read_token_ids(str(items)).digest()


def test_other_tokens_have_another_digest() -> None:
    lists_of_ids = [(), (1,), (12,), (1, 2), (2, 1), (1, 2, 3), (12, 3)]

    assert len({TokenList(ids).digest() for ids in lists_of_ids}) == len(lists_of_ids)


class TestPackedIds:
    @given(items=st.lists(token_ids, unique=True, max_size=60))
    def test_distinct_ids_are_unpacked_as_they_were(self, items: list[int]) -> None:
        assert unpack_ids(pack_ids(items)) == tuple(items)

    @given(items=lists)
    def test_ids_that_are_named_again_are_kept_too(self, items: list[int]) -> None:
        assert unpack_ids(pack_ids(items)) == tuple(items)

    @given(starts=st.lists(token_ids.map(lambda start: min(start, LARGEST_TOKEN_ID - 50)), max_size=5))
    def test_runs_are_unpacked_as_they_were(self, starts: list[int]) -> None:
        items = [token_id for start in starts for token_id in range(start, start + 50)]

        assert unpack_ids(pack_ids(items)) == tuple(items)

    def test_a_run_takes_its_two_ends(self) -> None:
        assert pack_ids([*range(100), 250, 4095, 4096]) == "0-63,fa,fff-1000"

    def test_ten_thousand_in_a_row_take_a_few_characters(self) -> None:
        assert len(pack_ids(range(10_000))) < 10

    def test_no_ids_are_an_empty_text(self) -> None:
        assert (pack_ids([]), unpack_ids("")) == ("", ())

    @pytest.mark.parametrize("text", ["x", "1 2", "-5", "5-3", "5--2", "1,2-1"])
    def test_what_is_no_packed_list_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"."):
            unpack_ids(text)
