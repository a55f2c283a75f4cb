# SPDX-License-Identifier: Apache-2.0
"""
What a newer version left, today's code takes as far as it can: it never hangs, and never ends a whole triggerer.

So it is after a downgrade, and while an upgrade is under way with some processes already of the newer version.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.released.kept import kept_scenes, present_version, read
from tests.released.playing import WATCHER, Place, build_task, end_of, lead, named, resumption
from tests.released.scenes import SCENES
from tests.tasks.batches import BatchInstance, Variables

pytestmark = pytest.mark.integration

PRESENT = [scene for version, scene in kept_scenes() if version == present_version()]
OF_TASKS = [scene for scene in PRESENT if scene != WATCHER]
WITH_MEMORY = [scene for scene in OF_TASKS if read(present_version(), scene)["task_state_store"]]
PROVES_ALL_ANEW = [scene for scene in WITH_MEMORY if scene.startswith("refresh_collection")]
OF_TOMORROW = {"of_tomorrow": {"mood": "good"}}

CANNOT_BE_READ = [
    ("airflow_provider_alchemy.triggers.reingest.ReingestTrigger", {"contract_address": "0x0", **OF_TOMORROW}),
    (
        "airflow_provider_alchemy.triggers.chain.MetadataUpdateTrigger",
        {"contract_addresses": [f"0x{1:040x}"], "events": ["burn"]},
    ),
    (
        "airflow_provider_alchemy.triggers.reingest.ReingestContractsTrigger",
        {"contract_addresses": "packed in another way", "record": {}},
    ),
]
"""What a triggerer cannot build a trigger of: an unknown argument, and values of a later version."""


@pytest.mark.parametrize("scene", [scene for scene in WITH_MEMORY if scene not in PROVES_ALL_ANEW])
def test_a_retry_reads_a_record_with_values_of_a_later_version(
    scene: str, emulator: AlchemyEmulator, variables: Variables
) -> None:
    kept = read(present_version(), scene)
    ((key, memory),) = kept["task_state_store"].items()
    SCENES[scene].before(emulator)
    SCENES[scene].meanwhile(emulator)
    place = Place(variables, ti=BatchInstance(try_number=2))
    place.store.set(key, {**memory, **OF_TOMORROW, "record": {**memory["record"], **OF_TOMORROW}})

    end_of(partial(lead, build_task(kept["task"]["class"], kept["task"]["arguments"]), place))

    assert place.kept[key]["record"]["submitted_at"] == memory["record"]["submitted_at"]


@pytest.mark.parametrize("scene", PROVES_ALL_ANEW)
def test_tokens_are_proven_anew_rather_than_taken_for_proven_by_rules_of_a_later_version(
    scene: str, emulator: AlchemyEmulator, variables: Variables
) -> None:
    kept = read(present_version(), scene)
    ((key, memory),) = kept["task_state_store"].items()
    SCENES[scene].before(emulator)
    place = Place(variables, ti=BatchInstance(try_number=2))
    place.store.set(key, {**memory, "record": {**memory["record"], **OF_TOMORROW}})

    result = lead(build_task(kept["task"]["class"], kept["task"]["arguments"]), place)

    assert result["counts"] == kept["xcom"]["counts"]
    assert result["polls"] == emulator.count()


@pytest.mark.parametrize("scene", OF_TASKS)
def test_an_event_with_values_of_a_later_version_is_understood(
    scene: str, emulator: AlchemyEmulator, variables: Variables
) -> None:
    kept = read(present_version(), scene)
    SCENES[scene].before(emulator)
    place, deferred = Place(variables, SCENES[scene].has_store), kept["deferred"]
    for key, value in kept["task_state_store"].items():
        place.store.set(key, value)
    event = {**kept["event"], **OF_TOMORROW}
    if "record" in event:
        event["record"] = {**event["record"], **OF_TOMORROW}
    task = build_task(kept["task"]["class"], kept["task"]["arguments"])

    step = resumption(task, place, deferred["next_method"], deferred["next_kwargs"], event)
    end = end_of(partial(lead, task, place, step))

    assert (end["error"], (end["xcom"] or {}).keys()) == (kept["error"], (kept["xcom"] or {}).keys())


@pytest.mark.parametrize(("classpath", "kwargs"), CANNOT_BE_READ)
def test_a_trigger_that_cannot_be_built_fails_with_the_one_error_that_a_triggerer_survives(
    classpath: str, kwargs: dict[str, Any]
) -> None:
    with pytest.raises(TypeError):
        named(classpath)(**kwargs)


@pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="Airflow's triggerer is another one before")
async def test_a_triggerer_fails_such_triggers_and_goes_on() -> None:
    # By name: older Airflows have other classes there, or none.
    workload: Any = named("airflow.executors.workloads.RunTrigger")
    runner: Any = named("airflow.jobs.triggerer_job_runner.TriggerRunner")()
    for number, (classpath, kwargs) in enumerate(CANNOT_BE_READ):
        runner.to_create.append(workload(id=number, classpath=classpath, encrypted_kwargs=json.dumps(kwargs)))

    await runner.create_triggers()

    numbers, failures = zip(*runner.failed_triggers, strict=True)
    assert numbers == (0, 1, 2)
    assert all(word in str(error) for word, error in zip(("of_tomorrow", "burn", "clear"), failures, strict=True))


@pytest.mark.parametrize("scene", OF_TASKS)
def test_a_task_whose_trigger_could_not_be_built_fails_and_its_retry_goes_on(
    scene: str, emulator: AlchemyEmulator, variables: Variables
) -> None:
    kept = read(present_version(), scene)
    SCENES[scene].before(emulator)
    place = Place(variables, SCENES[scene].has_store)
    for key, value in kept["task_state_store"].items():
        place.store.set(key, value)
    task = build_task(kept["task"]["class"], kept["task"]["arguments"])
    failed = {"error": "Trigger failure", "traceback": ["TypeError: unexpected keyword argument 'of_tomorrow'"]}

    first = end_of(partial(task.resume_execution, "__fail__", failed, place.context))
    SCENES[scene].meanwhile(emulator)
    place.ti = BatchInstance(try_number=2)
    second = end_of(partial(lead, task, place))

    assert (first["error"], second["error"]) == ("TaskDeferralError", kept["error"])
