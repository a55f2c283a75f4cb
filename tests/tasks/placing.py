# SPDX-License-Identifier: Apache-2.0
"""Tasks as the tests of their placement build them, and what such tests give to them."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from tests.tasks.lives import ADDRESS

KINDS: list[Any] = [ReingestContractOperator, ReingestSensor]
BOTH: dict[str, Any] = {"start_from_trigger": True, "end_from_trigger": True}

newest = pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="Airflow before 3.3 ends no task in the triggerer")
older = pytest.mark.skipif(AIRFLOW_V_3_3_PLUS, reason="Airflow from 3.3 on can do it")


def build(kind: Any, **arguments: Any) -> Any:
    return kind(**{"task_id": "task", "contract_address": ADDRESS, **arguments})


def a_callback(context: Any) -> None: ...


def a_hook(context: Any, result: Any = None) -> None: ...


def placement(task: Any) -> tuple[bool, bool, bool]:
    return task.deferrable, task.start_from_trigger, task.end_from_trigger
