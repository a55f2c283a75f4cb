# SPDX-License-Identifier: Apache-2.0
"""What a test or a demonstration does with the DAGs of a local Airflow, and asks about them."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dev.local_airflow import known_dags
from dev.local_airflow.rest import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dev.local_airflow.rest import RestApi
    from dev.local_airflow.runs import DagRun, TaskInstance


class DagSteering:
    """The part of a local Airflow that talks to its REST interface."""

    _api: RestApi

    @abstractmethod
    def diagnosis(self) -> str:
        """Tell what is known about the components, for a failure's sentence."""

    @abstractmethod
    def progress(self) -> object:
        """Read how far the tasks have come, for the guard of a wait.

        :returns: Something to compare with an earlier reading.
        :raises LocalAirflowError: When a component ended by itself.
        """

    def trigger_dag(self, dag_id: str, *, conf: Mapping[str, Any] | None = None) -> DagRun:
        """Unpause a DAG and trigger a run of it, waiting until the DAG processor made it known.

        :param dag_id: The DAG.
        :param conf: The run's configuration.
        :returns: The run.
        :raises LocalAirflowError: When the DAG does not become known, with the import errors there are.
        """
        return known_dags.trigger_dag(self._api, dag_id, conf=conf, surroundings=self)

    def unpause_dag(self, dag_id: str) -> None:
        """Unpause a DAG, so that its schedule or its assets start runs of it.

        :param dag_id: The DAG.
        :raises LocalAirflowError: When the DAG does not become known, with the import errors there are.
        """
        known_dags.set_paused(self._api, dag_id, is_paused=False, surroundings=self)

    def pause_dag(self, dag_id: str) -> None:
        """Pause a DAG: no run of it starts, and nobody watches the assets that only it is scheduled on.

        :param dag_id: The DAG.
        :raises LocalAirflowError: When the DAG does not become known, with the import errors there are.
        """
        known_dags.set_paused(self._api, dag_id, is_paused=True, surroundings=self)

    def runs_of(self, dag_id: str) -> list[DagRun]:
        """Read the runs of a DAG, whoever made them.

        :param dag_id: The DAG.
        :returns: The runs, oldest first.
        :raises LocalAirflowError: When the API server gives no good answer.
        """
        return known_dags.runs_of(self._api, dag_id, surroundings=self)

    def asset_events(self) -> list[dict[str, Any]]:
        """Read the events of all assets.

        :returns: For each ``uri``, ``extra``, ``timestamp``, ``source_dag_id``, ``created_dagruns`` and more.
        :raises LocalAirflowError: When the API server gives no good answer.
        """
        return self._api.pages("assets/events", "asset_events")

    def asset_state(self, asset: str, key: str) -> Any:
        """Read what a watcher keeps with an asset.

        :param asset: The asset's name.
        :param key: Under which it is kept.
        :returns: The value; None where there is no such asset or nothing is kept (yet).
        :raises LocalAirflowError: When the API server gives no good answer.
        """
        ids = [row["id"] for row in self._api.pages("assets", "assets") if row["name"] == asset]
        try:
            return self._api.get(f"assets/{ids[0]}/state-store/{quote(key, safe='')}")["value"] if ids else None
        except NotFoundError:
            return None

    def task_instances(self, run: DagRun) -> list[TaskInstance]:
        """Read the task instances of a run.

        :param run: The run.
        :returns: All of them, ordered by task and map index.
        :raises LocalAirflowError: When the API server gives no good answer.
        """
        return run.task_instances()

    def xcom(self, run: DagRun, task_id: str, *, map_index: int = -1, key: str = "return_value") -> Any:
        """Read an XCom value.

        :param run: The run.
        :param task_id: The task that pushed it.
        :param map_index: Its map index; -1 if not mapped.
        :param key: The key; that of what a task returns by default.
        :returns: The value. What JSON has is as it was pushed; other types are in Airflow's serialised form.
        :raises LocalAirflowError: When there is none.
        """
        return run.xcom(task_id, map_index, key)

    def task_log(self, run: DagRun, task_id: str, *, map_index: int = -1, try_number: int = 1) -> str:
        """Read the log of a try of a task.

        :param run: The run.
        :param task_id: The task.
        :param map_index: Its map index; -1 if not mapped.
        :param try_number: The try; the first by default.
        :returns: Lines of text.
        :raises LocalAirflowError: When there is no such try.
        """
        return run.task_log(task_id, map_index, try_number)

    def import_errors(self) -> list[dict[str, Any]]:
        """Read why DAG files could not be imported.

        :returns: For each such file ``filename``, ``stack_trace`` and more.
        :raises LocalAirflowError: When the API server gives no good answer.
        """
        return self._api.pages("importErrors", "import_errors")
