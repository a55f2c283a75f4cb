# SPDX-License-Identifier: Apache-2.0
"""How both clients send: keys, connections, attempts, usage, deadlines, the account's throughput."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_alchemy.api import endpoints, errors
from airflow_provider_alchemy.api.client import AlchemyClient, AsyncAlchemyClient
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.models import ContractMetadata, RefreshState, RefreshStatus
from airflow_provider_alchemy.api.redaction import URL_LOG
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.throttle import Throttle
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.testing import AlchemyEmulator, account
from tests.waiting import eventually

from .conftest import USUAL, Connect
from .servers import Running, answer, http_server, raw_server
from .shells import ADDRESS, KEY, LOWER, Client

pytestmark = pytest.mark.integration

FINISHED = b'{"contractAddress": "%s", "reingestionState": "finished", "progress": null}' % LOWER.encode()


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


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
    monkeypatch.setattr("airflow_provider_alchemy.api.throttle.backoff_seconds", lambda *_: 0.2)
    emulator.add_fault("http", status=503, times=2)
    client.reingest_contract(ADDRESS)
    first, second, third = (call.at for call in emulator.calls)
    assert (second - first >= 0.2, third - second >= 0.2) == (True, True)


def test_a_deadline_ends_the_attempts_before_a_sleep_that_would_outlast_it(
    client: Client, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_alchemy.api.throttle.backoff_seconds", lambda *_: 60.0)
    emulator.add_fault("http", status=503)
    begun = time.monotonic()
    assert type(fails(client, deadline=soon(50))) is errors.AlchemyServerError
    assert (emulator.count(), time.monotonic() - begun < 40) == (1, True)


def test_a_deadline_cuts_the_sleep_for_the_budget(connect: Connect, emulator: AlchemyEmulator) -> None:
    client = connect(compute_units_per_second=48)
    client.reingest_contract(ADDRESS)
    begun = time.monotonic()
    client.reingest_contract(ADDRESS, deadline=soon(0.3))
    assert emulator.count() == 2
    assert 0.25 < time.monotonic() - begun < 8


def test_the_usage_counts_calls_and_units(client: Client, emulator: AlchemyEmulator) -> None:
    usage = Usage()
    client.reingest_contract(ADDRESS, usage=usage)
    client.get_contract_metadata(ADDRESS, usage=usage)
    assert (usage.calls, usage.compute_units) == (2, 640)
    assert emulator.compute_units == 640


@pytest.mark.usefixtures("pauses")
def test_the_usage_counts_each_attempt(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("http", status=503, times=2)
    emulator.add_fault("http", status=429, times=1)
    usage = Usage()
    client.reingest_contract(ADDRESS, usage=usage)
    assert (usage.calls, usage.compute_units) == (4, 3 * 480)


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
    usage = Usage()
    fails(connect(timeout=0.3 if fault["kind"] == "hang" else 5), usage=usage, max_attempts=1)
    assert (usage.calls, usage.compute_units) == (1, units)


def test_an_answer_that_is_too_large_costs_its_units(
    client: Client, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_alchemy.api.client.MAX_BODY_BYTES", 2**20)
    emulator.add_fault("large", size=2**21)
    usage = Usage()
    fails(client, usage=usage)
    assert usage.compute_units == emulator.compute_units == 480


def test_a_call_that_reached_nobody_costs_nothing(connect_to: Connect) -> None:
    with raw_server(lambda *_: None) as server:
        url = server.url
    usage = Usage()
    fails(connect_to(api_key=KEY, host=url), usage=usage, max_attempts=1)
    assert (usage.calls, usage.compute_units) == (1, 0)


def test_the_budget_keeps_a_client_below_the_services_limit(
    connect: Connect, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The service counts over one second instead of ten, so that 8 calls at 4 a second take seconds, not minutes.
    monkeypatch.setattr(account, "WINDOW_SECONDS", 1.0)
    emulator.configure(units_per_second=4 * 480)
    client = connect(max_attempts=1)
    client.client._throttle = Throttle(4 * 480, window_seconds=1.0)
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
    second.reingest_contract(ADDRESS, deadline=soon(0.2))
    assert time.monotonic() - begun >= 0.15
    assert emulator.count() == 2


class TestAThrottledAccount:
    @pytest.mark.usefixtures("pauses")
    def test_a_call_without_a_deadline_gives_up_after_its_attempts(
        self, client: Client, emulator: AlchemyEmulator
    ) -> None:
        emulator.add_fault("http", status=429)
        assert type(fails(client, max_attempts=3)) is errors.AlchemyRateLimitError
        assert emulator.count() == 3

    @pytest.mark.usefixtures("pauses")
    def test_a_call_with_a_deadline_uses_up_no_attempt(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=429, times=4)
        usage = Usage()
        client.reingest_contract(ADDRESS, max_attempts=1, deadline=soon(60), usage=usage)
        assert (usage.calls, usage.throttled, usage.compute_units) == (5, 4, 480)

    def test_a_call_ends_with_the_refusal_at_its_deadline(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=429, retry_after=200)
        assert type(fails(client, deadline=soon(60))) is errors.AlchemyRateLimitError
        assert emulator.count() == 1

    @pytest.mark.usefixtures("pauses")
    def test_other_trouble_uses_up_attempts_all_the_same(self, client: Client, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=503)
        fails(client, max_attempts=2, deadline=soon(60))
        assert emulator.count() == 2

    @pytest.mark.usefixtures("pauses")
    async def test_calls_of_a_wait_wait_it_out_without_a_deadline(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=429, times=4)
        settings = ClientSettings(**USUAL, api_key=emulator.api_key, host=emulator.url)
        async with AsyncAlchemyClient(settings, waits_out_throttling=True) as client:
            await client.send(endpoints.reingest_contract(ADDRESS, settings), max_attempts=1)
        assert emulator.count() == 5


@pytest.mark.parametrize(
    ("plan", "state"),
    [
        ({"running_seconds": 60}, RefreshState.IN_PROGRESS),
        ({"queued_seconds": 60}, RefreshState.QUEUED),
        ({"running_seconds": 0}, RefreshState.FINISHED),
        ({"outcome": "does_not_exist"}, RefreshState.DOES_NOT_EXIST),
        ({"outcome": "queue_failed"}, RefreshState.QUEUE_FAILED),
        ({"running_seconds": 60, "running_state": "warming_up"}, RefreshState.UNKNOWN),
    ],
    ids=lambda value: value.value if isinstance(value, RefreshState) else "",
)
def test_each_state_of_the_service_arrives(
    client: Client, emulator: AlchemyEmulator, plan: dict[str, Any], state: RefreshState
) -> None:
    emulator.set_job(ADDRESS, **plan)
    assert client.reingest_contract(ADDRESS).state is state


@pytest.mark.parametrize("spelling", ["already_queued", "already_queried"])
def test_both_spellings_of_a_repeated_call_are_one_state(
    client: Client, emulator: AlchemyEmulator, spelling: str
) -> None:
    emulator.configure(repeated_state=spelling)
    emulator.set_job(ADDRESS, queued_seconds=60)
    client.reingest_contract(ADDRESS)
    status = client.reingest_contract(ADDRESS)
    assert (status.state, status.reported_state) == (RefreshState.ALREADY_QUEUED, spelling)


@pytest.mark.parametrize(
    ("form", "progress"), [("null", None), ("int", 100), ("text", 100), ("percent", 100), ("empty", None)]
)
def test_each_form_of_progress_arrives(
    client: Client, emulator: AlchemyEmulator, form: str, progress: int | None
) -> None:
    emulator.configure(progress_form=form)
    emulator.set_job(ADDRESS, running_seconds=0)
    assert client.reingest_contract(ADDRESS).progress == progress


def test_a_status_names_contract_and_network(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0)
    assert client.reingest_contract(ADDRESS) == RefreshStatus(
        contract_address=LOWER,
        network="eth-mainnet",
        state=RefreshState.FINISHED,
        progress=100,
        reported_state="finished",
    )


def test_one_call_submits_and_another_joins_the_same_refresh(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=60)
    client.reingest_contract(ADDRESS)
    begun = emulator.finished_at(ADDRESS)
    client.reingest_contract(LOWER)
    assert emulator.finished_at(ADDRESS) == begun


def test_contract_metadata_arrives_without_a_refresh(client: Client, emulator: AlchemyEmulator) -> None:
    assert client.get_contract_metadata(ADDRESS) == ContractMetadata(
        contract_address=LOWER,
        network="eth-mainnet",
        name="Emulated Collection",
        symbol="EMU",
        total_supply=10000,
        token_type="ERC721",
    )
    assert emulator.finished_at(ADDRESS) is None


def test_contract_metadata_of_wrong_types_is_read_as_far_as_it_goes(client: Client, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("wrong_types")
    read = client.get_contract_metadata(ADDRESS)
    assert (read.name, read.total_supply, read.symbol) == (None, None, "EMU")


def test_nothing_is_sent_when_a_client_is_made(connect: Connect, emulator: AlchemyEmulator) -> None:
    connect()
    assert emulator.connections == 0


def test_a_client_is_a_context_manager(emulator: AlchemyEmulator) -> None:
    with AlchemyClient(ClientSettings(**USUAL, api_key=emulator.api_key, host=emulator.url)) as client:
        assert client.send(endpoints.reingest_contract(ADDRESS, client.settings)).contract_address == LOWER


async def test_a_client_for_event_loops_is_a_context_manager(emulator: AlchemyEmulator) -> None:
    settings = ClientSettings(**USUAL, api_key=emulator.api_key, host=emulator.url)
    async with AsyncAlchemyClient(settings) as client:
        assert (await client.send(endpoints.reingest_contract(ADDRESS, settings))).contract_address == LOWER


def test_two_clients_each_keep_their_own_key_out_of_the_log_of_urllib3(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, URL_LOG.name)
    keys = ["first-key-of-two", "second-key-of-two"]
    with AlchemyEmulator(api_keys=keys) as emulator:
        first, second = (AlchemyClient(ClientSettings(api_key=key, host=emulator.url)) for key in keys)
        with first, second:
            second.send(endpoints.get_contract_metadata(ADDRESS, second.settings))
            first.send(endpoints.get_contract_metadata(ADDRESS, first.settings))
    told = [one.getMessage() for one in caplog.records if one.name == URL_LOG.name]
    assert [key for key in keys if key in "".join(told)] == []
    assert "".join(told).count("/nft/v3/***/getContractMetadata") == 2
