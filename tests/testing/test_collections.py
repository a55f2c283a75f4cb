# SPDX-License-Identifier: Apache-2.0
"""Collections as functions of time, and the JSON of NFTs; no server and no waiting."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from airflow_provider_alchemy.testing.collections import (
    Collection,
    CollectionPlan,
    TokenPlan,
    TokenView,
    contract_fields,
    in_milliseconds,
    nft_text,
)

ADDRESS = "0xe9fca552b9eb110c2d170962af740725f71f5644"
START = 1_767_225_600.0
NOW = START + 1000


def collection(**plan: Any) -> Collection:
    return Collection(CollectionPlan(**plan))


def special(token_id: int = 3, **plan: Any) -> Collection:
    """Give a collection in which one token is special."""
    one = collection(tokens=10)
    one.set_tokens([token_id], TokenPlan(**plan))
    return one


def refreshes(one: Collection, token_id: int, number: int) -> list[TokenView]:
    """Give what a number of refreshes, one a second, learn."""
    return [one.refresh(token_id, NOW + index, 1.0) for index in range(number)]


def test_a_refresh_shows_at_once_by_default() -> None:
    one = collection(tokens=10)
    assert one.view(3, NOW) == TokenView(None, START)
    assert one.refresh(3, NOW, 1.0) == TokenView(None, NOW)
    assert one.view(3, NOW + 5) == TokenView(None, NOW)
    assert one.view(4, NOW + 5) == TokenView(None, START)


def test_a_refresh_can_take_its_time_which_the_speed_shortens() -> None:
    one = collection(tokens=10, refresh_seconds=20)
    assert one.refresh(3, NOW, 2.0).updated_at == START
    assert [one.view(3, NOW + late).updated_at for late in (9.9, 10)] == [START, NOW + 10]


def test_a_refresh_that_is_asked_for_while_another_is_on_its_way_ends_with_it() -> None:
    one = collection(tokens=10, refresh_seconds=20)
    assert [view.updated_at for view in refreshes(one, 3, 3)] == [START] * 3
    assert one.view(3, NOW + 100).updated_at == NOW + 20


def test_a_refresh_after_the_end_of_another_starts_anew() -> None:
    one = collection(tokens=10, refresh_seconds=5)
    one.refresh(3, NOW, 1.0)
    assert one.refresh(3, NOW + 7, 1.0).updated_at == NOW + 5
    assert one.view(3, NOW + 12).updated_at == NOW + 12


def test_a_queued_refresh_happens_later() -> None:
    one = collection(tokens=10, queue_seconds=4)
    assert one.queue(3, NOW, 1.0)
    assert one.view(3, NOW + 3).updated_at == START
    assert one.refresh(3, NOW + 1, 1.0).updated_at == NOW + 1
    assert one.view(3, NOW + 4).updated_at == NOW + 4


def test_a_token_is_queued_once_in_fifteen_minutes() -> None:
    one = collection(tokens=10, queue_seconds=0)
    assert [one.queue(3, NOW + late, 1.0) for late in (0, 1, 899, 900)] == [True, False, False, True]
    assert one.view(3, NOW + 900).updated_at == NOW + 900
    assert one.queue(4, NOW, 1.0)
    assert one.queue(4, NOW + 90, 10.0)


def test_a_stale_token_is_refreshed_after_so_many_refreshes_or_never() -> None:
    twice, never = special(stale_refreshes=2), special(stale=True)
    assert [view.updated_at for view in refreshes(twice, 3, 4)] == [START, START, NOW + 2, NOW + 3]
    assert {view.updated_at for view in refreshes(never, 3, 4)} == {START}
    assert never.refresh(4, NOW, 1.0).updated_at == NOW


def test_an_error_stays_and_holds_the_time_still() -> None:
    one = special(error="Bad Token URI")
    assert refreshes(one, 3, 2) == [TokenView("Bad Token URI", START)] * 2
    assert one.queue(3, NOW, 1.0)
    assert one.view(3, NOW + 100) == TokenView("Bad Token URI", START)


def test_an_error_can_be_gone_after_so_many_answers_to_refreshes() -> None:
    one = special(error="Throttled token uri", error_answers=2)
    assert one.view(3, NOW).error == "Throttled token uri"
    assert [view.error for view in refreshes(one, 3, 3)] == ["Throttled token uri", "Throttled token uri", None]
    assert one.view(3, NOW + 9).updated_at == NOW + 2


def test_a_token_can_become_like_any_other_again_and_a_new_plan_counts_anew() -> None:
    one = special(error="Bad Token URI", stale=True)
    one.set_tokens([3], TokenPlan())
    assert one.refresh(3, NOW, 1.0) == TokenView(None, NOW)
    for _ in range(2):
        one.set_tokens([3], TokenPlan(stale_refreshes=1))
        assert one.refresh(3, NOW + 5, 1.0).updated_at == NOW


def test_a_token_that_is_not_there_does_not_exist() -> None:
    one = collection(tokens=10)
    assert one.refresh(10, NOW, 1.0) == TokenView("Token does not exist", START)
    assert [one.queue(10, NOW, 1.0) for _ in range(2)] == [True, True]
    with pytest.raises(ValueError, match="token_ids must be in the collection; 10 is not"):
        one.set_tokens([3, 10], TokenPlan(stale=True))
    assert one.refresh(3, NOW, 1.0).updated_at == NOW


@pytest.mark.parametrize("token_type", ["NOT_A_CONTRACT", "NO_SUPPORTED_NFT_STANDARD"])
def test_a_contract_that_is_no_nft_has_no_tokens_and_says_so(token_type: str) -> None:
    one = collection(token_type=token_type)
    one.add([1])
    assert (len(one.ids), one.refresh(0, NOW, 1.0).error) == (0, "Contract does not have any code")
    with pytest.raises(ValueError, match="has no tokens to add to"):
        one.grow(1)
    fields = contract_fields(ADDRESS, one)
    assert (fields["tokenType"], fields["totalSupply"], fields["name"]) == (token_type, None, None)
    assert fields["openSeaMetadata"].keys() == nft(1)["contract"]["openSeaMetadata"].keys()


def test_ids_are_consecutive_or_given() -> None:
    assert list(collection(tokens=3, first_id=7).ids) == [7, 8, 9]
    assert list(collection(token_ids=["0x10", 3, "3", 2**255]).ids) == [3, 16, 2**255]
    assert list(collection(tokens=3, first_id=2**200).page(2**200 + 1, 5)) == [2**200 + 1, 2**200 + 2]
    assert list(collection(token_ids=[3, 16, 20]).page(4, 1)) == [16]


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
    assert (list(one.ids), one.total_supply) == (ids, str(len(ids)))
    assert one.refresh(ids[-1], NOW, 1.0).updated_at == NOW


def test_new_tokens_leave_those_that_exist_as_they_are() -> None:
    one = collection(tokens=3)
    one.refresh(1, NOW, 1.0)
    one.add([4, 3, 1])
    assert one.ids == range(5)
    one.add([9])
    assert list(one.ids) == [0, 1, 2, 3, 4, 9]
    assert [one.view(token_id, NOW).updated_at for token_id in (0, 1, 9)] == [START, NOW, START]


@pytest.mark.parametrize(("given", "supply"), [({}, "3"), ({"total_supply": "7"}, "7"), ({"total_supply": None}, None)])
def test_the_supply_is_the_number_of_tokens_or_what_is_said(given: dict[str, Any], supply: str | None) -> None:
    assert collection(tokens=3, **given).total_supply == supply


@pytest.mark.parametrize(
    "given", [1_767_312_000, "2026-01-02T00:00:00Z", "2026-01-02T00:00:00", "2026-01-02T01:00+01:00"]
)
def test_the_first_time_is_given_in_seconds_or_as_text(given: object) -> None:
    assert collection(last_updated=given).view(1, NOW + 10**6).updated_at == START + 86_400


def nft(token_id: int, error: str | None = None, updated_at: float = START, **plan: Any) -> dict[str, Any]:
    return dict(json.loads(nft_text(ADDRESS, collection(**plan), token_id, TokenView(error, updated_at))))


def test_an_nft_has_every_documented_field() -> None:
    one = nft(7)
    documented = "contract tokenId tokenType name description tokenUri image raw collection mint timeLastUpdated"
    assert set(one) >= set(documented.split())
    assert set(one["image"]) == {"cachedUrl", "thumbnailUrl", "pngUrl", "contentType", "size", "originalUrl"}
    assert set(one["raw"]) == {"tokenUri", "metadata", "error"}
    assert (one["tokenId"], one["tokenType"], one["name"], one["raw"]["error"]) == ("7", "ERC721", "Emulated #7", None)
    assert (one["contract"]["address"], one["contract"]["spamClassifications"]) == (ADDRESS, [])
    assert one["timeLastUpdated"] == "2026-01-01T00:00:00.000Z"


def test_an_nft_with_an_error_has_the_same_fields_and_no_metadata() -> None:
    failed = nft(7, 'Gave "100%" up')
    assert failed.keys() == nft(7).keys()
    assert failed["raw"] == {"tokenUri": None, "metadata": {}, "error": 'Gave "100%" up'}


def test_any_id_and_any_supply_leave_the_json_whole() -> None:
    assert nft(2**256 - 1, first_id=2**255)["tokenId"] == str(2**256 - 1)
    assert nft(1, total_supply='1%s "2"')["contract"]["totalSupply"] == '1%s "2"'


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (START + 0.123, "2026-01-01T00:00:00.123Z"),
        (START + 0.1231, "2026-01-01T00:00:00.124Z"),
        (START + 0.9999, "2026-01-01T00:00:01.000Z"),
        (START + 59.0, "2026-01-01T00:00:59.000Z"),
    ],
)
def test_a_time_is_rounded_up_to_milliseconds(moment: float, text: str) -> None:
    assert nft(1, updated_at=moment)["timeLastUpdated"] == text
    assert datetime.fromisoformat(text).timestamp() == in_milliseconds(moment) / 1000
