# SPDX-License-Identifier: Apache-2.0
"""What the sensor makes of each error that Alchemy answers: the same in poke, reschedule and deferred mode."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyBadAnswerError,
    AlchemyConnectionError,
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyNetworkError,
    AlchemyQuotaError,
    AlchemyRequestError,
    AlchemyServerError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE
from tests.conftest import ConnectTo
from tests.tasks.lives import ADDRESS, LOWER, MODES, Life, failure, once, outcome, sensor_in, was_asked
from tests.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("mode", MODES)]

PERMANENT = {
    "401": ({"status": 401}, AlchemyAuthenticationError),
    "403 inactive": ({"kind": "inactive_app"}, AlchemyAuthenticationError),
    "403 network": ({"kind": "network_disabled"}, AlchemyNetworkError),
    "429 monthly cap": ({"status": 429, "message": "Monthly capacity limit exceeded."}, AlchemyQuotaError),
    "403 monthly cap": ({"status": 403, "message": "Monthly capacity limit exceeded."}, AlchemyQuotaError),
    "404": ({"status": 404}, AlchemyEndpointGoneError),
    "410": ({"status": 410}, AlchemyEndpointGoneError),
    "400 unsupported method": ({"status": 400, "message": "Unsupported method"}, AlchemyEndpointGoneError),
    "400": ({"status": 400, "message": "Invalid arg"}, AlchemyRequestError),
    "413": ({"status": 413, "message": "Payload Too Large"}, AlchemyRequestError),
}
RATE_LIMIT = {"status": 429}
"""No failure of the wait, however often it comes."""

TRANSIENT = {
    "500": ({"status": 500}, AlchemyServerError),
    "502 html": ({"status": 502, "body": "html"}, AlchemyServerError),
    "cut": ({"kind": "cut_json"}, AlchemyBadAnswerError),
    "html": ({"kind": "html"}, AlchemyBadAnswerError),
    "empty": ({"kind": "empty"}, AlchemyBadAnswerError),
    "reset": ({"kind": "reset"}, AlchemyConnectionError),
}
UNKNOWN = {
    "redirect": ({"kind": "redirect"}, AlchemyUnexpectedAnswerError),
    "418": ({"status": 418, "message": "I am a teapot"}, AlchemyUnexpectedAnswerError),
    "wrong types": ({"kind": "wrong_types"}, AlchemyUnexpectedAnswerError),
    "other contract": ({"kind": "other_contract"}, AlchemyUnexpectedAnswerError),
}


def add_fault(emulator: AlchemyEmulator, fields: dict[str, Any]) -> None:
    emulator.add_fault(**{"kind": "http", **fields})


@pytest.mark.parametrize(("fields", "error_type"), PERMANENT.values(), ids=PERMANENT.keys())
class TestWhatIsTheUsersToMend:
    def test_it_fails_for_good_with_its_own_type(
        self, mode: str, fields: dict[str, Any], error_type: type[AlchemyError], emulator: AlchemyEmulator
    ) -> None:
        add_fault(emulator, fields)

        error = failure(sensor_in(mode))

        assert isinstance(error, AirflowFailException)
        assert isinstance(error, error_type)

    def test_it_is_asked_once(
        self, mode: str, fields: dict[str, Any], error_type: type[AlchemyError], emulator: AlchemyEmulator
    ) -> None:
        add_fault(emulator, fields)

        error = failure(sensor_in(mode))

        assert (emulator.count(), isinstance(error, error_type)) == (1, True)


@pytest.mark.usefixtures("quick_backoff")
class TestWhatIsOursToWaitOut:
    @pytest.mark.parametrize("fields", [RATE_LIMIT, *(row[0] for row in TRANSIENT.values())], ids=["429", *TRANSIENT])
    def test_it_heals(self, mode: str, fields: dict[str, Any], emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0.05)
        add_fault(emulator, {**fields, "times": 3})

        assert Life().lead(sensor_in(mode))["state"] == "finished"

    @pytest.mark.parametrize(("fields", "error_type"), TRANSIENT.values(), ids=TRANSIENT.keys())
    def test_it_fails_in_a_way_that_airflow_retries_where_it_stays(
        self, mode: str, fields: dict[str, Any], error_type: type[AlchemyError], emulator: AlchemyEmulator
    ) -> None:
        add_fault(emulator, fields)

        error = failure(sensor_in(mode, max_consecutive_failures=2, poke_interval=0.01))

        assert isinstance(error, error_type)
        assert not isinstance(error, AirflowFailException)

    def test_a_429_that_stays_is_waited_out_until_the_timeout(self, mode: str, emulator: AlchemyEmulator) -> None:
        add_fault(emulator, RATE_LIMIT)

        error = failure(sensor_in(mode, max_consecutive_failures=0, poke_interval=0.01, timeout=0.5))

        assert isinstance(error, AirflowSensorTimeout)
        assert "HTTP 429" in str(error)


@pytest.mark.parametrize(("fields", "error_type"), UNKNOWN.values(), ids=UNKNOWN.keys())
def test_an_answer_that_the_api_reference_does_not_know_fails_at_once(
    mode: str, fields: dict[str, Any], error_type: type[AlchemyError], emulator: AlchemyEmulator
) -> None:
    add_fault(emulator, fields)

    error = failure(sensor_in(mode))

    assert (type(error), emulator.count()) == (error_type, 1)


@pytest.mark.parametrize(("fields", "error_type"), PERMANENT.values(), ids=PERMANENT.keys())
def test_what_begins_in_the_middle_of_a_wait_fails_for_good_too(
    mode: str, fields: dict[str, Any], error_type: type[AlchemyError], emulator: AlchemyEmulator
) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)

    with once(was_asked(emulator), lambda: add_fault(emulator, fields)):
        error = failure(sensor_in(mode))

    assert isinstance(error, AirflowFailException)
    assert isinstance(error, error_type)


@pytest.mark.usefixtures("quick_backoff")
def test_a_service_that_breaks_in_the_middle_of_a_wait_is_given_up_after_some_polls_in_a_row(
    mode: str, emulator: AlchemyEmulator
) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)

    with once(was_asked(emulator), lambda: emulator.add_fault("http", status=500)):
        error = failure(sensor_in(mode, max_consecutive_failures=3))

    failed = [call.http_status for call in emulator.calls].count(500)
    assert (type(error), failed) == (AlchemyServerError, 4)


@pytest.mark.usefixtures("quick_backoff")
def test_one_good_answer_clears_the_count_of_failed_polls(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=60)
    emulator.add_fault("http", status=500, probability=0.5)  # seeded: never four in a row before the end

    def end_after_five_failures() -> None:
        eventually(lambda: [call.http_status for call in emulator.calls].count(500) > 4)
        emulator.set_job(ADDRESS, running_seconds=0)

    with ThreadPoolExecutor(1) as beside:
        ended = beside.submit(end_after_five_failures)
        result = outcome(sensor_in(mode, max_consecutive_failures=4, poke_interval=0.02))

    ended.result()
    assert isinstance(result, dict), result


@pytest.mark.usefixtures("quick_backoff")
def test_failures_beyond_the_connections_attempts_are_the_waits_to_count(
    mode: str, emulator: AlchemyEmulator, connect: ConnectTo
) -> None:
    connect(max_attempts=3)
    emulator.add_fault("http", status=500)

    failure(sensor_in(mode, max_consecutive_failures=0))

    assert emulator.count() == 3


@pytest.mark.parametrize("status", [404, 410, 400])
class TestWhereTheEndpointIsGone:
    LINE = f"RefreshCollectionOperator(task_id='refresh', contract_address='{LOWER}')"

    def test_it_names_the_line_to_write(self, mode: str, status: int, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=status)

        error = failure(sensor_in(mode))

        assert isinstance(error, AirflowFailException)
        assert isinstance(error, AlchemyEndpointGoneError)
        assert self.LINE in str(error)

    def test_in_the_middle_of_a_wait_it_does_too(self, mode: str, status: int, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)

        with once(was_asked(emulator), lambda: emulator.configure(reingest_gone=status)):
            error = failure(sensor_in(mode))

        assert isinstance(error, AlchemyEndpointGoneError)
        assert self.LINE in str(error)

    def test_it_promises_no_fallback_of_its_own(self, mode: str, status: int, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=status)

        assert "fallback" not in str(failure(sensor_in(mode)))


def test_a_network_without_the_endpoint_names_the_line_with_the_network(
    mode: str, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = {"conn_type": "alchemy", "host": emulator.url + "/{network}", "password": emulator.api_key}
    monkeypatch.setenv(CONNECTION_VARIABLE, json.dumps(connection))

    error = failure(sensor_in(mode, network="base-mainnet"))

    assert isinstance(error, AlchemyNetworkError)
    assert f"contract_address='{LOWER}', network='base-mainnet')" in str(error)
