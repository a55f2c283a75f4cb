# SPDX-License-Identifier: Apache-2.0
"""The account: paths and keys, throughput and prices, and the record of calls. The clock is an argument; no server."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from airflow_provider_alchemy.testing import ANY_KEY, AlchemyEmulator
from airflow_provider_alchemy.testing.account import ThroughputWindow, is_billed
from airflow_provider_alchemy.testing.calls import Auth
from airflow_provider_alchemy.testing.endpoints import find_endpoint
from airflow_provider_alchemy.testing.exchange import Answer
from airflow_provider_alchemy.testing.routing import read_request

from .conftest import ADDRESS, FIRST, OTHER, Emulator, batch, rpc_body, token

OTHER_STILL = "0x" + "2" * 40
NOW = 1_800_000_000.0
KEY = "the-key"


@pytest.fixture
def emulator() -> AlchemyEmulator:
    return AlchemyEmulator(units_per_second=None, block_seconds=None, api_keys=[KEY])


def call(
    emulator: Emulator,
    endpoint: str = "reingestContract",
    *,
    path: str = f"/nft/v3/{KEY}/",
    address: str = ADDRESS,
    body: object = None,
    header: str | None = None,
    now: float = NOW,
) -> Answer:
    query = {"contractAddress": address} if body is None else {}
    method, sent = ("GET", b"") if body is None else ("POST", json.dumps(body).encode())
    answer, _fault, _call = emulator._account.handle(read_request(method, path + endpoint, query, header, sent), now)
    assert answer is not None
    return answer


@pytest.mark.parametrize(
    ("path", "network", "version", "endpoint", "key"),
    [
        ("/nft/v2/K/reingestContract", "eth-mainnet", "v2", "reingestContract", "K"),
        ("/nft/v3/K/getContractMetadata/", "eth-mainnet", "v3", "getContractMetadata", "K"),
        ("/polygon-mainnet/nft/v2/K/reingestContract", "polygon-mainnet", "v2", "reingestContract", "K"),
        ("/base-mainnet/nft/v2/reingestContract", "base-mainnet", "v2", "reingestContract", ""),
        ("/nft/v2//reingestContract", "eth-mainnet", "v2", "reingestContract", ""),
        ("/nft/v2/K/getContractMetadata", "eth-mainnet", "v2", "unknown", "K"),
        ("/nft/v3/K/eth_blockNumber", "eth-mainnet", "", "unknown", ""),
        ("/v2/K/", "eth-mainnet", "v2", "eth_blockNumber", "K"),
        ("/base-mainnet/v2/K", "base-mainnet", "v2", "eth_blockNumber", "K"),
        ("/v2", "eth-mainnet", "v2", "eth_blockNumber", ""),
        ("/nft/v2/K", "eth-mainnet", "v2", "unknown", ""),
        ("/v3/K", "eth-mainnet", "", "unknown", ""),
        ("/K", "eth-mainnet", "", "unknown", ""),
    ],
)
def test_every_form_of_a_path_is_understood_and_no_key_shown(
    path: str, network: str, version: str, endpoint: str, key: str
) -> None:
    for header in (None, "Bearer B"):
        request = read_request("POST", path, {}, header, b'{"jsonrpc": "2.0", "method": "eth_blockNumber"}')
        in_header = "B" if header and version else ""
        assert (request.network, request.version, find_endpoint(request).name) == (network, version, endpoint)
        assert request.key == (key or in_header)
        assert request.auth is (Auth.PATH if key else Auth.HEADER if in_header else Auth.NONE)
        assert not {"K", "B", "'K'", "'B'"} & set(repr(request).replace("=", " ").replace(",", " ").split())


@pytest.mark.parametrize(
    ("query", "body", "address"),
    [
        ({"contractAddress": OTHER}, {"contractAddress": ADDRESS}, OTHER),
        *(({}, one, ADDRESS) for one in (token(), batch(1), {"contractAddresses": [ADDRESS, OTHER]})),
        *(({}, {name: value}, None) for name, value in (("contractAddress", 5), ("tokens", [[]]), ("tokens", []))),
        *(({}, one, None) for one in ([ADDRESS], None, {"contractAddresses": [5]})),
    ],
)
def test_the_contract_of_a_call_is_the_first_one_that_it_names(
    query: dict[str, str], body: object, address: str | None
) -> None:
    assert read_request("POST", "/nft/v3/K/x", query, None, json.dumps(body).encode()).contract_address == address


def test_a_missing_and_a_wrong_key_are_told_apart(emulator: Emulator) -> None:
    missing, wrong = call(emulator, path="/nft/v3/"), call(emulator, path="/nft/v3/wrong/")
    assert (missing.status, missing.body) == (401, b'{"error": {"message": "Must be authenticated!"}}')
    assert (wrong.status, wrong.body) == (401, b'{"error": {"message": "Invalid access key"}}')
    assert [one.auth for one in emulator.calls] == ["none", "path"]
    assert emulator.compute_units == 960


def test_the_key_may_stand_in_the_header_which_v2_can_refuse(emulator: Emulator) -> None:
    def statuses() -> list[int]:
        return [call(emulator, path=f"/nft/{version}/", header=f"bearer  {KEY}").status for version in ("v2", "v3")]

    assert statuses() == [200, 200]
    assert emulator.calls[0].auth == "header"
    emulator.configure(header_auth_v2=False)
    assert statuses() == [401, 200]


def test_a_rotated_key_replaces_all_others_and_any_key_is_accepted_when_told_so(emulator: Emulator) -> None:
    new = emulator.rotate_key()
    assert new == emulator.api_key != KEY
    assert [call(emulator, path=f"/nft/v3/{key}/").status for key in (KEY, new)] == [401, 200]
    several, anything = AlchemyEmulator(api_keys=["old", "new"]), AlchemyEmulator(api_keys=ANY_KEY)
    assert [call(several, path=f"/nft/v3/{key}/").status for key in ("old", "new", "third")] == [200, 200, 401]
    assert [call(anything, path=path).status for path in ("/nft/v3/what-ever/", "/nft/v3/")] == [200, 401]


def test_the_window_takes_ten_seconds_of_units_and_some_errors_cost_nothing() -> None:
    window = ThroughputWindow()
    assert [window.admit(0, 480, 300) for _ in range(7)] == [True] * 6 + [False]
    assert window.used(0) == 6 * 480  # a refused call does not count
    assert [window.admit(now, 3000, 300) for now in (9.99, 10)] == [False, True]
    assert window.admit(10, 10**6, None)
    assert window.used(10) == 3000 + 10**6
    statuses = (200, 400, 401, 403, 404, 429, 500, 302, None)
    assert [status for status in statuses if is_billed(status)] == [200, 400, 401, 404, 500]


def test_the_whole_account_shares_the_throughput(emulator: Emulator) -> None:
    emulator.configure(units_per_second=100, retry_after=2.5)
    answers = [call(emulator, address=address) for address in (ADDRESS, OTHER, ADDRESS)]
    body = json.loads(answers[2].body)
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[2].headers == {"Retry-After": "3"}
    assert (body["jsonrpc"], body["error"]["code"]) == ("2.0", 429)
    assert "exceeded its compute units per second capacity" in body["error"]["message"]
    assert call(emulator, "getContractMetadata").status == 200
    assert [one.compute_units for one in emulator.calls] == [480, 480, 0, 160]
    assert (emulator.throttled, emulator.compute_units) == (1, 480 + 480 + 160)
    assert call(emulator, now=NOW + 10).status == 200
    emulator.configure(units_per_second=1, retry_after=None)
    refused = call(emulator, address=OTHER_STILL, now=NOW + 20)
    assert (refused.status, refused.headers, emulator.finished_at(OTHER_STILL)) == (429, {}, None)


def test_errors_from_faults_are_billed_and_metered_as_the_services_own(emulator: Emulator) -> None:
    emulator.configure(units_per_second=100)
    for status in (429, 403, 500, 500):
        emulator.add_fault("http", status=status, times=1)
    assert [call(emulator).status for _ in range(5)] == [429, 403, 500, 500, 429]
    assert [one.compute_units for one in emulator.calls] == [0, 0, 480, 480, 0]
    assert emulator.throttled == 1


@pytest.mark.parametrize("status", [429, 403])
def test_the_monthly_cap_refuses_every_further_call_without_billing_it(emulator: Emulator, status: int) -> None:
    emulator.configure(monthly_units=500, monthly_status=status)
    assert call(emulator).status == 200
    refused = call(emulator)
    assert refused.status == status
    assert json.loads(refused.body)["error"]["message"].startswith("Monthly capacity limit exceeded.")
    assert (emulator.compute_units, emulator.throttled) == (480, 0)


def test_every_endpoint_has_its_price(emulator: Emulator) -> None:
    bodies = {"refreshNftMetadata": token(), "getNFTMetadataBatch": batch(1)}
    bodies["getContractMetadataBatch"] = {"contractAddresses": [ADDRESS]}
    prices = {"reingestContract": (480, 480), "refreshNftMetadata": (40, 10), "getNFTMetadata": (80, 10)}
    prices |= {"getNFTMetadataBatch": (480, 100), "getNFTsForContract": (600, 50), "getContractMetadata": (160, 10)}
    prices |= {"getContractMetadataBatch": (480, 100), "eth_blockNumber": (10, 10), "eth_getLogs": (60, 60)}
    prices |= {"eth_getBlockByNumber": (20, 20)}
    for number, (endpoint, (units, _)) in enumerate(prices.items(), 1):
        if endpoint.startswith("eth_"):
            call(emulator, "", path=f"/v2/{KEY}", body=rpc_body(endpoint, {}))
        else:
            call(emulator, endpoint, body=bodies.get(endpoint))
        last, used = emulator.calls[-1], emulator._account.window.used(NOW)
        assert (last.endpoint, last.compute_units) == (endpoint, units)
        assert used == sum(throughput for _, throughput in [*prices.values()][:number])


def test_calls_are_recorded_and_counted_without_case(emulator: Emulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=60)
    call(emulator)
    call(emulator, "getContractMetadata", address=ADDRESS.lower())
    call(emulator, address=OTHER)
    first = emulator.calls[0]
    assert (first.at, first.endpoint, first.network) == (NOW, "reingestContract", "eth-mainnet")
    assert (first.contract_address, first.auth, first.http_status, first.state) == (ADDRESS, "path", 200, "queued")
    assert emulator.calls[1].state is None
    upper = ADDRESS.upper().replace("0X", "0x")
    counts = [emulator.count(), emulator.count("reingestContract"), emulator.count(contract_address=upper)]
    assert [*counts, emulator.count("getContractMetadata", ADDRESS)] == [3, 2, 2, 1]


def test_a_call_is_recorded_with_its_tokens_and_whether_it_refreshes(emulator: Emulator) -> None:
    call(emulator, "refreshNftMetadata", body=token("0x5"))
    call(emulator, "getNFTMetadataBatch", body=batch(1, 5))
    call(emulator, "getNFTMetadataBatch", body=batch(5, refreshCache=True, address=OTHER))
    call(emulator, "getNFTMetadataBatch", body=batch("x"))
    call(emulator, "getNFTMetadataBatch", body=batch(1, refreshCache=True), path="/nft/v3/wrong/")
    recorded = [(one.token_ids, one.refreshes) for one in emulator.calls]
    assert recorded == [((5,), True), ((1, 5), False), ((5,), True), ((), False), ((), True)]
    assert emulator.asked_tokens() == Counter({5: 3, 1: 1})
    assert emulator.asked_tokens("refreshNftMetadata") == {5: 1}
    assert emulator.asked_tokens("getNFTMetadataBatch", ADDRESS.lower()) == {1: 1, 5: 1}


def test_a_call_for_logs_is_recorded_with_its_blocks_and_contracts(emulator: Emulator) -> None:
    asked = {"fromBlock": "0x10", "toBlock": "0x20", "address": [ADDRESS, OTHER]}
    for filters, key in ((asked, KEY), ({"fromBlock": "0x10"}, KEY), ({"fromBlock": 10}, KEY), (asked, "wrong")):
        call(emulator, path=f"/v2/{key}", endpoint="", body=rpc_body("eth_getLogs", filters))
    recorded = [(one.blocks, one.addresses, one.contract_address) for one in emulator.calls]
    assert recorded == [((16, 32), 2, ADDRESS), ((16, FIRST), 0, None), (None, 0, None), (None, 0, ADDRESS)]


def test_a_reset_forgets_everything_but_the_key(emulator: Emulator) -> None:
    emulator.configure(after_finished="restart")
    emulator.set_default_job(outcome="does_not_exist")
    emulator.add_fault("http", times=5)
    call(emulator)
    emulator.reset()
    assert (emulator.calls, emulator.compute_units, emulator.throttled, emulator.connections) == ((), 0, 0, 0)
    assert (emulator.settings.after_finished, emulator.api_key) == ("report", KEY)
    assert json.loads(call(emulator).body)["reingestionState"] == "in_progress"
