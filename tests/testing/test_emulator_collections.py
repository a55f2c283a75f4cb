# SPDX-License-Identifier: Apache-2.0
"""Collections as functions of time; no server and no waiting."""

from __future__ import annotations

from typing import Any

import pytest
from airflow_provider_alchemy.testing.token_collections import Collection, CollectionBoard, TokenView
from airflow_provider_alchemy.testing.token_plans import CollectionPlan, TokenPlan

from .conftest import ADDRESS

START = 1_767_225_600.0
NOW = START + 1000


def collection(**plan: Any) -> Collection:
    return Collection(CollectionPlan.from_fields(plan))


def special(token_id: int = 3, **plan: Any) -> Collection:
    """Give a collection in which one token is special."""
    one = collection(tokens=10)
    one.set_tokens([token_id], TokenPlan.from_fields(plan))
    return one


def refreshes(one: Collection, token_id: int, number: int) -> list[TokenView]:
    """Give what a number of refreshes, one a second, learn."""
    return [one.refresh(token_id, NOW + index, 1.0) for index in range(number)]


def test_a_refresh_shows_at_once_by_default() -> None:
    one = collection(tokens=10)
    assert one.look(3, NOW) == TokenView(None, START)
    assert one.refresh(3, NOW, 1.0) == TokenView(None, NOW)
    assert one.look(3, NOW + 5) == TokenView(None, NOW)
    assert one.look(4, NOW + 5) == TokenView(None, START)


def test_a_refresh_can_take_its_time_which_the_speed_shortens() -> None:
    one = collection(tokens=10, refresh_seconds=20)
    assert one.refresh(3, NOW, 2.0).updated_at == START
    assert one.look(3, NOW + 9.9).updated_at == START
    assert one.look(3, NOW + 10).updated_at == NOW + 10


def test_a_refresh_that_is_asked_for_while_another_is_on_its_way_ends_with_it() -> None:
    one = collection(tokens=10, refresh_seconds=20)
    assert [view.updated_at for view in refreshes(one, 3, 3)] == [START] * 3
    assert one.look(3, NOW + 100).updated_at == NOW + 20


def test_a_refresh_after_the_end_of_another_starts_anew() -> None:
    one = collection(tokens=10, refresh_seconds=5)
    one.refresh(3, NOW, 1.0)
    assert one.refresh(3, NOW + 7, 1.0).updated_at == NOW + 5
    assert one.look(3, NOW + 12).updated_at == NOW + 12


def test_a_queued_refresh_happens_later() -> None:
    one = collection(tokens=10, queue_seconds=4)
    assert one.queue(3, NOW, 1.0, 900)
    assert one.look(3, NOW + 3).updated_at == START
    assert one.refresh(3, NOW + 1, 1.0).updated_at == NOW + 1
    assert one.look(3, NOW + 4).updated_at == NOW + 4


def test_a_token_is_queued_once_in_the_time_of_the_rule() -> None:
    one = collection(tokens=10, queue_seconds=0)
    assert [one.queue(3, NOW + late, 1.0, 900) for late in (0, 1, 899, 900)] == [True, False, False, True]
    assert one.look(3, NOW + 900).updated_at == NOW + 900
    assert one.queue(4, NOW, 1.0, 900)
    assert one.queue(4, NOW + 90, 10.0, 900)


def test_a_stale_token_is_refreshed_after_so_many_refreshes_or_never() -> None:
    twice = special(stale_refreshes=2)
    assert [view.updated_at for view in refreshes(twice, 3, 4)] == [START, START, NOW + 2, NOW + 3]
    never = special(stale=True)
    assert {view.updated_at for view in refreshes(never, 3, 4)} == {START}
    assert never.refresh(4, NOW, 1.0).updated_at == NOW


def test_an_error_stays_and_holds_the_time_still() -> None:
    one = special(error="Bad Token URI")
    assert refreshes(one, 3, 2) == [TokenView("Bad Token URI", START)] * 2
    assert one.queue(3, NOW, 1.0, 900)
    assert one.look(3, NOW + 100) == TokenView("Bad Token URI", START)


def test_an_error_can_be_gone_after_so_many_answers_to_refreshes() -> None:
    one = special(error="Throttled token uri", error_answers=2)
    assert one.look(3, NOW).error == "Throttled token uri"
    assert refreshes(one, 3, 3) == [
        TokenView("Throttled token uri", START),
        TokenView("Throttled token uri", START),
        TokenView(None, NOW + 2),
    ]


def test_a_token_can_become_like_any_other_again() -> None:
    one = special(error="Bad Token URI", stale=True)
    one.set_tokens([3], TokenPlan())
    assert one.refresh(3, NOW, 1.0) == TokenView(None, NOW)


def test_what_is_counted_of_a_special_token_begins_anew_with_a_new_plan() -> None:
    one = special(stale_refreshes=1)
    refreshes(one, 3, 1)
    one.set_tokens([3], TokenPlan(stale_refreshes=1))
    assert one.refresh(3, NOW, 1.0).updated_at == START


def test_a_token_that_is_not_there_does_not_exist() -> None:
    one = collection(tokens=10)
    assert one.refresh(10, NOW, 1.0) == TokenView("Token does not exist", START)
    assert one.queue(10, NOW, 1.0, 900)
    assert one.queue(10, NOW, 1.0, 900)
    with pytest.raises(ValueError, match="token_ids must be in the collection; 10 is not"):
        one.set_tokens([3, 10], TokenPlan(stale=True))
    assert one.refresh(3, NOW, 1.0).updated_at == NOW


@pytest.mark.parametrize("token_type", ["NOT_A_CONTRACT", "NO_SUPPORTED_NFT_STANDARD"])
def test_a_contract_that_is_no_nft_has_no_tokens(token_type: str) -> None:
    one = collection(token_type=token_type)
    assert (len(one.ids), one.total_supply) == (0, None)
    assert one.refresh(0, NOW, 1.0).error == "Contract does not have any code"
    with pytest.raises(ValueError, match="has no tokens to add to"):
        one.grow(1)


def test_ids_are_consecutive_or_given() -> None:
    assert list(collection(tokens=3, first_id=7).ids) == [7, 8, 9]
    assert list(collection(token_ids=["0x10", 3, "3", 2**255]).ids) == [3, 16, 2**255]
    assert list(collection(tokens=3, first_id=2**200).from_id(2**200 + 1, 5)) == [2**200 + 1, 2**200 + 2]
    assert list(collection(token_ids=[3, 16, 20]).from_id(4, 1)) == [16]


@pytest.mark.parametrize(
    ("plan", "ids"),
    [
        ({"tokens": 2}, [0, 1, 2, 3]),
        ({"tokens": 0, "first_id": 5}, [5, 6]),
        ({"token_ids": [3, 9]}, [3, 9, 10, 11]),
        ({"token_ids": [], "first_id": 5}, [5, 6]),
    ],
)
def test_a_collection_grows_at_its_end(plan: dict[str, Any], ids: list[int]) -> None:
    one = collection(**plan)
    one.grow(2)
    assert list(one.ids) == ids
    assert one.total_supply == str(len(ids))
    assert one.refresh(ids[-1], NOW, 1.0).updated_at == NOW


@pytest.mark.parametrize(("given", "supply"), [({}, "3"), ({"total_supply": "7"}, "7"), ({"total_supply": None}, None)])
def test_the_supply_is_the_number_of_tokens_or_what_is_said(given: dict[str, Any], supply: str | None) -> None:
    assert collection(tokens=3, **given).total_supply == supply


@pytest.mark.parametrize(
    "given", [1_767_312_000, "2026-01-02T00:00:00Z", "2026-01-02T00:00:00", "2026-01-02T01:00+01:00"]
)
def test_the_first_time_is_given_in_seconds_or_as_text(given: object) -> None:
    assert collection(last_updated=given).look(1, NOW + 10**6).updated_at == START + 86_400


def test_the_board_tells_networks_apart_and_addresses_without_case() -> None:
    board = CollectionBoard()
    board.set("eth-mainnet", ADDRESS, CollectionPlan(tokens=5))
    assert len(board.get("eth-mainnet", ADDRESS.lower()).ids) == 5
    assert len(board.find("base-mainnet", ADDRESS).ids) == 10_000


def test_the_board_keeps_what_was_changed_and_nothing_that_was_only_looked_at() -> None:
    board = CollectionBoard()
    assert board.find("eth-mainnet", ADDRESS) is board.find("eth-mainnet", "something else")
    board.get("eth-mainnet", ADDRESS).refresh(1, NOW, 1.0)
    assert board.find("eth-mainnet", ADDRESS).look(1, NOW).updated_at == NOW


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"tokens": -1}, "tokens must be at least 0"),
        ({"tokens": 10**9}, "tokens must be at least 0 and at most 1e"),
        ({"first_id": "x"}, "first_id must be a token's id"),
        ({"token_ids": "12"}, "token_ids must be a sequence"),
        ({"token_ids": 12}, "token_ids must be a sequence"),
        ({"token_ids": [1, -1]}, "token_ids must be a token's id"),
        ({"token_type": "ERC20"}, "token_type must be one of ERC721, ERC1155"),
        ({"total_supply": 5}, "total_supply must be a text"),
        ({"refresh_seconds": -1}, "refresh_seconds must be at least 0"),
        ({"queue_seconds": "1"}, "queue_seconds must be a number"),
        ({"last_updated": "yesterday"}, "last_updated must be seconds since the epoch or an ISO 8601 time"),
        ({"last_updated": "1969-01-01T00:00:00Z"}, "last_updated must be at least 0"),
        ({"token": 5}, "token is not a field here; there are: tokens"),
    ],
)
def test_a_wrong_collection_is_refused_with_a_sentence_that_names_the_field(
    fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        CollectionPlan.from_fields(fields)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"stale": 1}, "stale must be true or false"),
        ({"stale_refreshes": -1}, "stale_refreshes must be at least 0"),
        ({"error": 5}, "error must be a text"),
        ({"error_answers": 0}, "error_answers must be at least 1"),
        ({"errors": "x"}, "errors is not a field here; there are: stale"),
    ],
)
def test_a_wrong_token_is_refused_with_a_sentence_that_names_the_field(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        TokenPlan.from_fields(fields)
