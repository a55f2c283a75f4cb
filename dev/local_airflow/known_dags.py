# SPDX-License-Identifier: Apache-2.0
"""What is done with a DAG by its name: it is paused, unpaused, triggered and asked for its runs.

It exists because a DAG is known only some seconds after its file was written: everybody who names one has to wait.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dev.local_airflow.rest import ApiServerUnreachableError, ConflictError, NotFoundError, RestApi
from dev.local_airflow.runs import DagRun, Surroundings
from dev.local_airflow.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def set_paused(api: RestApi, dag_id: str, *, is_paused: bool, surroundings: Surroundings) -> None:
    """Pause or unpause a DAG, waiting until it is known.

    :param api: Where.
    :param dag_id: The DAG.
    :param is_paused: Whether it is to be paused.
    :param surroundings: What else runs there.
    :raises LocalAirflowError: When it does not become known.
    """

    def is_set() -> bool:
        try:
            api.send("PATCH", _path(dag_id), {"is_paused": is_paused})
        except (NotFoundError, ApiServerUnreachableError):
            return False
        return True

    _wait_until_known(is_set, dag_id, surroundings)


def runs_of(api: RestApi, dag_id: str, *, surroundings: Surroundings) -> list[DagRun]:
    """Read the runs of a DAG, whoever made them.

    :param api: Where.
    :param dag_id: The DAG.
    :param surroundings: What else runs there.
    :returns: The runs, oldest first.
    :raises LocalAirflowError: When the API server gives no good answer.
    """
    rows = sorted(api.pages(f"{_path(dag_id)}/dagRuns", "dag_runs"), key=lambda row: str(row["run_after"]))
    return [DagRun(dag_id=dag_id, run_id=row["dag_run_id"], api=api, surroundings=surroundings) for row in rows]


def trigger_dag(api: RestApi, dag_id: str, *, conf: Mapping[str, Any] | None, surroundings: Surroundings) -> DagRun:
    """Trigger a run of a DAG: wait until the DAG is known, unpause it, and make the run.

    :param api: Where.
    :param dag_id: The DAG.
    :param conf: The run's configuration.
    :param surroundings: What else runs there.
    :returns: The run.
    :raises LocalAirflowError: When the DAG does not become known, or the run is refused.
    """
    path = _path(dag_id)
    # A name of our own: asked again after an answer that got lost, the API server says that there is one.
    run_id = f"manual__{datetime.now(UTC).isoformat()}_{secrets.token_hex(2)}"

    def is_made() -> bool:
        try:
            api.send("PATCH", path, {"is_paused": False})
            # Without a logical date any number of runs may be triggered at the same moment.
            body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
            api.send("POST", f"{path}/dagRuns", body)
        except (NotFoundError, ApiServerUnreachableError):
            return False
        except ConflictError:
            return True
        return True

    _wait_until_known(is_made, dag_id, surroundings)
    return DagRun(dag_id=dag_id, run_id=run_id, api=api, surroundings=surroundings)


def _path(dag_id: str) -> str:
    return f"dags/{quote(dag_id, safe='')}"


def _wait_until_known(is_done: Callable[[], bool], dag_id: str, surroundings: Surroundings) -> None:
    def unknown() -> str:
        return f"The DAG {dag_id!r} did not become known. {surroundings.diagnosis()}".rstrip()

    wait_until(is_done, moves=surroundings.progress, failure=unknown, interval_seconds=0.2)
