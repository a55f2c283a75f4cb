# SPDX-License-Identifier: Apache-2.0
"""Users' unit tests call ``execute`` themselves, with hardly any context, or with a mock as the task instance."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.tasks.batches import BatchInstance
from tests.tasks.lives import ADDRESS
from tests.tasks.outlets import ALL_KINDS

pytestmark = pytest.mark.integration


CONTEXTS: dict[str, Callable[[], Any]] = {
    "empty": dict,
    "a mock as the context": MagicMock,
    "a mock": lambda: {"ti": MagicMock()},
    "mocks": lambda: {name: MagicMock() for name in ("ti", "dag", "dag_run", "task_state_store")},
    "none": lambda: {"ti": None},
    "a bare object": lambda: {"ti": SimpleNamespace()},
    "a task instance": lambda: {"ti": BatchInstance()},
    "an object with a few fields": lambda: {"ti": SimpleNamespace(map_index=-1, try_number=1, max_tries=3)},
    "a run alone": lambda: {"dag_run": SimpleNamespace(run_id="manual__1")},
}


def new_tokens(**arguments: Any) -> Any:
    return NewTokensSensor(task_id="task", contract_address=ADDRESS, since_block=1, poke_interval=0.05, **arguments)


BUILDS = {**{kind: ALL_KINDS[kind] for kind in ALL_KINDS if kind != "batch"}, "new_tokens": new_tokens}
SENSORS = ("sensor", "fresh", "new_tokens")


@pytest.fixture
def ready(emulator: AlchemyEmulator) -> AlchemyEmulator:
    """An emulator where all that a task waits for has come."""
    emulator.configure(block_seconds=None)
    emulator.set_default_job(running_seconds=0)
    emulator.set_collection(ADDRESS, tokens=10)
    emulator.mint(ADDRESS, [1])
    emulator.mine_blocks(100)
    return emulator


@pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="a task instance without a store is that of an older Airflow")
@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
@pytest.mark.parametrize(
    ("kind", "mode"), [*((kind, "poke") for kind in BUILDS), *((kind, "reschedule") for kind in SENSORS)]
)
@pytest.mark.usefixtures("ready")
def test_execute_works_and_does_not_warn_of_airflows_version(
    kind: str, mode: str, context: Callable[[], Any], task_log: TaskLog
) -> None:
    arguments = {"mode": mode} if kind in SENSORS else {}

    result = BUILDS[kind](**arguments).execute(context())

    assert result["network"] == "eth-mainnet"
    assert "Airflow keeps nothing" not in task_log()


@pytest.mark.parametrize("context", [CONTEXTS["empty"], CONTEXTS["a mock"]], ids=["empty", "mock"])
def test_a_sensor_that_has_to_wait_is_rescheduled(context: Callable[[], Any], emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(running_seconds=3600)

    with pytest.raises(AirflowRescheduleException):
        ALL_KINDS["sensor"](mode="reschedule").execute(context())


@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_a_batch_is_deferred(context: Callable[[], Any], emulator: AlchemyEmulator) -> None:  # noqa: ARG001 - connected
    with pytest.raises(TaskDeferred):
        ALL_KINDS["batch"]().execute(context())
