# SPDX-License-Identifier: Apache-2.0
"""Plays scenes: a task and its trigger as Airflow leads them, with everything that it would store on the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.released.scenes import ADDRESS, CONFIRMATIONS, SCENES
from tests.tasks.batches import BatchInstance, Variables
from tests.tasks.lives import StateStore, fire

WATCHER = "metadata_update_trigger"
"""The one scene without a task: what watches for an asset."""

_WATCHER_CLASS = "airflow_provider_alchemy.triggers.chain.MetadataUpdateTrigger"
_HURRY = {"poll_interval": 0.05, "max_poll_interval": 0.1, "max_wait": 0.1}
_TIMES = ("execution_timeout",)
"""Arguments that Airflow takes as ``timedelta`` only; in JSON they are seconds."""


def named(path: str) -> Any:
    """Import a class by its path, as Airflow does."""
    module, name = path.rsplit(".", 1)
    return getattr(import_module(module), name)


def build_task(path: str, arguments: Mapping[str, Any]) -> Any:
    """Build a task from arguments that are JSON."""
    times = {name: timedelta(seconds=arguments[name]) for name in _TIMES if name in arguments}
    return named(path)(**{**arguments, **times})


def hurry(trigger: Any) -> Any:
    """Shorten a trigger's pauses, where they are longer than a test may take."""
    for name, seconds in _HURRY.items():
        if getattr(trigger, name, None) is not None:
            setattr(trigger, name, min(getattr(trigger, name), seconds))
    if hasattr(trigger, "due_at"):
        trigger.due_at = pendulum.now("UTC").isoformat()
    return trigger


def hurry_record(record: Any) -> None:
    """Let the next try of tokens be due now: its interval of ten seconds is not what is looked at."""
    if isinstance(record, dict) and "next_at" in record:
        record["next_at"] = min(record["next_at"], datetime.now(UTC).isoformat())


def build_trigger(classpath: str, kwargs: Mapping[str, Any]) -> Any:
    """Build a trigger from its path and arguments, with a task instance, as a triggerer does."""
    trigger = named(classpath)(**kwargs)
    trigger.task_instance = SimpleNamespace(task_id="kept")
    return trigger


@dataclass
class Place:
    """What outlives the processes of a task: its instance, its store, Airflow's Variables."""

    variables: Variables
    has_store: bool = True
    ti: BatchInstance = field(default_factory=BatchInstance)
    store: StateStore = field(default_factory=StateStore)

    @property
    def context(self) -> dict[str, Any]:
        """The context of a process of the task."""
        known: dict[str, Any] = {"ti": self.ti, "task_reschedule_count": 0}
        return {**known, "task_state_store": self.store} if self.has_store else known

    @property
    def kept(self) -> dict[str, Any]:
        """What the task's store holds."""
        return {key: json.loads(text) for key, text in self.store.texts.items()}


def lead(task: Any, place: Place, step: Callable[[], Any] | None = None) -> Any:
    """Lead a task to its end, from its first step or from another one, and give what it returns."""
    step = step or partial(task.execute, place.context)
    while True:
        try:
            return step()
        except TaskDeferred as deferral:
            classpath, kwargs = deferral.trigger.serialize()
            event = fire(hurry(build_trigger(classpath, json.loads(json.dumps(kwargs)))))
            step = resumption(task, place, deferral.method_name, deferral.kwargs, event)


def resumption(task: Any, place: Place, method: str, kwargs: Mapping[str, Any] | None, event: Any) -> Callable[[], Any]:
    """Give the step with which a worker takes a task up again."""
    given = json.loads(json.dumps(kwargs or {}))
    hurry_record(given.get("record"))
    for key, value in place.kept.items():
        hurry_record(value["record"])
        place.store.set(key, value)
    return partial(task.resume_execution, method, {**given, "event": event}, place.context)


def end_of(step: Callable[[], Any]) -> dict[str, Any]:
    """Run to the end of a task: what it returns, or the type of what it raises."""
    try:
        return {"xcom": json.loads(json.dumps(step())), "error": None}
    except Exception as error:  # noqa: BLE001 - what it raises is what is looked at
        return {"xcom": None, "error": type(error).__name__}


def play(name: str, emulator: AlchemyEmulator, variables: Variables) -> dict[str, Any]:
    """
    Play a scene from its beginning.

    :param name: Its name.
    :param emulator: The service.
    :param variables: Airflow's Variables.
    :return: All that Airflow stored on the way, as JSON values.
    """
    if name == WATCHER:
        return asyncio.run(_watch(emulator))
    scene = SCENES[name]
    arguments = {**scene.defaults, **scene.arguments}
    place = Place(variables, scene.has_store)
    scene.before(emulator)
    task = build_task(scene.task, arguments)
    kept: dict[str, Any] = {"task": {"class": scene.task, "arguments": arguments}}
    kept["deferred"] = _starts_there(task) if scene.arguments.get("start_from_trigger") else _deferral(task, place)
    kept["task_state_store"] = place.kept
    scene.meanwhile(emulator)
    deferred = kept["deferred"]
    kept["event"] = fire(hurry(build_trigger(deferred["classpath"], deferred["kwargs"])))
    kept["variables"] = dict(variables.texts)
    ending = resumption(task, place, deferred["next_method"], deferred["next_kwargs"], kept["event"])
    kept |= end_of(partial(lead, task, place, ending))
    kept["task_state_store_at_the_end"] = place.kept
    return kept


def _deferral(task: Any, place: Place) -> dict[str, Any]:
    with pytest.raises(TaskDeferred) as caught:
        task.execute(place.context)
    classpath, kwargs = caught.value.trigger.serialize()
    told = {"classpath": classpath, "kwargs": kwargs, "next_method": caught.value.method_name}
    stored: dict[str, Any] = json.loads(json.dumps({**told, "next_kwargs": caught.value.kwargs or {}}))
    return stored


def _starts_there(task: Any) -> dict[str, Any]:
    """Give what the scheduler defers a task with that no worker has seen: it stands in the serialized DAG."""
    start = task.start_trigger_args
    told = {"classpath": start.trigger_cls, "kwargs": start.trigger_kwargs, "next_method": start.next_method}
    timeout = start.timeout.total_seconds()
    stored: dict[str, Any] = json.loads(json.dumps({**told, "next_kwargs": start.next_kwargs or {}}))
    return {**stored, "timeout": timeout}


class AssetStore(StateStore):
    """The store of one asset, as a trigger has it."""

    async def aget(self, key: str) -> Any:
        return self.get(key)

    async def aset(self, key: str, value: Any) -> None:
        self.set(key, value)


async def first_events(trigger: Any, count: int) -> list[Any]:
    """Run a watcher until it has told so many events."""
    events: list[Any] = []
    running = trigger.run()
    async for event in running:
        events.append(json.loads(json.dumps(event.payload)))
        if len(events) == count:
            break
    await running.aclose()
    return events


async def _watch(emulator: AlchemyEmulator) -> dict[str, Any]:
    arguments = {
        "contract_addresses": [ADDRESS],
        "network": "eth-mainnet",
        "events": ["metadata", "mint"],
        "confirmations": CONFIRMATIONS,
        "poll_interval": 0.1,
        "start_block": announce(emulator, 1),
    }
    trigger = named(_WATCHER_CLASS)(**arguments)
    trigger.asset_state_store = store = AssetStore()
    running = asyncio.create_task(first_events(trigger, 2))
    while not store.texts and not running.done():
        # The second announcement comes when the first is told, so that they are two events.
        if emulator.count("eth_getLogs"):
            break
        await asyncio.sleep(0.005)
    announce(emulator, 2)
    events = await running
    classpath, kwargs = trigger.serialize()
    places = {key: json.loads(text) for key, text in store.texts.items()}
    return {"watcher": {"classpath": classpath, "kwargs": kwargs}, "event": events[0], "asset_state_store": places}


def announce(emulator: AlchemyEmulator, token_id: int) -> int:
    """Let a contract announce new metadata of a token, and let enough blocks follow; give the block."""
    emulator.configure(block_seconds=None)
    (log,) = emulator.reveal(ADDRESS, [token_id])
    emulator.mine_blocks(CONFIRMATIONS)
    return log.block_number


def variables_in(monkeypatch: pytest.MonkeyPatch) -> Variables:
    """Give Airflow's Variables, and let each Airflow take itself for one whose triggers reach them (3.3)."""
    variables = Variables()
    monkeypatch.setattr("airflow_provider_alchemy.triggers.progress.Variable", variables)
    monkeypatch.setattr("airflow_provider_alchemy.tasks.batch_memory.TRIGGERER_RENDERS", True)
    return variables
