# SPDX-License-Identifier: Apache-2.0
"""Whole DAG runs in this process: ``dag.test()`` on each supported Airflow, and what it left in the database."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pendulum
from airflow.providers.common.compat.sdk import DAG
from airflow.utils.session import create_session


@contextmanager
def new_dag(**arguments: Any) -> Iterator[DAG]:
    """Begin a DAG that no other test has."""
    start = pendulum.datetime(2026, 1, 1, tz="UTC")
    with DAG(f"dag_{uuid4().hex[:12]}", schedule=None, start_date=start, **arguments) as dag:
        yield dag


@dataclass(frozen=True)
class RunTask:
    """What a run left of a task instance."""

    state: str
    try_number: int
    label: str | None
    xcoms: dict[str, Any]

    @property
    def result(self) -> Any:
        return self.xcoms["return_value"]


@dataclass(frozen=True)
class Run:
    """What a DAG run left in the database: its state, and its tasks by task id and map index."""

    state: str
    tasks: dict[tuple[str, int], RunTask]

    def __getitem__(self, task_id: str) -> RunTask:
        return self.tasks[task_id, -1]

    def mapped(self, task_id: str) -> list[RunTask]:
        return [task for (name, index), task in sorted(self.tasks.items()) if name == task_id and index >= 0]


def run(dag: Any, **arguments: Any) -> Run:
    """Run a DAG to its end and read what it left."""
    dag_run = _testable(dag).test(**arguments)
    return _read(dag.dag_id, dag_run.run_id, str(dag_run.state))


def _testable(dag: Any) -> Any:
    """Do what each Airflow wants before ``dag.test()`` takes a DAG that stands in no file of the DAG folder."""
    if not hasattr(dag, "test"):  # 3.0: as `airflow dags test` does it
        from airflow.models import dag as core  # noqa: PLC0415 - its DAG is another class than the author's there

        return getattr(core, "DAG").from_sdk_dag(dag)  # noqa: B009 - unknown to newer Airflows' types
    try:
        from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415 - not in 2.11
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db  # noqa: PLC0415 - not in 3.0
    except ImportError:
        return dag
    manager: Any = DagBundlesManager
    manager().sync_bundles_to_db()
    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    bag.bag_dag(dag)
    sync_bag_to_db(bag, "dags-folder", None)
    return dag


def _read(dag_id: str, run_id: str, state: str) -> Run:
    from airflow.models import xcom as xcom_module  # noqa: PLC0415 - the tables exist only now
    from airflow.models.taskinstance import TaskInstance  # noqa: PLC0415

    model: Any = getattr(xcom_module, "XComModel", None) or xcom_module.BaseXCom
    with create_session() as session:
        xcoms: dict[tuple[str, int], dict[str, Any]] = {}
        for row in session.query(model).filter(model.dag_id == dag_id, model.run_id == run_id):
            if not row.key.startswith("_link_"):  # Airflow 3 keeps the operator's links beside its XComs
                xcoms.setdefault((row.task_id, row.map_index), {})[row.key] = _value(row.value)
        rows = session.query(TaskInstance).filter(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
        tasks = {
            (ti.task_id, ti.map_index): RunTask(
                state=str(ti.state),
                try_number=ti.try_number,
                label=ti.rendered_map_index,
                xcoms=xcoms.get((ti.task_id, ti.map_index), {}),
            )
            for ti in rows
        }
    return Run(state, tasks)


def _value(stored: Any) -> Any:
    """Read an XCom: some Airflows hand out its JSON, others its value."""
    try:
        return json.loads(stored) if isinstance(stored, bytes | str) else stored
    except ValueError:
        return stored
