# SPDX-License-Identifier: Apache-2.0
"""Token ids have up to 256 bits; a number beyond 64 ends the process that sends it, and hides a whole DAG file."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS

LARGE = 2**256 - 1
REFRESH: dict[str, Any] = {"task_id": "task", "contract_address": ADDRESS}
FRESH: dict[str, Any] = {**REFRESH, "fresh_since": "2026-01-01T00:00:00Z"}
BUILDS = {
    "a literal": lambda: RefreshCollectionOperator(**REFRESH, token_ids=[LARGE, 7]),
    "an iterable": lambda: RefreshCollectionOperator(**REFRESH, token_ids=iter({LARGE})),
    "mapped": lambda: RefreshCollectionOperator.partial(**REFRESH).expand(token_ids=[[LARGE], [7]]),
    "mapped by keywords": lambda: RefreshCollectionOperator.partial(**REFRESH).expand_kwargs([{"token_ids": [LARGE]}]),
    "in a partial": lambda: RefreshCollectionOperator.partial(task_id="task", token_ids=[LARGE]).expand(
        contract_address=[ADDRESS]
    ),
    "of a sensor": lambda: MetadataFreshSensor(**FRESH, token_ids=(LARGE,)),
    "of a mapped sensor": lambda: MetadataFreshSensor.partial(**FRESH).expand(token_ids=[[LARGE]]),
}


@pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="the message of the DAG processor is that of Airflow 3.3")
@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_the_dag_processor_can_send_a_file_with_large_ids(build: Any) -> None:
    # Airflow 2.11 has none of these.
    from airflow.dag_processing.processor import DagFileParsingResult  # noqa: PLC0415
    from airflow.sdk.execution_time.comms import _RequestFrame  # noqa: PLC0415
    from airflow.serialization.serialized_objects import DagSerialization, LazyDeserializedDAG  # noqa: PLC0415

    with new_dag() as dag:
        build()
    serialized = LazyDeserializedDAG(data=DagSerialization.to_dict(dag))
    parsed = DagFileParsingResult(fileloc="/x.py", serialized_dags=[serialized], warnings=[], import_errors={})

    assert str(LARGE).encode() in _RequestFrame(id=1, body=parsed.model_dump()).as_bytes()


@pytest.mark.integration
@pytest.mark.usefixtures("airflow_database")
@pytest.mark.parametrize("render_natively", [False, True])
@pytest.mark.parametrize("token_ids", [[LARGE], ["{{ params.id }}"], "{{ [params.id | int] }}"], ids=repr)
def test_a_run_with_a_large_id_refreshes_its_token(
    token_ids: Any, render_natively: bool, emulator: AlchemyEmulator
) -> None:
    emulator.set_collection(ADDRESS, token_ids=[LARGE])
    with new_dag(params={"id": str(LARGE)}, render_template_as_native_obj=render_natively) as dag:
        RefreshCollectionOperator(**REFRESH, token_ids=token_ids)

    assert run(dag)["task"].result["counts"]["refreshed"] == 1


@pytest.mark.integration
@pytest.mark.usefixtures("airflow_database")
def test_none_among_mapped_values_refreshes_no_whole_collection(emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, tokens=10)
    with new_dag() as dag:
        RefreshCollectionOperator.partial(**REFRESH).expand(token_ids=[["1"], None])

    done = run(dag).mapped("task")

    assert sorted(one.state for one in done) == ["failed", "success"]
    assert set(emulator.asked_tokens()) == {1}


@pytest.mark.parametrize("argument", ["token_attempts", "max_compute_units", "max_failed"])
def test_a_number_that_airflow_cannot_serialise_is_refused(argument: str) -> None:
    arguments: dict[str, Any] = {**REFRESH, argument: 2**63}

    with pytest.raises(AirflowFailException, match=argument):
        RefreshCollectionOperator(**arguments)
