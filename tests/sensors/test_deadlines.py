# SPDX-License-Identifier: Apache-2.0
"""``timeout``, ``execution_timeout`` and the cadence of polls: the same in poke, reschedule and deferred mode."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta

import pendulum
import pytest
import time_machine
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from airflow_provider_alchemy.api.errors import AlchemyDeadlineError
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.waits.interval import Interval
from tests.tasks.lives import (
    ADDRESS,
    AN_HOUR_AND_MORE,
    MODES,
    Life,
    failure,
    late_once,
    life_with_pauses,
    once,
    sensor_in,
)

pytestmark = [pytest.mark.integration]

A_DAY = 86_400.0


@pytest.fixture
def endless(emulator: AlchemyEmulator) -> AlchemyEmulator:
    """A service whose refresh does not end within any test."""
    emulator.set_job(ADDRESS, queued_seconds=A_DAY)
    return emulator


@pytest.mark.parametrize("mode", MODES)
class TestTimeout:
    @pytest.mark.usefixtures("endless")
    def test_it_ends_the_wait_with_airflows_exception(self, mode: str) -> None:
        error = failure(sensor_in(mode, timeout=0.3))

        assert isinstance(error, AirflowSensorTimeout)
        assert isinstance(error, AlchemyDeadlineError)
        assert not isinstance(error, AirflowFailException)

    @pytest.mark.usefixtures("endless")
    def test_it_may_be_a_timedelta(self, mode: str) -> None:
        assert isinstance(failure(sensor_in(mode, timeout=timedelta(seconds=0.3))), AirflowSensorTimeout)

    def test_the_last_look_is_at_the_deadline(self, mode: str, endless: AlchemyEmulator) -> None:
        began = time.time()

        failure(sensor_in(mode, timeout=0.5, poke_interval=0.2))

        assert endless.calls[-1].at - began >= 0.5

    @pytest.mark.usefixtures("endless")
    def test_no_sleep_outlasts_it(self, mode: str) -> None:
        # It would stand still for a day.
        assert isinstance(failure(sensor_in(mode, timeout=0.5, poke_interval=A_DAY)), AirflowSensorTimeout)

    def test_a_refresh_that_finishes_before_the_last_look_is_no_timeout(
        self, mode: str, emulator: AlchemyEmulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        emulator.set_job(ADDRESS, running_seconds=60)
        life = life_with_pauses(lambda: clock.shift(AN_HOUR_AND_MORE), monkeypatch)

        assert life.lead(sensor_in(mode))["state"] == "finished"
        assert emulator.count() == 2

    @pytest.mark.usefixtures("endless")
    def test_it_says_the_state_and_that_the_refresh_goes_on(self, mode: str) -> None:
        text = str(failure(sensor_in(mode, timeout=0.1)))

        assert "the refresh was still" in text
        assert "when the task's timeout was over" in text
        assert "The refresh goes on at Alchemy" in text

    @pytest.mark.usefixtures("quick_backoff")
    def test_it_ends_a_wait_whose_polls_all_fail(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=500)

        error = failure(sensor_in(mode, timeout=0.5, max_consecutive_failures=None))

        assert isinstance(error, AirflowSensorTimeout)
        assert "HTTP 500" in str(error)

    def test_it_cuts_the_back_off_of_failed_polls(
        self, mode: str, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_alchemy.api.responses.MAX_RETRY_AFTER_SECONDS", A_DAY)
        emulator.add_fault("http", status=429, retry_after=A_DAY)

        # It would stand still for a day.
        failure(sensor_in(mode, timeout=0.5, max_consecutive_failures=None))

    def test_zero_looks_once(self, mode: str, endless: AlchemyEmulator) -> None:
        error = failure(sensor_in(mode, timeout=0))

        assert isinstance(error, AirflowSensorTimeout)
        assert endless.count() == 1


@pytest.mark.parametrize("mode", MODES)
class TestInterval:
    def test_polls_come_an_interval_apart(self, mode: str, endless: AlchemyEmulator) -> None:
        with once(lambda: endless.count() >= 5, lambda: endless.set_job(ADDRESS, running_seconds=0)):
            Life().lead(sensor_in(mode, poke_interval=0.2))

        between = endless.calls[1:-1] if mode == "deferred" else endless.calls[:-1]
        gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(between)]
        assert min(gaps) >= 0.19

    def test_an_interval_of_zero_polls_at_once(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0.05)

        assert Life().lead(sensor_in(mode, poke_interval=0))["state"] == "finished"

    def test_exponential_backoff_lengthens_the_interval(self, mode: str, endless: AlchemyEmulator) -> None:
        with once(lambda: endless.count() >= 3, lambda: endless.set_job(ADDRESS, running_seconds=0)):
            Life().lead(sensor_in(mode, poke_interval=0.1, exponential_backoff=True))

        # Airflow's own growth begins with a second, whatever the interval.
        gaps = [later.at - earlier.at for earlier, later in itertools.pairwise(endless.calls)]
        assert min(gaps[1:]) >= 0.99

    def test_max_wait_is_the_longest_interval(
        self, mode: str, endless: AlchemyEmulator, clock: time_machine.Traveller
    ) -> None:
        life = Life()
        growing = {"poke_interval": 0.1, "exponential_backoff": True, "max_wait": timedelta(seconds=0.2)}
        sensor = sensor_in(mode, **growing)

        with late_once(lambda: endless.count() >= 4, clock), pytest.raises(AirflowSensorTimeout):
            life.lead(sensor)

        assert sensor.interval() == Interval(seconds=0.1, exponential=True, max_seconds=0.2)
        sent = ("poll_interval", "max_poll_interval", "adaptive", "exponential_backoff")
        assert all([getattr(one.trigger, name) for name in sent] == [0.1, 0.2, False, True] for one in life.deferrals)


@pytest.mark.usefixtures("endless")
def test_execution_timeout_ends_a_deferred_wait() -> None:
    error = failure(sensor_in("deferred", execution_timeout=timedelta(seconds=0.3)))

    assert isinstance(error, AirflowTaskTimeout)
    assert "execution_timeout" in str(error)


@pytest.mark.usefixtures("quick_backoff")
def test_execution_timeout_ends_a_deferred_wait_whose_polls_all_fail(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=A_DAY)
    sensor = sensor_in("deferred", execution_timeout=timedelta(seconds=0.5), max_consecutive_failures=None)

    life = Life()
    with pytest.raises(AirflowTaskTimeout):
        life.lead(sensor)

    assert life.events[0]["status"] == "timed_out"


@pytest.mark.parametrize("rule", ["soft_fail", "never_fail"])
@pytest.mark.usefixtures("endless")
def test_execution_timeout_is_skipped_where_the_sensor_says_so(rule: str) -> None:
    error = failure(sensor_in("deferred", execution_timeout=timedelta(seconds=0.3), **{rule: True}))

    assert type(error) is AirflowSkipException


@pytest.mark.usefixtures("endless")
def test_timeout_comes_before_a_longer_execution_timeout() -> None:
    error = failure(sensor_in("deferred", timeout=0.2, execution_timeout=timedelta(seconds=30)))

    assert isinstance(error, AirflowSensorTimeout)


@pytest.mark.usefixtures("endless")
def test_airflows_own_deferral_timeout_is_a_back_stop_later_than_the_triggers() -> None:
    life = Life()

    with pytest.raises(AirflowSensorTimeout):
        life.lead(sensor_in("deferred", timeout=0.2))

    assert type(life.deferrals[0].timeout) is timedelta
    assert timedelta(minutes=9) < life.deferrals[0].timeout < timedelta(minutes=11)


@pytest.mark.usefixtures("emulator")
def test_a_wait_that_airflow_ended_for_its_time_is_a_timeout_too() -> None:
    sensor = sensor_in("deferred")

    with pytest.raises(AirflowSensorTimeout, match="Check that a triggerer is running"):
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})


def test_the_deadline_is_a_moment_that_no_restart_moves(
    endless: AlchemyEmulator, clock: time_machine.Traveller
) -> None:
    life = Life()
    began = pendulum.now("UTC")

    with late_once(lambda: endless.count() > 1, clock), pytest.raises(AirflowSensorTimeout):
        life.lead(sensor_in("deferred"))

    deadline = pendulum.parse(life.deferrals[0].trigger.serialize()[1]["state"]["deadline"])
    assert isinstance(deadline, pendulum.DateTime)
    assert (deadline - began).total_seconds() == 3600
