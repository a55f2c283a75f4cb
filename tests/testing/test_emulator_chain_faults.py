# SPDX-License-Identifier: Apache-2.0
"""Faults of the node API: the same kinds as the NFT API's, in JSON-RPC where that is what a client would get."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import ADDRESS, Rpc, rpc_body

CALLS: dict[str, tuple[object, ...]] = {
    "eth_blockNumber": (),
    "eth_getLogs": ({"fromBlock": "earliest"},),
    "eth_getBlockByNumber": ("latest", False),
}


def call(rpc: Rpc, method: str) -> requests.Response:
    return rpc(method, *CALLS[method])


@pytest.fixture
def post(emulator: AlchemyEmulator) -> Any:
    """Send an array of calls of every method."""

    def send() -> requests.Response:
        body = [rpc_body(method, *params, number=method) for method, params in CALLS.items()]
        return requests.post(f"{emulator.url}/v2/{emulator.api_key}", json=body, timeout=5, allow_redirects=False)

    return send


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("method", CALLS)
def test_a_result_can_have_the_wrong_type(emulator: AlchemyEmulator, rpc: Rpc, method: str, *, after: bool) -> None:
    emulator.reveal(ADDRESS, [1])
    right = call(rpc, method).json()
    emulator.add_fault("wrong_types", endpoint=method, after_processing=after)
    wrong = call(rpc, method).json()
    assert wrong.keys() == right.keys()
    assert wrong["id"] == right["id"]
    assert wrong["result"] != right["result"]
    assert {name: call(rpc, name).json() != wrong for name in CALLS if name != method} == dict.fromkeys(
        [name for name in CALLS if name != method], True
    )


def test_each_log_can_have_fields_of_the_wrong_type(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.reveal(ADDRESS, [1, 2])
    emulator.add_fault("wrong_types", fields={"blockNumber": 5})
    found = call(rpc, "eth_getLogs").json()["result"]
    assert [(log["blockNumber"], log["logIndex"]) for log in found] == [(5, "0x0"), (5, "0x1")]


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("form", ["hint", "ok"])
def test_wrong_types_never_make_an_empty_answer_of_a_refusal(
    emulator: AlchemyEmulator, rpc: Rpc, form: str, *, after: bool
) -> None:
    emulator.configure(max_block_range=1, range_refusal=form)
    refused = call(rpc, "eth_getLogs").json()
    emulator.add_fault("wrong_types", fields={"blockNumber": 5}, after_processing=after)
    assert call(rpc, "eth_getLogs").json() == refused


@pytest.mark.parametrize("method", CALLS)
@pytest.mark.parametrize("kind", ["other_contract", "unknown_state"])
def test_a_fault_without_anything_to_spoil_is_refused(
    emulator: AlchemyEmulator, rpc: Rpc, method: str, kind: str
) -> None:
    with pytest.raises(ValueError, match=f"kind cannot be {kind} for {method}"):
        emulator.add_fault(kind, endpoint=method)
    emulator.add_fault(kind)
    assert "result" in call(rpc, method).json()


@pytest.mark.parametrize("body", ["error", "jsonrpc"])
def test_errors_are_json_rpc_with_the_id_of_the_call(emulator: AlchemyEmulator, rpc: Rpc, body: str) -> None:
    emulator.add_fault("http", status=503, body=body, times=1, headers={"X-From": "proxy"})
    emulator.add_fault("error_object", message="Sorry", body=body, times=1)
    emulator.add_fault("network_disabled", body=body, times=1)
    answers = [call(rpc, "eth_getLogs") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 200, 403]
    assert [answer.json()["error"]["code"] for answer in answers] == [503, -32000, 403]
    assert {(answer.json()["jsonrpc"], answer.json()["id"]) for answer in answers} == {("2.0", 1)}
    assert answers[0].headers["X-From"] == "proxy"
    assert answers[1].json()["error"]["message"] == "Sorry"


def test_errors_can_be_a_text_or_a_page(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    for body in ("text", "html"):
        emulator.add_fault("http", status=502, body=body, message="Broken", times=1)
    emulator.add_fault("inactive_app")
    assert [call(rpc, "eth_getLogs").text.strip()[:6] for _ in range(3)] == ["Broken", "<html>", "App is"]


def test_bodies_and_connections_can_be_spoilt(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.reveal(ADDRESS, [1])
    for kind in ("empty", "html", "not_json", "cut_json"):
        emulator.add_fault(kind, times=1)
    for _ in range(4):
        with pytest.raises(requests.JSONDecodeError):
            call(rpc, "eth_getLogs").json()
    emulator.add_fault("large", times=1, size=10_000)
    large = call(rpc, "eth_getLogs")
    assert (len(large.content), len(large.json()["result"])) == (10_000, 1)
    for kind in ("cut", "reset"):
        emulator.add_fault(kind, times=1)
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            call(rpc, "eth_getLogs")
    assert len(call(rpc, "eth_getLogs").json()["result"]) == 1


def test_a_call_that_never_reached_the_service_begins_no_chain(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.add_fault("http", status=503, times=1)
    assert rpc("eth_blockNumber", network="base-mainnet").status_code == 503
    assert emulator._state.chains._chains == {}


def test_a_fault_may_be_for_one_contract(emulator: AlchemyEmulator, rpc: Rpc) -> None:
    emulator.add_fault("http", contract_address=ADDRESS)
    other = "0x" + "1" * 40
    assert rpc("eth_getLogs", {"address": [ADDRESS, other]}).status_code == 500
    assert rpc("eth_getLogs", {"address": [other, ADDRESS]}).status_code == 200
    assert rpc("eth_blockNumber").status_code == 200


def test_in_an_array_a_wrong_result_is_that_of_its_call_alone(emulator: AlchemyEmulator, post: Any) -> None:
    emulator.add_fault("wrong_types", endpoint="eth_getLogs")
    emulator.add_fault("error_object", endpoint="eth_blockNumber")
    number, logs, block = post().json()
    assert (number["id"], number["error"]["code"]) == ("eth_blockNumber", -32000)
    assert (logs["id"], logs["result"]) == ("eth_getLogs", {})
    assert block["result"]["number"] == hex(20_000_000)


@pytest.mark.parametrize(
    ("fault", "status"), [({"kind": "http", "status": 503}, 503), ({"kind": "redirect"}, 302), ({"kind": "html"}, 200)]
)
def test_in_an_array_what_happens_to_the_connection_happens_to_all(
    emulator: AlchemyEmulator, post: Any, fault: dict[str, Any], status: int
) -> None:
    emulator.add_fault(**fault, endpoint="eth_getLogs")
    answer = post()
    assert answer.status_code == status
    assert not answer.text.startswith("[")
    assert emulator.count() == 3


def test_in_an_array_one_reset_or_cut_is_everybodys(emulator: AlchemyEmulator, post: Any) -> None:
    for kind in ("reset", "cut"):
        emulator.add_fault(kind, endpoint="eth_getLogs", times=1)
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            post()
    assert [one["id"] for one in post().json()] == [*CALLS]
