# SPDX-License-Identifier: Apache-2.0
"""The links that the web UI shows after whole DAG runs, of each kind of task, mapped ones included."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS
from airflow.utils.session import create_session

from airflow_provider_alchemy.links.collection import DASHBOARD, ContractLink, DashboardLink
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE, connection_json
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, LOWER, OTHER_ADDRESS
from tests.tasks.outlets import ALL_KINDS, LONG_AGO, Build, fresh, operator, sensor

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("airflow_database"),
    pytest.mark.skipif(
        AIRFLOW_V_3_0_PLUS and not hasattr(DAG, "test"),
        reason="Airflow 3.0 keeps links in a worker, and `airflow dags test` has none there",
    ),
]

ONE_COLLECTION = {name: build for name, build in ALL_KINDS.items() if name != "batch"}
DEFERRED = {"operator": operator, "sensor": sensor, "fresh": fresh}
MAPPED: dict[Any, dict[str, Any]] = {
    ReingestContractOperator: {},
    RefreshCollectionOperator: {},
    ReingestSensor: {"poke_interval": 0.1},
    MetadataFreshSensor: {"poke_interval": 0.1, "fresh_since": LONG_AGO},
}


@pytest.fixture(autouse=True)
def collections(emulator: AlchemyEmulator) -> AlchemyEmulator:
    """Have refreshes that end, and tokens."""
    emulator.set_default_job(running_seconds=0.1)
    for address in (ADDRESS, OTHER_ADDRESS):
        emulator.set_collection(address, tokens=3)
    return emulator


def shown(dag: Any, link: Any, task_id: str = "task", map_index: int = -1) -> str | None:
    """Give a link of the DAG's only run as the web UI shows it."""
    task = {"dag_id": dag.dag_id, "task_id": task_id, "map_index": map_index}
    with create_session() as session:
        return _kept(session, link, task) if AIRFLOW_V_3_0_PLUS else _asked_for(session, dag, link, task)


def _kept(session: Any, link: Any, task: dict[str, Any]) -> str | None:
    from airflow.models.xcom import XComModel  # noqa: PLC0415 - not in Airflow 2

    row = session.query(XComModel).filter_by(**task, key=link.xcom_key).one_or_none()
    return None if row is None else str(XComModel.deserialize_value(row)).strip('"')


def _asked_for(session: Any, dag: Any, link: Any, task: dict[str, Any]) -> str | None:
    """Airflow 2 asks the link itself, with what it has of the DAG in its database."""
    from airflow.models.taskinstance import TaskInstance  # noqa: PLC0415 - the tables exist only now

    ti = session.query(TaskInstance).filter_by(**task).one()
    dags: Any = import_module("airflow.serialization.serialized_objects").SerializedDAG
    text: str | None = dags.from_dict(dags.to_dict(dag)).get_task(task["task_id"]).get_extra_links(ti, link.name)
    return text


@pytest.mark.parametrize("build", ONE_COLLECTION.values(), ids=ONE_COLLECTION)
def test_a_task_leads_to_its_contract_and_to_the_dashboard(build: Build) -> None:
    with new_dag(params={"address": ADDRESS}) as dag:
        build(contract_address="{{ params.address }}")

    run(dag)

    assert shown(dag, ContractLink()) == f"https://etherscan.io/address/{LOWER}"
    assert shown(dag, DashboardLink()) == DASHBOARD


@pytest.mark.parametrize("build", DEFERRED.values(), ids=DEFERRED)
def test_a_task_leads_there_after_a_deferral(build: Build) -> None:
    with new_dag(params={"address": ADDRESS}) as dag:
        build(contract_address="{{ params.address }}", deferrable=True)

    run(dag)

    assert shown(dag, ContractLink()) == f"https://etherscan.io/address/{LOWER}"


def test_a_batch_leads_to_the_dashboard() -> None:
    with new_dag() as dag:
        ALL_KINDS["batch"]()

    run(dag)

    assert shown(dag, DashboardLink()) == DASHBOARD


@pytest.mark.parametrize("kind", MAPPED)
def test_each_instance_of_a_mapped_task_leads_to_its_own_contract(kind: Any) -> None:
    with new_dag() as dag:
        kind.partial(task_id="task", **MAPPED[kind]).expand(contract_address=[ADDRESS, OTHER_ADDRESS])

    run(dag)

    addresses = (LOWER, OTHER_ADDRESS.lower())
    for index, address in enumerate(addresses):
        assert shown(dag, ContractLink(), map_index=index) == f"https://etherscan.io/address/{address}"
        assert shown(dag, DashboardLink(), map_index=index) == DASHBOARD


@pytest.mark.parametrize("build", [sensor, fresh], ids=["sensor", "fresh"])
def test_the_explorer_is_that_of_the_connections_network(
    build: Build, collections: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONNECTION_VARIABLE, connection_json(collections, network="base-mainnet"))
    collections.set_collection(ADDRESS, network="base-mainnet", tokens=3)
    with new_dag() as dag:
        build()

    run(dag)

    assert shown(dag, ContractLink()) == f"https://basescan.org/address/{LOWER}"
