# SPDX-License-Identifier: Apache-2.0
"""A thousand answers that nobody has seen yet: a status or an AlchemyError comes out, and never a false finish."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_alchemy.api import endpoints
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.inputs import MAX_TOKEN_ID
from airflow_provider_alchemy.api.models import RefreshStatus, Token
from airflow_provider_alchemy.api.responses import Answer, read_answer
from airflow_provider_alchemy.api.settings import ClientSettings

from .shells import ADDRESS, KEY, LOWER

OTHER = "0x" + "1" * 40
SETTINGS = ClientSettings(api_key=KEY)
ASKED = (7, 8, 2**255)
MOMENT = datetime(2026, 11, 5, 12, tzinfo=UTC)
CALLS: dict[str, Call[Any]] = {
    "reingestContract": endpoints.reingest_contract(LOWER, SETTINGS),
    "getContractMetadata": endpoints.get_contract_metadata(LOWER, SETTINGS),
    "refreshNftMetadata": endpoints.refresh_nft_metadata(LOWER, 7, SETTINGS),
    "getNFTMetadata": endpoints.get_nft_metadata(LOWER, 7, SETTINGS),
    "getNFTMetadataBatch": endpoints.get_nft_metadata_batch(LOWER, ASKED, SETTINGS),
    "getNFTsForContract": endpoints.get_nfts_for_contract(LOWER, SETTINGS),
    "getNFTsForContract with metadata": endpoints.get_nfts_for_contract(LOWER, SETTINGS, with_metadata=True),
    "getContractMetadataBatch": endpoints.get_contract_metadata_batch((LOWER, OTHER), SETTINGS),
    "eth_blockNumber": endpoints.block_number(SETTINGS),
    "eth_getLogs": endpoints.get_logs(1, 2, [LOWER], [["0x0"]], SETTINGS),
    "eth_getBlockByNumber": endpoints.get_block_time(1, SETTINGS),
}
EACH = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())

HUGE = st.sampled_from([10**308, 10**400, -(10**400), 10**4299, 1e308, float("inf"), float("-inf"), float("nan")])
HAND_MADE_STATES = [
    *("finished", "Finished", "finished ", "FINISHED", "queued", "already_queued", "already_queried", "in_progress"),
    *("does_not_exist", "queue_failed", "", None, 5, ["finished"], {"state": "finished"}),
]
STATES = st.sampled_from([state for state in HAND_MADE_STATES if isinstance(state, str)])
ADDRESSES = st.sampled_from([LOWER, ADDRESS, OTHER, LOWER[2:], ""])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | HUGE | STATES | ADDRESSES
KEYS = st.sampled_from(
    ["contractAddress", "reingestionState", "progress", "error", "code", "message", "address", "totalSupply", "name"]
) | st.text(max_size=5)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=6
)


def deep(depth: int) -> str:
    return '{"reingestionState": ' + '{"a": [' * depth + "1" + "]}" * depth + "}"


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A good answer of which one field is another, or missing."""
    answer: dict[str, Any] = {"contractAddress": LOWER, "reingestionState": draw(STATES), "progress": "5"}
    answer[draw(KEYS)] = draw(JSON)
    if draw(st.booleans()):
        answer.pop(draw(st.sampled_from(sorted(answer))))
    return json.dumps(answer)


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    """A good answer of which some bytes are others, or missing."""
    text = bytearray(draw(mutated()).encode())
    for _ in range(draw(st.integers(0, 3))):
        text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    return bytes(text[: draw(st.integers(0, len(text)))])


STATUSES = (
    st.just(200) | st.sampled_from([201, 204, 302, 400, 401, 403, 404, 410, 413, 429, 500, 503]) | st.integers(100, 599)
)
BODIES = (
    broken()
    | st.binary()
    | mutated().map(str.encode)
    | JSON.map(json.dumps).map(str.encode)
    | st.integers(1, 600).map(deep).map(str.encode)
)
HEADERS: st.SearchStrategy[dict[str, str]] = st.just({}) | st.builds(
    dict, st.tuples(st.tuples(st.just("Retry-After"), st.text()))
)


def is_a_true_finish(status: int, body: bytes) -> bool:
    """Whether these bytes say that this contract's refresh has finished, by the letter of the documentation."""
    try:
        told = json.loads(body.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return False
    if status != 200 or not isinstance(told, dict) or told.get("error"):
        return False
    address = told.get("contractAddress")
    is_about_it = address is None or (isinstance(address, str) and address.lower() == LOWER)
    return is_about_it and told.get("reingestionState") == "finished"


def read(status: int, body: bytes, headers: dict[str, str] | None = None) -> RefreshStatus | AlchemyError:
    try:
        value = read_answer(Answer(status, body.decode("utf-8", errors="replace"), headers or {}))
        return endpoints.reingest_contract(LOWER, SETTINGS).read(value)
    except AlchemyError as error:
        return error


@settings(max_examples=400)
@given(status=STATUSES, body=BODIES, headers=HEADERS)
@example(status=200, body=b'{"reingestionState": "in_progress", "progress": 1' + b"0" * 400 + b"}", headers={})
@example(status=200, body=b'{"reingestionState": "in_progress", "progress": NaN}', headers={})
@example(status=200, body=b'{"reingestionState": "finished", "progress": -Infinity}', headers={})
@example(status=200, body=b'{"reingestionState": "finished", "contractAddress": null}', headers={})
@example(status=200, body=b'{"reingestionState": "queued", "reingestionState": "finished"}', headers={})
@example(status=200, body=b'{"reingestionState": "\\ud800"}', headers={})
@example(status=200, body=b'{"error": {"code": 1' + b"0" * 400 + b"}}", headers={})
@example(status=200, body=deep(100_000).encode(), headers={})
@example(status=503, body=b"[" * 100_000, headers={"Retry-After": "1" * 5000})
@example(status=200, body=b"\xff\xfe\x00", headers={})
def test_any_answer_is_a_status_or_an_alchemy_error_and_finished_only_where_it_says_so(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    outcome = read(status, body, headers)
    assert isinstance(outcome, RefreshStatus | AlchemyError)
    finished = isinstance(outcome, RefreshStatus) and outcome.is_finished
    assert finished == is_a_true_finish(status, body)


@pytest.mark.parametrize("status", [200, 404, 429, 503])
def test_every_good_answer_with_other_values_in_its_fields_is_finished_only_where_it_says_so(status: int) -> None:
    told = product([LOWER, ADDRESS, OTHER, None, 5], HAND_MADE_STATES, [None, 0, "5", "5%", "", 1e999, 10**400, [1]])
    bodies = [
        json.dumps({"contractAddress": address, "reingestionState": state, "progress": progress}).encode()
        for address, state, progress in told
    ]
    assert len(bodies) > 400
    for body in bodies:
        outcome = read(status, body)
        finished = isinstance(outcome, RefreshStatus) and outcome.is_finished
        assert finished == is_a_true_finish(status, body), body


@settings(max_examples=200)
@given(status=STATUSES, body=BODIES)
def test_any_error_of_an_answer_has_a_short_text_and_survives_json(status: int, body: bytes) -> None:
    outcome = read(status, body)
    if isinstance(outcome, AlchemyError):
        assert json.loads(json.dumps(outcome.to_dict()))["what"] == outcome.what
        assert len(str(outcome)) < 1000


TEXTS = st.sampled_from(
    [*("Queued", "Token does not exist", "Bad Token URI", "7", "0x8", "9", "-1", "", "\ud800"), LOWER, ADDRESS, OTHER]
)
TIMES = st.sampled_from(
    [
        *("2026-11-05T12:00:00.001Z", "2026-11-05T12:00:00Z", "2026-11-05T11:59:59.999Z", "2026-11-05T13:00:00+01:00"),
        *("2026-11-05T12:00:01", "9999-12-31T23:59:59-10:00", "tomorrow", "2026-11-06"),
    ]
)
TOKEN_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | HUGE | st.just(10**4000) | TEXTS | TIMES
)
TOKEN_KEYS = st.sampled_from(
    [
        *("contract", "contractAddress", "address", "tokenId", "raw", "error", "timeLastUpdated", "image", "cachedUrl"),
        *("result", "timestamp", "nfts", "contracts", "pageKey", "status", "estimatedMsToRefresh", "name", "tokenUri"),
    ]
)
TOKEN_JSON = st.recursive(
    TOKEN_SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TOKEN_KEYS, inner, max_size=5),
    max_leaves=6,
)
IDS = st.sampled_from(["7", "8", "0x7", 7, "9", str(2**255), str(MAX_TOKEN_ID + 1)])


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
        nft[draw(TOKEN_KEYS)] = draw(TOKEN_JSON)
    if draw(st.integers(0, 4)) == 0:
        nft.pop(draw(st.sampled_from(sorted(nft))))
    return nft


BATCHES = st.lists(nfts(), max_size=4)
ANSWERS = (
    JSON
    | TOKEN_JSON
    | st.fixed_dictionaries({"result": TOKEN_JSON})
    | nfts()
    | BATCHES
    | st.fixed_dictionaries({"nfts": BATCHES | TOKEN_JSON, "pageKey": TOKEN_JSON})
)


def deep_list(depth: int) -> str:
    return '{"nfts": ' + '[{"a": ' * depth + "1" + "}]" * depth + "}"


def outcome(call: Call[Any], body: str) -> Any:
    try:
        return call.read(read_answer(Answer(200, body)))
    except AlchemyError as error:
        return error


def is_proven_by(answer: Any, token_id: int) -> bool:
    """Whether the first entry of a token proves, by the letter of the documentation, that it was refreshed."""
    items = answer["nfts"] if isinstance(answer, dict) else answer
    first = next(item for item in items if _is(item.get("tokenId"), token_id) and _is_readable(item))
    raw = first.get("raw")
    has_error = bool((isinstance(raw, dict) and raw.get("error")) or first.get("error"))
    told = datetime.fromisoformat(first["timeLastUpdated"].strip())
    return not has_error and (told if told.tzinfo else told.replace(tzinfo=UTC)) > MOMENT


def _is_readable(item: dict[str, Any]) -> bool:
    try:
        endpoints.get_nfts_for_contract(LOWER, SETTINGS).read({"nfts": [item]})
    except AlchemyError:
        return False
    return True


def _is(told: Any, token_id: int) -> bool:
    return told == token_id or (isinstance(told, str) and told.strip() in {str(token_id), hex(token_id)})


@EACH
@settings(max_examples=150)
@given(answer=ANSWERS)
@example(answer={"status": "Queued", "estimatedMsToRefresh": 10**400})
@example(answer={"nfts": [{"tokenId": 10**4000}], "pageKey": 10**4000})
@example(answer=[{"tokenId": ["7"], "contract": LOWER}])
def test_any_json_is_a_value_or_an_alchemy_error(call: Call[Any], answer: Any) -> None:
    outcome(call, json.dumps(answer))


@EACH
@pytest.mark.parametrize("depth", [100, 300, 320, 480, 500, 960, 990, 100_000])
def test_an_answer_that_is_nested_deep_is_an_alchemy_error(call: Call[Any], depth: int) -> None:
    value = outcome(call, deep_list(depth))

    # Contract metadata may have any field beside those that are read.
    assert isinstance(value, AlchemyError) or (depth < 500 and call.endpoint is endpoints.GET_CONTRACT_METADATA)


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
