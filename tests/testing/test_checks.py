# SPDX-License-Identifier: Apache-2.0
"""What a test gives is checked where it is given, and a sentence names what is wrong: one table for all of it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator, JobPlan
from airflow_provider_alchemy.testing.checks import read_token_id

from .conftest import ADDRESS

Wrong = tuple[str, dict[str, Any], str]
AT = {"address": ADDRESS}
TOKENS = {**AT, "token_ids": [1]}

SWITCHES: list[Wrong] = [
    ("configure", {name: value}, f"{name} must be {rule}")
    for name, value, rule in (
        ("units_per_second", 0, "greater than 0"),
        ("units_per_second", "5", "a valid number"),
        ("header_auth_v2", 1, "a valid boolean"),
        ("reingest_gone", 418, "404, 410 or 400"),
        ("after_finished", "again", "'report' or 'restart'"),
        ("page_size", 101, "less than or equal to 100"),
        ("block_seconds", 0, "greater than or equal to 0.001"),
        ("first_block", -1, "greater than or equal to 0"),
        ("max_block_range", 0, "greater than or equal to 1"),
        ("lag_blocks", 1.5, "a valid integer"),
        ("latency_seconds", -1, "greater than or equal to 0"),
        ("speed", 0, "greater than 0"),
    )
]
PLANS: list[Wrong] = [
    (method, {**fields, name: value}, f"{name} {rule}")
    for method, fields, name, value, rule in (
        ("set_default_job", {}, "running_seconds", float("nan"), "must be a finite number"),
        ("set_default_job", {}, "outcome", "done", "must be 'finished', 'does_not_exist' or 'queue_failed'"),
        ("set_default_job", {}, "queue_failures", 1.5, "must be a valid integer"),
        ("set_default_job", {}, "que", 5, "is not a field here; there are: queued_seconds, running_seconds"),
        ("set_job", AT, "network", 5, "must be a valid string"),
        ("set_job", AT, "running", 5, "is not a field here; there are: queued_seconds"),
        ("set_collection", AT, "tokens", 10**9, "must be less than or equal to 10000000"),
        ("set_collection", AT, "first_id", "x", "must be a token's id"),
        ("set_collection", AT, "token_ids", "12", "'str' instances are not allowed"),
        ("set_collection", AT, "token_ids", [1, -1], "must be a token's id"),
        ("set_collection", AT, "token_type", "ERC20", "must be 'ERC721', 'ERC1155'"),
        ("set_collection", AT, "total_supply", 5, "must be a valid string"),
        ("set_collection", AT, "last_updated", "yesterday", "must be seconds since the epoch or an ISO 8601 time"),
        ("set_collection", AT, "supply", 5, "is not a field here; there are: tokens"),
        ("set_tokens", AT, "token_ids", [10_000], "must be in the collection"),
        ("set_tokens", TOKENS, "error_answers", 0, "must be greater than or equal to 1"),
        ("set_tokens", TOKENS, "errors", "x", "is not a field here; there are: stale"),
        ("grow_collection", AT, "tokens", 0, "must be greater than or equal to 1"),
        ("add_fault", {}, "kind", "boom", "must be 'http'"),
        ("add_fault", {"kind": "http"}, "status", 200, "must be greater than or equal to 400"),
        ("add_fault", {"kind": "http"}, "times", 0, "must be greater than or equal to 1"),
        ("add_fault", {"kind": "http"}, "probability", 2, "must be less than or equal to 1"),
        ("add_fault", {"kind": "http"}, "endpoint", "reingest", "must be one of reingestContract"),
        ("add_fault", {"kind": "http"}, "contract_address", "0x1", "must be 0x and 40 hex digits"),
        ("add_fault", {"kind": "redirect"}, "location", "a\r\nb", "must match"),
        ("add_fault", {"kind": "slow"}, "after_processing", False, "cannot be false for slow"),
        ("add_fault", {"kind": "slow"}, "delay", 1, "is not a field here"),
        (
            "add_fault",
            {"endpoint": "eth_getLogs"},
            "kind",
            "other_contract",
            "cannot be other_contract for eth_getLogs",
        ),
        ("add_fault", {"endpoint": "eth_getLogs"}, "kind", "unknown_state", "cannot be unknown_state for eth_getLogs"),
        ("add_fault", {"endpoint": "refreshNftMetadata"}, "kind", "other_contract", "cannot be other_contract"),
    )
]
CHAIN: list[Wrong] = [
    (method, {**fields, name: value}, f"{name} {rule}")
    for method, fields, name, value, rule in (
        ("mine_blocks", {}, "blocks", 0, "must be greater than or equal to 1"),
        ("mine_blocks", {}, "network", ["eth-mainnet"], "must be a valid string"),
        ("reorganise", {}, "depth", 10**9, "must be at most 20000000"),
        ("reorganise", {"depth": 1}, "keep_logs", 1, "must be a valid boolean"),
        ("reveal", TOKENS, "address", "0x1", "must be 0x and 40 hex digits"),
        ("reveal", AT, "token_ids", 1, "must be an instance of Sequence"),
        ("reveal", TOKENS, "tokens", 1, "is not a field here; there are: address, token_ids, network"),
        ("reveal", TOKENS, "self", 1, "is not a field here"),
        ("reveal_batch", {**AT, "first_id": 1}, "last_id", 2**256, "must be a token's id"),
        ("announce_uri", {**AT, "token_id": 1}, "uri", None, "must be a valid string"),
        ("mint", TOKENS, "to", "me", "must be 0x and 40 hex digits"),
        ("emit_log", AT, "topics", "0x", "'str' instances are not allowed"),
        ("emit_log", AT, "topics", [5], "must be a valid string"),
    )
]
MISSING: list[Wrong] = [
    *((method, {}, "address is missing") for method in ("set_job", "set_collection")),
    *((method, AT, "token_ids is missing") for method in ("set_tokens", "reveal", "mint")),
    *(("grow_collection", AT, "tokens is missing"), ("emit_log", AT, "topics is missing")),
    *(("add_fault", {}, "kind is missing"), ("reorganise", {}, "depth is missing")),
]


@pytest.mark.parametrize(("method", "arguments", "sentence"), [*SWITCHES, *PLANS, *CHAIN, *MISSING])
def test_what_is_wrong_is_refused_and_named_and_changes_nothing(
    method: str, arguments: dict[str, Any], sentence: str
) -> None:
    emulator = AlchemyEmulator(block_seconds=None)
    before = emulator.settings
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the sentence is compared below
        getattr(emulator, method)(**arguments)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert (emulator.settings, emulator.newest_block(), emulator.chain_logs()) == (before, 20_000_000, ())


def test_an_emulator_and_a_plan_are_checked_as_they_are_built() -> None:
    with pytest.raises(ValueError, match="unit_per_second is not a field here; there are: units_per_second"):
        AlchemyEmulator(unit_per_second=5)
    with pytest.raises(ValueError, match="queued_seconds must be greater than or equal to 0, not -1"):
        JobPlan(queued_seconds=-1)


@pytest.mark.parametrize("api_keys", ["one text", [], ["good", ""]])
def test_wrong_keys_are_refused_without_being_shown(api_keys: Any) -> None:
    with pytest.raises(ValueError, match="api_keys must") as refused:
        AlchemyEmulator(api_keys=api_keys)
    assert "good" not in str(refused.value)


def test_a_token_id_is_a_number_or_a_decimal_or_hexadecimal_text() -> None:
    last = 2**256 - 1
    assert [read_token_id(one) for one in (7, "7", "0x0A", "0" * 77 + "7", last, hex(last))] == [
        7,
        7,
        10,
        7,
        last,
        last,
    ]
    for other in (None, -1, True, 1.0, "", "-1", "1.0", "0x", "0xg", " 1", "٣", 2**256, str(2**256)):
        assert read_token_id(other) is None
