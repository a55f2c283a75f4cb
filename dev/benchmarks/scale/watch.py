# SPDX-License-Identifier: Apache-2.0
"""What is looked at while the waits are under way: the metadata database, and the processes of the triggerers."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from dev.benchmarks.airflow_cpu import cpu_seconds
from dev.benchmarks.scale.plan import Place
from dev.benchmarks.scale.waits import TaskEnd
from dev.cluster.running import TRIGGERERS
from dev.local_airflow import LocalAirflow

UNASSIGNED = "unassigned"
"""The triggers that no triggerer runs."""
DEFERRED = "deferred"
FINAL_STATES = frozenset({"success", "failed", "skipped", "upstream_failed"})


@dataclass(frozen=True)
class Footprint:
    """
    What the processes of a triggerer take.

    :param memory_bytes: Their memory, what they share counted once (PSS).
    :param open_files: Open files of the one that has most.
    """

    memory_bytes: int
    open_files: int


@dataclass(frozen=True)
class Sample:
    """
    One look.

    :param at: When, in seconds since the epoch.
    :param states: Task instances by state.
    :param triggers: Triggers by the id of the triggerer's job, and ``unassigned``.
    :param moved: Triggers that have gone from one triggerer to another since the look before.
    :param database_connections: Open connections to the metadata database, without the one that looks.
    :param footprints: By triggerer, of those that run.
    :param cpu_seconds: CPU time by component since it was started, of those that run.
    """

    at: float
    states: dict[str, int]
    triggers: dict[str, int]
    moved: int
    database_connections: int
    footprints: dict[str, Footprint]
    cpu_seconds: dict[str, float]

    @property
    def ended(self) -> int:
        """How many task instances have ended."""
        return sum(count for state, count in self.states.items() if state in FINAL_STATES)

    @property
    def assigned(self) -> int:
        """How many triggers a triggerer has taken."""
        return sum(count for holder, count in self.triggers.items() if holder != UNASSIGNED)


class MetadataReader:
    """
    The few questions to Airflow's database that no interface of it answers cheaply enough.

    :param url: Its URL for SQLAlchemy.
    """

    def __init__(self, url: str) -> None:
        # The driver's name is SQLAlchemy's own addition.
        self._connection = psycopg2.connect(url.replace("+psycopg2", "", 1))
        self._connection.autocommit = True

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def dags(self) -> set[str]:
        """Give the DAGs that can be run."""
        return {dag_id for (dag_id,) in self._rows("SELECT DISTINCT dag_id FROM serialized_dag")}

    def states(self) -> dict[str, int]:
        """Count the task instances by state."""
        return dict(self._rows("SELECT coalesce(state, 'none'), count(*) FROM task_instance GROUP BY 1"))

    def holders(self) -> dict[int, str]:
        """Tell who runs each trigger."""
        return dict(self._rows("SELECT id, coalesce(triggerer_id::text, %s) FROM trigger", UNASSIGNED))

    def connections(self) -> int:
        """Count the open connections of others."""
        ((count,),) = self._rows(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(count)

    def ends(self) -> dict[Place, TaskEnd]:
        """Read every task instance."""
        rows = self._rows("SELECT dag_id, task_id, map_index, state, end_date FROM task_instance")
        return {
            Place(dag_id, task_id, map_index): TaskEnd(state, None if ended is None else ended.timestamp())
            for dag_id, task_id, map_index, state, ended in rows
        }

    def _rows(self, query: str, *arguments: str) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, arguments)
            return cursor.fetchall()


class Watch:
    """
    Looks again and again.

    :param airflow: What runs.
    :param reader: Reads its database.
    """

    def __init__(self, airflow: LocalAirflow, reader: MetadataReader) -> None:
        self._airflow = airflow
        self._reader = reader
        self._holders: dict[int, str] = {}

    def look(self) -> Sample:
        """
        Look once.

        :return: What was seen.
        """
        airflow, reader = self._airflow, self._reader
        running = [name for name in TRIGGERERS if name in airflow.processes]
        before, self._holders = self._holders, reader.holders()
        return Sample(
            at=time.time(),
            states=reader.states(),
            triggers=dict(Counter(self._holders.values())),
            moved=moved(before, self._holders),
            database_connections=reader.connections(),
            footprints={name: footprint(airflow.process_tree(name)) for name in running},
            cpu_seconds=cpu_seconds(airflow),
        )


def moved(before: Mapping[int, str], after: Mapping[int, str]) -> int:
    """
    Count the triggers that have gone from one triggerer to another.

    :param before: Who ran each trigger.
    :param after: Who runs each trigger now.
    :return: How many; those that nobody ran or runs do not count.
    """
    return sum(
        UNASSIGNED not in {holder, after.get(trigger, holder)} and after.get(trigger, holder) != holder
        for trigger, holder in before.items()
    )


def footprint(pids: Iterable[int]) -> Footprint:
    """
    Read what processes take.

    :param pids: The processes; one that has ended meanwhile takes nothing.
    :return: What they take together.
    """
    folders = [Path(f"/proc/{pid}") for pid in pids]
    return Footprint(sum(map(_memory_bytes, folders)), max(map(_open_files, folders), default=0))


def _memory_bytes(folder: Path) -> int:
    with suppress(OSError):
        for line in (folder / "smaps_rollup").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == "Pss":
                return int(value.split()[0]) * 1024
    return 0


def _open_files(folder: Path) -> int:
    with suppress(OSError):
        return len(list((folder / "fd").iterdir()))
    return 0
