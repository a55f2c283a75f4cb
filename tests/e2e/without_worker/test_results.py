# SPDX-License-Identifier: Apache-2.0
"""What tasks leave behind that start or end in the triggerer: the same as any other."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.waits.reingest import RESULT_KEYS
from dev.local_airflow.errors import LocalAirflowError
from tests.e2e.without_worker.conftest import Stage
from tests.e2e.without_worker.dags.without_worker import address_of

pytestmark = pytest.mark.e2e

WAYS = ("both", "start_only", "end_only")


@pytest.mark.parametrize("dag_id", WAYS)
def test_the_result_is_the_documented_dict(stage: Stage, dag_id: str) -> None:
    assert set(stage.result(dag_id)) == set(RESULT_KEYS)


@pytest.mark.parametrize("dag_id", WAYS)
def test_the_refresh_has_finished(stage: Stage, dag_id: str) -> None:
    result = stage.result(dag_id)

    assert (result["state"], result["progress"], result["already_finished"]) == ("finished", 100, False)


@pytest.mark.parametrize("dag_id", ["start_only", "end_only"])
def test_each_key_is_an_xcom_of_its_own_where_the_task_says_so(stage: Stage, dag_id: str) -> None:
    single = {key: stage.result(dag_id, key=key) for key in RESULT_KEYS}

    assert single == stage.result(dag_id)


def test_the_triggerer_pushes_the_address_beside_the_result(stage: Stage) -> None:
    assert stage.result("both", key="contract_address") == address_of("both")
    with pytest.raises(LocalAirflowError, match="404"):
        stage.result("both", key="state")


@pytest.mark.parametrize("dag_id", WAYS)
def test_the_next_task_gets_a_plain_dict(stage: Stage, dag_id: str) -> None:
    told = stage.result(dag_id, "read")

    assert (told["type"], set(told["keys"]), told["state"]) == ("dict", set(RESULT_KEYS), "finished")


@pytest.mark.parametrize("dag_id", WAYS)
def test_the_next_task_may_take_a_single_value(stage: Stage, dag_id: str) -> None:
    assert stage.result(dag_id, "read")["address"] == address_of(dag_id)


@pytest.mark.parametrize("dag_id", [*WAYS, "no_xcom"])
def test_the_web_ui_has_the_links(stage: Stage, dag_id: str) -> None:
    run = stage.ended(dag_id)

    links = run.api.get(f"{run.path}/taskInstances/wait/links")["extra_links"]

    assert links == {
        "Contract in the block explorer": f"https://etherscan.io/address/{address_of(dag_id)}",
        "Alchemy dashboard": "https://dashboard.alchemy.com/",
    }


@pytest.mark.parametrize("key", ["return_value", "state"])
def test_a_task_that_pushes_no_xcom_leaves_none(stage: Stage, key: str) -> None:
    stage.ended("no_xcom")

    with pytest.raises(LocalAirflowError, match="404"):
        stage.result("no_xcom", key=key)


def test_its_log_ends_with_what_it_cost(stage: Stage) -> None:
    result = stage.result("both")

    assert f"{result['polls']} polls, {result['compute_units']:,} compute units" in stage.log("both")
