# SPDX-License-Identifier: Apache-2.0
"""What the metadata database says of a run: read there, since hundreds of questions over REST take minutes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from airflow_provider_alchemy.triggers.chain import CURSOR_KEY

TASKS = text(
    "SELECT task_id, map_index, state, try_number, end_date FROM task_instance WHERE run_id = :run_id"
    " ORDER BY task_id, map_index"
)
RESULTS = text("SELECT task_id, map_index, value FROM xcom WHERE run_id = :run_id AND key = 'return_value'")
PROGRESS = text("SELECT state, count(*), sum(try_number) FROM task_instance GROUP BY state ORDER BY state")
PLACES = text("SELECT count(*) FROM asset_state_store WHERE key = :key")


@dataclass(frozen=True)
class Task:
    """
    A task instance.

    :param task_id: Its task.
    :param map_index: Its index; -1 where it is not mapped.
    :param state: Its state; None before it is scheduled.
    :param tries: How many tries it had.
    :param ended_at: When it ended; None while it has not.
    :param result: Its result; None where it pushed none.
    """

    task_id: str
    map_index: int
    state: str | None
    tries: int
    ended_at: datetime | None
    result: Any

    @property
    def name(self) -> str:
        return self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"


class ClusterRecords:
    """
    The metadata database.

    :param url: Its URL for SQLAlchemy.
    """

    def __init__(self, url: str) -> None:
        # No connection is left open: the server is restarted under it.
        self._engine = create_engine(url, poolclass=NullPool)

    def tasks(self, run_id: str) -> list[Task]:
        with self._engine.connect() as connection:
            rows = connection.execute(TASKS, {"run_id": run_id}).all()
            results = {row[:2]: row[2] for row in connection.execute(RESULTS, {"run_id": run_id})}
        return [
            Task(task_id, map_index, state, tries, ended_at, _read(results.get((task_id, map_index))))
            for task_id, map_index, state, tries, ended_at in rows
        ]

    def progress(self) -> object:
        """Read how far all tasks have come: how many are in each state, and in which try."""
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(PROGRESS)]

    def watchers_with_a_place(self) -> int:
        """Count the assets whose watcher has kept where it is on the chain."""
        with self._engine.connect() as connection:
            return int(connection.execute(PLACES, {"key": CURSOR_KEY}).scalar_one())


def _read(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
