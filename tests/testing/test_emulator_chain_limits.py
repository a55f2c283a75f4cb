# SPDX-License-Identifier: Apache-2.0
"""What the node API refuses, and how nodes differ: ranges, sizes, late nodes, logs that were taken away."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import ADDRESS, Rpc

OTHER = "0x" + "1" * 40
FIRST = 20_000_000
TOO_WIDE = (
    "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Based on your parameters,"
    " this block range should work: [0x64, 0x6d]. Upgrade to PAYG for expanded block range."
)


def tokens(answer: requests.Response) -> list[int]:
    return [int(log["data"], 16) for log in answer.json()["result"]]


def error(answer: requests.Response) -> tuple[int, int, str]:
    payload = answer.json()
    assert payload["id"] == 1
    return answer.status_code, payload["error"]["code"], payload["error"]["message"]


def blocks(first: int, last: object) -> dict[str, Any]:
    return {"fromBlock": hex(first), "toBlock": hex(last) if isinstance(last, int) else last}


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        ("hint", (400, -32600, TOO_WIDE)),
        ("plain", (400, -32602, "block range is too wide")),
        ("ok", (200, -32005, "query exceeds max block range")),
    ],
)
def test_a_range_with_too_many_blocks_is_refused(
    emulator: AlchemyEmulator, rpc: Rpc, form: str, refusal: tuple[int, int, str]
) -> None:
    emulator.configure(max_block_range=10, range_refusal=form)
    assert rpc("eth_getLogs", blocks(100, 109)).json()["result"] == []
    assert error(rpc("eth_getLogs", blocks(100, 110))) == refusal
    assert error(rpc("eth_getLogs", blocks(100, "latest"))) == refusal
    assert [call.compute_units for call in emulator.calls] == [75, 75, 75]


def test_one_block_may_be_the_limit(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.configure(max_block_range=1)
    emulator.reveal(ADDRESS, [1])
    assert tokens(rpc("eth_getLogs", blocks(FIRST + 1, "latest"))) == [1]
    assert f"[{FIRST:#x}, {FIRST:#x}]" in error(rpc("eth_getLogs", blocks(FIRST, "latest")))[2]


def test_an_answer_with_too_many_logs_is_refused_with_a_range_that_works(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.configure(max_logs=4)
    for first in (0, 2, 4):
        emulator.mine_blocks(10)
        emulator.reveal(ADDRESS, [first, first + 1])
    status, code, message = error(rpc("eth_getLogs", blocks(FIRST, "latest")))
    assert (status, code) == (400, -32602)
    assert message.startswith("Log response size exceeded. You can make eth_getLogs requests with up to a 2K block")
    assert message.endswith(f"this block range should work: [{FIRST:#x}, {FIRST + 32:#x}]")
    assert tokens(rpc("eth_getLogs", blocks(FIRST, FIRST + 32))) == [0, 1, 2, 3]
    assert tokens(rpc("eth_getLogs", {**blocks(FIRST, "latest"), "address": OTHER})) == []
    emulator.configure(max_logs=None)
    assert tokens(rpc("eth_getLogs", blocks(FIRST, "latest"))) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("form", ["plain", "ok"])
def test_too_many_logs_are_refused_without_a_range_where_ranges_are(
    emulator: AlchemyEmulator, rpc: Rpc, form: str
) -> None:
    emulator.configure(max_logs=1, range_refusal=form)
    emulator.reveal(ADDRESS, [1, 2])
    status, code, message = error(rpc("eth_getLogs", blocks(FIRST, "latest")))
    assert (status, code) == (400, -32602)
    assert message.endswith("with a cap of 10K logs in the response.")


def test_a_block_with_too_many_logs_is_refused_alone_as_well(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.configure(max_logs=1)
    emulator.reveal(ADDRESS, [1, 2])
    message = error(rpc("eth_getLogs", blocks(FIRST + 1, FIRST + 1)))[2]
    assert message.endswith(f"[{FIRST + 1:#x}, {FIRST + 1:#x}]")


def test_ten_thousand_logs_are_the_documented_limit(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.reveal(ADDRESS, range(10_000))
    assert len(tokens(rpc("eth_getLogs", {"fromBlock": hex(FIRST)}))) == 10_000
    emulator.reveal(ADDRESS, [0])
    assert error(rpc("eth_getLogs", {"fromBlock": hex(FIRST)}))[1] == -32602


def test_more_contracts_than_allowed_are_refused(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.configure(max_addresses=1)
    assert rpc("eth_getLogs", {"address": [ADDRESS]}).ok
    assert error(rpc("eth_getLogs", {"address": [ADDRESS, OTHER]})) == (400, -32602, "too many addresses")
    assert emulator.calls[1].addresses == 2


@pytest.mark.parametrize("params", [(), ("earliest",), ({}, {}), ({"fromBlock": 5},), ({"topics": "0x"},)])
def test_a_filter_that_is_not_well_formed_is_refused(rpc: Rpc, params: tuple[object, ...]) -> None:
    assert error(rpc("eth_getLogs", *params))[:2] == (400, -32602)


def test_every_second_call_is_answered_by_a_node_that_is_behind(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.configure(lag_blocks=2)
    for number in range(4):
        emulator.reveal(ADDRESS, [number])
    newest = [int(rpc("eth_blockNumber").json()["result"], 16) - FIRST for _ in range(4)]
    assert newest == [4, 2, 4, 2]
    seen = [tokens(rpc("eth_getLogs", blocks(FIRST, FIRST + 4))) for _ in range(2)]
    assert seen == [[0, 1, 2, 3], [0, 1]]
    latest = [rpc("eth_getBlockByNumber", "latest", False).json()["result"]["number"] for _ in range(2)]
    assert latest == [hex(FIRST + 4), hex(FIRST + 2)]
    there = [rpc("eth_getBlockByNumber", hex(FIRST + 3), False).json()["result"] is None for _ in range(2)]
    assert there == [False, True]


def test_a_node_that_is_behind_has_no_logs_after_its_own_newest_block(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.configure(lag_blocks=5, first_block=2)
    emulator.reveal(ADDRESS, [1])
    assert int(rpc("eth_blockNumber").json()["result"], 16) == 3
    assert tokens(rpc("eth_getLogs", blocks(3, "latest"))) == []
    assert tokens(rpc("eth_getLogs", blocks(3, "latest"))) == [1]
    assert rpc("eth_blockNumber").json()["result"] == "0x0"


def test_logs_that_were_taken_away_can_come_with_the_answer(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    (gone,) = emulator.reveal(ADDRESS, [1])
    emulator.reorganise(1)
    emulator.reveal(ADDRESS, [2])
    assert tokens(rpc("eth_getLogs", blocks(FIRST, "latest"))) == [2]
    emulator.configure(removed_logs=True)
    found = rpc("eth_getLogs", blocks(FIRST, "latest")).json()["result"]
    assert [(int(log["data"], 16), log["removed"]) for log in found] == [(1, True), (2, False)]
    assert found[0]["blockHash"] == gone.block_hash != found[1]["blockHash"]
    assert tokens(rpc("eth_getLogs", blocks(FIRST + 2, "latest"))) == [2]
    assert tokens(rpc("eth_getLogs", {**blocks(FIRST, "latest"), "address": OTHER})) == []


def test_a_log_that_was_kept_comes_twice_with_those_that_were_taken_away(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.configure(removed_logs=True)
    emulator.reveal(ADDRESS, [1])
    emulator.reorganise(1, keep_logs=True)
    removed, kept = rpc("eth_getLogs", blocks(FIRST, "latest")).json()["result"]
    assert (removed["removed"], kept["removed"]) == (True, False)
    assert removed["transactionHash"] == kept["transactionHash"]
    assert removed["blockHash"] != kept["blockHash"]


@pytest.mark.parametrize(
    ("switch", "value"),
    [
        ("block_seconds", 0),
        ("first_block", -1),
        ("max_block_range", 0),
        ("range_refusal", "polite"),
        ("max_logs", 0),
        ("max_addresses", 0),
        ("removed_logs", 1),
        ("lag_blocks", -1),
    ],
)
def test_a_switch_that_is_not_accepted_is_named(emulator: AlchemyEmulator, switch: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{switch} must be"):
        emulator.configure(**{switch: value})
