# SPDX-License-Identifier: Apache-2.0
"""The endpoints as a client sees them: paths, keys, networks, states, and the record of calls."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests

from airflow_provider_alchemy.testing import ANY_KEY, AlchemyEmulator
from airflow_provider_alchemy.testing.calls import Auth
from airflow_provider_alchemy.testing.routing import read_request
from tests.waiting import eventually

from .conftest import ADDRESS, Ask


@pytest.mark.parametrize(
    ("path", "network", "version", "endpoint", "key"),
    [
        ("/nft/v2/K/reingestContract", "eth-mainnet", "v2", "reingestContract", "K"),
        ("/nft/v3/K/reingestContract", "eth-mainnet", "v3", "reingestContract", "K"),
        ("/nft/v3/K/getContractMetadata/", "eth-mainnet", "v3", "getContractMetadata", "K"),
        ("/polygon-mainnet/nft/v2/K/reingestContract", "polygon-mainnet", "v2", "reingestContract", "K"),
        ("/nft/v2/reingestContract", "eth-mainnet", "v2", "reingestContract", ""),
        ("/base-mainnet/nft/v2/reingestContract", "base-mainnet", "v2", "reingestContract", ""),
        ("/nft/v2//reingestContract", "eth-mainnet", "v2", "reingestContract", ""),
        ("/nft/v2/K/getContractMetadata", "eth-mainnet", "v2", "unknown", "K"),
        ("/nft/v2/K", "eth-mainnet", "v2", "unknown", ""),
        ("/K", "eth-mainnet", "", "unknown", ""),
    ],
)
def test_every_form_of_a_path_is_understood(path: str, network: str, version: str, endpoint: str, key: str) -> None:
    request = read_request("GET", path, {}, None)
    assert (request.network, request.version, request.endpoint_name, request.key) == (
        network,
        version,
        endpoint,
        key,
    )
    assert request.auth is (Auth.PATH if key else Auth.NONE)


def test_a_key_in_the_path_goes_before_one_in_the_header() -> None:
    request = read_request("GET", "/nft/v3/in-path/reingestContract", {}, "Bearer in-header")
    assert (request.key, request.auth) == ("in-path", Auth.PATH)
    assert "in-path" not in repr(request)


def test_the_answer_has_the_documented_form_and_a_lower_case_address(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.set_job(ADDRESS, queued_seconds=60)
    assert ask().json() == {
        "contractAddress": ADDRESS.lower(),
        "reingestionState": "queued",
        "progress": None,
    }
    assert ask(version="v3").json()["reingestionState"] == "already_queued"


def test_a_job_is_seen_in_each_of_its_states(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.15, running_seconds=0.25)
    seen: list[str] = []

    def finished() -> bool:
        answer = ask().json()
        if not seen or seen[-1] != answer["reingestionState"]:
            seen.append(answer["reingestionState"])
        return bool(answer["reingestionState"] == "finished" and answer["progress"] == "100")

    eventually(finished)
    assert seen == ["queued", "already_queued", "in_progress", "finished"]
    end = emulator.finished_at(ADDRESS)
    assert end == pytest.approx(emulator.calls[0].at + 0.4)
    assert end is not None
    assert end <= time.time()


def test_the_speed_shortens_every_job(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.configure(speed=1000)
    emulator.set_default_job(queued_seconds=20, running_seconds=30)
    eventually(lambda: bool(ask().json()["reingestionState"] == "finished"))


@pytest.mark.parametrize(("form", "progress"), [("int", 0), ("text", "0"), ("percent", "0%"), ("empty", "")])
def test_the_form_of_the_progress_can_be_chosen(
    emulator: AlchemyEmulator, ask: Ask, form: str, progress: object
) -> None:
    emulator.configure(progress_form=form)
    emulator.set_job(ADDRESS, running_seconds=1000)
    assert ask().json()["progress"] == progress


def test_other_networks_are_refused_unless_allowed(emulator: AlchemyEmulator, ask: Ask) -> None:
    refused = ask(network="polygon-mainnet")
    assert refused.status_code == 400
    assert refused.json()["error"]["message"].startswith("This endpoint isn't enabled for that chain")
    emulator.configure(reingest_on_every_network=True)
    assert ask(network="polygon-mainnet").status_code == 200
    assert emulator.finished_at(ADDRESS, "polygon-mainnet") is not None
    assert emulator.finished_at(ADDRESS) is None


@pytest.mark.parametrize("endpoint", ["reingestContract", "getContractMetadata"])
@pytest.mark.parametrize("address", ["", "0x12", "E9FCa552b9eb110c2d170962aF740725F71F5644", "0x" + "g" * 40])
def test_what_is_no_address_is_an_invalid_argument(ask: Ask, endpoint: str, address: str) -> None:
    refused = ask(endpoint, address)
    assert refused.status_code == 400
    assert refused.json() == {"error": {"message": "Invalid arg"}}


@pytest.mark.parametrize(("status", "message"), [(404, "Not found"), (410, "Gone"), (400, "Unsupported method")])
def test_the_endpoint_can_be_gone(emulator: AlchemyEmulator, ask: Ask, status: int, message: str) -> None:
    emulator.configure(reingest_gone=status)
    refused = ask()
    assert refused.status_code == status
    assert refused.json()["error"]["message"] == message
    assert emulator.finished_at(ADDRESS) is None


def test_another_method_is_unsupported(emulator: AlchemyEmulator) -> None:
    url = f"{emulator.url}/nft/v2/{emulator.api_key}/reingestContract"
    refused = requests.post(url, params={"contractAddress": ADDRESS}, timeout=5)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == "Unsupported method"


def test_contract_metadata_touches_no_job(emulator: AlchemyEmulator, ask: Ask) -> None:
    answer = ask("getContractMetadata").json()
    assert answer["address"] == ADDRESS.lower()
    assert (answer["totalSupply"], answer["tokenType"], answer["isSpam"]) == ("10000", "ERC721", None)
    assert answer["spamClassifications"] == []
    assert {"name", "symbol", "contractDeployer", "deployedBlockNumber", "openSeaMetadata"} <= answer.keys()
    assert emulator.finished_at(ADDRESS) is None


@pytest.mark.parametrize("path", ["/nft/v2/reingestContract", "/eth-mainnet/nft/v3/reingestContract"])
def test_the_key_may_stand_in_the_header(emulator: AlchemyEmulator, path: str) -> None:
    answer = requests.get(
        emulator.url + path,
        params={"contractAddress": ADDRESS},
        headers={"Authorization": f"Bearer {emulator.api_key}"},
        timeout=5,
    )
    assert answer.status_code == 200
    assert emulator.calls[0].auth == "header"


def test_v2_can_refuse_the_header(emulator: AlchemyEmulator) -> None:
    emulator.configure(header_auth_v2=False)
    headers = {"Authorization": f"Bearer {emulator.api_key}"}
    query = {"contractAddress": ADDRESS}
    v2, v3 = (
        requests.get(f"{emulator.url}/nft/{version}/reingestContract", query, headers=headers, timeout=5)
        for version in ("v2", "v3")
    )
    assert (v2.status_code, v3.status_code) == (401, 200)


def test_a_missing_and_a_wrong_key_are_told_apart(emulator: AlchemyEmulator, ask: Ask) -> None:
    missing = requests.get(f"{emulator.url}/nft/v2/reingestContract", {"contractAddress": ADDRESS}, timeout=5)
    wrong = ask(key="wrong")
    assert (missing.status_code, wrong.status_code) == (401, 401)
    assert missing.json() == {"error": {"message": "Must be authenticated!"}}
    assert wrong.json() == {"error": {"message": "Invalid access key"}}
    assert [call.auth for call in emulator.calls] == ["none", "path"]
    assert emulator.compute_units == 960


def test_a_rotated_key_replaces_the_old_one(emulator: AlchemyEmulator, ask: Ask) -> None:
    old = emulator.api_key
    new = emulator.rotate_key()
    assert new == emulator.api_key != old
    assert ask(key=old).status_code == 401
    assert ask(key=new).status_code == 200


def test_an_old_and_a_new_key_may_overlap(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.accept_keys(["old-key", "new-key"])
    assert emulator.api_key == "old-key"
    assert [ask(key=key).status_code for key in ("old-key", "new-key", "third")] == [200, 200, 401]


def test_any_key_is_accepted_when_told_so_but_none_is_not() -> None:
    with AlchemyEmulator(api_keys=ANY_KEY) as emulator:
        query = {"contractAddress": ADDRESS}
        assert requests.get(f"{emulator.url}/nft/v2/what-ever/reingestContract", query, timeout=5).ok
        assert requests.get(f"{emulator.url}/nft/v2/reingestContract", query, timeout=5).status_code == 401


@pytest.mark.parametrize("api_keys", ["one text", [], ["good", ""]])
def test_wrong_keys_are_refused_when_given(api_keys: Any) -> None:
    with pytest.raises(ValueError, match="api_keys must"):
        AlchemyEmulator(api_keys=api_keys)


def test_calls_are_recorded_and_counted_without_case(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.set_job(ADDRESS, queued_seconds=60)
    before = time.time()
    ask()
    ask("getContractMetadata", ADDRESS.lower())
    ask(address="0x" + "1" * 40)
    first = emulator.calls[0]
    assert before <= first.at <= time.time()
    assert (first.endpoint, first.network, first.contract_address) == ("reingestContract", "eth-mainnet", ADDRESS)
    assert (first.auth, first.http_status, first.state, first.compute_units) == ("path", 200, "queued", 480)
    assert emulator.calls[1].state is None
    assert emulator.count() == 3
    assert emulator.count("reingestContract") == 2
    assert emulator.count(contract_address=ADDRESS.upper().replace("0X", "0x")) == 2
    assert emulator.count("getContractMetadata", ADDRESS) == 1


def test_an_unknown_path_is_recorded_without_the_path(emulator: AlchemyEmulator) -> None:
    assert requests.get(f"{emulator.url}/nft/v2/some-key", timeout=5).status_code == 404
    assert emulator.calls[0].endpoint == "unknown"
    assert "some-key" not in repr(emulator.calls)


def test_a_reset_forgets_everything_but_the_key(emulator: AlchemyEmulator, ask: Ask) -> None:
    key = emulator.api_key
    emulator.configure(after_finished="restart")
    emulator.set_default_job(outcome="does_not_exist")
    emulator.add_fault("http", times=5)
    ask()
    emulator.reset()
    assert (emulator.calls, emulator.compute_units, emulator.throttled, emulator.connections) == ((), 0, 0, 0)
    assert emulator.settings.after_finished == "report"
    assert emulator.api_key == key
    assert ask().json()["reingestionState"] == "in_progress"


@pytest.mark.parametrize(
    ("switches", "sentence"),
    [
        ({"after_finished": "again"}, "after_finished must be one of report, restart"),
        ({"units_per_second": 0}, "units_per_second must be above 0"),
        ({"reingest_gone": 418}, "reingest_gone must be one of 404, 410, 400"),
        ({"header_auth_v2": 1}, "header_auth_v2 must be true or false"),
        ({"page_size": 101}, "page_size must be at least 1 and at most 100"),
        ({"batch_form": "list"}, "batch_form must be one of object, array"),
        ({"repeated_refresh": "ignored"}, "repeated_refresh must be one of accepted, refused"),
        ({"latency_seconds": -1}, "latency_seconds must be at least 0"),
        ({"unit_per_second": 5}, "unit_per_second is not a field here; there are: units_per_second"),
    ],
)
def test_a_wrong_switch_is_refused_with_a_sentence_that_names_it(switches: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        AlchemyEmulator(**switches)
