# SPDX-License-Identifier: Apache-2.0
"""Every kind of fault, as a client meets it."""

from __future__ import annotations

import email.utils
import socket
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator, FaultKind

from .conftest import ADDRESS, Ask

OTHER = "0x" + "1" * 40


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        ("error", "application/json", '{"error": {"message": "Broken"}}'),
        ("jsonrpc", "application/json", '{"jsonrpc": "2.0", "error": {"code": 503, "message": "Broken"}}'),
        ("text", "text/plain", "Broken"),
        ("html", "text/html", "<h1>Broken</h1>"),
    ],
)
def test_an_http_error_comes_in_every_body_form(
    emulator: AlchemyEmulator, ask: Ask, body: str, content_type: str, text: str
) -> None:
    emulator.add_fault("http", status=503, body=body, message="Broken", headers={"X-From": "proxy"})
    answer = ask()
    assert (answer.status_code, answer.headers["X-From"]) == (503, "proxy")
    assert answer.headers["Content-Type"].startswith(content_type)
    assert text in answer.text


@pytest.mark.parametrize(
    ("status", "message"),
    [(500, "Unable to complete request"), (429, "compute units per second"), (400, "Unsupported method")],
)
def test_an_http_error_has_the_services_own_words_by_default(
    emulator: AlchemyEmulator, ask: Ask, status: int, message: str
) -> None:
    emulator.add_fault("http", status=status)
    assert message in ask().json()["error"]["message"]


def test_an_http_error_may_carry_retry_after_in_both_forms(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("http", status=429, retry_after=7, times=1)
    emulator.add_fault("http", status=503, retry_after=60, retry_after_form="date")
    assert ask().headers["Retry-After"] == "7"
    before = time.time()
    date = email.utils.parsedate_to_datetime(ask().headers["Retry-After"])
    assert before + 59 <= date.timestamp() <= time.time() + 61


def test_an_inactive_app_and_a_disabled_network_have_their_sentences(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("inactive_app", times=1)
    emulator.add_fault("network_disabled")
    inactive, disabled = ask(), ask(network="polygon-mainnet")
    assert (inactive.status_code, inactive.text) == (403, "App is inactive.")
    assert disabled.status_code == 403
    assert disabled.json()["error"]["message"].startswith("POLYGON_MAINNET is not enabled for this app. Visit")


def test_a_redirect_that_is_followed_shows_up_as_an_unknown_call(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("redirect", times=1)
    emulator.add_fault("redirect", location="https://example.org/x")
    first = ask()
    assert (first.status_code, first.headers["Location"]) == (302, "/redirected")
    assert requests.get(emulator.url + first.headers["Location"], timeout=5).status_code == 404
    assert emulator.count("unknown") == 1
    assert ask().headers["Location"] == "https://example.org/x"


def test_a_body_can_be_empty_html_or_no_json(emulator: AlchemyEmulator, ask: Ask) -> None:
    for kind in ("empty", "html", "not_json", "cut_json"):
        emulator.add_fault(kind, times=1)
    empty, page, no_json, cut = ask(), ask(), ask(), ask()
    assert {answer.status_code for answer in (empty, page, no_json, cut)} == {200}
    assert empty.content == b""
    assert page.headers["Content-Type"].startswith("text/html")
    assert page.text.startswith("<html>")
    assert no_json.headers["Content-Type"].startswith("application/json")
    assert cut.text.startswith('{"contractAddress"')
    for answer in (empty, page, no_json, cut):
        with pytest.raises(requests.JSONDecodeError):
            answer.json()


def test_a_success_can_carry_an_error_object(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("error_object", message="Sorry", body="jsonrpc")
    answer = ask()
    assert answer.status_code == 200
    assert answer.json()["error"]["message"] == "Sorry"


def test_values_can_have_the_wrong_type(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("wrong_types", times=1)
    emulator.add_fault("wrong_types", fields={"progress": {}}, times=1)
    emulator.add_fault("wrong_types", endpoint="getContractMetadata")
    assert ask().json()["reingestionState"] == 5
    assert emulator.calls[0].state is None
    assert ask().json()["progress"] == {}
    assert ask("getContractMetadata").json()["name"] == 5


def test_a_state_can_be_one_that_no_document_names(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("unknown_state", state="polishing")
    assert ask().json()["reingestionState"] == "polishing"
    assert emulator.calls[0].state == "polishing"
    assert ask("getContractMetadata").json()["address"] == ADDRESS.lower()


def test_an_answer_can_be_about_another_contract(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("other_contract")
    assert ask().json()["contractAddress"] not in {ADDRESS, ADDRESS.lower()}
    assert ask("getContractMetadata").json()["address"] != ADDRESS.lower()
    assert emulator.finished_at(ADDRESS) is not None


def test_a_body_can_be_large(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("large", times=1)
    emulator.add_fault("large", size=10_000)
    assert len(ask().content) == 5_000_000
    small = ask()
    assert len(small.content) == 10_000
    assert small.json()["reingestionState"] == "in_progress"


def test_an_answer_can_be_cut_before_its_announced_length(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("cut")
    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
        ask()
    assert emulator.calls[0].http_status == 200


def test_a_connection_can_be_reset(emulator: AlchemyEmulator) -> None:
    emulator.add_fault("reset")
    place = urlsplit(emulator.url)
    with socket.create_connection((place.hostname, place.port), timeout=5) as client:
        path = f"/nft/v2/{emulator.api_key}/reingestContract?contractAddress={ADDRESS}"
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert emulator.calls[0].http_status is None


def test_a_call_can_hang_until_the_client_gives_up(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("hang")
    with pytest.raises(requests.exceptions.ReadTimeout):
        ask(timeout=0.1)
    assert emulator.calls[0].http_status is None
    assert emulator.compute_units == 0


def test_a_body_can_drip_byte_by_byte(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("drip", seconds=0.05, times=1)
    emulator.add_fault("drip", seconds=0)
    with ask(stream=True) as answer:
        assert answer.raw.read(3) == b'{"c'
    assert ask().json()["reingestionState"] == "in_progress"


def test_a_right_answer_can_come_late(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("slow", seconds=0.2)
    emulator.set_job(ADDRESS, queued_seconds=60)
    before = time.monotonic()
    assert ask().json()["reingestionState"] == "queued"
    assert time.monotonic() - before >= 0.2


def test_a_fault_before_processing_starts_no_job(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("cut_json", times=1)
    ask()
    assert emulator.finished_at(ADDRESS) is None


def test_a_fault_after_processing_leaves_the_job_running_and_is_billed(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("http", status=502, after_processing=True, times=1)
    emulator.add_fault("reset", after_processing=True, times=1)
    emulator.set_job(ADDRESS, queued_seconds=60)
    assert ask().status_code == 502
    with pytest.raises(requests.exceptions.ConnectionError):
        ask()
    assert ask().json()["reingestionState"] == "already_queued"
    assert emulator.compute_units == 3 * 480


def test_a_fault_after_processing_spares_calls_that_the_service_refuses(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("other_contract", times=1)
    assert ask(key="wrong").status_code == 401
    assert ask().json()["contractAddress"] != ADDRESS.lower()


def test_errors_from_faults_are_billed_and_metered_as_the_service_does(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.configure(units_per_second=100)
    for status in (429, 403, 500, 500):
        emulator.add_fault("http", status=status, times=1)
    assert [ask().status_code for _ in range(5)] == [429, 403, 500, 500, 429]
    assert [call.compute_units for call in emulator.calls] == [0, 0, 480, 480, 0]
    assert emulator.throttled == 1


def test_a_fault_happens_as_often_as_asked(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("http", times=2)
    assert [ask().status_code for _ in range(4)] == [500, 500, 200, 200]


def test_a_fault_lasts_until_cleared_by_default(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("http")
    assert [ask().status_code for _ in range(3)] == [500] * 3
    emulator.clear_faults()
    assert ask().status_code == 200


def test_a_fault_can_be_for_one_endpoint_and_one_contract(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.add_fault("http", endpoint="reingestContract", contract_address=ADDRESS.lower())
    assert ask().status_code == 500
    assert ask(address=OTHER).status_code == 200
    assert ask("getContractMetadata").status_code == 200


def test_the_dice_of_a_fault_fall_the_same_in_each_run() -> None:
    def run(seed: int) -> list[int]:
        with AlchemyEmulator(units_per_second=None, seed=seed) as emulator:
            emulator.add_fault("http", probability=0.5)
            url = f"{emulator.url}/nft/v2/{emulator.api_key}/reingestContract?contractAddress={ADDRESS}"
            with requests.Session() as session:
                return [session.get(url, timeout=5).status_code for _ in range(30)]

    first = run(1)
    assert set(first) == {200, 500}
    assert run(1) == first
    assert run(2) != first


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"kind": "boom"}, "kind must be one of http"),
        ({"kind": "http", "status": 200}, "status must be one of"),
        ({"kind": "http", "times": 0}, "times must be at least 1"),
        ({"kind": "http", "probability": 2}, "probability must be at least 0 and at most 1"),
        ({"kind": "http", "endpoint": "reingest"}, "endpoint must be one of reingestContract"),
        ({"kind": "http", "contract_address": "0x1"}, "contract_address must be 0x and 40 hex digits"),
        ({"kind": "http", "headers": {"X": "a\r\nb"}}, "headers must map"),
        ({"kind": "redirect", "location": "a\r\nb"}, "location must map"),
        ({"kind": "http", "headers": []}, "headers must be an object"),
        ({"kind": "slow", "after_processing": False}, "after_processing cannot be false for slow"),
        ({"kind": "slow", "delay": 1}, "delay is not a field here"),
    ],
)
def test_a_wrong_fault_is_refused_with_a_sentence_that_names_the_field(
    emulator: AlchemyEmulator, fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        emulator.add_fault(**fields)


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind not in {"hang", "drip", "slow"}])
def test_the_service_goes_on_after_every_kind_of_fault(emulator: AlchemyEmulator, ask: Ask, kind: FaultKind) -> None:
    emulator.add_fault(kind, times=1)
    try:
        ask()
    except requests.exceptions.RequestException:
        assert kind in {"reset", "cut"}
    assert ask().status_code == 200
