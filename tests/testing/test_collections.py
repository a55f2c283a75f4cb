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


@pytest.mark.parametrize(
    ("plan", "special_plan", "steps", "times"),
    [
        # A refresh shows at once by default, and only its token's.
        ({}, {}, "view 0, refresh 0, view 5", [None, 0, 0]),
        # It can take its time, and one that is asked for while another is on its way ends with it.
        ({"refresh_seconds": 20}, {}, "refresh 0, view 19.9, view 20", [None, None, 20]),
        ({"refresh_seconds": 20}, {}, "refresh 0, refresh 1, refresh 2, view 100", [None, None, None, 20]),
        ({"refresh_seconds": 5}, {}, "refresh 0, refresh 7, view 12", [None, 5, 12]),
        # A queued one happens later, and once in fifteen minutes.
        ({"queue_seconds": 4}, {}, "queue 0, view 3, refresh 1, view 4", [None, None, 1, 4]),
        ({"queue_seconds": 0}, {}, "queue 0, queue 1, queue 899, queue 900", [0, 0, 0, 900]),
        # A stale token is refreshed after so many refreshes or never; an error holds the time still while it is there.
        ({}, {"stale_refreshes": 2}, "refresh 0, refresh 1, refresh 2, refresh 3", [None, None, 2, 3]),
        ({}, {"stale": True}, "refresh 0, refresh 1, refresh 2", [None, None, None]),
        ({}, {"error": "Bad Token URI"}, "refresh 0, queue 1, view 100", [None, None, None]),
        ({}, {"error": "Slow", "error_answers": 2}, "refresh 0, refresh 1, refresh 2, view 9", [None, None, 2, 2]),
    ],
)
def test_a_token_is_refreshed_as_its_plans_say(
    plan: dict[str, Any], special_plan: dict[str, Any], steps: str, times: list[float | None]
) -> None:
    one = collection(tokens=10, **plan)
    one.set_tokens([3], TokenPlan(**special_plan))
    seen = []
    for step in steps.split(", "):
        method, late = step.split()
        if method != "view":
            getattr(one, method)(3, NOW + float(late), 1.0)
        seen.append(one.view(3, NOW + float(late)).updated_at)
    assert seen == [START if time is None else NOW + time for time in times]
    assert one.view(4, NOW + 1000).updated_at == START


def test_the_speed_shortens_a_refresh_and_the_fifteen_minutes() -> None:
    one = collection(tokens=10, refresh_seconds=20, queue_seconds=0)
    assert one.refresh(3, NOW, 2.0).updated_at == START
    assert one.view(3, NOW + 10).updated_at == NOW + 10
    assert [one.queue(4, NOW + late, 10.0) for late in (0, 89, 90)] == [True, False, True]


def test_an_error_can_be_gone_after_so_many_answers_and_a_new_plan_counts_anew() -> None:
    one = collection(tokens=10)
    one.set_tokens([3], TokenPlan(error="Throttled token uri", error_answers=2))
    answers = [one.view(3, NOW), *(one.refresh(3, NOW + late, 1.0) for late in range(3))]
    assert [view.error for view in answers] == ["Throttled token uri"] * 3 + [None]
    one.set_tokens([3], TokenPlan(error="Bad Token URI", stale=True))
    assert one.refresh(3, NOW, 1.0).error == "Bad Token URI"
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


def test_supply_and_first_time_are_what_the_plan_says() -> None:
    assert [collection(tokens=3, **given).total_supply for given in ({}, {"total_supply": None})] == ["3", None]
    assert collection(total_supply='1%s "2"').total_supply == nft(1, total_supply='1%s "2"')["contract"]["totalSupply"]
    for given in (1_767_312_000, "2026-01-02T00:00:00Z", "2026-01-02T00:00:00", "2026-01-02T01:00+01:00"):
        assert collection(last_updated=given).view(1, NOW + 10**6).updated_at == START + 86_400


def nft(token_id: int, error: str | None = None, updated_at: float = START, **plan: Any) -> dict[str, Any]:
    return dict(json.loads(nft_text(ADDRESS, collection(**plan), token_id, TokenView(error, updated_at))))


def test_an_nft_has_every_documented_field_with_an_error_too() -> None:
    one = nft(7)
    documented = "contract tokenId tokenType name description tokenUri image raw collection mint timeLastUpdated"
    assert set(one) >= set(documented.split())
    assert set(one["image"]) == {"cachedUrl", "thumbnailUrl", "pngUrl", "contentType", "size", "originalUrl"}
    assert set(one["raw"]) == {"tokenUri", "metadata", "error"}
    assert (one["tokenId"], one["tokenType"], one["name"], one["raw"]["error"]) == ("7", "ERC721", "Emulated #7", None)
    assert (one["contract"]["address"], one["contract"]["spamClassifications"]) == (ADDRESS, [])
    assert one["timeLastUpdated"] == "2026-01-01T00:00:00.000Z"
    assert nft(2**256 - 1, first_id=2**255)["tokenId"] == str(2**256 - 1)
    failed = nft(7, 'Gave "100%" up')
    assert failed.keys() == one.keys()
    assert failed["raw"] == {"tokenUri": None, "metadata": {}, "error": 'Gave "100%" up'}


@pytest.mark.parametrize(
    ("late", "time"), [(0.123, "00.123"), (0.1231, "00.124"), (0.9999, "01.000"), (59.0, "59.000")]
)
def test_a_time_is_rounded_up_to_milliseconds(late: float, time: str) -> None:
    text = f"2026-01-01T00:00:{time}Z"
    assert nft(1, updated_at=START + late)["timeLastUpdated"] == text
    assert datetime.fromisoformat(text).timestamp() == in_milliseconds(START + late) / 1000
