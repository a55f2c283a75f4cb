# SPDX-License-Identifier: Apache-2.0
"""Tasks whose outlets are collections: each kind of task, its way through the processes, and what it left."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pendulum
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS
from airflow.utils.session import create_session

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from tests.tasks.batches import BatchInstance, in_triggerer
from tests.tasks.dag_runs import Run, run
from tests.tasks.lives import ADDRESS, StateStore, fire

Build = Callable[..., Any]

LONG_AGO = "2020-01-01T00:00:00+00:00"


def operator(**arguments: Any) -> Any:
    defaults = {"contract_address": ADDRESS, "wait_for_completion": True, "poll_interval": 0.05, "timeout": 3600}
    return ReingestContractOperator(**{"task_id": "task", **defaults, **arguments})


def sensor(**arguments: Any) -> Any:
    defaults = {"contract_address": ADDRESS, "poke_interval": 0.05, "timeout": 3600}
    return ReingestSensor(**{"task_id": "task", **defaults, **arguments})


def refresh(**arguments: Any) -> Any:
    return RefreshCollectionOperator(**{"task_id": "task", "contract_address": ADDRESS, **arguments})


def fresh(**arguments: Any) -> Any:
    defaults = {"contract_address": ADDRESS, "fresh_since": LONG_AGO, "poke_interval": 0.05, "timeout": 3600}
    return MetadataFreshSensor(**{"task_id": "task", **defaults, **arguments})


def batch(**arguments: Any) -> Any:
    defaults = {"contract_addresses": [ADDRESS], "poll_interval": 0.05, "timeout": 3600}
    return ReingestContractsOperator(**{"task_id": "task", **defaults, **arguments})


ALL_KINDS: dict[str, Build] = {
    "operator": operator,
    "sensor": sensor,
    "refresh": refresh,
    "fresh": fresh,
    "batch": batch,
}


def outlet_events() -> Any:
    """Give what Airflow gives a task for its outlets."""
    if AIRFLOW_V_3_0_PLUS:
        from airflow.sdk.execution_time.context import OutletEventAccessors  # noqa: PLC0415 - not in Airflow 2
    else:
        from airflow.utils.context import OutletEventAccessors  # noqa: PLC0415 - not in Airflow 3
    return OutletEventAccessors()


@dataclass
class Processes:
    """
    The processes of one task instance, each with a task and a context of its own: what one knows the next does not.

    :param build: Builds the task.
    :param noted: What its author notes with each outlet's event before it runs.
    """

    build: Callable[[], Any]
    noted: dict[str, Any] = field(default_factory=dict)
    ti: BatchInstance = field(default_factory=BatchInstance)
    store: StateStore = field(default_factory=StateStore)
    pauses: int = 0
    task: Any = None
    events: Any = None

    def lead(self) -> Any:
        """Lead the task to its end and give what it returns; what it raises at its end is raised."""
        method, arguments = "execute", dict[str, Any]()
        while True:
            self.task, self.events = self.build(), outlet_events()
            if self.noted:
                for outlet in self.task.outlets:
                    self.events[outlet].extra.update(self.noted)
            context = {
                "ti": self.ti,
                "task_reschedule_count": self.pauses,
                "task_state_store": self.store,
                "outlet_events": self.events,
            }
            try:
                return getattr(self.task, method)(**arguments, context=context)
            except AirflowRescheduleException as pause:
                self.pauses += 1
                self.ti.first_reschedule = self.ti.first_reschedule or pendulum.now("UTC")
                time.sleep(max(0.0, (pause.reschedule_date - pendulum.now("UTC")).total_seconds()))
            except TaskDeferred as deferral:
                self.pauses += 1
                told = {**json.loads(json.dumps(deferral.kwargs or {})), "event": fire(in_triggerer(deferral.trigger))}
                method, arguments = "resume_execution", {"next_method": deferral.method_name, "next_kwargs": told}

    def extra_of(self, asset: Any) -> dict[str, Any]:
        """Give what goes with the asset's event, as the database keeps it."""
        extra: dict[str, Any] = json.loads(json.dumps(self.events[asset].extra))
        return extra


def run_known(dag: Any) -> Run:
    """Run a DAG whose assets Airflow knows: it emits no events of others."""
    if not AIRFLOW_V_3_0_PLUS:
        dag.sync_to_db()
    elif not hasattr(dag, "test"):  # 3.0: its DAG is another class than the author's there
        from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415 - not in Airflow 2
        from airflow.models import dag as core  # noqa: PLC0415 - Airflow's models need its database

        manager: Any = DagBundlesManager
        models: Any = getattr(core, "DAG")  # noqa: B009 - unknown to newer Airflows' types
        manager().sync_bundles_to_db()
        models.bulk_write_to_db("dags-folder", None, [models.from_sdk_dag(dag)])
    return run(dag)


def kept_events(dag_id: str) -> list[tuple[str, int, dict[str, Any]]]:
    """Give the asset events of a DAG's tasks: URI, map index and extra, the oldest first."""
    model, asset_id, asset_model = _models()
    with create_session() as session:
        events = session.query(model).filter(model.source_dag_id == dag_id).order_by(model.id)
        uris = {asset.id: asset.uri for asset in session.query(asset_model)}
        return [(uris[getattr(event, asset_id)], event.source_map_index, event.extra) for event in events]


def _models() -> tuple[Any, str, Any]:
    if AIRFLOW_V_3_0_PLUS:
        from airflow.models.asset import AssetEvent, AssetModel  # noqa: PLC0415 - not in Airflow 2

        return AssetEvent, "asset_id", AssetModel
    datasets: Any = import_module("airflow.models.dataset")
    return datasets.DatasetEvent, "dataset_id", datasets.DatasetModel
