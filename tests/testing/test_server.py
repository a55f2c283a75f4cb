# SPDX-License-Identifier: Apache-2.0
"""The server's life, over plain HTTP and TLS: start, stop, threads, connections, and where a key must never show up."""

from __future__ import annotations

import gc
import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_alchemy.testing import ANY_KEY, AlchemyEmulator, JobPlan
from dev.local_airflow.certificates import Certificates, write_certificates
from tests.waiting import eventually

from .conftest import ADDRESS, SECONDS, Call, Emulator, batch, rpc_body


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return write_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(params=["http", "https"])
def either(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[AlchemyEmulator]:
    """An emulator over plain HTTP, and one over TLS; a refresh takes an hour."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.private_key)
    job, tls = JobPlan(running_seconds=3600), context if request.param == "https" else None
    with AlchemyEmulator(units_per_second=None, default_job=job, ssl_context=tls) as running:
        yield running


@pytest.fixture
def trusted(certificates: Certificates) -> str:
    return str(certificates.authority)


def call(emulator: Emulator, verify: str | bool) -> str:
    """Submit a refresh; give the state that comes, or the error's name."""
    url = f"{emulator.url}/nft/v2/{emulator.api_key}/reingestContract"
    try:
        answer = requests.get(url, {"contractAddress": ADDRESS}, verify=verify, timeout=SECONDS)
    except requests.RequestException as error:
        return type(error).__name__
    return str(answer.json()["reingestionState"])


def joined(*threads: threading.Thread) -> None:
    """Wait for the end of threads that would take an hour if they did what they must not."""
    for thread in threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


def calling(emulator: Emulator, verify: str, number: int) -> tuple[list[threading.Thread], list[str]]:
    """Begin so many calls; give their threads, and what comes of them."""
    ends: list[str] = []
    clients = [threading.Thread(target=lambda: ends.append(call(emulator, verify))) for _ in range(number)]
    for client in clients:
        client.start()
    eventually(lambda: emulator.count() == number)
    return clients, ends


def stop(emulator: Emulator) -> None:
    thread = threading.Thread(target=emulator.stop, daemon=True)
    thread.start()
    joined(thread)


def send_raw(emulator: Emulator, text: str) -> bytes:
    place = urlsplit(emulator.url)
    with socket.create_connection((place.hostname, place.port), timeout=SECONDS) as client:
        client.sendall(text.encode())
        return client.recv(4096)


def test_a_stopped_emulator_starts_again_on_the_same_port_with_the_same_state(either: Emulator, trusted: str) -> None:
    url = either.url
    assert urlsplit(url).hostname == "127.0.0.1"
    assert call(either, trusted) == "in_progress"
    either.stop()
    assert call(either, trusted) == "ConnectionError"
    either.start()
    assert either.url == url
    assert call(either, trusted) == "in_progress"
    assert either.count() == 2


@pytest.mark.filterwarnings("error")
def test_nothing_is_left_behind_after_a_stop() -> None:
    before = set(threading.enumerate())
    for _ in range(3):
        with AlchemyEmulator() as emulator:
            assert requests.get(f"{emulator.url}/_emulator/health", timeout=SECONDS).ok
            (thread,) = set(threading.enumerate()) - before
            assert thread.daemon
        assert set(threading.enumerate()) == before
    # An unclosed socket, loop or task would warn here; pytest turns that into a failure of this test.
    gc.collect()


@pytest.mark.filterwarnings("error")
def test_a_stop_waits_neither_for_calls_that_hang_drip_or_are_slow_nor_for_idle_connections(
    either: Emulator, trusted: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for kind in ("hang", "drip", "slow"):
        either.add_fault(kind, seconds=3600, times=1)
    with requests.Session() as idle:
        assert idle.get(f"{either.url}/_emulator/health", verify=trusted, timeout=SECONDS).ok
        clients, ends = calling(either, trusted, 3)
        stop(either)
        joined(*clients)
    assert ends.count("in_progress") == 1
    assert set(ends) <= {"in_progress", "ConnectionError", "ChunkedEncodingError"}
    # A connection left open would warn here.
    gc.collect()
    assert caplog.records == []


def test_late_answers_wait_side_by_side_and_end_with_the_server(either: Emulator, trusted: str) -> None:
    either.configure(latency_seconds=3600)
    clients, ends = calling(either, trusted, 5)
    assert ends == []
    stop(either)
    joined(*clients)
    assert ends == ["in_progress"] * 5


def test_it_answers_who_trusts_its_authority_and_nobody_else(either: Emulator, trusted: str) -> None:
    if either.url.startswith("https"):
        assert call(either, verify=True) == "SSLError"
        with pytest.raises(requests.ConnectionError):
            requests.get(f"{either.url.replace('https', 'http')}/_emulator/health", timeout=SECONDS)
    assert call(either, trusted) == "in_progress"


def test_answers_are_cut_and_connections_reset(either: Emulator, trusted: str) -> None:
    for kind in ("cut", "reset"):
        either.add_fault(kind, times=1)
    ends = [call(either, trusted) for _ in range(3)]
    assert ends == ["ChunkedEncodingError", "ConnectionError", "in_progress"]
    assert [one.http_status for one in either.calls] == [200, None, 200]


def test_a_server_that_cannot_start_says_why_where_it_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_arguments: object) -> None:
        msg = "no server today"
        raise RuntimeError(msg)

    emulator = AlchemyEmulator()
    with monkeypatch.context() as patch:
        patch.setattr(emulator, "_serve", fail)
        with pytest.raises(RuntimeError, match="no server today"):
            emulator.start()
    with pytest.raises(RuntimeError, match="start it first"):
        _ = AlchemyEmulator().url
    with emulator:
        assert requests.get(f"{emulator.url}/_emulator/health", timeout=SECONDS).ok
        with pytest.raises(RuntimeError, match="running already"):
            emulator.start()
        with pytest.raises(OSError, match="in use"):
            AlchemyEmulator(port=urlsplit(emulator.url).port or 0).start()
    emulator.stop()  # once more, which is harmless


def test_many_clients_at_once_are_all_served_and_counted(emulator: Emulator, ask: Call) -> None:
    clients = [threading.Thread(target=ask) for _ in range(40)]
    for client in clients:
        client.start()
    joined(*clients)
    with requests.Session() as session:
        for _ in range(5):
            session.get(f"{emulator.url}/nft/v2/{emulator.api_key}/reingestContract", timeout=SECONDS)
    assert (emulator.count(), emulator.connections, emulator.compute_units) == (45, 41, 45 * 480)


def test_no_key_shows_up_in_calls_representations_or_logs(
    emulator: Emulator, ask: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key, wrong = emulator.api_key, "wrong-key-of-somebody"
    ask()
    ask(key=wrong)
    ask(address=key)
    requests.post(f"{emulator.url}/nft/v3/{wrong}/getNFTMetadataBatch", json=batch(key, address=key), timeout=SECONDS)
    query = {"contractAddress": ADDRESS}
    for secret in (key, wrong):
        headers = {"Authorization": f"Bearer {secret}"}
        requests.get(f"{emulator.url}/nft/v2/reingestContract", query, headers=headers, timeout=SECONDS)
        requests.get(f"{emulator.url}/nft/v3/{secret}", timeout=SECONDS)
        requests.get(f"{emulator.url}/{secret}/nft/v3/reingestContract", query, timeout=SECONDS)
        requests.post(f"{emulator.url}/v2/{secret}", json=rpc_body(secret, secret), timeout=SECONDS)
    send_raw(emulator, f"GET /nft/v2/{key}/reingest Contract HTTP/1.1\r\nHost: localhost\r\n\r\n")
    send_raw(emulator, f"GET /nft/v2/{key}/reingestContract HTTP/1.1\r\nBroken {key}\r\n\r\n")
    emulator_logs = [record for record in caplog.records if record.name.startswith("airflow_provider_alchemy")]
    shown = repr(emulator) + repr(emulator.calls) + repr(vars(emulator))
    shown += "".join(logging.Formatter().format(record) for record in emulator_logs)
    assert len([record for record in emulator_logs if record.levelno == logging.INFO]) == emulator.count()
    assert "/nft/v2/***/reingestContract" in shown
    assert any(record.levelno == logging.ERROR for record in emulator_logs)
    assert key not in shown
    assert wrong not in shown


def test_the_log_has_a_line_for_each_call_of_the_node_api(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with AlchemyEmulator(api_keys=ANY_KEY, block_seconds=None) as emulator:
        asked = {"fromBlock": "0x1", "toBlock": "0x2", "address": ADDRESS}
        for body in (rpc_body("eth_getLogs", asked), rpc_body("the-secret-key")):
            requests.post(f"{emulator.url}/base-mainnet/v2/the-secret-key", json=body, timeout=SECONDS)
        requests.get(f"{emulator.url}/v2/the-secret-key", timeout=SECONDS)
    assert [record.getMessage() for record in caplog.records if record.name.endswith("testing.server")] == [
        "POST /base-mainnet/v2/*** eth_getLogs in blocks 1 to 2 of 1 contracts: 200, 60 units",
        "POST /base-mainnet/v2/*** unknown: 400, 0 units",
        "GET /eth-mainnet/v2/*** unknown: 400, 0 units",
    ]
    assert "the-secret-key" not in caplog.text


def test_the_package_loads_neither_airflow_nor_pytest_nor_a_server_before_it_is_used() -> None:
    script = (
        "import sys, airflow_provider_alchemy.testing as testing\n"
        "assert not {'airflow', 'pytest', 'aiohttp', 'pydantic'} & set(sys.modules)\n"
        "testing.AlchemyEmulator, testing.ANY_KEY, testing.Call, testing.JobPlan\n"
        "assert not {'airflow', 'pytest'} & set(sys.modules)\n"
        "assert not hasattr(testing, 'Nothing')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=SECONDS)  # noqa: S603 - fixed text
