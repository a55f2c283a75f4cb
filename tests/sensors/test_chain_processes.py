# SPDX-License-Identifier: Apache-2.0
"""What a sensor of new tokens hands from process to process: deferred, rescheduled, tried again, poked by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowTaskTimeout

from airflow_provider_alchemy.api.errors import AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.sensors.minting import (
    CONFIRMATIONS,
    FIRST,
    NEWEST,
    are_read_once,
    has_looked,
    mint,
    sensor_in,
    windows_of,
)
from tests.tasks.lives import (
    ADDRESS,
    MODES,
    OTHER_ADDRESS,
    Life,
    StateStore,
    TaskInstance,
    context_of,
    context_without_store,
    failure,
    once,
)
from tests.tasks.outlets import outlet_events

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def blocks_on_command(emulator: AlchemyEmulator) -> None:
    emulator.configure(block_seconds=None)


@pytest.mark.parametrize("mode", MODES)
class TestWhatIsRemembered:
    def test_a_retry_goes_on_where_the_earlier_try_stopped(self, mode: str, emulator: AlchemyEmulator) -> None:
        store = StateStore()
        mint(emulator, [1])
        newest = mint(emulator, [2])
        failure(sensor_in(mode, timeout=0.2), context_of(store=store))
        mint(emulator, [3])
        mint(emulator, [4])

        second_try = TaskInstance(try_number=2, max_tries=1)
        result = Life().lead(sensor_in(mode, min_tokens=2, retries=1), context_of(second_try, store))

        assert (result["since_block"], result["token_ids"]) == (newest + CONFIRMATIONS, ["3", "4"])
        assert are_read_once(windows_of(emulator), result["since_block"], result["until_block"])

    def test_a_cleared_task_begins_anew(self, mode: str, emulator: AlchemyEmulator) -> None:
        store = StateStore()
        failure(sensor_in(mode, timeout=0.2), context_of(store=store))
        newest = mint(emulator, [1])

        cleared = TaskInstance(try_number=2, max_tries=1)
        with once(has_looked(emulator, emulator.count(NEWEST) + 1), lambda: mint(emulator, [2])):
            result = Life().lead(sensor_in(mode), context_of(cleared, store))

        assert (result["since_block"], result["token_ids"]) == (newest + CONFIRMATIONS, ["2"])

    def test_another_block_is_another_question(self, mode: str, emulator: AlchemyEmulator) -> None:
        store = StateStore()
        mint(emulator, [1])
        Life().lead(sensor_in(mode, since_block=FIRST), context_of(store=store))
        second = mint(emulator, [2])

        result = Life().lead(sensor_in(mode, since_block=second), context_of(store=store))

        assert result["token_ids"] == ["2"]

    def test_another_collection_is_another_question(self, mode: str, emulator: AlchemyEmulator) -> None:
        store = StateStore()
        mint(emulator, [1])
        emulator.mint(OTHER_ADDRESS, [7])
        emulator.mine_blocks(CONFIRMATIONS)
        Life().lead(sensor_in(mode, since_block=FIRST), context_of(store=store))

        sensor = sensor_in(mode, since_block=FIRST, contract_address=OTHER_ADDRESS)

        assert Life().lead(sensor, context_of(store=store))["token_ids"] == ["7"]


@pytest.mark.parametrize("mode", MODES)
def test_a_wait_that_begins_far_back_keeps_what_it_has_read_now_and_then(
    mode: str, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("airflow_provider_alchemy.waits.new_tokens.MAX_POLL_SECONDS", 0)
    emulator.configure(max_block_range=10)
    mint(emulator, [1])
    emulator.mine_blocks(50)
    mint(emulator, [2])

    result = Life().lead(sensor_in(mode, since_block=FIRST, poke_interval=600, timeout=3_600))

    assert result["token_ids"] == ["1", "2"]
    assert are_read_once(windows_of(emulator), FIRST, result["until_block"])
    assert emulator.count(NEWEST) == len(windows_of(emulator)) > 5


@pytest.mark.parametrize("mode", MODES)
def test_the_event_of_its_collection_tells_how_it_ended(mode: str, emulator: AlchemyEmulator) -> None:
    outlet = collection(ADDRESS)
    context = {**context_of(), "outlet_events": outlet_events()}

    with once(has_looked(emulator, 2), lambda: mint(emulator, [1])):
        result = Life().lead(sensor_in(mode, outlets=[outlet]), context)

    told = context["outlet_events"][outlet].extra
    assert (told["state"], told["failed_in_part"]) == ("finished", False)
    assert all(told[name] == result[name] for name in ("contract_address", "network", "submitted_at", "polls"))


class TestDeferred:
    @pytest.mark.usefixtures("emulator")
    def test_execution_timeout_ends_the_wait(self) -> None:
        error = failure(sensor_in("deferred", execution_timeout=timedelta(seconds=0.4)))

        assert isinstance(error, AirflowTaskTimeout)

    def test_the_worker_takes_the_first_look(self, emulator: AlchemyEmulator) -> None:
        life = Life()

        with once(has_looked(emulator, 2), lambda: mint(emulator, [1])):
            life.lead(sensor_in("deferred"))

        assert len(life.deferrals) == 1
        record = life.deferrals[0].trigger.serialize()[1]["state"]
        assert (record["rounds"], record["polls"], record["since_block"]) == (1, 1, FIRST)

    def test_tokens_that_are_there_at_once_need_no_triggerer(self, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])
        life = Life()

        life.lead(sensor_in("deferred", since_block=FIRST))

        assert life.deferrals == []

    @pytest.mark.usefixtures("emulator")
    def test_airflows_own_deferral_timeout_is_a_back_stop(self) -> None:
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


class TestRescheduled:
    def test_each_poke_is_a_process_of_its_own_with_one_look(self, emulator: AlchemyEmulator) -> None:
        life = Life()

        with once(has_looked(emulator, 3), lambda: mint(emulator, [1])):
            life.lead(sensor_in("reschedule"))

        assert emulator.count(NEWEST) == len(life.reschedules) + 1

    @pytest.mark.usefixtures("before_3_3")
    def test_without_a_store_it_begins_a_minute_before_the_first_poke_and_the_log_warns(
        self, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        mint(emulator, [1])
        context = context_without_store(TaskInstance())

        with once(has_looked(emulator, 2), lambda: mint(emulator, [2])):
            result = Life().lead(sensor_in("reschedule", min_tokens=2), context)

        assert result["token_ids"] == ["1", "2"]
        log = task_log()  # which has each line twice before Airflow 3.1
        assert log.count("Airflow keeps nothing between two pokes before 3.3") == log.count("finished, ")

    @pytest.mark.usefixtures("before_3_3")
    def test_without_a_store_the_block_that_was_named_is_kept_to(self, emulator: AlchemyEmulator) -> None:
        mint(emulator, [1])

        with once(has_looked(emulator, 3), lambda: mint(emulator, [2])):
            sensor = sensor_in("reschedule", since_block=FIRST, min_tokens=2)
            result = Life().lead(sensor, context_without_store(TaskInstance()))

        assert (result["since_block"], result["token_ids"]) == (FIRST, ["1", "2"])

    @pytest.mark.usefixtures("before_3_3")
    def test_without_a_store_the_log_warns_that_the_units_limit_each_poke_alone(
        self, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        with once(has_looked(emulator, 3), lambda: mint(emulator, [1])):
            result = Life().lead(sensor_in("reschedule", max_compute_units=500), context_without_store(TaskInstance()))

        assert result["state"] == "finished"
        assert "max_compute_units limits each poke alone" in task_log()

    @pytest.mark.usefixtures("emulator")
    @pytest.mark.usefixtures("before_3_3")
    def test_without_a_store_the_timeout_counts_from_the_first_poke(self) -> None:
        error = failure(sensor_in("reschedule", timeout=0.6), context_without_store(TaskInstance()))

        assert isinstance(error, AirflowSensorTimeout)


class TestPoke:
    def test_it_looks_once_for_those_who_call_it_themselves(self, emulator: AlchemyEmulator) -> None:
        sensor, context = sensor_in("poke"), context_of()

        first = sensor.poke(context)
        mint(emulator, [1])
        second = sensor.poke(context)

        assert (first.is_done, first.xcom_value, second.is_done) == (False, None, True)
        assert (second.xcom_value or {})["token_ids"] == ["1"]
