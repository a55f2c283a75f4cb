# SPDX-License-Identifier: Apache-2.0
"""A sensor of fresh metadata in trouble: faults, deadlines, skips, restarts of its task."""

from __future__ import annotations

import itertools
import json
import time
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)

from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyDeadlineError,
    AlchemyServerError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.waits.interval import Interval
from tests.conftest import ConnectTo, TaskLog
from tests.sensors.freshness import BATCH, LIST, looks_of, minutes_ago, refresh, sensor_in, set_fresh, spent_on_looking
from tests.tasks.lives import (
    ADDRESS,
    AN_HOUR_AND_MORE,
    LOWER,
    MODES,
    PASSING_FAULTS,
    Life,
    failure,
    late_once,
    life_with_pauses,
    once,
)

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.usefixtures("quick_backoff")
class TestFaults:
    @pytest.mark.parametrize("fault", PASSING_FAULTS, ids=lambda fault: str(fault.get("status") or fault["kind"]))
    def test_a_fifth_of_faulty_answers_leaves_the_counts_right(
        self, mode: str, fault: dict[str, Any], emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=600)
        emulator.set_tokens(ADDRESS, [599], error="Malformed token uri")
        emulator.set_tokens(ADDRESS, [598], stale=True)
        since = minutes_ago(1)
        refresh(emulator, range(400))
        emulator.add_fault(**fault, probability=0.2)

        with once(lambda: len(looks_of(emulator)) > 20, lambda: refresh(emulator, range(600))):
            result = Life().lead(sensor_in(mode, fresh_since=since, sample_size=600, min_fresh=598, poke_interval=0.02))

        assert result["counts"] == {"tokens": 600, "fresh": 598, "stale": 1, "failed": 1}
        assert (result["polls"], result["compute_units"]) == spent_on_looking(emulator)

    def test_a_pass_that_failed_goes_on_where_it_failed(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator, tokens=300)
        emulator.set_tokens(ADDRESS, [0], error="Internal service")
        sensor = sensor_in(mode, token_ids=range(300), min_fresh=299)

        with once(lambda: len(looks_of(emulator)) > 0, lambda: emulator.add_fault("http", status=503, times=2)):
            Life().lead(sensor)

        firsts = [tokens[0] for tokens in looks_of(emulator)]
        assert firsts.count(0) == 1

    def test_a_page_of_the_list_is_tried_ten_times(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)
        emulator.add_fault("http", status=500, endpoint=LIST, times=9)

        result = Life().lead(sensor_in(mode))

        assert (emulator.count(LIST), result["counts"]["fresh"]) == (10, 10)

    def test_a_page_that_the_api_reference_does_not_know_is_tried_again_too(
        self, mode: str, emulator: AlchemyEmulator
    ) -> None:
        set_fresh(emulator)
        emulator.add_fault("wrong_types", endpoint=LIST, times=3)

        assert Life().lead(sensor_in(mode))["counts"]["fresh"] == 10

    def test_a_list_that_stays_out_of_reach_fails_in_a_way_that_airflow_retries(
        self, mode: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.add_fault("http", status=500, endpoint=LIST)

        error = failure(sensor_in(mode))

        assert (type(error), emulator.count(LIST)) == (AlchemyServerError, 10)

    def test_polls_that_fail_in_a_row_are_given_up(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=500, endpoint=BATCH)

        error = failure(sensor_in(mode, max_consecutive_failures=3))

        assert (type(error), len(looks_of(emulator))) == (AlchemyServerError, 4)
        assert f"ollection {LOWER} on eth-mainnet (connection 'alchemy_default')" in str(error)

    def test_a_refused_key_fails_for_good(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=401)

        error = failure(sensor_in(mode))

        assert isinstance(error, AlchemyAuthenticationError)
        assert isinstance(error, AirflowFailException)
        assert emulator.count() == 1

    def test_an_answer_that_the_api_reference_does_not_know_fails(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)
        emulator.add_fault("wrong_types", endpoint=BATCH, fields={"tokenId": None})

        assert type(failure(sensor_in(mode))) is AlchemyUnexpectedAnswerError

    def test_a_time_that_cannot_be_read_proves_nothing(
        self, mode: str, emulator: AlchemyEmulator, clock: time_machine.Traveller
    ) -> None:
        set_fresh(emulator)
        emulator.add_fault("wrong_types", endpoint=BATCH, fields={"timeLastUpdated": 42})

        with late_once(lambda: len(looks_of(emulator)) > 1, clock):
            assert isinstance(failure(sensor_in(mode)), AirflowSensorTimeout)

    def test_the_documented_array_is_read_as_well(self, mode: str, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)
        emulator.configure(batch_form="array")

        assert Life().lead(sensor_in(mode))["counts"]["fresh"] == 10


@pytest.mark.parametrize("mode", MODES)
class TestDeadlines:
    def test_the_timeout_ends_the_wait_with_airflows_exception(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        # A sleep that outlasted it would stand still for a day.
        error = failure(sensor_in(mode, timeout=0.5, poke_interval=86_400))

        assert isinstance(error, AirflowSensorTimeout)
        assert isinstance(error, AlchemyDeadlineError)
        assert "when the task's timeout was over" in str(error)

    def test_the_last_look_is_at_the_deadline(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)
        began = time.time()

        failure(sensor_in(mode, timeout=0.5, poke_interval=0.2))

        assert emulator.calls[-1].at - began >= 0.5

    def test_tokens_that_are_fresh_at_the_last_look_are_no_timeout(
        self, mode: str, emulator: AlchemyEmulator, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        def refresh_and_be_late() -> None:
            set_fresh(emulator)
            clock.shift(AN_HOUR_AND_MORE)

        assert life_with_pauses(refresh_and_be_late, monkeypatch).lead(sensor_in(mode))["state"] == "finished"
        assert len(looks_of(emulator)) == 2

    def test_zero_looks_once(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        assert isinstance(failure(sensor_in(mode, timeout=0)), AirflowSensorTimeout)
        assert len(looks_of(emulator)) == 1

    def test_a_list_that_takes_longer_than_the_timeout_ends_with_it(
        self, mode: str, emulator: AlchemyEmulator, clock: time_machine.Traveller
    ) -> None:
        emulator.configure(latency_seconds=0.1)

        with late_once(lambda: emulator.count(LIST) > 3, clock):
            error = failure(sensor_in(mode))

        assert isinstance(error, AirflowSensorTimeout)
        assert "the collection's tokens were not known when the task's timeout was over" in str(error)
        assert emulator.count(LIST) < 20

    def test_a_list_that_never_comes_ends_with_the_timeout(
        self, mode: str, emulator: AlchemyEmulator, connect: ConnectTo
    ) -> None:
        connect(timeout=0.3)
        emulator.add_fault("hang", endpoint=LIST)

        error = failure(sensor_in(mode, timeout=0.5))

        assert isinstance(error, AirflowSensorTimeout)
        assert "the collection's tokens were not known when the task's timeout was over" in str(error)
        assert emulator.count(LIST) < 4

    def test_an_account_without_room_outlasts_no_deadline_for_long(
        self, mode: str, emulator: AlchemyEmulator, connect: ConnectTo
    ) -> None:
        connect(compute_units_per_second=48, timeout=0.3)
        set_fresh(emulator, tokens=3_000)

        error = failure(sensor_in(mode, timeout=0.3, token_ids=range(3_000)))

        assert isinstance(error, AirflowSensorTimeout)
        assert "left no room" in str(error)

    def test_exponential_backoff_and_max_wait_set_the_interval(self, mode: str) -> None:
        growing = {"poke_interval": 10, "exponential_backoff": True}

        free, bound = sensor_in(mode, **growing), sensor_in(mode, **growing, max_wait=timedelta(seconds=60))

        assert free.interval() == Interval(seconds=10, exponential=True)
        assert bound.interval() == Interval(seconds=10, exponential=True, max_seconds=60)

    def test_exponential_backoff_lengthens_the_interval(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        with once(lambda: len(looks_of(emulator)) > 2, lambda: set_fresh(emulator)):
            Life().lead(sensor_in(mode, poke_interval=0.1, exponential_backoff=True))

        # Airflow's own growth begins with a second, whatever the interval.
        looks = [call.at for call in emulator.calls if call.endpoint == BATCH]
        assert min(later - earlier for earlier, later in itertools.pairwise(looks[1:])) >= 0.99

    @pytest.mark.parametrize("rule", ["soft_fail", "never_fail"])
    def test_a_timeout_is_skipped_where_the_sensor_says_so(
        self, mode: str, rule: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        assert type(failure(sensor_in(mode, timeout=0.2, **{rule: True}))) is AirflowSkipException

    def test_soft_fail_skips_what_no_retry_mends_and_nothing_else(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, token_type="NOT_A_CONTRACT")
        assert type(failure(sensor_in(mode, soft_fail=True))) is AirflowSkipException

        emulator.configure(repeat_page_key=True)
        set_fresh(emulator)
        assert not isinstance(failure(sensor_in(mode, soft_fail=True)), AirflowSkipException)
        assert type(failure(sensor_in(mode, never_fail=True))) is AirflowSkipException


@pytest.mark.parametrize("mode", MODES)
def test_the_key_is_in_no_text(
    mode: str, emulator: AlchemyEmulator, connect: ConnectTo, task_log: TaskLog, clock: time_machine.Traveller
) -> None:
    connect(max_attempts=1)
    emulator.set_collection(ADDRESS, tokens=10)
    life = Life()

    with late_once(lambda: len(looks_of(emulator)) > 1, clock), pytest.raises(AirflowSensorTimeout) as caught:
        life.lead(sensor_in(mode))

    told = json.dumps([life.events, [one.trigger.serialize() for one in life.deferrals]])
    assert emulator.api_key not in f"{told}{caught.value}{task_log()}"
