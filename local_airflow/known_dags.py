# SPDX-License-Identifier: Apache-2.0
"""What is done with a DAG by its name: it is paused, unpaused, triggered and asked for its runs.

It exists because a DAG is known only some seconds after its file was written: everybody who names one has to wait.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from local_airflow.rest import ApiServerUnreachableError, ConflictError, NotFoundError, RestApi
from local_airflow.runs import DagRun
from local_airflow.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def set_paused(
    api: RestApi, dag_id: str, *, is_paused: bool, deadline_seconds: float, diagnose: Callable[[], str]
) -> None:
    """Pause or unpause a DAG, waiting until it is known.

    :param api: Where.
    :param dag_id: The DAG.
    :param is_paused: Whether it is to be paused.
    :param deadline_seconds: Seconds within which it must be known.
    :param diagnose: Adds what is known about the components to a failure's sentence.
    :raises LocalAirflowError: When it does not become known.
    """

    def is_set() -> bool:
        try:
            api.send("PATCH", _path(dag_id), {"is_paused": is_paused})
        except (NotFoundError, ApiServerUnreachableError):
            return False
        return True

    wait_until(
        is_set,
        deadline_seconds=deadline_seconds,
        failure=_unknown(dag_id, diagnose),
        interval_seconds=0.2,
    )


def runs_of(api: RestApi, dag_id: str, *, diagnose: Callable[[], str]) -> list[DagRun]:
    """Read the runs of a DAG, whoever made them.

    :param api: Where.
    :param dag_id: The DAG.
    :param diagnose: Adds what is known about the components to a failure's sentence.
    :returns: The runs, oldest first.
    :raises LocalAirflowError: When the API server gives no good answer.
    """
    rows = sorted(api.pages(f"{_path(dag_id)}/dagRuns", "dag_runs"), key=lambda row: str(row["run_after"]))
    return [DagRun(dag_id=dag_id, run_id=row["dag_run_id"], api=api, diagnose=diagnose) for row in rows]


def trigger_dag(
    api: RestApi,
    dag_id: str,
    *,
    conf: Mapping[str, Any] | None,
    deadline_seconds: float,
    diagnose: Callable[[], str],
) -> DagRun:
    """Trigger a run of a DAG: wait until the DAG is known, unpause it, and make the run.

    :param api: Where.
    :param dag_id: The DAG.
    :param conf: The run's configuration.
    :param deadline_seconds: Seconds within which the DAG must be known.
    :param diagnose: Adds what is known about the components to a failure's sentence.
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

    wait_until(
        is_made,
        deadline_seconds=deadline_seconds,
        failure=_unknown(dag_id, diagnose),
        interval_seconds=0.2,
    )
    return DagRun(dag_id=dag_id, run_id=run_id, api=api, diagnose=diagnose)


def _path(dag_id: str) -> str:
    return f"dags/{quote(dag_id, safe='')}"


def _unknown(dag_id: str, diagnose: Callable[[], str]) -> Callable[[], str]:
    def sentence() -> str:
        return f"The DAG {dag_id!r} did not become known. {diagnose()}".rstrip()

    return sentence
