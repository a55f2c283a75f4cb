# SPDX-License-Identifier: Apache-2.0
"""Runs that end on command, in place of an Airflow: what a soak does with a run is told without any."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dev.local_airflow import TaskInstance
from dev.local_airflow.rest import ApiServerUnreachableError, NotFoundError


@dataclass
class ScriptedRun:
    """One run; its state is what a test sets."""

    dag_id: str
    run_id: str
    parameters: dict[str, str] = field(default_factory=dict)
    answer: str = "running"
    ended_at: float = 0.0
    log: str = ""
    result: Any = None

    def state(self) -> str:
        if self.answer == "unreachable":
            raise ApiServerUnreachableError
        if self.answer == "gone":
            msg = "no such run"
            raise NotFoundError(msg)
        return self.answer

    def task_instances(self) -> list[TaskInstance]:
        end = datetime.fromtimestamp(self.ended_at, UTC) if self.ended_at else None
        return [TaskInstance("wait", -1, None, self.answer, 1, None, None, end, None, None)]

    def task_log(self, task_id: str, map_index: int, try_number: int) -> str:
        return self.log if (task_id, map_index, try_number) == ("wait", -1, 1) else ""

    def xcom(self, task_id: str, map_index: int, key: str) -> Any:
        if (task_id, map_index, key) != ("wait", -1, "return_value") or self.result is None:
            raise NotFoundError
        return self.result


class ScriptedAirflow:
    """Makes runs, and remembers them."""

    def __init__(self) -> None:
        self.runs: list[ScriptedRun] = []
        self.events: list[dict[str, Any]] = []

    def trigger_dag(self, dag_id: str, *, conf: dict[str, str]) -> ScriptedRun:
        self.runs.append(ScriptedRun(dag_id, f"run_{len(self.runs)}", conf))
        return self.runs[-1]

    def asset_events(self) -> list[dict[str, Any]]:
        return self.events


class ScriptedService:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def post(self, command: str, /, **payload: Any) -> dict[str, Any]:
        self.told.append((command, payload))
        number = len(self.told)
        return {"newest_block": number, "logs": [{"id": f"log_{number}"}] if command == "reveal" else []}
