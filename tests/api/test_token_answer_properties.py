# SPDX-License-Identifier: Apache-2.0
"""A thousand answers about tokens that nobody has seen yet: values or an AlchemyError come out, and no false proof."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pendulum import DateTime

from airflow_provider_alchemy.api import endpoints as token_endpoints
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.inputs import LARGEST_TOKEN_ID
from airflow_provider_alchemy.api.models import Token
from airflow_provider_alchemy.api.responses import Answer, read_answer
from airflow_provider_alchemy.api.settings import ClientSettings

from .shells import ADDRESS, KEY, LOWER

SETTINGS = ClientSettings(api_key=KEY)
ASKED = (7, 8, 2**255)
MOMENT = DateTime(2026, 11, 5, 12, tzinfo=UTC)
OTHER = "0x" + "1" * 40

CALLS: dict[str, Call[Any]] = {
    "refreshNftMetadata": token_endpoints.refresh_nft_metadata(Token(LOWER, 7), SETTINGS),
    "getNFTMetadata": token_endpoints.get_nft_metadata(Token(LOWER, 7), SETTINGS),
    "getNFTMetadataBatch": token_endpoints.get_nft_metadata_batch(LOWER, ASKED, SETTINGS),
    "getNFTsForContract": token_endpoints.get_nfts_for_contract(LOWER, SETTINGS),
    "getNFTsForContract with metadata": token_endpoints.get_nfts_for_contract(LOWER, SETTINGS, with_metadata=True),
    "getContractMetadataBatch": token_endpoints.get_contract_metadata_batch((LOWER, OTHER), SETTINGS),
}
EACH = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())

HUGE = st.sampled_from([10**400, -(10**400), 10**4000, 1e308, float("inf"), float("-inf"), float("nan")])
TEXTS = st.sampled_from(
    [*("Queued", "Token does not exist", "Bad Token URI", "7", "0x8", "9", "-1", "", "\ud800"), LOWER, ADDRESS, OTHER]
)
TIMES = st.sampled_from(
    [
        *("2026-11-05T12:00:00.001Z", "2026-11-05T12:00:00Z", "2026-11-05T11:59:59.999Z", "2026-11-05T13:00:00+01:00"),
        *("2026-11-05T12:00:01", "9999-12-31T23:59:59-10:00", "tomorrow", "2026-11-06"),
    ]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | HUGE | TEXTS | TIMES
KEYS = st.sampled_from(
    [
        *("contract", "contractAddress", "address", "tokenId", "raw", "error", "timeLastUpdated", "image", "cachedUrl"),
        *("nfts", "contracts", "pageKey", "status", "estimatedMsToRefresh", "name", "tokenUri"),
    ]
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=6
)
IDS = st.sampled_from(["7", "8", "0x7", 7, "9", str(2**255), str(LARGEST_TOKEN_ID + 1)])


@st.composite
def nfts(draw: st.DrawFn) -> dict[str, Any]:
    """A good NFT of which some fields may be others, or missing."""
    contract = st.sampled_from([LOWER, LOWER, ADDRESS, OTHER])
    error = st.sampled_from([None, None, "", "Bad Token URI", "new", {"message": "new"}, False])
    nft: dict[str, Any] = {
        "contract": {"address": draw(contract)},
        "tokenId": draw(IDS),
        "raw": {"error": draw(error)},
        "timeLastUpdated": draw(TIMES),
    }
    for _ in range(draw(st.integers(0, 2))):
        nft[draw(KEYS)] = draw(JSON)
    if draw(st.integers(0, 4)) == 0:
        nft.pop(draw(st.sampled_from(sorted(nft))))
    return nft


BATCHES = st.lists(nfts(), max_size=4)
ANSWERS = JSON | nfts() | BATCHES | st.fixed_dictionaries({"nfts": BATCHES | JSON, "pageKey": JSON})


def deep(depth: int) -> str:
    return '{"nfts": ' + '[{"a": ' * depth + "1" + "}]" * depth + "}"


def outcome(call: Call[Any], body: str) -> Any:
    try:
        return call.read(read_answer(Answer(200, body)))
    except AlchemyError as error:
        return error


def is_proven_by(answer: Any, token_id: int) -> bool:
    """Whether the first entry of a token proves, by the letter of the documentation, that it was refreshed."""
    items = answer["nfts"] if isinstance(answer, dict) else answer
    first = next(item for item in items if _is(item["tokenId"], token_id))
    raw = first.get("raw")
    has_error = bool((isinstance(raw, dict) and raw.get("error")) or first.get("error"))
    told = datetime.fromisoformat(first["timeLastUpdated"].strip())
    return not has_error and (told if told.tzinfo else told.replace(tzinfo=UTC)) > MOMENT


def _is(told: Any, token_id: int) -> bool:
    return told == token_id or (isinstance(told, str) and told.strip() in {str(token_id), hex(token_id)})


@EACH
@settings(max_examples=150)
@given(answer=ANSWERS)
@example(answer={"status": "Queued", "estimatedMsToRefresh": 10**400})
@example(answer={"nfts": [{"tokenId": 10**4000}], "pageKey": 10**4000})
@example(answer=[{"tokenId": ["7"], "contract": LOWER}])
def test_any_json_is_a_value_or_an_alchemy_error(call: Call[Any], answer: Any) -> None:
    value = outcome(call, json.dumps(answer))

    assert value is not None


@EACH
@pytest.mark.parametrize("depth", [100, 300, 320, 480, 500, 960, 990, 100_000])
def test_an_answer_that_is_nested_deep_is_an_alchemy_error(call: Call[Any], depth: int) -> None:
    assert isinstance(outcome(call, deep(depth)), AlchemyError)


@EACH
@settings(max_examples=50)
@given(answer=ANSWERS)
def test_an_error_of_any_json_is_short_and_does_not_hold_the_answer(call: Call[Any], answer: Any) -> None:
    value = outcome(call, json.dumps(answer))

    assert not isinstance(value, AlchemyError) or len(str(value)) < 1000


@settings(max_examples=400)
@given(answer=BATCHES | st.fixed_dictionaries({"nfts": BATCHES}))
def test_a_batch_proves_a_refresh_only_where_its_first_entry_does(answer: Any) -> None:
    found = outcome(CALLS["getNFTMetadataBatch"], json.dumps(answer))

    if not isinstance(found, AlchemyError):
        proven = [token_id for token_id, metadata in found.items() if metadata.is_newer_than(MOMENT)]
        assert all(is_proven_by(answer, token_id) for token_id in proven)


@settings(max_examples=200)
@given(answer=ANSWERS)
def test_a_batch_tells_of_no_token_that_nobody_asked_for(answer: Any) -> None:
    found = outcome(CALLS["getNFTMetadataBatch"], json.dumps(answer))

    if not isinstance(found, AlchemyError):
        assert set(found) <= set(ASKED)
        assert {metadata.token for metadata in found.values()} == {Token(LOWER, token_id) for token_id in found}
