# SPDX-License-Identifier: Apache-2.0
"""
What a version left in Airflow's database, today's code goes on with: triggers, events, records, results.

Deferred tasks live through an upgrade of this package, for days where a refresh takes so long.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from airflow.models.trigger import Trigger
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS
from airflow.serialization.serialized_objects import BaseSerialization

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.released.kept import kept_scenes, read
from tests.released.playing import (
    WATCHER,
    AssetStore,
    Place,
    announce,
    build_task,
    build_trigger,
    end_of,
    first_events,
    hurry,
    lead,
    named,
    resumption,
)
from tests.released.scenes import BATCH, FIRST_BLOCK, SCENES
from tests.tasks.batches import BatchInstance, Variables, counted_calls
from tests.tasks.lives import fire

pytestmark = pytest.mark.integration

ALL = kept_scenes()
OF_TASKS = [(version, scene) for version, scene in ALL if scene != WATCHER]
OF_WATCHERS = [(version, scene) for version, scene in ALL if scene == WATCHER]

each = pytest.mark.parametrize(("version", "scene"), ALL)
each_task = pytest.mark.parametrize(("version", "scene"), OF_TASKS)
each_watcher = pytest.mark.parametrize(("version", "scene"), OF_WATCHERS)


def trigger_in(kept: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    told = kept.get("deferred") or kept["watcher"]
    return told["classpath"], told["kwargs"]


def texts_in_the_database(kwargs: dict[str, Any]) -> Iterator[str]:
    """Give a trigger's arguments as Airflow's table has them: since 3.3 as they are, before with their types."""
    if AIRFLOW_V_3_3_PLUS:
        yield json.dumps(kwargs)
    # What an older Airflow wrote, a newer one reads.
    yield json.dumps(BaseSerialization.serialize(kwargs))


def task_of(kept: dict[str, Any]) -> Any:
    return build_task(kept["task"]["class"], kept["task"]["arguments"])


def place_of(kept: dict[str, Any], scene: str, variables: Variables, store: str = "task_state_store") -> Place:
    place = Place(variables, SCENES[scene].has_store)
    for key, value in kept[store].items():
        place.store.set(key, value)
    return place


def prepare(scene: str, emulator: AlchemyEmulator) -> None:
    SCENES[scene].before(emulator)
    SCENES[scene].meanwhile(emulator)


@each
class TestATrigger:
    def test_it_is_built_again_from_what_the_database_holds(self, version: str, scene: str) -> None:
        classpath, kwargs = trigger_in(read(version, scene))
        for text in texts_in_the_database(kwargs):
            again, arguments = named(classpath)(**Trigger._decrypt_kwargs(text)).serialize()

            assert again == classpath
            assert {name: arguments[name] for name in kwargs} == kwargs

    def test_an_argument_that_it_does_not_have_yet_is_at_its_default(self, version: str, scene: str) -> None:
        classpath, kwargs = trigger_in(read(version, scene))
        parameters = inspect.signature(named(classpath)).parameters

        _, arguments = named(classpath)(**kwargs).serialize()

        assert all(arguments[name] == parameters[name].default for name in arguments.keys() - kwargs.keys())


@pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="Airflow before 3.3 writes the types of the values too")
@each
def test_what_is_kept_is_what_airflow_stores(version: str, scene: str) -> None:
    from airflow.sdk.serde import serialize  # noqa: PLC0415 - not there before 3.2
    from airflow.serialization.encoders import encode_trigger  # noqa: PLC0415 - as above

    kept = read(version, scene)
    classpath, kwargs = trigger_in(kept)

    assert serialize(kwargs) == kwargs
    assert encode_trigger({"classpath": classpath, "kwargs": kwargs})["kwargs"].keys() == kwargs.keys()
    assert serialize(kept["event"]) == kept["event"]


@each_task
class TestADeferredTask:
    def test_its_trigger_runs_to_the_end_and_todays_task_ends_as_it_would_have(
        self, version: str, scene: str, emulator: AlchemyEmulator, variables: Variables
    ) -> None:
        kept = read(version, scene)
        prepare(scene, emulator)
        task, place, deferred = task_of(kept), place_of(kept, scene, variables), kept["deferred"]

        event = fire(hurry(build_trigger(deferred["classpath"], deferred["kwargs"])))
        step = resumption(task, place, deferred["next_method"], deferred["next_kwargs"], event)
        end = end_of(partial(lead, task, place, step))

        assert end["error"] == kept["error"]
        for key in ("contract_address", "network", "state", "progress", "counts", "failures", "token_ids"):
            assert (end["xcom"] or {}).get(key) == (kept["xcom"] or {}).get(key)
        assert (end["xcom"] or {}).keys() >= (kept["xcom"] or {}).keys()

    def test_its_method_takes_what_it_is_resumed_with(self, version: str, scene: str) -> None:
        deferred = read(version, scene)["deferred"]
        method = getattr(task_of(read(version, scene)), deferred["next_method"])

        inspect.signature(method).bind({}, event={}, **deferred["next_kwargs"])

    def test_its_event_is_understood(
        self, version: str, scene: str, emulator: AlchemyEmulator, variables: Variables
    ) -> None:
        kept = read(version, scene)
        prepare(scene, emulator)
        task, place, deferred = task_of(kept), place_of(kept, scene, variables), kept["deferred"]

        step = resumption(task, place, deferred["next_method"], deferred["next_kwargs"], kept["event"])
        end = end_of(partial(lead, task, place, step))

        assert end["error"] == kept["error"]
        if kept["event"]["status"] == "due":
            assert end["xcom"]["counts"] == kept["xcom"]["counts"]
        elif kept["xcom"] is not None:
            assert {key: end["xcom"][key] for key in kept["xcom"]} == kept["xcom"]
            assert emulator.count() == 0


WITH_MEMORY = [(version, scene) for version, scene in OF_TASKS if read(version, scene)["task_state_store"]]


@pytest.mark.parametrize(("version", "scene"), WITH_MEMORY)
class TestWhatATaskRemembers:
    def test_a_retry_goes_on_with_it(
        self, version: str, scene: str, emulator: AlchemyEmulator, variables: Variables
    ) -> None:
        kept = read(version, scene)
        (memory,) = kept["task_state_store"].values()
        prepare(scene, emulator)
        place = place_of(kept, scene, variables)
        place.ti = BatchInstance(try_number=2)

        end = end_of(partial(lead, task_of(kept), place))

        (now,) = place.kept.values()
        assert end["error"] == kept["error"]
        assert now["record"]["submitted_at"] == memory["record"]["submitted_at"]
        assert now["record"]["polls"] == memory["record"]["polls"] + emulator.count()
        assert now["record"]["compute_units"] == memory["record"]["compute_units"] + emulator.compute_units


OF_BATCHES = [(version, scene) for version, scene in OF_TASKS if scene == "reingest_contracts"]


@pytest.mark.parametrize("where", ["variables", "task_state_store_at_the_end"])
@pytest.mark.parametrize(("version", "scene"), OF_BATCHES)
def test_a_retry_of_a_batch_asks_only_for_what_may_yet_finish(
    version: str, scene: str, where: str, emulator: AlchemyEmulator, variables: Variables
) -> None:
    kept = read(version, scene)
    emulator.set_default_job(running_seconds=0)
    place = Place(variables) if where == "variables" else place_of(kept, scene, variables, where)
    variables.texts = dict(kept["variables"]) if where == "variables" else {}
    place.ti = BatchInstance(try_number=2)

    with counted_calls(emulator) as asked:
        result = lead(task_of(kept), place)

    assert set(asked) == {BATCH[2]}
    assert (result["finished"], result["submitted_at"]) == ([BATCH[0], BATCH[2]], kept["xcom"]["submitted_at"])


@pytest.mark.parametrize(("version", "scene"), OF_BATCHES)
def test_a_batch_whose_triggerer_was_replaced_goes_on_where_it_was(
    version: str, scene: str, emulator: AlchemyEmulator, variables: Variables
) -> None:
    kept = read(version, scene)
    variables.texts = dict(kept["variables"])

    event = fire(build_trigger(*trigger_in(kept)))

    assert event["record"] == kept["event"]["record"]
    assert emulator.count() == 0


@each_watcher
class TestAWatcher:
    def test_it_goes_on_at_its_place(self, version: str, scene: str, emulator: AlchemyEmulator) -> None:
        kept = read(version, scene)
        for token_id in (1, 2):
            announce(emulator, token_id)
        watcher = build_trigger(*trigger_in(kept))
        watcher.asset_state_store = store = AssetStore()
        for key, value in kept["asset_state_store"].items():
            store.set(key, value)

        (event,) = asyncio.run(first_events(watcher, 1))

        assert event["ids"] == ["2"]

    def test_its_events_have_the_keys_that_dags_read(self, version: str, scene: str, emulator: AlchemyEmulator) -> None:
        kept = read(version, scene)
        announce(emulator, 1)
        watcher = build_trigger(*trigger_in(kept))
        watcher.asset_state_store = AssetStore()

        (event,) = asyncio.run(first_events(watcher, 1))

        assert {key: event[key] for key in kept["event"]} == kept["event"]
        assert event["first_block"] == FIRST_BLOCK + 1


def results(*scenes: str) -> list[dict[str, Any]]:
    kept = (read(version, scene)["xcom"] for version, scene in OF_TASKS if scene.startswith(scenes))
    return [result for result in kept if result]


class TestAResult:
    @pytest.mark.parametrize("result", results("reingest_sensor", "reingest_operator", "refresh", "metadata"))
    def test_it_names_a_collection_for_the_next_task(self, result: dict[str, Any]) -> None:
        arguments = {"task_id": "next", "contract_address": result["contract_address"], "network": result["network"]}

        assert build_task("airflow_provider_alchemy.sensors.reingest.ReingestSensor", arguments)

    @pytest.mark.parametrize("result", results("reingest", "refresh", "metadata", "new"))
    def test_it_says_since_when_metadata_has_to_be_fresh(self, result: dict[str, Any]) -> None:
        arguments = {**SCENES["metadata_fresh_sample"].arguments, "fresh_since": result["submitted_at"]}

        assert build_task(SCENES["metadata_fresh_sample"].task, {"task_id": "next", **arguments})

    @pytest.mark.parametrize("result", results("new_tokens"))
    def test_new_tokens_are_the_next_tasks_and_the_next_block_is_the_next_waits(self, result: dict[str, Any]) -> None:
        refresh = {**SCENES["refresh_collection"].arguments, "token_ids": result["token_ids"]}
        wait = {**SCENES["new_tokens"].arguments, "since_block": result["next_block"]}

        assert build_task(SCENES["refresh_collection"].task, {"task_id": "refresh", **refresh})
        assert build_task(SCENES["new_tokens"].task, {"task_id": "wait", **wait})

    @pytest.mark.parametrize("result", results("reingest_contracts"))
    def test_the_contracts_that_have_finished_are_the_next_batch(self, result: dict[str, Any]) -> None:
        arguments = {"task_id": "next", "contract_addresses": result["finished"]}

        assert build_task(SCENES["reingest_contracts"].task, arguments)


def test_each_error_that_was_told_is_known() -> None:
    told = {
        kept["event"]["error"]["type"]
        for kept in (read(version, scene) for version, scene in OF_TASKS)
        if kept["event"].get("error")
    }
    assert told
    assert all(hasattr(errors, name) for name in told)
