# SPDX-License-Identifier: Apache-2.0
"""Every kind of fault, as a client of each endpoint meets it."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator, FaultKind
from tests.waiting import eventually

from .conftest import ADDRESS, OTHER, SECONDS, Call, Emulator, batch, token

OTHER_CONTRACT = "0x00000000000000000000000000000000decafbad"
BROKEN_CONNECTION = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)

NFT_API: dict[str, dict[str, Any]] = {
    "reingestContract": {},
    "refreshNftMetadata": {"body": token()},
    "getNFTMetadata": {"tokenId": 1, "refreshCache": "true"},
    "getNFTMetadataBatch": {"body": batch(1, 2, refreshCache=True)},
    "getNFTsForContract": {"limit": 2},
    "getContractMetadata": {},
    "getContractMetadataBatch": {"body": {"contractAddresses": [ADDRESS]}},
}
NODE_API: dict[str, tuple[object, ...]] = {
    "eth_blockNumber": (),
    "eth_getLogs": ({"fromBlock": "earliest"},),
    "eth_getBlockByNumber": ("latest", False),
}
WRONG = {"reingestContract": "reingestionState", "refreshNftMetadata": "status"}
WRONG |= {"getContractMetadata": "name", "getContractMetadataBatch": "name"}

Endpoint = Callable[[str], requests.Response]


@pytest.fixture
def call(ask: Call, rpc: Call) -> Endpoint:
    """Call any endpoint or method with arguments that suit it."""

    def send(endpoint: str) -> requests.Response:
        return rpc(endpoint, *NODE_API[endpoint]) if endpoint in NODE_API else ask(endpoint, **NFT_API[endpoint])

    return send


def items(payload: Any) -> list[dict[str, Any]]:
    """Give the NFTs or contracts of any answer."""
    found = payload if isinstance(payload, list) else payload.get("nfts", payload.get("contracts", [payload]))
    assert found
    return list(found)


each_endpoint = pytest.mark.parametrize("endpoint", [*NFT_API, *NODE_API])


BODIES = {
    "error": ("application/json", '{"error": {"message": "Broken"}}'),
    "jsonrpc": ("application/json", '{"jsonrpc": "2.0", "error": {"code": 503, "message": "Broken"}}'),
    "text": ("text/plain", "Broken"),
    "html": ("text/html", "<h1>Broken</h1>"),
}


@pytest.mark.parametrize("body", BODIES)
def test_an_error_comes_in_every_body_form(emulator: Emulator, call: Endpoint, body: str) -> None:
    content_type, text = BODIES[body]
    emulator.add_fault("http", status=503, body=body, message="Broken")
    nft, node = call("reingestContract"), call("eth_getLogs")
    assert {nft.status_code, node.status_code} == {503}
    assert nft.headers["Content-Type"].startswith(content_type)
    assert text in nft.text
    rpc = '{"jsonrpc": "2.0", "id": 1, "error": {"code": 503, "message": "Broken"}}'
    assert (rpc if content_type == "application/json" else text) in node.text
    emulator.clear_faults()
    emulator.add_fault("inactive_app")
    for endpoint in ("reingestContract", "eth_getLogs"):
        assert (call(endpoint).status_code, call(endpoint).text) == (403, "App is inactive.")


@pytest.mark.parametrize(
    ("fault", "status", "sentence"),
    [
        ({"kind": "http"}, 500, "Unable to complete request"),
        ({"kind": "http", "status": 429}, 429, "Your app has exceeded its compute units per second"),
        ({"kind": "http", "status": 400}, 400, "Unsupported method"),
        ({"kind": "network_disabled"}, 403, "ETH_MAINNET is not enabled for this app. Visit"),
        ({"kind": "error_object"}, 200, "Unable to complete request"),
        ({"kind": "error_object", "message": "Sorry"}, 200, "Sorry"),
    ],
)
@pytest.mark.parametrize("endpoint", ["reingestContract", "eth_getLogs"])
def test_an_error_has_the_services_own_words_by_default(
    emulator: Emulator, call: Endpoint, endpoint: str, fault: dict[str, Any], status: int, sentence: str
) -> None:
    emulator.add_fault(**fault)
    answer = call(endpoint)
    assert answer.status_code == status
    assert answer.json()["error"]["message"].startswith(sentence)
    code = -32000 if status == 200 else status
    assert answer.json()["error"].get("code") == (None if endpoint == "reingestContract" else code)


def test_an_error_may_say_when_to_retry_and_a_redirect_that_is_followed_is_seen(emulator: Emulator, ask: Call) -> None:
    emulator.add_fault("http", status=429, retry_after=7, times=1)
    emulator.add_fault("http", status=503, retry_after=3600, retry_after_form="date", times=1)
    before = time.time()
    seconds, date = (ask().headers["Retry-After"] for _ in range(2))
    assert seconds == "7"
    assert before + 3599 <= email.utils.parsedate_to_datetime(date).timestamp() <= time.time() + 3601
    emulator.add_fault("redirect", times=1)
    emulator.add_fault("redirect", location="https://example.org/x")
    first = ask()
    assert (first.status_code, first.headers["Location"]) == (302, "/redirected")
    assert requests.get(emulator.url + first.headers["Location"], timeout=SECONDS).status_code == 404
    assert emulator.count("unknown") == 1
    assert ask().headers["Location"] == "https://example.org/x"


NO_JSON = {"empty": "", "html": "<html>", "not_json": "no JSON", "cut_json": "{"}


@each_endpoint
@pytest.mark.parametrize("kind", NO_JSON)
def test_a_body_can_be_no_json(emulator: Emulator, call: Endpoint, endpoint: str, kind: str) -> None:
    emulator.add_fault(kind)
    answer = call(endpoint)
    content_type = "text/html" if kind == "html" else "application/json"
    assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, content_type)
    assert answer.text.startswith(NO_JSON[kind])
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


@pytest.mark.parametrize("form", ["object", "array"])
@pytest.mark.parametrize("after", [True, False])
@each_endpoint
def test_every_item_of_an_answer_can_have_the_wrong_types(
    emulator: Emulator, call: Endpoint, endpoint: str, *, after: bool, form: str
) -> None:
    emulator.configure(batch_form=form)
    emulator.reveal(ADDRESS, [1])
    right = call(endpoint).json()
    emulator.add_fault("wrong_types", endpoint=endpoint, after_processing=after)
    wrong = call(endpoint).json()
    if endpoint in NODE_API:
        assert {**wrong, "result": right["result"]} == right != wrong
    else:
        assert [item[WRONG.get(endpoint, "timeLastUpdated")] for item in items(wrong)] == [5] * len(items(right))
    assert emulator.calls[1].state is None
    assert all(call(other).json() != wrong for other in (*NFT_API, *NODE_API) if other != endpoint)


def test_wrong_types_can_be_chosen_for_the_items_and_for_what_stands_beside_them(
    emulator: Emulator, call: Endpoint
) -> None:
    emulator.reveal(ADDRESS, [1, 2])
    emulator.add_fault("wrong_types", endpoint="eth_getLogs", fields={"blockNumber": 5})
    emulator.add_fault("wrong_types", endpoint="getNFTsForContract", fields={"pageKey": 7, "name": 8})
    emulator.add_fault("wrong_types", fields={"nfts": "none"})
    logs, listing = call("eth_getLogs").json()["result"], call("getNFTsForContract").json()
    assert [(log["blockNumber"], log["logIndex"]) for log in logs] == [(5, "0x0"), (5, "0x1")]
    assert (listing["pageKey"], [nft["name"] for nft in listing["nfts"]]) == (7, [8, 8])
    assert call("getNFTMetadataBatch").json() == {"nfts": "none"}


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("kind", ["wrong_types", "large", "other_contract", "unknown_state"])
def test_what_spoils_values_leaves_a_refusal_as_it_is(
    emulator: Emulator, call: Endpoint, ask: Call, kind: str, *, after: bool
) -> None:
    emulator.configure(max_block_range=1, range_refusal="ok")
    refused = call("eth_getLogs").json()
    emulator.add_fault(kind, after_processing=after)
    assert call("eth_getLogs").json() == refused
    assert ask("getNFTMetadataBatch", body={}).json() == {"error": {"message": "Invalid arg"}}


@pytest.mark.parametrize("form", ["object", "array"])
def test_an_answer_can_be_of_another_contract_or_of_a_state_that_no_document_names(
    emulator: Emulator, call: Endpoint, ask: Call, form: str
) -> None:
    emulator.configure(batch_form=form)
    emulator.add_fault("other_contract")
    assert call("reingestContract").json()["contractAddress"] == OTHER_CONTRACT
    assert emulator.finished_at(ADDRESS) is not None
    for endpoint in [*NFT_API][2:]:
        found = items(call(endpoint).json())
        assert {item.get("contract", item)["address"] for item in found} == {OTHER_CONTRACT}
    (nft,) = ask("getNFTsForContract", withMetadata="false", limit=1).json()["nfts"]
    assert nft["contractAddress"] == OTHER_CONTRACT
    emulator.clear_faults()
    emulator.add_fault("unknown_state", state="polishing")
    assert call("reingestContract").json()["reingestionState"] == emulator.calls[-1].state == "polishing"
    assert all(call(method).ok for method in (*NFT_API, *NODE_API))


@pytest.mark.parametrize("form", ["object", "array"])
@each_endpoint
def test_every_answer_can_be_large_and_is_still_right(
    emulator: Emulator, call: Endpoint, endpoint: str, form: str
) -> None:
    emulator.configure(batch_form=form)
    right = call(endpoint).json()
    emulator.add_fault("large", size=20_000)
    large = call(endpoint)
    assert len(large.content) == 20_000
    assert type(large.json()) is type(right)
    assert "error" not in large.text[:100]


def test_a_call_can_hang_until_the_client_gives_up(emulator: Emulator, ask: Call) -> None:
    emulator.add_fault("hang")
    with pytest.raises(requests.exceptions.ReadTimeout):
        ask(timeout=(SECONDS, 0.1))
    eventually(lambda: emulator.count() == 1)
    assert (emulator.calls[0].http_status, emulator.compute_units) == (None, 0)


def test_a_body_can_drip_byte_by_byte_or_be_late(emulator: Emulator, ask: Call) -> None:
    emulator.add_fault("drip", seconds=0.05, times=1)
    emulator.add_fault("drip", seconds=0)
    with ask(stream=True) as answer:
        assert answer.raw.read(3) == b'{"c'
    assert ask().json()["contractAddress"] == ADDRESS.lower()
    emulator.clear_faults()
    emulator.add_fault("slow", seconds=0.2)
    before = time.monotonic()
    assert ask().json()["contractAddress"] == ADDRESS.lower()
    assert time.monotonic() - before >= 0.2


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind not in {"slow", "drip", "other_contract", "hang"}])
def test_a_fault_before_the_service_leaves_no_trace_there(emulator: Emulator, call: Endpoint, kind: str) -> None:
    emulator.set_collection(ADDRESS, queue_seconds=0)
    updated_at = emulator.time_last_updated(ADDRESS, 1)
    emulator.add_fault(kind)
    for endpoint in ("reingestContract", "refreshNftMetadata", "getNFTMetadata", "getNFTMetadataBatch"):
        try:
            call(endpoint)
        except requests.RequestException:
            assert kind in {"reset", "cut"}
    if kind != "unknown_state":  # it spares all but the first
        assert emulator.time_last_updated(ADDRESS, 1) == updated_at
    assert emulator.finished_at(ADDRESS) is None
    emulator.clear_faults()
    assert call("reingestContract").ok


def test_a_fault_after_the_service_leaves_its_work_done(emulator: Emulator, call: Endpoint, ask: Call) -> None:
    emulator.set_job(ADDRESS, queued_seconds=3600)
    updated_at = emulator.time_last_updated(ADDRESS, 1)
    emulator.add_fault("http", status=502, after_processing=True, times=2)
    emulator.add_fault("reset", after_processing=True, times=1)
    assert [call(endpoint).status_code for endpoint in ("reingestContract", "getNFTMetadata")] == [502, 502]
    with pytest.raises(BROKEN_CONNECTION):
        call("reingestContract")
    assert call("reingestContract").json()["reingestionState"] == "already_queued"
    assert emulator.time_last_updated(ADDRESS, 1) > updated_at
    assert emulator.compute_units == 3 * 480 + 80
    emulator.add_fault("other_contract", times=1)
    assert ask(key="wrong").status_code == 401  # a refusal is spared
    assert ask().json()["contractAddress"] == OTHER_CONTRACT


def test_a_fault_can_be_for_some_calls_one_endpoint_and_one_contract(emulator: Emulator, ask: Call, rpc: Call) -> None:
    emulator.add_fault("http", times=2)
    assert [ask().status_code for _ in range(3)] == [500, 500, 200]
    emulator.add_fault("http", endpoint="reingestContract", contract_address=ADDRESS.lower())
    answers = [ask(), ask(), ask(address=OTHER), ask("getContractMetadata")]
    assert [answer.status_code for answer in answers] == [500, 500, 200, 200]
    emulator.clear_faults()
    assert ask().status_code == 200
    emulator.add_fault("http", contract_address=ADDRESS)
    answers = [ask("getNFTMetadataBatch", body=batch(1, address=one)) for one in (ADDRESS, OTHER)]
    answers += [rpc("eth_getLogs", {"address": pair}) for pair in ([ADDRESS, OTHER], [OTHER, ADDRESS])]
    assert [answer.status_code for answer in (*answers, rpc("eth_blockNumber"))] == [500, 200, 500, 200, 200]


def test_the_dice_of_a_fault_fall_the_same_in_each_run() -> None:
    def run(seed: int) -> list[int]:
        with AlchemyEmulator(units_per_second=None, seed=seed) as emulator, requests.Session() as session:
            emulator.add_fault("http", probability=0.5)
            url = f"{emulator.url}/nft/v2/{emulator.api_key}/reingestContract?contractAddress={ADDRESS}"
            return [session.get(url, timeout=SECONDS).status_code for _ in range(30)]

    first = run(1)
    assert set(first) == {200, 500}
    assert run(1) == first
    assert run(2) != first
