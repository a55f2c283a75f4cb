# SPDX-License-Identifier: Apache-2.0
"""The operator that submits and waits, in the worker or deferred."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowTaskTimeout

from airflow_provider_alchemy.api.errors import AlchemyArgumentError, AlchemyQueueFailedError, AlchemyServerError
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.lives import (
    ADDRESS,
    RESULT_KEYS,
    Life,
    failure,
    has_answered,
    in_the_worker_and_deferred,
    once,
    waiting_operator,
    was_asked,
)

pytestmark = pytest.mark.integration


@in_the_worker_and_deferred
class TestWaiting:
    def test_it_returns_the_finished_refresh(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=0.1, running_seconds=0.1)

        result = Life().lead(waiting_operator(deferrable=deferrable))

        assert (result["state"], result["already_finished"], set(result)) == ("finished", False, RESULT_KEYS)

    def test_polls_and_units_are_those_that_the_service_counted(
        self, deferrable: bool, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_job(ADDRESS, queued_seconds=0.1, running_seconds=0.1)

        result = Life().lead(waiting_operator(deferrable=deferrable))

        assert (result["polls"], result["compute_units"]) == (emulator.count(), emulator.compute_units)

    def test_nobody_asks_again_after_finished(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.configure(after_finished="restart")
        emulator.set_job(ADDRESS, running_seconds=0.1)

        Life().lead(waiting_operator(deferrable=deferrable))

        assert [call.state for call in emulator.calls].count("finished") == 1
        assert emulator.calls[-1].state == "finished"

    def test_its_timeout_is_airflows(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)

        assert isinstance(failure(waiting_operator(deferrable=deferrable, timeout=0.3)), AirflowSensorTimeout)

    def test_durations_may_be_timedeltas(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)
        began = time.monotonic()

        failure(
            waiting_operator(deferrable=deferrable, timeout=timedelta(seconds=0.3), poll_interval=timedelta(days=1))
        )

        assert time.monotonic() - began >= 0.3

    @pytest.mark.usefixtures("quick_backoff")
    def test_a_refresh_that_falls_out_of_the_queue_is_submitted_again(
        self, deferrable: bool, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_job(ADDRESS, queued_seconds=0.1, outcome="queue_failed")

        error = failure(waiting_operator(deferrable=deferrable, max_resubmits=2))

        failed = [call.state for call in emulator.calls].count("queue_failed")
        assert (type(error), failed) == (AlchemyQueueFailedError, 3)

    @pytest.mark.usefixtures("quick_backoff")
    def test_one_good_refresh_after_queue_failed_is_the_result(
        self, deferrable: bool, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_job(ADDRESS, queued_seconds=0.2, outcome="queue_failed")

        def mend() -> None:
            emulator.set_job(ADDRESS, running_seconds=0.1)

        with once(has_answered(emulator, "queue_failed"), mend):
            result = Life().lead(waiting_operator(deferrable=deferrable, max_resubmits=1000))

        assert (result["state"], result["polls"]) == ("finished", emulator.count())

    @pytest.mark.usefixtures("quick_backoff")
    def test_a_service_that_breaks_is_given_up_after_some_polls_in_a_row(
        self, deferrable: bool, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)

        with once(was_asked(emulator), lambda: emulator.add_fault("http", status=500)):
            error = failure(waiting_operator(deferrable=deferrable, max_consecutive_failures=2))

        assert type(error) is AlchemyServerError


def test_deferred_it_takes_no_worker_while_it_waits(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=0.1, running_seconds=0.1)
    life = Life()

    life.lead(waiting_operator(deferrable=True))

    assert len(life.deferrals) == 1


def test_deferred_it_leaves_the_first_call_to_the_worker(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0.1)
    life = Life()

    life.lead(waiting_operator(deferrable=True))

    assert life.deferrals[0].trigger.serialize()[1]["state"]["polls"] == 1


def test_a_refresh_that_is_finished_at_once_does_not_defer(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0)
    life = Life()

    life.lead(waiting_operator(deferrable=True))

    assert life.deferrals == []


@pytest.mark.usefixtures("quick_backoff")
def test_a_service_that_has_not_answered_yet_is_not_left_to_the_triggerer(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0.1)
    emulator.add_fault("http", status=500, times=3)
    life = Life()

    life.lead(waiting_operator(deferrable=True))

    assert life.deferrals[0].trigger.serialize()[1]["state"]["polls"] == 4


def test_execution_timeout_is_honoured_while_it_is_deferred(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)

    error = failure(waiting_operator(deferrable=True, execution_timeout=timedelta(seconds=0.3)))

    assert isinstance(error, AirflowTaskTimeout)


@pytest.mark.parametrize("argument", ["poll_interval", "timeout"])
def test_a_duration_of_none_is_refused_by_name(argument: str) -> None:
    # A sensor takes it: None is Airflow's own default there.
    with pytest.raises(AlchemyArgumentError, match=argument):
        waiting_operator(**{argument: None})
