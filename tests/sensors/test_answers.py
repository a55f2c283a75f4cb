# SPDX-License-Identifier: Apache-2.0
"""What the sensor makes of each state that Alchemy answers: the same in poke, reschedule and deferred mode."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_alchemy.api.errors import AlchemyNoSuchCollectionError, AlchemyQueueFailedError
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.tasks.lives import ADDRESS, LOWER, MODES, RESULT_KEYS, Life, failure, has_answered, once, sensor_in

pytestmark = [pytest.mark.integration, pytest.mark.parametrize("mode", MODES)]


def test_a_refresh_that_finishes_is_returned(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.1, running_seconds=0.1)

    result = Life().lead(sensor_in(mode))

    assert (result["state"], result["progress"], result["already_finished"]) == ("finished", 100, False)


def test_the_result_has_exactly_the_documented_keys(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0.1)

    assert set(Life().lead(sensor_in(mode))) == RESULT_KEYS


def test_the_result_names_the_collection_in_lower_case_and_its_network(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0.1)

    result = Life().lead(sensor_in(mode))

    assert (result["contract_address"], result["network"]) == (LOWER, "eth-mainnet")


def test_the_result_says_when_the_refresh_was_submitted_and_finished(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0.1)

    result = Life().lead(sensor_in(mode))

    assert result["submitted_at"] < result["finished_at"]


def test_polls_and_units_are_those_that_the_service_counted(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.1, running_seconds=0.1)

    result = Life().lead(sensor_in(mode))

    assert (result["polls"], result["compute_units"]) == (emulator.count("reingestContract"), emulator.compute_units)


@pytest.mark.usefixtures("quick_backoff")
def test_failed_polls_are_counted_too(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0.2)
    emulator.add_fault("http", status=503, times=2)

    result = Life().lead(sensor_in(mode))

    assert (result["polls"], result["compute_units"]) == (emulator.count(), emulator.compute_units)


def test_a_refresh_that_had_finished_before_is_marked(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0)

    result = Life().lead(sensor_in(mode))

    assert (result["state"], result["already_finished"], result["polls"]) == ("finished", True, 1)


def test_nobody_asks_again_after_finished(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.configure(after_finished="restart")
    emulator.set_job(ADDRESS, running_seconds=0.1)

    Life().lead(sensor_in(mode))

    assert [call.state for call in emulator.calls].count("finished") == 1
    assert emulator.calls[-1].state == "finished"


def test_a_contract_that_is_no_collection_fails_for_good(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, outcome="does_not_exist")

    error = failure(sensor_in(mode))

    assert isinstance(error, AirflowFailException)
    assert isinstance(error, AlchemyNoSuchCollectionError)


def test_nobody_asks_again_after_does_not_exist(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, outcome="does_not_exist")

    failure(sensor_in(mode))

    assert emulator.count() == 1


def test_a_refresh_that_could_not_be_queued_fails_in_a_way_that_airflow_retries(
    mode: str, emulator: AlchemyEmulator
) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.1, outcome="queue_failed")

    error = failure(sensor_in(mode))

    assert isinstance(error, AlchemyQueueFailedError)
    assert not isinstance(error, AirflowFailException | AirflowSensorTimeout)


def test_the_sensor_does_not_submit_again_after_queue_failed(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.1, outcome="queue_failed")

    failure(sensor_in(mode))

    assert [call.state for call in emulator.calls].count("queue_failed") == 1
    assert emulator.calls[-1].state == "queue_failed"


@pytest.mark.parametrize("spelling", ["already_queued", "already_queried"])
def test_both_spellings_of_an_already_queued_refresh_are_pending(
    mode: str, spelling: str, emulator: AlchemyEmulator
) -> None:
    emulator.configure(repeated_state=spelling)
    emulator.set_job(ADDRESS, queued_seconds=600)

    with once(has_answered(emulator, spelling), lambda: emulator.set_job(ADDRESS, running_seconds=0)):
        result = Life().lead(sensor_in(mode))

    assert result["state"] == "finished"


def test_an_unknown_state_is_pending(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.1, running_seconds=0.1, queued_state="warming_up")

    assert Life().lead(sensor_in(mode))["state"] == "finished"


def test_an_unknown_state_that_stays_ends_with_the_timeout(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600, queued_state="warming_up")

    assert isinstance(failure(sensor_in(mode, timeout=0.3)), AirflowSensorTimeout)


def test_an_unknown_state_is_named_in_the_log(mode: str, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.2, running_seconds=0, queued_state="warming_up")

    Life().lead(sensor_in(mode))

    assert "unknown state 'warming_up', taken as pending" in task_log()


@pytest.mark.parametrize("form", ["null", "int", "text", "percent", "empty"])
def test_the_form_of_progress_decides_nothing(mode: str, form: str, emulator: AlchemyEmulator) -> None:
    emulator.configure(progress_form=form)
    emulator.set_job(ADDRESS, running_seconds=0.1)

    assert Life().lead(sensor_in(mode))["state"] == "finished"
