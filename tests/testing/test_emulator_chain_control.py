# SPDX-License-Identifier: Apache-2.0
"""The chain's commands of the control interface, as another process uses them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import ADDRESS, Rpc

FIRST = 20_000_000

Control = Callable[..., Any]


@pytest.fixture
def control(emulator: AlchemyEmulator) -> Control:
    def command(name: str, payload: object = None, method: str = "POST") -> Any:
        return requests.request(method, f"{emulator.url}/_emulator/{name}", json=payload, timeout=5).json()

    return command


@pytest.mark.parametrize(
    ("name", "payload", "number"),
    [
        ("reveal", {"token_ids": [1, "0x2"], "per_transaction": 1}, 2),
        ("reveal_batch", {"first_id": 1, "last_id": str(2**256 - 1)}, 1),
        ("announce_uri", {"token_id": 1, "uri": "ipfs://x"}, 1),
        ("announce_uri", {"token_id": 1}, 1),
        ("mint", {"token_ids": [1, 2, 3], "to": ADDRESS}, 3),
        ("transfer", {"token_id": 1, "sender": ADDRESS}, 1),
        ("log", {"topics": [], "data": "0x12"}, 1),
    ],
)
def test_each_command_mines_a_block_and_answers_with_its_logs(
    emulator: AlchemyEmulator, control: Control, name: str, payload: dict[str, object], number: int
) -> None:
    answer = control(name, {"address": ADDRESS, "network": "base-mainnet", **payload})
    assert answer["newest_block"] == FIRST + 1
    made = emulator.chain_logs(network="base-mainnet")
    assert [log["id"] for log in answer["logs"]] == [log.id for log in made]
    assert len(made) == number
    (first, *_) = answer["logs"]
    assert (first["contract_address"], first["block_number"], first["log_index"]) == (ADDRESS.lower(), FIRST + 1, 0)
    assert (first["transaction_hash"], first["topics"]) == (made[0].transaction_hash, [*made[0].topics])


def test_blocks_are_mined_and_replaced(control: Control) -> None:
    assert control("mine_blocks") == {"newest_block": FIRST + 1, "logs": []}
    control("reveal", {"address": ADDRESS, "token_ids": [1]})
    assert control("mine_blocks", {"blocks": 3})["newest_block"] == FIRST + 5
    assert len(control("reorganise", {"depth": 4, "keep_logs": True})["logs"]) == 1
    assert control("reorganise", {"depth": 4}) == {"newest_block": FIRST + 5, "logs": []}


def test_the_chain_can_be_read_and_is_forgotten_with_a_reset(control: Control) -> None:
    control("mint", {"address": ADDRESS, "token_ids": [1]})
    assert len(control("chain", method="GET")["logs"]) == 1
    assert control("chain?network=base-mainnet", method="GET") == {"newest_block": FIRST, "logs": []}
    control("reset")
    assert control("chain", method="GET") == {"newest_block": FIRST, "logs": []}


def test_the_blocks_of_a_call_can_be_read(emulator: AlchemyEmulator, control: Control, rpc: Rpc) -> None:
    rpc("eth_getLogs", {"fromBlock": "0x1", "toBlock": "0x2", "address": ADDRESS})
    (call,) = control("calls", method="GET")["calls"]
    assert (call["endpoint"], call["blocks"], call["addresses"]) == ("eth_getLogs", [1, 2], 1)
    assert emulator.api_key not in str(call)


@pytest.mark.parametrize(
    ("name", "payload", "sentence"),
    [
        ("reveal", {"address": ADDRESS}, "token_ids is missing"),
        ("reveal", {"address": "0x1", "token_ids": []}, "address must be 0x and 40 hex digits"),
        (
            "reveal",
            {"address": ADDRESS, "token_ids": [], "tokens": 1},
            "tokens is not a field here; there are",
        ),
        ("reveal", {"address": ADDRESS, "token_ids": [], "self": 1}, "self is not a field here"),
        ("mine_blocks", {"blocks": "1"}, "blocks must be a number"),
        ("mine_blocks", {"network": ["eth-mainnet"]}, "network must be a text"),
        ("log", {"address": ADDRESS}, "topics is missing"),
        ("reorganise", {}, "depth is missing"),
    ],
)
def test_wrong_input_is_refused_with_a_sentence_that_names_the_field(
    emulator: AlchemyEmulator, control: Control, name: str, payload: object, sentence: str
) -> None:
    assert sentence in control(name, payload)["error"]["message"]
    assert emulator.newest_block() == FIRST


def test_a_query_that_is_not_understood_is_refused(control: Control) -> None:
    assert control("chain?net=base-mainnet", method="GET")["error"]["message"].startswith("net is not a field here")
