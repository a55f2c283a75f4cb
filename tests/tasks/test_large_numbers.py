# SPDX-License-Identifier: Apache-2.0
"""Token ids have up to 256 bits; a number beyond 64 ends the process that sends it, and hides a whole DAG file."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import Any, NamedTuple

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.tasks.arguments import with_large_as_text
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, TaskInstance

LARGE = 2**256 - 1


class Pair(NamedTuple):
    first: Any
    second: Any


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
@pytest.mark.parametrize("by_keywords", [False, True])
@pytest.mark.parametrize(
    ("kind", "argument", "value", "partial"),
    [
        (RefreshCollectionOperator, "token_ids", ["1"], {}),
        (RefreshCollectionOperator, "contract_address", ADDRESS, {}),
        (RefreshCollectionOperator, "network", "eth-mainnet", {"token_ids": ["1"]}),
        (RefreshCollectionOperator, "max_compute_units", 10_000, {"token_ids": ["1"], "network": None}),
        (MetadataFreshSensor, "token_ids", ["1"], {"fresh_since": "2020-01-01T00:00:00Z"}),
        (ReingestContractOperator, "network", "eth-mainnet", {"max_compute_units": None}),
        (ReingestContractsOperator, "contract_addresses", [ADDRESS], {}),
        (ReingestContractsOperator, "network", "eth-mainnet", {"contract_addresses": [ADDRESS]}),
    ],
)
def test_none_among_mapped_values_does_no_more_than_the_others(
    kind: Any, argument: str, value: Any, partial: dict[str, Any], by_keywords: bool, emulator: AlchemyEmulator
) -> None:
    emulator.set_collection(ADDRESS, tokens=10)
    emulator.set_default_job(running_seconds=0)
    given = {"task_id": "task", "contract_address": ADDRESS, **partial}
    if argument == "contract_address" or kind is ReingestContractsOperator:
        del given["contract_address"]
    with new_dag() as dag:
        begun = kind.partial(**given)
        if by_keywords:
            begun.expand_kwargs([{argument: value}, {argument: None}])
        else:
            begun.expand(**{argument: [value, None]})

    done = run(dag).mapped("task")

    assert [one.state for one in done] == ["success", "failed"]
    assert len({call.network for call in emulator.calls}) == 1
    if argument == "token_ids":
        assert set(emulator.asked_tokens()) == {1}


@pytest.mark.parametrize("argument", ["since", "since_block"])
def test_none_among_mapped_beginnings_does_not_begin_at_the_newest_block(
    argument: str, emulator: AlchemyEmulator
) -> None:
    arguments: dict[str, Any] = {"task_id": "task", "contract_address": ADDRESS, argument: None}
    task = NewTokensSensor(**arguments)

    with pytest.raises(AirflowFailException, match=f"'{argument}' is None in a mapped task"):
        task.execute({"ti": TaskInstance(map_index=1)})

    assert emulator.count() == 0


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (LARGE, str(LARGE)),
        (-LARGE, str(-LARGE)),
        (2**63 - 1, 2**63 - 1),
        (True, True),
        ({"a": ({LARGE}, 1)}, {"a": ({str(LARGE)}, 1)}),
        ({LARGE: 1}, {str(LARGE): 1}),
        (OrderedDict(a=[LARGE]), {"a": [str(LARGE)]}),
        (defaultdict(list, a=[LARGE]), {"a": [str(LARGE)]}),
        (frozenset({LARGE}), frozenset({str(LARGE)})),
        (Pair(LARGE, 1), Pair(str(LARGE), 1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_large_number_is_a_text_wherever_it_stands(value: Any, written: Any) -> None:
    assert with_large_as_text(value) == written
    assert type(with_large_as_text(value)) is type(written)


@pytest.mark.parametrize("argument", ["token_attempts", "max_compute_units", "max_failed"])
def test_a_number_that_airflow_cannot_serialise_is_refused(argument: str) -> None:
    arguments: dict[str, Any] = {**REFRESH, argument: 2**63}

    with pytest.raises(AirflowFailException, match=argument):
        RefreshCollectionOperator(**arguments)
