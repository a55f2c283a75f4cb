# SPDX-License-Identifier: Apache-2.0
"""What a sensor of fresh metadata hands from process to process: deferred, rescheduled, poked by hand."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowSensorTimeout,
    AirflowTaskTimeout,
)

from airflow_provider_alchemy.api.errors import AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.sensors.freshness import looks_of, refresh, sensor_in, set_fresh
from tests.tasks.lives import (
    ADDRESS,
    Life,
    TaskInstance,
    context_of,
    context_without_store,
    failure,
    once,
)

pytestmark = pytest.mark.integration


class TestDeferred:
    def test_execution_timeout_ends_the_wait(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        error = failure(sensor_in("deferred", execution_timeout=timedelta(seconds=0.4)))

        assert isinstance(error, AirflowTaskTimeout)

    def test_the_worker_takes_the_sample_and_the_first_look(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250)
        life = Life()

        with once(lambda: len(looks_of(emulator)) > 1, lambda: refresh(emulator, range(250))):
            life.lead(sensor_in("deferred"))

        assert len(life.deferrals) == 1
        record = life.deferrals[0].trigger.serialize()[1]["state"]
        assert (record["rounds"], record["polls"]) == (1, 5)

    def test_tokens_that_are_fresh_at_once_need_no_triggerer(self, emulator: AlchemyEmulator) -> None:
        set_fresh(emulator)
        life = Life()

        life.lead(sensor_in("deferred"))

        assert life.deferrals == []

    def test_airflows_own_deferral_timeout_is_a_back_stop(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)
        life = Life()

        with pytest.raises(AirflowSensorTimeout):
            life.lead(sensor_in("deferred", timeout=0.2))

        assert type(life.deferrals[0].timeout) is timedelta
        assert timedelta(minutes=9) < life.deferrals[0].timeout < timedelta(minutes=11)

    @pytest.mark.usefixtures("emulator")
    def test_a_wait_that_airflow_ended_for_its_time_is_a_timeout_too(self) -> None:
        with pytest.raises(AirflowSensorTimeout, match="Check that a triggerer is running"):
            sensor_in("deferred").resume_execution("__fail__", {"error": "Trigger timeout"}, context_of())

    @pytest.mark.usefixtures("emulator")
    @pytest.mark.parametrize("event", [None, {}, {"status": "unheard of"}, {"status": "finished", "state": 7}])
    def test_an_event_that_is_none_fails_loudly(self, event: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="the trigger's event is"):
            sensor_in("deferred").execute_complete(context_of(), event)

    def test_tokens_that_were_given_do_not_travel_back(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, token_ids=[number * 2**200 for number in range(500)])
        life = Life()

        with once(lambda: len(looks_of(emulator)) > 5, lambda: set_fresh(emulator, tokens=1)):
            ids = [number * 2**200 for number in range(500)]
            result = life.lead(sensor_in("deferred", token_ids=ids, min_fresh=1))

        assert result["token_ids"][:2] == ["0", str(2**200)]
        assert len(json.dumps(life.events[0])) < 2_000

    def test_other_tokens_than_it_began_with_are_no_result(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)
        life = Life()
        sensor = sensor_in("deferred", token_ids=[1, 2])

        def change() -> None:
            sensor.token_ids = [3, 4]
            set_fresh(emulator)

        with (
            once(lambda: len(looks_of(emulator)) > 1, change),
            pytest.raises(AlchemyUnexpectedAnswerError, match="not the one that the wait began with"),
        ):
            life.lead(sensor)


class TestRescheduled:
    def test_each_poke_is_a_process_of_its_own_with_one_look(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)
        life = Life()

        with once(lambda: len(looks_of(emulator)) > 2, lambda: refresh(emulator, range(10))):
            life.lead(sensor_in("reschedule"))

        assert len(looks_of(emulator)) == len(life.reschedules) + 1

    @pytest.mark.usefixtures("before_3_3")
    def test_without_a_store_the_list_is_read_by_each_poke_and_the_log_warns(
        self, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=1_000)
        context = context_without_store(TaskInstance())
        life = Life()

        with once(lambda: len(looks_of(emulator)) > 1, lambda: refresh(emulator, range(1_000))):
            result = life.lead(sensor_in("reschedule", sample_size=20), context)

        assert (result["counts"]["fresh"], len({*looks_of(emulator)})) == (20, 1)
        log = task_log()  # which has each line twice before Airflow 3.1
        assert log.count("Airflow keeps nothing between two pokes before 3.3") == log.count("finished, 20 of 20 tokens")

    @pytest.mark.usefixtures("before_3_3")
    def test_without_a_store_the_timeout_counts_from_the_first_poke(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)

        error = failure(sensor_in("reschedule", timeout=0.6), context_without_store(TaskInstance()))

        assert isinstance(error, AirflowSensorTimeout)


class TestPoke:
    def test_it_looks_once_for_those_who_call_it_themselves(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=10)
        sensor, context = sensor_in("poke"), context_of()

        first = sensor.poke(context)
        refresh(emulator, range(10))
        second = sensor.poke(context)

        assert (first.is_done, first.xcom_value, second.is_done) == (False, None, True)
        assert (second.xcom_value or {})["counts"]["fresh"] == 10
