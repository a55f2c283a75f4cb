# SPDX-License-Identifier: Apache-2.0
"""
The life of a task with many contracts, as Airflow leads it: worker, triggerer, worker, the next try.

Direct calls, as in ``lives``: a batch is deferred again and again until all of its contracts have ended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_provider_alchemy.operators.reingest import ReingestContractsOperator
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.lives import StateStore, TaskInstance, fire, rebuilt

RESULT_KEYS = {
    "network",
    "counts",
    "finished",
    "failed",
    "polls",
    "compute_units",
    "usd",
    "submitted_at",
    "finished_at",
}


def address(number: int) -> str:
    return f"0x{number:040x}"


def contracts(count: int) -> list[str]:
    return [address(number) for number in range(count)]


def refresh(addresses: Any, **arguments: Any) -> ReingestContractsOperator:
    defaults: dict[str, Any] = {"task_id": "refresh", "poll_interval": 0.05, "timeout": 3600, "retries": 2}
    return ReingestContractsOperator(contract_addresses=addresses, **{**defaults, **arguments})


@dataclass
class BatchInstance(TaskInstance):
    """A task instance of Airflow 3.3 as a worker has it: with a place in a DAG, and XComs."""

    max_tries: int = 2
    dag_id: str = "nightly"
    task_id: str = "refresh"
    run_id: str = "manual__1"
    xcoms: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = json.loads(json.dumps(value))


def in_triggerer(trigger: Any) -> Any:
    """Build a trigger from what the database keeps of it, as a triggerer does."""
    trigger = rebuilt(trigger)
    trigger.task_instance = SimpleNamespace(task_id="refresh")
    return trigger


@dataclass
class BatchLife:
    """The tries of one task instance, and what outlives them."""

    task: Any
    ti: BatchInstance = field(default_factory=BatchInstance)
    store: StateStore = field(default_factory=StateStore)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def context(self) -> dict[str, Any]:
        return {"ti": self.ti, "task_state_store": self.store}

    def deferral(self) -> TaskDeferred:
        """Run the first worker to its deferral."""
        with pytest.raises(TaskDeferred) as caught:
            self.task.execute(self.context)
        return caught.value

    def resume(self, deferral: TaskDeferred, event: Any) -> Any:
        """Run the second worker."""
        kwargs = {**json.loads(json.dumps(deferral.kwargs or {})), "event": event}
        return self.task.resume_execution(deferral.method_name, kwargs, self.context)

    def lead(self) -> Any:
        """Run a try to its end and give what it returns; what it raises at its end is raised."""
        step: Callable[[], Any] = partial(self.task.execute, self.context)
        while True:
            try:
                return step()
            except TaskDeferred as deferral:
                self.events.append(fire(in_triggerer(deferral.trigger)))
                step = partial(self.resume, deferral, self.events[-1])

    def failure(self) -> BaseException:
        """Run a try and give what it raises at its end."""
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - what it raises is what is looked at
            self.lead()
        return caught.value

    def next_try(self) -> None:
        """Begin another try, as Airflow does: its XComs are cleared."""
        self.ti = BatchInstance(try_number=self.ti.try_number + 1)

    def clear(self) -> None:
        """Let a user clear the task: Airflow raises max_tries by the tries used."""
        self.ti = BatchInstance(try_number=self.ti.try_number + 1, max_tries=self.ti.max_tries + self.ti.try_number)


async def kill_when(condition: Callable[[], bool], trigger: Any) -> None:
    """Run a trigger until a condition holds, and then end it as a triggerer that dies does."""

    async def run() -> None:
        async for _ in trigger.run():
            pass

    task = asyncio.create_task(run())
    while not condition():
        assert not task.done(), "the batch ended before it could be killed"
        await asyncio.sleep(0.002)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def kill_at(trigger: Any, emulator: AlchemyEmulator, finished: int) -> None:
    """Run a trigger until the service has reported so many ends, whether or not anybody has heard of the last."""
    await kill_when(lambda: ends(emulator) >= finished, trigger)


def ends(emulator: AlchemyEmulator) -> int:
    """How many calls have reported the end of a refresh."""
    return sum(call.state == "finished" for call in emulator.calls)


@contextmanager
def counted_calls(emulator: AlchemyEmulator) -> Iterator[list[str]]:
    """Give the contracts that are asked for meanwhile."""
    before, asked = emulator.count(), list[str]()
    yield asked
    asked.extend(call.contract_address or "" for call in emulator.calls[before:])
