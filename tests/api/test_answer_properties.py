# SPDX-License-Identifier: Apache-2.0
"""A thousand answers that nobody has seen yet: a status or an AlchemyError comes out, and never a false finish."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_alchemy.api.endpoints import read_contract_metadata, read_refresh_status
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.models import ContractMetadata, RefreshStatus
from airflow_provider_alchemy.api.responses import Answer, read_answer

from .shells import ADDRESS, LOWER

OTHER = "0x" + "1" * 40

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
        return read_refresh_status(value, LOWER, "eth-mainnet")
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


@settings(max_examples=200)
@given(JSON)
@example({"totalSupply": "9" * 5000})
def test_any_json_is_contract_metadata_or_an_alchemy_error(value: Any) -> None:
    try:
        outcome: object = read_contract_metadata(value, LOWER, "eth-mainnet")
    except AlchemyError as error:
        outcome = error
    assert isinstance(outcome, ContractMetadata | AlchemyError)
