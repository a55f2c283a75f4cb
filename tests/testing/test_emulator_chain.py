# SPDX-License-Identifier: Apache-2.0
"""The node API as a client sees it: paths, blocks, logs and filters."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from eth_utils.crypto import keccak

from airflow_provider_alchemy.testing import ANY_KEY, AlchemyEmulator
from airflow_provider_alchemy.testing.calls import Auth
from airflow_provider_alchemy.testing.routing import read_calls
from tests.waiting import eventually

from .conftest import ADDRESS, Rpc, rpc_body

OTHER = "0x" + "1" * 40
FIRST = 20_000_000
METADATA_UPDATE = "0x" + keccak(text="MetadataUpdate(uint256)").hex()
TRANSFER = "0x" + keccak(text="Transfer(address,address,uint256)").hex()


def logs(rpc: Rpc, **asked: object) -> list[dict[str, Any]]:
    found = rpc("eth_getLogs", {"fromBlock": "earliest", **asked}).json()["result"]
    assert isinstance(found, list)
    return found


def block(rpc: Rpc, number: str) -> Any:
    return rpc("eth_getBlockByNumber", number, False).json()["result"]


def token(log: dict[str, Any]) -> int:
    """Give the token that a ``MetadataUpdate`` names."""
    return int(log["data"], 16)


@pytest.mark.parametrize(
    ("path", "network", "key"),
    [
        ("/v2/K", "eth-mainnet", "K"),
        ("/v2/K/", "eth-mainnet", "K"),
        ("/base-mainnet/v2/K", "base-mainnet", "K"),
        ("/v2", "eth-mainnet", ""),
        ("/base-mainnet/v2", "base-mainnet", ""),
    ],
)
def test_every_form_of_a_path_is_understood(path: str, network: str, key: str) -> None:
    (call,) = read_calls("POST", path, {}, "Bearer B", b'{"jsonrpc": "2.0", "method": "eth_blockNumber"}').calls
    assert (call.endpoint_name, call.network, call.key) == ("eth_blockNumber", network, key or "B")
    assert call.auth is (Auth.PATH if key else Auth.HEADER)
    assert "key=" not in repr(call)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v3/K", b"{}"),
        ("/nft/v2/K", b"{}"),
        ("/nft/v2/K/eth_blockNumber", b""),
        ("/nft/v3/K/unknown", b""),
        ("/v2/K", b'{"jsonrpc": "2.0", "method": "reingestContract"}'),
        ("/v2/K", b'{"jsonrpc": "2.0", "method": "unknown"}'),
    ],
)
def test_an_endpoint_of_one_api_is_none_of_the_other(path: str, body: bytes) -> None:
    (call,) = read_calls("POST", path, {}, None, body).calls
    assert call.endpoint_name == "unknown"


def test_the_key_may_be_in_the_header_whatever_the_nft_api_does(emulator: AlchemyEmulator) -> None:
    emulator.configure(header_auth_v2=False)
    headers = {"Authorization": f"Bearer {emulator.api_key}"}
    answer = requests.post(f"{emulator.url}/v2", json=rpc_body("eth_blockNumber"), headers=headers, timeout=5)
    assert answer.json() == {"jsonrpc": "2.0", "id": 1, "result": hex(FIRST)}
    assert (emulator.calls[0].auth, emulator.calls[0].endpoint) == (Auth.HEADER, "eth_blockNumber")


@pytest.mark.parametrize(("path", "sentence"), [("/v2", "Must be authenticated!"), ("/v2/wrong", "Invalid access key")])
def test_a_call_without_a_right_key_is_refused_in_json_rpc(emulator: AlchemyEmulator, path: str, sentence: str) -> None:
    asked = rpc_body("eth_getLogs", {"address": ADDRESS}, number="seven")
    refused = requests.post(emulator.url + path, json=asked, timeout=5)
    assert refused.status_code == 401
    assert refused.json() == {"jsonrpc": "2.0", "id": "seven", "error": {"code": 401, "message": sentence}}
    assert (emulator.calls[0].blocks, emulator.calls[0].addresses) == (None, 0)


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        (b'{"jsonrpc": "2.0", "id": 1, "method": "eth_foo"}', -32600, "Unsupported method: eth_foo"),
        (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600, "Invalid request"),
        (b'{"id": 1, "method": "eth_blockNumber"}', -32600, "Invalid request"),
        (b"[]", -32600, "Invalid request"),
        (b"5", -32600, "Invalid request"),
        (b"{", -32700, "Parse error"),
        (b"", -32700, "Parse error"),
    ],
)
def test_what_is_no_call_of_a_method_is_refused(
    emulator: AlchemyEmulator, body: bytes, code: int, sentence: str
) -> None:
    refused = requests.post(f"{emulator.url}/v2/{emulator.api_key}", data=body, timeout=5)
    assert refused.status_code == 400
    assert refused.json()["error"] == {"code": code, "message": sentence}
    assert (emulator.calls[0].endpoint, emulator.compute_units) == ("unknown", 0)


def test_blocks_come_by_themselves(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.configure(block_seconds=12, speed=1000)
    first = emulator.newest_block()
    eventually(lambda: int(rpc("eth_blockNumber").json()["result"], 16) > first + 3)


def test_blocks_come_on_command_only_where_that_is_asked_for(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.configure(first_block=100)
    assert emulator.newest_block() == 100
    assert emulator.mine_blocks() == 101
    assert emulator.mine_blocks(9) == 110
    assert rpc("eth_blockNumber").json()["result"] == "0x6e"


def test_each_network_has_a_chain_of_its_own(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.reveal(ADDRESS, [1], network="base-mainnet")
    assert emulator.chain_logs() == ()
    numbers = [rpc("eth_blockNumber", network=name).json()["result"] for name in ("eth-mainnet", "base-mainnet")]
    assert numbers == [hex(FIRST), hex(FIRST + 1)]
    hashes = {
        rpc("eth_getBlockByNumber", "0x5", False, network=name).json()["result"]["hash"]
        for name in ("eth-mainnet", "base-mainnet")
    }
    assert len(hashes) == 2


def test_blocks_are_a_chain_with_times_that_never_go_back(emulator: AlchemyEmulator, rpc: Rpc) -> None:
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


def test_a_block_that_is_not_there_is_null_and_the_very_first_has_no_parent(rpc: Rpc) -> None:
    assert block(rpc, hex(FIRST + 1000)) is None
    genesis = block(rpc, "earliest")
    assert (genesis["number"], genesis["parentHash"]) == ("0x0", "0x" + "0" * 64)


@pytest.mark.parametrize("params", [(), ("0x1",), ("0x01", False), (1, False), ("finalized", False), ("0x1", "no")])
def test_a_block_that_is_not_well_named_is_refused(rpc: Rpc, params: tuple[object, ...]) -> None:
    refused = rpc("eth_getBlockByNumber", *params)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, -32602)


def test_a_log_has_the_fields_of_a_real_one(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.mine_blocks()
    (made,) = emulator.reveal(ADDRESS, [7])
    (log,) = logs(rpc)
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


def test_logs_are_found_by_block(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    for number in range(5):
        emulator.reveal(ADDRESS, [number])
    second, third = hex(FIRST + 2), hex(FIRST + 3)
    assert [token(log) for log in logs(rpc, fromBlock=second, toBlock=third)] == [1, 2]
    assert [token(log) for log in logs(rpc, fromBlock=third, toBlock="latest")] == [2, 3, 4]
    assert [token(log) for log in logs(rpc, fromBlock=third, toBlock=hex(FIRST + 1000))] == [2, 3, 4]
    assert [token(log) for log in logs(rpc, fromBlock="latest")] == [4]
    assert rpc("eth_getLogs", {}).json()["result"] == logs(rpc, fromBlock="latest")
    assert logs(rpc, toBlock=hex(FIRST)) == logs(rpc, fromBlock=hex(FIRST + 99), toBlock=hex(FIRST + 99)) == []


def test_logs_are_found_by_contract_in_any_case(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.reveal(ADDRESS, [1])
    emulator.reveal(OTHER, [2])
    assert [token(log) for log in logs(rpc, address=ADDRESS)] == [1]
    assert [token(log) for log in logs(rpc, address=[OTHER, ADDRESS.upper().replace("0X", "0x")])] == [1, 2]
    assert len(logs(rpc, address=[])) == len(logs(rpc, address=None)) == 2


def test_logs_are_found_by_topics_with_alternatives_and_gaps(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.reveal(ADDRESS, [1])
    emulator.mint(ADDRESS, [2])
    emulator.transfer(ADDRESS, 3)
    zero = "0x" + "0" * 64

    def kinds(*topics: object) -> list[str]:
        return [log["topics"][0] for log in logs(rpc, topics=list(topics))]

    assert kinds(METADATA_UPDATE) == [METADATA_UPDATE]
    assert kinds([METADATA_UPDATE, TRANSFER.upper().replace("0X", "0x")]) == [METADATA_UPDATE, TRANSFER, TRANSFER]
    assert kinds(TRANSFER, zero) == [TRANSFER]
    assert kinds(None, [zero]) == [TRANSFER]
    assert kinds(None, []) == [TRANSFER, TRANSFER]
    assert kinds(None, None, None, f"0x{3:064x}") == [TRANSFER]
    assert kinds() == [METADATA_UPDATE, TRANSFER, TRANSFER]


def test_a_call_is_billed_and_recorded_with_its_blocks_and_contracts(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    rpc("eth_blockNumber")
    rpc("eth_getLogs", {"fromBlock": "0x10", "toBlock": "0x20", "address": [ADDRESS, OTHER]})
    rpc("eth_getLogs", {"fromBlock": "0x10"}, network="base-mainnet")
    rpc("eth_getLogs", {"fromBlock": 10, "address": ADDRESS})
    rpc("eth_getBlockByNumber", "latest", False)
    recorded = [(call.blocks, call.addresses, call.contract_address) for call in emulator.calls]
    none = (None, 0, None)
    assert recorded == [none, ((16, 32), 2, ADDRESS), ((16, FIRST), 0, None), none, none]
    assert [call.compute_units for call in emulator.calls] == [10, 75, 75, 75, 20]
    assert emulator._state.window.used(0) == 10 + 75 * 3 + 20
    assert emulator.count("eth_getLogs") == 3
    assert emulator.count(contract_address=ADDRESS.lower()) == 1


def test_an_array_of_calls_is_answered_with_an_array(emulator: AlchemyEmulator) -> None:
    body = [rpc_body("eth_blockNumber", number="a"), rpc_body("eth_foo", number=2), 5]
    answer = requests.post(f"{emulator.url}/v2/{emulator.api_key}", json=body, timeout=5)
    assert answer.status_code == 200
    first, second, third = answer.json()
    assert first == {"jsonrpc": "2.0", "id": "a", "result": hex(FIRST)}
    assert (second["id"], second["error"]["message"]) == (2, "Unsupported method: eth_foo")
    assert (third["id"], third["error"]["message"]) == (None, "Invalid request")
    assert [(call.endpoint, call.compute_units, call.http_status) for call in emulator.calls] == [
        ("eth_blockNumber", 10, 200),
        ("unknown", 0, 400),
        ("unknown", 0, 400),
    ]


def test_an_array_of_calls_may_be_more_than_the_throughput(emulator: AlchemyEmulator) -> None:
    emulator.configure(units_per_second=2, retry_after=3)
    url, body = f"{emulator.url}/v2/{emulator.api_key}", [rpc_body("eth_blockNumber", number=n) for n in range(3)]
    some = requests.post(url, json=body, timeout=5)
    assert [one.get("error", {}).get("code") for one in some.json()] == [None, None, 429]
    none = requests.post(url, json=body[:2], timeout=5)
    assert (none.status_code, none.headers["Retry-After"]) == (429, "3")
    assert [one["id"] for one in none.json()] == [0, 1]


def test_the_log_has_a_line_for_each_call_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with AlchemyEmulator(api_keys=ANY_KEY, block_seconds=None) as emulator:
        asked = {"fromBlock": "0x1", "toBlock": "0x2", "address": ADDRESS}
        body = [rpc_body("eth_getLogs", asked), rpc_body("the-secret-key")]
        requests.post(f"{emulator.url}/base-mainnet/v2/the-secret-key", json=body, timeout=5)
        requests.get(f"{emulator.url}/v2/the-secret-key", timeout=5)
    lines = [record.getMessage() for record in caplog.records if record.name.endswith("testing.app")]
    assert lines == [
        "POST /base-mainnet/v2/*** eth_getLogs in blocks 1 to 2 of 1 contracts: 200, 75 units",
        "POST /base-mainnet/v2/*** unknown: 400, 0 units",
        "GET /eth-mainnet/v2/*** unknown: 400, 0 units",
    ]
    assert "the-secret-key" not in caplog.text
