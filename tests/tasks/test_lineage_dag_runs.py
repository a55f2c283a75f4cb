# SPDX-License-Identifier: Apache-2.0
"""Airflow gives a listener, which is what OpenLineage is, the task that knows its result: also after a deferral."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from airflow.listeners import hookimpl

from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, LOWER, OTHER_ADDRESS
from tests.tasks.outlets import ALL_KINDS, Build, fresh, operator, sensor

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]

NAMESPACE = "alchemy://eth-mainnet"
DEFERRED = {"operator": operator, "sensor": sensor, "fresh": fresh}


class Listener:
    """Asks a task about its collections when and where OpenLineage does."""

    def __init__(self) -> None:
        self.reported: list[tuple[str, str]] = []

    @hookimpl
    def on_task_instance_success(self, task_instance: Any) -> None:
        lineage = task_instance.task.get_openlineage_facets_on_complete(task_instance)
        self.reported += [(dataset.namespace, dataset.name) for dataset in (*lineage.inputs, *lineage.outputs)]


@pytest.fixture
def listener(emulator: AlchemyEmulator) -> Iterator[Listener]:
    pytest.importorskip("airflow.providers.openlineage.extractors", reason="OpenLineage is not installed")
    emulator.set_default_job(running_seconds=0.2)
    emulator.set_collection(ADDRESS, tokens=10)
    try:
        module = import_module("airflow.sdk.listener")
    except ImportError:  # before Airflow 3.2
        module = import_module("airflow.listeners.listener")
    manager, listener = module.get_listener_manager(), Listener()
    manager.add_listener(listener)
    yield listener
    manager.pm.unregister(listener)


@pytest.mark.parametrize("build", ALL_KINDS.values(), ids=ALL_KINDS)
def test_the_task_knows_its_collection(build: Build, listener: Listener) -> None:
    with new_dag() as dag:
        build()

    run(dag)

    assert listener.reported == [(NAMESPACE, LOWER)]


@pytest.mark.parametrize("build", DEFERRED.values(), ids=DEFERRED)
def test_the_task_knows_its_collection_right_after_a_deferral(build: Build, listener: Listener) -> None:
    with new_dag() as dag:
        build(deferrable=True)

    run(dag)

    assert listener.reported == [(NAMESPACE, LOWER)]


def test_each_instance_of_a_mapped_task_knows_its_own(listener: Listener) -> None:
    with new_dag() as dag:
        ReingestSensor.partial(task_id="wait", poke_interval=0.1).expand(contract_address=[ADDRESS, OTHER_ADDRESS])

    run(dag)

    assert sorted(listener.reported) == [(NAMESPACE, OTHER_ADDRESS.lower()), (NAMESPACE, LOWER)]
