# SPDX-License-Identifier: Apache-2.0
"""Asset events of whole DAG runs, as Airflow's database keeps them: what each task told, and who tells nothing."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS

from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.batches import address
from tests.tasks.dag_runs import new_dag
from tests.tasks.lives import ADDRESS, LOWER, OTHER_ADDRESS
from tests.tasks.outlets import ALL_KINDS, Build, batch, kept_events, operator, run_known, sensor

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]

THIS, OTHER = collection(ADDRESS), collection(OTHER_ADDRESS)
NAMED_ADDRESS = {"name": address(1), "uri": address(2)}


@pytest.fixture
def collections(emulator: AlchemyEmulator) -> AlchemyEmulator:
    """Have refreshes that take more than one look, and tokens."""
    emulator.set_default_job(running_seconds=0.2)
    emulator.set_collection(ADDRESS, tokens=10)
    return emulator


@pytest.mark.usefixtures("collections")
class TestTheEvent:
    @pytest.mark.parametrize("build", ALL_KINDS.values(), ids=ALL_KINDS)
    def test_it_is_kept_with_the_result(self, build: Build) -> None:
        with new_dag() as dag:
            build(outlets=[THIS])

        result = run_known(dag)["task"].result

        ((uri, _, extra),) = kept_events(dag.dag_id)
        assert (uri, extra["state"], extra["finished_at"]) == (THIS.uri, "finished", result["finished_at"])

    @pytest.mark.parametrize("build", [operator, sensor], ids=["operator", "sensor"])
    def test_it_is_kept_after_a_deferral(self, build: Build) -> None:
        with new_dag() as dag:
            build(outlets=[THIS], deferrable=True)

        result = run_known(dag)["task"].result

        ((_, _, extra),) = kept_events(dag.dag_id)
        assert (extra["state"], extra["polls"]) == ("finished", result["polls"])

    def test_that_of_another_outlet_tells_nothing(self) -> None:
        with new_dag() as dag:
            sensor(outlets=[THIS, OTHER, Asset(uri="s3://bucket/key")])

        run_known(dag)

        told = {uri: (extra or {}).get("contract_address") for uri, _, extra in kept_events(dag.dag_id)}
        assert told == {THIS.uri: LOWER, OTHER.uri: None, "s3://bucket/key": None}

    def test_each_collection_of_a_batch_has_its_own(self) -> None:
        with new_dag() as dag:
            batch(contract_addresses=[ADDRESS, OTHER_ADDRESS], outlets=[THIS, OTHER])

        run_known(dag)

        told = {uri: extra["contract_address"] for uri, _, extra in kept_events(dag.dag_id)}
        assert told == {THIS.uri: LOWER, OTHER.uri: OTHER_ADDRESS.lower()}

    def test_each_instance_of_a_mapped_task_tells_its_own_collection_only(self) -> None:
        with new_dag() as dag:
            ReingestSensor.partial(task_id="wait", poke_interval=0.1, outlets=[THIS, OTHER]).expand(
                contract_address=[ADDRESS, OTHER_ADDRESS]
            )

        run_known(dag)

        told = {(uri, index): (extra or {}).get("contract_address") for uri, index, extra in kept_events(dag.dag_id)}
        assert told == {
            (THIS.uri, 0): LOWER,
            (OTHER.uri, 0): None,
            (THIS.uri, 1): None,
            (OTHER.uri, 1): OTHER_ADDRESS.lower(),
        }

    @pytest.mark.skipif(not AIRFLOW_V_3_0_PLUS, reason="Airflow 2 has no references to assets")
    @pytest.mark.parametrize("kind", ["name", "uri"])
    def test_an_outlet_that_only_refers_to_the_collection_is_told_too(self, kind: str) -> None:
        # A collection of its own: Airflow takes a second name of one URI for a conflict.
        named: Any = collection(NAMED_ADDRESS[kind], name=f"punks by {kind}")
        reference_to: Any = Asset
        with new_dag() as dag:
            first = sensor(task_id="first", contract_address=NAMED_ADDRESS[kind], outlets=[named])
            reference = reference_to.ref(**{kind: getattr(named, kind)})
            first >> sensor(task_id="second", contract_address=NAMED_ADDRESS[kind], outlets=[reference])

        run_known(dag)

        assert [extra["state"] for _, _, extra in kept_events(dag.dag_id)] == ["finished", "finished"]


@pytest.mark.parametrize("build", [operator, sensor, batch], ids=["operator", "sensor", "batch"])
def test_a_task_that_fails_emits_none(build: Build, emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(outcome="does_not_exist")
    with new_dag() as dag:
        build(outlets=[THIS])

    assert run_known(dag)["task"].state == "failed"
    assert kept_events(dag.dag_id) == []


def test_a_task_that_is_skipped_emits_none(emulator: AlchemyEmulator) -> None:
    emulator.set_default_job(outcome="does_not_exist")
    with new_dag() as dag:
        sensor(outlets=[THIS], soft_fail=True)

    assert run_known(dag)["task"].state == "skipped"
    assert kept_events(dag.dag_id) == []
