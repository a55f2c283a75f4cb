# SPDX-License-Identifier: Apache-2.0
"""How both shells send: paths, keys, connections, attempts, meters, deadlines and the budget."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pendulum
import pytest
import time_machine

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.budget import UnitBudget, budget_of
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.metering import Meter
from airflow_provider_alchemy.api.settings import WINDOW_SECONDS
from airflow_provider_alchemy.testing import AlchemyEmulator, account
from tests.waiting import eventually

from .conftest import Connect
from .servers import Running, answer, http_server, raw_server
from .shells import ADDRESS, KEY, LOWER, Client

pytestmark = pytest.mark.integration

FINISHED = b'{"contractAddress": "%s", "reingestionState": "finished", "progress": null}' % LOWER.encode()


def fails(client: Client, **options: Any) -> AlchemyError:
    with pytest.raises(AlchemyError) as caught:
        client.reingest_contract(ADDRESS, **options)
    return caught.value


@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.parametrize("auth", ["path", "header"])
def test_reingest_contract_works_in_each_version_with_the_key_in_each_place(
    connect: Connect, emulator: AlchemyEmulator, version: str, auth: str
) -> None:
    assert connect(api_version=version, auth=auth).reingest_contract(ADDRESS).contract_address == LOWER
    (call,) = emulator.calls
    assert (call.endpoint, call.auth, call.http_status) == ("reingestContract", auth, 200)


@pytest.mark.parametrize("auth", ["path", "header"])
def test_contract_metadata_works_with_the_key_in_each_place(
    connect: Connect, emulator: AlchemyEmulator, auth: str
) -> None:
    assert connect(auth=auth).get_contract_metadata(ADDRESS).name == "Emulated Collection"
    (call,) = emulator.calls
    assert (call.endpoint, call.auth, call.http_status) == ("getContractMetadata", auth, 200)


@pytest.mark.parametrize(("auth", "is_in_url"), [("path", True), ("header", False)])
def test_the_key_is_in_the_url_only_in_the_path_form(connect_to: Connect, auth: str, is_in_url: object) -> None:
    with http_server(lambda handler: answer(handler, 200, FINISHED)) as server:
        connect_to(api_key=KEY, host=server.url, auth=auth).reingest_contract(ADDRESS)
    assert (KEY in server.seen[0]) is is_in_url


def test_the_network_takes_its_place_in_the_host(connect: Connect, emulator: AlchemyEmulator) -> None:
    emulator.configure(reingest_on_every_network=True)
    client = connect(host=emulator.url + "/{network}", network="base-mainnet")
    assert client.reingest_contract(ADDRESS).network == "base-mainnet"
    assert emulator.calls[0].network == "base-mainnet"


def test_later_calls_of_a_client_use_its_first_connection(client: Client, emulator: AlchemyEmulator) -> None:
    for _ in range(5):
        client.reingest_contract(ADDRESS)
        client.get_contract_metadata(ADDRESS)
    assert (emulator.count(), emulator.connections) == (10, 1)


def test_errors_with_an_answer_keep_the_connection(
    client: Client, emulator: AlchemyEmulator, pauses: list[float]
) -> None:
    for status in (503, 429, 500):
        emulator.add_fault("http", status=status, times=1)
    client.reingest_contract(ADDRESS)
    assert (len(pauses), emulator.count(), emulator.connections) == (3, 4, 1)


def test_close_closes_the_connection(connect_to: Connect) -> None:
    def serve(connection: Any, running: Running) -> None:
        connection.recv(65536)
        running.seen.append("open")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(FINISHED), FINISHED))
        connection.settimeout(5)
        running.seen.append("closed" if connection.recv(1) == b"" else "more")

    with raw_server(serve) as server:
        client = connect_to(api_key=KEY, host=server.url)
        client.reingest_contract(ADDRESS)
        assert server.seen == ["open"]
        client.close()
        eventually(lambda: server.seen == ["open", "closed"])


def test_close_may_be_called_twice_and_without_a_call(connect: Connect, emulator: AlchemyEmulator) -> None:
    client = connect()
    client.close()
    client.close()
    assert emulator.connections == 0


@pytest.mark.parametrize("kind", ["http", "empty", "html", "cut_json", "cut", "reset"])
def test_trouble_is_tried_again_until_it_is_over(
    client: Client, emulator: AlchemyEmulator, pauses: list[float], kind: str
) -> None:
    emulator.add_fault(kind, times=3)
    assert client.reingest_contract(ADDRESS).contract_address == LOWER
    assert (emulator.count(), [int(pause) for pause in pauses]) == (4, [1, 2, 4])


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("attempts", [1, 2, 7])
def test_as_many_attempts_are_made_as_the_connection_says(
    connect: Connect, emulator: AlchemyEmulator, attempts: int
) -> None:
    emulator.add_fault("http", status=503)
    assert type(fails(connect(max_attempts=attempts))) is errors.AlchemyServerError
    assert emulator.count() == attempts


@pytest.mark.usefixtures("pauses")
def test_a_call_may_have_its_own_number_of_attempts(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("http", status=503)
    fails(client, max_attempts=1)
    assert emulator.count() == 1


@pytest.mark.usefixtures("clock")  # a date tells less, the later it is read
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_in_both_its_forms(
    client: Client, emulator: AlchemyEmulator, pauses: list[float], form: str
) -> None:
    emulator.add_fault("http", status=429, retry_after=40, retry_after_form=form, times=1)
    client.reingest_contract(ADDRESS)
    assert pauses == [pytest.approx(40, abs=2)]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_capped_at_five_minutes(
    client: Client, emulator: AlchemyEmulator, pauses: list[float], form: str
) -> None:
    emulator.add_fault("http", status=503, retry_after=86400, retry_after_form=form, times=1)
    client.reingest_contract(ADDRESS)
    assert pauses == [pytest.approx(300.5, abs=0.5)]


def test_the_pause_is_really_slept(client: Client, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_provider_alchemy.api.retries.backoff_seconds", lambda *_: 0.2)
    emulator.add_fault("http", status=503, times=2)
    client.reingest_contract(ADDRESS)
    first, second, third = (call.at for call in emulator.calls)
    assert (second - first >= 0.2, third - second >= 0.2) == (True, True)


def test_a_deadline_ends_the_attempts_before_a_sleep_that_would_outlast_it(
    client: Client, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_alchemy.api.retries.backoff_seconds", lambda *_: 86_400.0)
    emulator.add_fault("http", status=503)
    assert type(fails(client, deadline=pendulum.now("UTC").add(seconds=3600))) is errors.AlchemyServerError
    assert emulator.count() == 1


def test_a_deadline_cuts_the_sleep_for_the_budget(connect: Connect, emulator: AlchemyEmulator) -> None:
    client = connect()
    client._transport._budget = UnitBudget(480 / 86_400, window_seconds=86_400)  # type: ignore[attr-defined]
    client.reingest_contract(ADDRESS)
    begun = time.monotonic()
    # It would sleep for a day.
    client.reingest_contract(ADDRESS, deadline=pendulum.now("UTC").add(seconds=0.3))
    assert emulator.count() == 2
    assert time.monotonic() - begun > 0.25


def test_the_meter_counts_calls_and_units(client: Client, emulator: AlchemyEmulator) -> None:
    meter = Meter()
    client.reingest_contract(ADDRESS, meter=meter)
    client.get_contract_metadata(ADDRESS, meter=meter)
    assert (meter.calls, meter.compute_units) == (2, 640)
    assert emulator.compute_units == 640


@pytest.mark.usefixtures("pauses")
def test_the_meter_counts_each_attempt(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("http", status=503, times=2)
    emulator.add_fault("http", status=429, times=1)
    meter = Meter()
    client.reingest_contract(ADDRESS, meter=meter)
    assert (meter.calls, meter.compute_units) == (4, 3 * 480)


@pytest.mark.parametrize(
    ("fault", "units"),
    [
        ({"kind": "http", "status": 400}, 480),
        ({"kind": "http", "status": 401}, 480),
        ({"kind": "http", "status": 403}, 0),
        ({"kind": "http", "status": 404}, 480),
        ({"kind": "http", "status": 429}, 0),
        ({"kind": "http", "status": 500}, 480),
        ({"kind": "inactive_app"}, 0),
        ({"kind": "network_disabled"}, 0),
        ({"kind": "empty"}, 480),
        ({"kind": "html"}, 480),
        ({"kind": "error_object"}, 480),
        ({"kind": "wrong_types"}, 480),
        ({"kind": "other_contract"}, 480),
        ({"kind": "cut"}, 480),
        ({"kind": "hang"}, 480),
    ],
    ids=lambda value: " ".join(str(part) for part in value.values()) if isinstance(value, dict) else "",
)
def test_a_failed_call_costs_its_units_except_429_and_403(
    connect: Connect, emulator: AlchemyEmulator, fault: dict[str, Any], units: int
) -> None:
    emulator.add_fault(**fault)
    meter = Meter()
    fails(connect(timeout=0.3 if fault["kind"] == "hang" else 300), meter=meter, max_attempts=1)
    assert (meter.calls, meter.compute_units) == (1, units)


def test_an_answer_that_is_too_large_costs_its_units(
    client: Client, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_alchemy.api.transport.MAX_BODY_BYTES", 2**20)
    emulator.add_fault("large", size=2**21)
    meter = Meter()
    fails(client, meter=meter)
    assert meter.compute_units == emulator.compute_units == 480


def test_a_call_that_reached_nobody_costs_nothing(connect_to: Connect) -> None:
    with raw_server(lambda *_: None) as server:
        url = server.url
    meter = Meter()
    fails(connect_to(api_key=KEY, host=url), meter=meter, max_attempts=1)
    assert (meter.calls, meter.compute_units) == (1, 0)


def test_the_budget_keeps_a_client_below_the_services_limit(
    connect: Connect, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch, clock: time_machine.Traveller
) -> None:
    # One clock for client and service, on which only sleeping takes time: a call that a slow machine holds up on its
    # way would count later there than here.
    really_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.shift(seconds)
        await really_sleep(0)

    monkeypatch.setattr("time.monotonic", time.time)
    monkeypatch.setattr("time.sleep", clock.shift)
    monkeypatch.setattr("asyncio.sleep", sleep)
    # The service counts over one second instead of ten, so that 8 calls at 4 a second take seconds, not minutes.
    monkeypatch.setattr(account, "WINDOW_SECONDS", 1.0)
    emulator.configure(units_per_second=4 * 480)
    client = connect(max_attempts=1)
    held = 1.0 + budget_of(client.settings)._window_seconds - WINDOW_SECONDS
    client._transport._budget = UnitBudget(4 * 480 / held, window_seconds=held)  # type: ignore[attr-defined]
    begun = time.monotonic()
    for _ in range(8):
        client.reingest_contract(ADDRESS)
    assert (emulator.count(), emulator.throttled) == (8, 0)
    assert time.monotonic() - begun >= 1


def test_ten_calls_at_once_within_the_budget_are_never_throttled(connect: Connect, emulator: AlchemyEmulator) -> None:
    emulator.configure(units_per_second=480)
    client = connect(compute_units_per_second=480)
    for _ in range(10):
        client.reingest_contract(ADDRESS)
    assert (emulator.count(), emulator.throttled) == (10, 0)


def test_clients_of_one_account_wait_for_each_other(connect: Connect, emulator: AlchemyEmulator) -> None:
    first, second = connect(compute_units_per_second=48), connect(compute_units_per_second=48)
    first.reingest_contract(ADDRESS)
    begun = time.monotonic()
    second.reingest_contract(ADDRESS, deadline=pendulum.now("UTC").add(seconds=0.2))
    assert time.monotonic() - begun >= 0.15
    assert emulator.count() == 2
