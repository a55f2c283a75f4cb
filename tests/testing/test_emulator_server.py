# SPDX-License-Identifier: Apache-2.0
"""The server's life: start, stop, threads, connections, and where a key must never show up."""

from __future__ import annotations

import gc
import logging
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest
import requests

from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.waiting import eventually

from .conftest import ADDRESS, Ask, batch


def send_raw(emulator: AlchemyEmulator, text: str) -> bytes:
    place = urlsplit(emulator.url)
    with socket.create_connection((place.hostname, place.port), timeout=5) as client:
        client.sendall(text.encode())
        return client.recv(4096)


def test_a_stopped_emulator_starts_again_on_the_same_port_with_the_same_state(
    ask: Ask, emulator: AlchemyEmulator
) -> None:
    ask()
    url = emulator.url
    emulator.stop()
    with pytest.raises(requests.exceptions.ConnectionError):
        ask()
    emulator.start()
    assert emulator.url == url
    assert ask().status_code == 200
    assert emulator.count() == 2


def test_nothing_is_left_behind_after_a_stop() -> None:
    before = set(threading.enumerate())
    for _ in range(3):
        with AlchemyEmulator() as emulator:
            assert requests.get(f"{emulator.url}/_emulator/health", timeout=5).ok
            (thread,) = set(threading.enumerate()) - before
            assert thread.daemon
        assert set(threading.enumerate()) == before
    # An unclosed socket, loop or task would warn here; pytest turns that into a failure of this test.
    gc.collect()


@pytest.mark.filterwarnings("error")
def test_a_stop_does_not_wait_for_calls_that_hang_drip_or_are_slow(caplog: pytest.LogCaptureFixture) -> None:
    with AlchemyEmulator(units_per_second=None) as emulator, caplog.at_level(logging.WARNING):
        query = {"contractAddress": ADDRESS}
        url = f"{emulator.url}/nft/v2/{emulator.api_key}/reingestContract"
        ends: list[int | str] = []

        def call() -> None:
            try:
                ends.append(requests.get(url, query, timeout=5).status_code)
            except requests.exceptions.RequestException as error:
                ends.append(type(error).__name__)

        for kind in ("hang", "drip", "slow"):
            emulator.add_fault(kind, seconds=60, times=1)
        clients = [threading.Thread(target=call) for _ in range(3)]
        for client in clients:
            client.start()
        eventually(lambda: emulator.count() == len(clients))
        before = time.monotonic()
        emulator.stop()
        assert time.monotonic() - before < 20
        for client in clients:
            client.join(5)
        assert len(ends) == 3
        assert ends.count(200) == 1
    gc.collect()
    assert caplog.records == []


def test_late_answers_wait_side_by_side_and_end_with_the_server(emulator: AlchemyEmulator, ask: Ask) -> None:
    emulator.configure(latency_seconds=3600)
    statuses: list[int] = []
    clients = [threading.Thread(target=lambda: statuses.append(ask().status_code)) for _ in range(5)]
    for client in clients:
        client.start()
    eventually(lambda: emulator.count() == len(clients))
    assert statuses == []
    emulator.stop()
    for client in clients:
        client.join(5)
    assert statuses == [200] * 5


def test_a_stop_does_not_wait_for_idle_connections(emulator: AlchemyEmulator) -> None:
    with requests.Session() as session:
        assert session.get(f"{emulator.url}/_emulator/health", timeout=5).ok
        before = time.monotonic()
        emulator.stop()
        assert time.monotonic() - before < 20


def test_a_server_that_cannot_start_raises_where_it_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_arguments: object) -> None:
        msg = "no server today"
        raise RuntimeError(msg)

    emulator = AlchemyEmulator()
    with monkeypatch.context() as patch:
        patch.setattr(emulator, "_serve", fail)
        with pytest.raises(RuntimeError, match="no server today"):
            emulator.start()
    with emulator:
        assert requests.get(f"{emulator.url}/_emulator/health", timeout=5).ok


def test_stopping_twice_is_harmless_and_starting_twice_is_an_error(emulator: AlchemyEmulator) -> None:
    with pytest.raises(RuntimeError, match="running already"):
        emulator.start()
    emulator.stop()
    emulator.stop()


def test_the_url_is_not_known_before_the_first_start() -> None:
    with pytest.raises(RuntimeError, match="start it first"):
        _ = AlchemyEmulator().url


def test_a_taken_port_is_an_error_where_the_emulator_is_started(emulator: AlchemyEmulator) -> None:
    with pytest.raises(OSError, match="in use"):
        AlchemyEmulator(port=urlsplit(emulator.url).port or 0).start()


def test_it_listens_on_loopback_only_by_default(emulator: AlchemyEmulator) -> None:
    assert urlsplit(emulator.url).hostname == "127.0.0.1"


def test_connections_are_counted_not_calls(emulator: AlchemyEmulator, ask: Ask) -> None:
    url = f"{emulator.url}/nft/v2/{emulator.api_key}/reingestContract?contractAddress={ADDRESS}"
    with requests.Session() as session:
        for _ in range(5):
            session.get(url, timeout=5)
    assert emulator.connections == 1
    ask()
    assert emulator.connections == 2
    assert emulator.count() == 6


def test_many_clients_at_once_are_all_served_and_counted(emulator: AlchemyEmulator, ask: Ask) -> None:
    clients = [threading.Thread(target=ask) for _ in range(40)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(10)
    assert emulator.count() == 40
    assert emulator.compute_units == 40 * 480


def test_no_key_shows_up_in_calls_representations_or_logs(
    emulator: AlchemyEmulator, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key, wrong = emulator.api_key, "wrong-key-of-somebody"
    ask()
    ask(key=wrong)
    ask(address=key)
    requests.post(f"{emulator.url}/nft/v3/{wrong}/getNFTMetadataBatch", json=batch(key, address=key), timeout=5)
    query = {"contractAddress": ADDRESS}
    for secret in (key, wrong):
        headers = {"Authorization": f"Bearer {secret}"}
        requests.get(f"{emulator.url}/nft/v2/reingestContract", query, headers=headers, timeout=5)
        requests.get(f"{emulator.url}/nft/v3/{secret}", timeout=5)
        requests.get(f"{emulator.url}/{secret}/nft/v3/reingestContract", query, timeout=5)
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


def test_the_package_loads_neither_airflow_nor_pytest_nor_a_server_before_it_is_used() -> None:
    script = (
        "import sys, airflow_provider_alchemy.testing as testing\n"
        "assert not {'airflow', 'pytest', 'aiohttp'} & set(sys.modules)\n"
        "testing.AlchemyEmulator, testing.ANY_KEY, testing.Call, testing.JobPlan\n"
        "assert not {'airflow', 'pytest'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)  # noqa: S603 -- fixed text


def test_a_name_that_the_package_does_not_have_is_an_attribute_error() -> None:
    import airflow_provider_alchemy.testing as package  # noqa: PLC0415 -- the module itself is the subject

    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = package.Nothing
