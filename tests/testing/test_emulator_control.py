# SPDX-License-Identifier: Apache-2.0
"""The control interface, as another process uses it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator

from .conftest import ADDRESS, Ask, Send, batch

Control = Callable[..., requests.Response]


@pytest.fixture
def control(emulator: AlchemyEmulator) -> Control:
    def command(method: str, name: str, payload: object = None) -> requests.Response:
        return requests.request(method, f"{emulator.url}/_emulator/{name}", json=payload, timeout=5)

    return command


def test_health_is_ok(control: Control) -> None:
    assert control("GET", "health").json() == {"status": "ok"}


def test_calls_and_counters_can_be_read(emulator: AlchemyEmulator, control: Control, ask: Ask) -> None:
    ask()
    (call,) = control("GET", "calls").json()["calls"]
    assert call["endpoint"] == "reingestContract"
    assert (call["auth"], call["http_status"], call["state"]) == ("path", 200, "in_progress")
    counters = control("GET", "counters").json()
    assert counters == {"calls": 1, "compute_units": 480, "throttled": 0, "connections": 3}
    assert emulator.count() == 1


def test_jobs_can_be_set(control: Control, ask: Ask) -> None:
    assert control("POST", "jobs", {"address": ADDRESS, "outcome": "does_not_exist"}).ok
    assert control("POST", "default_job", {"queued_seconds": 60}).ok
    assert ask().json()["reingestionState"] == "does_not_exist"
    assert ask(address="0x" + "1" * 40).json()["reingestionState"] == "queued"


def test_collections_can_be_set_and_grow(control: Control, send: Send) -> None:
    assert control("POST", "collections", {"address": ADDRESS, "tokens": 3, "first_id": "0x5"}).ok
    assert control("POST", "grow", {"address": ADDRESS, "tokens": 2}).ok
    nfts = send("getNFTsForContract", contractAddress=ADDRESS, withMetadata="false").json()["nfts"]
    assert [nft["tokenId"] for nft in nfts] == ["5", "6", "7", "8", "9"]


def test_single_tokens_can_be_made_special(control: Control, send: Send) -> None:
    assert control("POST", "tokens", {"address": ADDRESS, "token_ids": [1, "2"], "error": "Bad Token URI"}).ok
    nfts = send("getNFTMetadataBatch", batch(1, 2, 3)).json()["nfts"]
    assert [nft["raw"]["error"] for nft in nfts] == ["Bad Token URI", "Bad Token URI", None]


def test_the_tokens_of_a_call_are_read_as_decimal_texts(control: Control, send: Send) -> None:
    send("getNFTMetadataBatch", batch(1, 2**200, refreshCache=True))
    (call,) = control("GET", "calls").json()["calls"]
    assert (call["token_ids"], call["refreshes"]) == (["1", str(2**200)], True)


def test_faults_can_be_added_and_cleared(control: Control, ask: Ask) -> None:
    assert control("POST", "faults", {"kind": "http", "status": 503}).ok
    assert ask().status_code == 503
    assert control("DELETE", "faults").ok
    assert ask().status_code == 200


def test_switches_can_be_changed_and_are_given_back(emulator: AlchemyEmulator, control: Control) -> None:
    answer = control("POST", "settings", {"units_per_second": 5, "after_finished": "restart"})
    assert answer.json()["units_per_second"] == 5
    assert answer.json()["after_finished"] == "restart"
    assert emulator.settings.units_per_second == 5


def test_a_reset_empties_the_record(emulator: AlchemyEmulator, control: Control, ask: Ask) -> None:
    ask()
    assert control("POST", "reset").ok
    assert emulator.count() == 0


@pytest.mark.parametrize(
    ("name", "payload", "sentence"),
    [
        ("jobs", {}, "address is missing"),
        ("jobs", {"address": "0x1"}, "address must be 0x and 40 hex digits"),
        ("jobs", {"address": ADDRESS, "network": 5}, "network must be a text"),
        ("jobs", {"address": ADDRESS, "running": 5}, "running is not a field here"),
        ("collections", {}, "address is missing"),
        ("collections", {"address": ADDRESS, "supply": 5}, "supply is not a field here"),
        ("tokens", {"address": ADDRESS}, "token_ids is missing"),
        ("tokens", {"address": ADDRESS, "token_ids": [10_000]}, "token_ids must be in the collection"),
        ("grow", {"address": ADDRESS}, "tokens is missing"),
        ("grow", {"address": ADDRESS, "tokens": 0}, "tokens must be at least 1"),
        ("grow", {"address": ADDRESS, "tokens": 1, "first_id": 5}, "first_id is not a field here"),
        ("default_job", {"running_seconds": -1}, "running_seconds must be at least 0"),
        ("faults", {}, "kind is missing"),
        ("faults", {"kind": "http", "status": "500"}, "status must be one of"),
        ("settings", {"speed": 0}, "speed must be above 0"),
        ("settings", {"api_keys": ["new"]}, "api_keys is not a field here"),
        ("settings", {"self": 1}, "self is not a field here"),
        ("jobs", ["address"], "The body must be a JSON object"),
    ],
)
def test_wrong_input_is_refused_with_a_sentence_that_names_the_field(
    control: Control, name: str, payload: object, sentence: str
) -> None:
    answer = control("POST", name, payload)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]["message"]


def test_a_body_that_is_no_json_is_refused(emulator: AlchemyEmulator) -> None:
    answer = requests.post(f"{emulator.url}/_emulator/jobs", data=b"{", timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "The body is not JSON"


def test_an_unknown_command_is_answered_with_those_that_exist(control: Control) -> None:
    answer = control("GET", "keys")
    assert answer.status_code == 404
    assert "GET /_emulator/counters" in answer.json()["error"]["message"]


def test_no_answer_holds_a_key(emulator: AlchemyEmulator, control: Control, ask: Ask) -> None:
    ask()
    for name in ("health", "calls", "counters"):
        assert emulator.api_key not in control("GET", name).text
    assert emulator.api_key not in control("POST", "settings", {}).text
