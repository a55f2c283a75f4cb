# SPDX-License-Identifier: Apache-2.0
"""What a retry knows with a task state store (Airflow 3.3), and what it must not take over."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
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
    outcome,
    sensor_in,
)

pytestmark = pytest.mark.integration


class StoreOutOfReach(StateStore):
    """A store that takes nothing."""

    def set(self, key: str, value: Any) -> None:  # noqa: ARG002 - the store's own signature
        msg = "the API server is away"
        raise ConnectionError(msg)


def refresh(**arguments: Any) -> ReingestContractOperator:
    defaults: dict[str, Any] = {
        "task_id": "refresh",
        "contract_address": ADDRESS,
        "poll_interval": 0.05,
        "timeout": 3600,
    }
    return ReingestContractOperator(
        **{"task_id": "refresh", **defaults, "wait_for_completion": True, "retries": 2, **arguments}
    )


def sensor(mode: str) -> Callable[..., Any]:
    return lambda **arguments: sensor_in(mode, retries=2, **arguments)


TASKS: dict[str, Callable[..., Any]] = {
    "operator": refresh,
    "deferred operator": lambda **arguments: refresh(deferrable=True, **arguments),
    **{mode: sensor(mode) for mode in MODES},
}

each_task = pytest.mark.parametrize("build", TASKS.values(), ids=TASKS.keys())


def first_try() -> TaskInstance:
    return TaskInstance(try_number=1, max_tries=2)


def second_try() -> TaskInstance:
    return TaskInstance(try_number=2, max_tries=2)


def cleared() -> TaskInstance:
    """Give the instance after a try was used up and a user cleared it: Airflow raises max_tries by the try."""
    return TaskInstance(try_number=2, max_tries=3)


@each_task
class TestARetry:
    def test_it_knows_when_the_refresh_was_submitted(self, build: Any, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)
        store = StateStore()
        began = time.time()
        failure(build(timeout=0.2), context_of(first_try(), store))
        ended = time.time()
        emulator.set_job(ADDRESS, running_seconds=0)

        result = Life().lead(build(), context_of(second_try(), store))

        told = datetime.fromisoformat(result["submitted_at"]).timestamp()
        assert began <= told <= ended

    def test_it_counts_on_what_the_refresh_has_cost(self, build: Any, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)
        store = StateStore()
        failure(build(timeout=0.2), context_of(first_try(), store))
        emulator.set_job(ADDRESS, running_seconds=0)

        result = Life().lead(build(), context_of(second_try(), store))

        assert result["compute_units"] <= emulator.compute_units
        assert result["polls"] > 1

    def test_it_does_not_take_the_refresh_for_an_earlier_one(self, build: Any, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)
        store = StateStore()
        failure(build(timeout=0.2), context_of(first_try(), store))
        emulator.set_job(ADDRESS, running_seconds=0)

        assert Life().lead(build(), context_of(second_try(), store))["already_finished"] is False

    def test_it_has_a_timeout_of_its_own(self, build: Any, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)
        store = StateStore()
        failure(build(timeout=0.2), context_of(first_try(), store))
        emulator.set_job(ADDRESS, queued_seconds=0, running_seconds=0)

        end = outcome(build(timeout=0.2), context_of(second_try(), store))

        assert not isinstance(end, AirflowSensorTimeout)

    def test_a_refresh_that_failed_is_submitted_anew(self, build: Any, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, outcome="does_not_exist")
        store = StateStore()
        failure(build(), context_of(first_try(), store))
        emulator.set_job(ADDRESS, running_seconds=0)
        before = emulator.count()

        result = Life().lead(build(), context_of(second_try(), store))

        assert (result["polls"], emulator.count() - before) == (1, 1)

    def test_another_collections_record_is_not_taken(self, build: Any, emulator: AlchemyEmulator) -> None:
        emulator.set_default_job(running_seconds=0)
        store = StateStore()
        Life().lead(build(), context_of(first_try(), store))

        result = Life().lead(build(contract_address=OTHER_ADDRESS), context_of(second_try(), store))

        assert (result["contract_address"], emulator.count(None, OTHER_ADDRESS)) == (OTHER_ADDRESS.lower(), 1)

    def test_an_end_that_could_not_be_reported_is_returned_without_a_call(
        self, build: Any, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_job(ADDRESS, running_seconds=0.1)
        store = StateStore()
        first = Life().lead(build(), context_of(first_try(), store))
        before = emulator.count()

        second = Life().lead(build(), context_of(second_try(), store))

        assert (second, emulator.count()) == (first, before)


@each_task
class TestAClearedTask:
    def test_it_asks_for_a_new_refresh(self, build: Any, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0)
        store = StateStore()
        Life().lead(build(), context_of(first_try(), store))

        Life().lead(build(), context_of(cleared(), store))

        assert emulator.count() == 2

    def test_it_counts_from_nothing(self, build: Any, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0)
        store = StateStore()
        Life().lead(build(), context_of(first_try(), store))

        assert Life().lead(build(), context_of(cleared(), store))["polls"] == 1


@each_task
def test_a_store_out_of_reach_fails_no_refresh(build: Any, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
    emulator.set_job(ADDRESS, running_seconds=0)

    result = Life().lead(build(), context_of(first_try(), StoreOutOfReach()))

    assert result["state"] == "finished"
    assert "Could not save the state of the task for a retry" in task_log()


@each_task
@pytest.mark.parametrize("text", ['"nonsense"', "[]", "{}", '{"first_try": 1, "try_number": 1}'])
def test_a_record_of_another_shape_is_left_alone(build: Any, text: str, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0)
    store = StateStore()
    store.texts["alchemy_reingest"] = text

    assert Life().lead(build(), context_of(first_try(), store))["state"] == "finished"


@each_task
def test_the_key_is_not_kept(build: Any, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0.1)
    store = StateStore()

    Life().lead(build(), context_of(first_try(), store))

    assert store.texts
    assert emulator.api_key not in "".join(store.texts.values())


def test_a_retry_says_that_it_joins(emulator: AlchemyEmulator, task_log: TaskLog) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)
    store = StateStore()
    failure(refresh(timeout=0.2), context_of(first_try(), store))
    emulator.set_job(ADDRESS, running_seconds=0)

    Life().lead(refresh(), context_of(second_try(), store))

    assert "An earlier try submitted the refresh of" in task_log()


@pytest.mark.usefixtures("before_3_3")
class TestWithoutAStore:
    """Airflow before 3.3: nothing but what Airflow itself counts."""

    @pytest.mark.parametrize("mode", MODES)
    def test_a_wait_ends_alike(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=0.1, running_seconds=0.1)

        result = Life().lead(sensor_in(mode), context_without_store())

        assert (result["state"], result["already_finished"]) == ("finished", False)
        known = 1 if mode == "reschedule" else emulator.count()
        assert (result["polls"], result["compute_units"]) == (known, 480 * known)

    @pytest.mark.parametrize("mode", MODES)
    def test_the_timeout_counts_from_the_first_poke(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)

        error = failure(sensor_in(mode, timeout=0.4, poke_interval=0.1), context_without_store())

        assert isinstance(error, AirflowSensorTimeout)
        assert emulator.count() <= 7

    @pytest.mark.parametrize("mode", MODES)
    def test_a_retry_joins_the_refresh(self, mode: str, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)
        failure(sensor_in(mode, timeout=0.1, retries=2), context_without_store(first_try()))
        emulator.set_job(ADDRESS, running_seconds=0)

        result = Life().lead(sensor_in(mode, retries=2), context_without_store(second_try()))

        assert result["state"] == "finished"

    @pytest.mark.usefixtures("quick_backoff")
    def test_a_service_that_stays_broken_ends_a_wait_in_the_worker(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=500)

        error = failure(sensor_in("poke", max_consecutive_failures=2), context_without_store())

        assert isinstance(error, AlchemyError)
        assert emulator.count() == 3
