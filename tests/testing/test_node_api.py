# SPDX-License-Identifier: Apache-2.0
"""The methods of the node API as a client sees them: blocks, logs, filters, limits, and nodes that differ."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import requests
from eth_utils.crypto import keccak
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.calls import Auth
from airflow_provider_alchemy.testing.endpoints import NEWEST, read_block, read_logs, select
from airflow_provider_alchemy.testing.exchange import Refused
from airflow_provider_alchemy.testing.routing import read_request

from .conftest import ADDRESS, FIRST, OTHER, SECONDS, Call, Emulator, rpc_body

METADATA_UPDATE = "0x" + keccak(text="MetadataUpdate(uint256)").hex()
TRANSFER = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
TOPIC = "0x" + "ab" * 32
TOO_WIDE = (
    "Under the Free tier plan, you can make eth_getLogs requests with up to a 10 block range. Based on your parameters,"
    " this block range should work: [0x64, 0x6d]. Upgrade to PAYG for expanded block range."
)
FIELDS = st.sampled_from(["fromBlock", "toBlock", "address", "topics", "blockHash"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["0x1", "latest", TOPIC]),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(FIELDS | st.text(), inner, max_size=5),
    max_leaves=10,
)


def blocks(first: int, last: object = "latest") -> dict[str, Any]:
    return {"fromBlock": hex(first), "toBlock": hex(last) if isinstance(last, int) else last}


def tokens(rpc: Call, **asked: object) -> list[int]:
    """Give the tokens of the logs that name one in their data."""
    found = rpc("eth_getLogs", {"fromBlock": "earliest", **asked}).json()["result"]
    return [int(log["data"], 16) for log in found]


def block(rpc: Call, number: str) -> Any:
    return rpc("eth_getBlockByNumber", number, False).json()["result"]


def error(answer: requests.Response) -> tuple[int, int, str]:
    payload = answer.json()
    assert (payload["jsonrpc"], payload["id"]) == ("2.0", 1)
    return answer.status_code, payload["error"]["code"], payload["error"]["message"]


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_foo"}', -32600, "Unsupported method: eth_foo"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "reingestContract"}', -32600, "Unsupported method: reingestContract"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600, "Invalid request"),
        (b'{"id": 1, "method": "eth_blockNumber"}', -32600, "Invalid request"),
        (b'[{"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber"}]', -32600, "Invalid request"),
        (b"5", -32600, "Invalid request"),
        (b"{", -32700, "Parse error"),
        (b"", -32700, "Parse error"),
    ],
)
def test_what_is_no_call_of_a_method_is_refused(emulator: Emulator, body: bytes, code: int, sentence: str) -> None:
    refused = requests.post(f"{emulator.url}/v2/{emulator.api_key}", data=body, timeout=SECONDS)
    assert refused.status_code == 400
    assert refused.json()["error"] == {"code": code, "message": sentence}
    assert (emulator.calls[0].endpoint, emulator.compute_units) == ("unknown", 0)


def test_an_answer_has_the_id_of_its_call_and_the_key_may_be_in_the_header(emulator: Emulator) -> None:
    emulator.configure(header_auth_v2=False)  # of the NFT API
    headers = {"Authorization": f"Bearer {emulator.api_key}"}
    body = rpc_body("eth_blockNumber", number="seven")
    good, refused = (
        requests.post(f"{emulator.url}/v2", json=body, headers=sent, timeout=SECONDS) for sent in (headers, {})
    )
    assert good.json() == {"jsonrpc": "2.0", "id": "seven", "result": hex(FIRST)}
    assert refused.json()["error"] == {"code": 401, "message": "Must be authenticated!"}
    assert (refused.status_code, refused.json()["id"]) == (401, "seven")
    assert (emulator.calls[0].auth, emulator.calls[0].endpoint) == (Auth.HEADER, "eth_blockNumber")


def test_blocks_are_a_chain_also_after_a_reorganisation(emulator: Emulator, rpc: Call) -> None:
    emulator.mine_blocks(2)
    found = [block(rpc, hex(number)) for number in range(FIRST - 2, FIRST + 3)]
    assert [int(one["number"], 16) for one in found] == [*range(FIRST - 2, FIRST + 3)]
    assert [one["parentHash"] for one in found[1:]] == [one["hash"] for one in found[:-1]]
    assert len({one["hash"] for one in found}) == 5
    times = [int(one["timestamp"], 16) for one in found]
    assert times == sorted(times)
    assert times[0] <= times[2] - 23
    assert times[-1] <= emulator.calls[0].at
    assert found[0]["transactions"] == []
    assert block(rpc, "latest") == found[-1]
    assert block(rpc, hex(FIRST + 1000)) is None
    emulator.reorganise(2)
    after = [block(rpc, hex(number)) for number in range(FIRST - 2, FIRST + 3)]
    assert [old["hash"] == new["hash"] for old, new in zip(found, after, strict=True)] == [True] * 3 + [False] * 2
    assert [one["parentHash"] for one in after[1:]] == [one["hash"] for one in after[:-1]]
    genesis = block(rpc, "earliest")
    assert (genesis["number"], genesis["parentHash"]) == ("0x0", "0x" + "0" * 64)


@pytest.mark.parametrize("params", [(), ("0x1",), ("0x01", False), (1, False), ("finalized", False), ("0x1", "no")])
def test_a_block_that_is_not_well_named_is_refused(rpc: Call, params: tuple[object, ...]) -> None:
    assert error(rpc("eth_getBlockByNumber", *params))[:2] == (400, -32602)


def test_a_log_has_the_fields_of_a_real_one(emulator: Emulator, rpc: Call) -> None:
    emulator.mine_blocks()
    (made,) = emulator.reveal(ADDRESS, [7])
    (log,) = rpc("eth_getLogs", {"fromBlock": "earliest"}).json()["result"]
    mined = block(rpc, "latest")
    assert log == {
        "address": ADDRESS.lower(),
        "topics": [METADATA_UPDATE],
        "data": f"0x{7:064x}",
        "blockNumber": hex(FIRST + 2),
        "transactionHash": made.transaction_hash,
        "transactionIndex": "0x0",
        "blockHash": mined["hash"],
        "logIndex": "0x0",
        "removed": False,
        "blockTimestamp": mined["timestamp"],
    }
    assert made.id == f"eth-mainnet:{log['transactionHash']}:0"
    assert len(log["transactionHash"]) == 66


def test_logs_are_found_by_block_and_by_contract_in_any_case(emulator: Emulator, rpc: Call) -> None:
    for number in range(5):
        emulator.reveal(ADDRESS, [number])
    assert tokens(rpc, **blocks(FIRST + 2, FIRST + 3)) == [1, 2]
    assert tokens(rpc, **blocks(FIRST + 3)) == tokens(rpc, **blocks(FIRST + 3, FIRST + 1000)) == [2, 3, 4]
    assert tokens(rpc, fromBlock="latest") == [4]
    assert rpc("eth_getLogs", {}).json() == rpc("eth_getLogs", {"fromBlock": "latest"}).json()
    assert tokens(rpc, toBlock=hex(FIRST)) == tokens(rpc, **blocks(FIRST + 99, FIRST + 99)) == []
    emulator.reveal(OTHER, [5])
    assert tokens(rpc, address=OTHER) == [5]
    assert tokens(rpc, address=ADDRESS) == tokens(rpc, address=ADDRESS.upper().replace("0X", "0x")) == [0, 1, 2, 3, 4]
    assert tokens(rpc, address=[OTHER, ADDRESS]) == tokens(rpc, address=[]) == tokens(rpc, address=None) == [*range(6)]


def test_logs_are_found_by_topics_with_alternatives_and_gaps(emulator: Emulator, rpc: Call) -> None:
    emulator.reveal(ADDRESS, [1])
    emulator.mint(ADDRESS, [2])
    emulator.transfer(ADDRESS, 3)
    zero = "0x" + "0" * 64

    def kinds(*topics: object) -> list[str]:
        found = rpc("eth_getLogs", {"fromBlock": "earliest", "topics": list(topics)}).json()["result"]
        return [log["topics"][0] for log in found]

    assert kinds(METADATA_UPDATE) == [METADATA_UPDATE]
    assert kinds([METADATA_UPDATE, TRANSFER.upper().replace("0X", "0x")]) == [METADATA_UPDATE, TRANSFER, TRANSFER]
    assert kinds(TRANSFER, zero) == kinds(None, [zero]) == kinds(None, None, None, f"0x{3:064x}") == [TRANSFER]
    assert kinds(None, []) == kinds([None, TOPIC], None) == [TRANSFER, TRANSFER]
    assert kinds() == [METADATA_UPDATE, TRANSFER, TRANSFER]
    emulator.configure(max_addresses=1)
    assert tokens(rpc, address=ADDRESS, topics=[METADATA_UPDATE]) == [1]
    assert error(rpc("eth_getLogs", {"address": [ADDRESS, OTHER]})) == (400, -32602, "too many addresses")
    assert emulator.calls[-1].addresses == 2


@example({"toBlock": "0x1"})
@given(JSON)
def test_whatever_is_asked_is_understood_or_refused(params: object) -> None:
    logs = AlchemyEmulator(block_seconds=None).reveal(ADDRESS, [1])
    body = {"jsonrpc": "2.0", "method": "eth_getLogs", "params": [params]}
    with suppress(Refused):
        asked = read_logs(replace(read_request("POST", "/v2/K", {}, None), body=body))
        first, last = asked.blocks or (0, 0)
        assert first is NEWEST or last is NEWEST or 0 <= first <= last
        assert {*select(asked, logs)} <= {*logs}


@pytest.mark.parametrize(
    "value", ["0x", "0x01", "1", "0xg", "pending", "finalized", "", None, 1, True, ["0x1"], "0x1 "]
)
def test_a_block_is_a_hex_number_or_one_of_two_words(value: object) -> None:
    assert [read_block(text) for text in ("0x0", "0xff", "0xFF", hex(2**64 - 1))] == [0, 255, 255, 2**64 - 1]
    assert [read_block(text) for text in ("earliest", "latest")] == [0, NEWEST]
    with pytest.raises(Refused, match="a block is"):
        read_block(value)


TOPICS = (TOPIC, ["0x1"], [[TOPIC, 5]], [TOPIC] * 5)
FILTERS = [
    *({"fromBlock": 5}, {"fromBlock": "0x2", "toBlock": "0x1"}, {"blockHash": TOPIC}),
    *({"address": "0x1"}, {"address": [ADDRESS, None]}, *({"topics": topics} for topics in TOPICS)),
]


@pytest.mark.parametrize("params", [(), ("earliest",), ({}, {}), *((one,) for one in FILTERS)])
def test_a_filter_that_no_node_takes_is_refused(rpc: Call, params: tuple[object, ...]) -> None:
    assert error(rpc("eth_getLogs", *params))[:2] == (400, -32602)


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        ("hint", (400, -32600, TOO_WIDE)),
        *(("plain", (400, -32602, "block range is too wide")), ("ok", (200, -32005, "query exceeds max block range"))),
        ("timeout", (503, -32602, "Query timeout exceeded. Consider reducing your block range.")),
    ],
)
def test_a_range_with_too_many_blocks_is_refused(
    emulator: Emulator, rpc: Call, form: str, refusal: tuple[int, int, str]
) -> None:
    emulator.configure(max_block_range=10, range_refusal=form)
    assert rpc("eth_getLogs", blocks(100, 109)).json()["result"] == []
    assert error(rpc("eth_getLogs", blocks(100, 110))) == error(rpc("eth_getLogs", blocks(100))) == refusal
    assert [call.compute_units for call in emulator.calls] == [60, 60, 60]
    emulator.configure(max_block_range=1, range_refusal="hint")
    assert rpc("eth_getLogs", blocks(FIRST)).json()["result"] == []
    assert f"[{FIRST - 1:#x}, {FIRST - 1:#x}]" in error(rpc("eth_getLogs", blocks(FIRST - 1)))[2]


def test_an_answer_with_too_many_logs_is_refused_with_a_range_that_works(emulator: Emulator, rpc: Call) -> None:
    emulator.configure(max_logs=4)
    for first in (0, 2, 4):
        emulator.mine_blocks(10)
        emulator.reveal(ADDRESS, [first, first + 1])
    hint = f"this block range should work: [{FIRST:#x}, {FIRST + 32:#x}]"
    assert error(rpc("eth_getLogs", blocks(FIRST)))[:2] == (400, -32602)
    assert error(rpc("eth_getLogs", blocks(FIRST)))[2].endswith(hint)
    assert tokens(rpc, **blocks(FIRST, FIRST + 32)) == [0, 1, 2, 3]
    assert tokens(rpc, **blocks(FIRST), address=OTHER) == []
    for form in ("plain", "ok"):
        emulator.configure(range_refusal=form)
        status, code, sentence = error(rpc("eth_getLogs", blocks(FIRST)))
        assert (status, code, sentence[-39:]) == (400, -32602, "with a cap of 10K logs in the response.")
    emulator.configure(max_logs=None)
    assert tokens(rpc, **blocks(FIRST)) == [0, 1, 2, 3, 4, 5]


def test_a_block_with_too_many_logs_is_refused_alone_as_well(emulator: Emulator, rpc: Call) -> None:
    emulator.reveal(ADDRESS, range(10_000))
    assert len(tokens(rpc)) == 10_000
    emulator.reveal(ADDRESS, [0])
    assert error(rpc("eth_getLogs", blocks(0)))[1] == -32602
    emulator.configure(max_logs=1)
    assert error(rpc("eth_getLogs", blocks(FIRST + 1)))[2].endswith(f"[{FIRST + 1:#x}, {FIRST + 1:#x}]")


def test_every_second_call_is_answered_by_a_node_that_is_behind(emulator: Emulator, rpc: Call) -> None:
    emulator.configure(lag_blocks=2)
    for number in range(4):
        emulator.reveal(ADDRESS, [number])
    newest = [int(rpc("eth_blockNumber").json()["result"], 16) - FIRST for _ in range(4)]
    assert newest == [4, 2, 4, 2]
    assert [tokens(rpc, **blocks(FIRST, FIRST + 4)) for _ in range(2)] == [[0, 1, 2, 3], [0, 1]]
    assert [block(rpc, "latest")["number"] for _ in range(2)] == [hex(FIRST + 4), hex(FIRST + 2)]
    assert [block(rpc, hex(FIRST + 3)) is None for _ in range(2)] == [False, True]
    assert [tokens(rpc, **blocks(FIRST + 3)) for _ in range(2)] == [[2, 3], []]
    emulator.configure(lag_blocks=10**9)
    assert [rpc("eth_blockNumber").json()["result"] for _ in range(2)] == [hex(FIRST + 4), "0x0"]


def test_a_node_that_is_behind_may_say_so(emulator: Emulator, rpc: Call) -> None:
    emulator.configure(lag_blocks=2, lag_form="refused")
    emulator.mine_blocks(4)
    answers = [rpc("eth_getLogs", blocks(FIRST, FIRST + 4)) for _ in range(2)]
    beyond = f"block range extends beyond current head block: requested {FIRST + 4}, head {FIRST + 2}"
    assert (answers[0].json()["result"], error(answers[1])) == ([], (400, -32602, beyond))
    assert [rpc("eth_getLogs", blocks(FIRST, FIRST + 2)).json()["result"] for _ in range(2)] == [[], []]


def test_logs_that_were_taken_away_can_come_with_the_answer(emulator: Emulator, rpc: Call) -> None:
    (gone,) = emulator.reveal(ADDRESS, [1])
    emulator.reorganise(1)
    emulator.reveal(ADDRESS, [2])
    assert tokens(rpc) == [2]
    emulator.configure(removed_logs=True)
    found = rpc("eth_getLogs", blocks(FIRST)).json()["result"]
    assert [(int(log["data"], 16), log["removed"]) for log in found] == [(1, True), (2, False)]
    assert found[0]["blockHash"] == gone.block_hash != found[1]["blockHash"]
    assert tokens(rpc, **blocks(FIRST + 2)) == [2]
    assert tokens(rpc, address=OTHER) == []
    (kept,) = emulator.reorganise(1, keep_logs=True)
    removed = [log for log in rpc("eth_getLogs", blocks(FIRST)).json()["result"] if log["removed"]]
    assert [log["transactionHash"] for log in removed] == [gone.transaction_hash, kept.transaction_hash]
    assert kept.block_hash not in {log["blockHash"] for log in removed}
