# SPDX-License-Identifier: Apache-2.0
"""
The life of a task, as Airflow leads it through its processes: worker, database, triggerer, worker again.

Direct calls, for tests of exact exceptions: what crosses a process boundary crosses JSON here too.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Any

import pendulum
import pytest
import time_machine
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import AirflowTaskTimeout, TaskDeferred

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.waits.reingest import ReingestGoal
from airflow_provider_alchemy.waits.wait import Goal

ADDRESS = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"
LOWER = ADDRESS.lower()
OTHER_ADDRESS = "0xBC4CA0EdA7647A8aB7C2061c2E118A18a936f13D"

MODES = ("poke", "reschedule", "deferred")
PASSING_FAULTS: list[dict[str, Any]] = [
    {"kind": "http", "status": 500},
    {"kind": "http", "status": 429},
    {"kind": "cut_json"},
    {"kind": "html"},
    {"kind": "reset"},
]
"""What a wait has to wait out, as arguments of the emulator's ``add_fault``."""

RESULT_KEYS = {
    "contract_address",
    "network",
    "state",
    "progress",
    "already_finished",
    "submitted_at",
    "finished_at",
    "polls",
    "compute_units",
    "usd",
}


@dataclass
class TaskInstance:
    """The part of a task instance that Airflow gives to every task."""

    try_number: int = 1
    max_tries: int = 0
    map_index: int = -1
    first_reschedule: datetime | None = None

    def get_first_reschedule_date(self, context: Any) -> datetime | None:  # noqa: ARG002 - Airflow's own signature
        return self.first_reschedule


class StateStore:
    """A task state store (Airflow 3.3) that keeps JSON, as Airflow's does."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.texts[key]) if key in self.texts else default

    def set(self, key: str, value: Any) -> None:
        self.texts[key] = json.dumps(value)


def context_of(ti: TaskInstance | None = None, store: StateStore | None = None) -> dict[str, Any]:
    """Give a task's context, with a state store as Airflow has it from 3.3."""
    return {**context_without_store(ti), "task_state_store": store or StateStore()}


def context_without_store(ti: TaskInstance | None = None) -> dict[str, Any]:
    """Give a task's context as Airflow makes it before 3.3."""
    return {"ti": ti or TaskInstance(), "task_reschedule_count": 0}


def sensor_in(mode: str, **arguments: Any) -> ReingestSensor:
    """Build a sensor for one of the three modes."""
    defaults: dict[str, Any] = {"task_id": "wait", "contract_address": ADDRESS, "poke_interval": 0.05, "timeout": 3600}
    mode_arguments = {"mode": "reschedule" if mode == "reschedule" else "poke", "deferrable": mode == "deferred"}
    return ReingestSensor(**{**defaults, **mode_arguments, **arguments})


def waiting_operator(**arguments: Any) -> ReingestContractOperator:
    """Build an operator that submits a refresh and waits for its end."""
    defaults: dict[str, Any] = {"task_id": "refresh", "contract_address": ADDRESS, "poll_interval": 0.05}
    return ReingestContractOperator(**{**defaults, "timeout": 3600, "wait_for_completion": True, **arguments})


in_the_worker_and_deferred = pytest.mark.parametrize("deferrable", [False, True], ids=["worker", "deferred"])


@dataclass
class Life:
    """What happened to a task on its way to its end."""

    deferrals: list[TaskDeferred] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    reschedules: list[datetime] = field(default_factory=list)
    on_deferral: Callable[[], object] = lambda: None
    on_reschedule: Callable[[], object] = lambda: None

    def lead(self, task: Any, context: dict[str, Any] | None = None) -> Any:
        """Run a task to its end and give what it returns; what it raises at its end is raised."""
        context = context_of() if context is None else context
        step: Callable[[], Any] = partial(task.execute, context)
        while True:
            try:
                return step()
            except AirflowRescheduleException as pause:
                self.reschedules.append(pause.reschedule_date)
                ti = context["ti"]
                ti.first_reschedule = ti.first_reschedule or pendulum.now("UTC")
                context["task_reschedule_count"] += 1
                self.on_reschedule()
                time.sleep(max(0.0, (pause.reschedule_date - pendulum.now("UTC")).total_seconds()))
            except TaskDeferred as deferral:
                self.deferrals.append(deferral)
                self.on_deferral()
                event = fire(rebuilt(deferral.trigger))
                self.events.append(event)
                kwargs = {**(deferral.kwargs or {}), "event": event}
                step = partial(task.resume_execution, deferral.method_name, kwargs, context)


def rebuilt(trigger: Any) -> Any:
    """Build a trigger again from what the database keeps of it."""
    path, arguments = trigger.serialize()
    module, name = path.rsplit(".", 1)
    return getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))


def fire(trigger: Any) -> dict[str, Any]:
    """Run a trigger in an event loop of its own and give its event as the database keeps it."""

    async def first_event() -> Any:
        return [event async for event in trigger.run()]

    events = asyncio.run(first_event())
    assert len(events) == 1, "a trigger sends one event and ends"
    payload: dict[str, Any] = json.loads(json.dumps(events[0].payload))
    return payload


def outcome(task: Any, context: dict[str, Any] | None = None) -> BaseException | dict[str, Any]:
    """Give what a task ends with: its result, or what it raises."""
    try:
        result: dict[str, Any] = Life().lead(task, context)
    except (Exception, AirflowTaskTimeout) as error:  # noqa: BLE001 - what it raises is what is looked at
        return error
    return result


def failure(task: Any, context: dict[str, Any] | None = None) -> BaseException:
    """Give what a task raises at its end."""
    end = outcome(task, context)
    assert isinstance(end, BaseException), f"the task did not fail: {end}"
    return end


@contextmanager
def once(condition: Callable[[], bool], action: Callable[[], Any]) -> Iterator[None]:
    """Do something to the service as soon as a condition holds: in the middle of a wait."""
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.005):
            if condition():
                action()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


AN_HOUR_AND_MORE = 3_700.0
"""Seconds to put the clock forward, so that the timeout of the tasks here is over."""


def late_once(condition: Callable[[], bool], clock: time_machine.Traveller) -> AbstractContextManager[None]:
    """Let the task's timeout be over as soon as a condition holds, and not before."""
    return once(condition, lambda: clock.shift(AN_HOUR_AND_MORE))


def life_with_pauses(action: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> Life:
    """Give a life in which something happens at its first pause: a task that sleeps, is rescheduled or defers."""
    is_over = False

    def act_once() -> bool:
        nonlocal is_over
        is_first, is_over = not is_over, True
        if is_first:
            action()
        return is_first

    for goal in (Goal, ReingestGoal):
        really = goal.sleep

        async def sleep(self: Any, *arguments: Any, really: Any = really) -> None:
            if not act_once():
                await really(self, *arguments)

        monkeypatch.setattr(goal, "sleep", sleep)
    return Life(on_deferral=act_once, on_reschedule=act_once)


def was_asked(emulator: AlchemyEmulator) -> Callable[[], bool]:
    """Whether the service has answered a call."""
    return lambda: emulator.count() > 0


def has_answered(emulator: AlchemyEmulator, state: str) -> Callable[[], bool]:
    """Whether the service has answered with a state."""
    return lambda: any(call.state == state for call in emulator.calls)
