# SPDX-License-Identifier: Apache-2.0
"""The operator for a collection's tokens in whole DAG runs: ids of other tasks, templates, mapping, retries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import task

from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, OTHER_ADDRESS
from tests.tasks.tokens import BATCH, counts
from tests.tasks.tokens import short_intervals as short_intervals  # noqa: PLC0414 - a fixture

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]


def refresh(**arguments: Any) -> Any:
    return RefreshCollectionOperator(**{"task_id": "refresh", "contract_address": ADDRESS, **arguments})


def test_it_leaves_the_documented_xcoms(emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, tokens=150)
    with new_dag() as dag:
        refresh()

    done = run(dag)

    assert (done.state, set(done["refresh"].xcoms)) == ("success", {"contract_address", "return_value"})
    assert done["refresh"].result["counts"] == counts(150)
    assert done["refresh"].result["compute_units"] == emulator.compute_units


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("is_template", [False, True])
@pytest.mark.parametrize(("ids", "asked"), [([7, "0x8", 7], {7: 1, 8: 1}), ([], {}), (None, None)], ids=str)
def test_its_ids_may_be_another_tasks_and_none_told_is_not_the_whole_collection(
    ids: Any, asked: dict[int, int] | None, is_template: bool, native: bool, emulator: AlchemyEmulator
) -> None:
    with new_dag(render_template_as_native_obj=native) as dag:

        @task
        def minted() -> Any:
            return ids

        token_ids = minted()
        template = "{{ ti.xcom_pull('minted') }}"
        job = refresh(token_ids=template if is_template else token_ids, retries=2, retry_delay=timedelta(0))
        token_ids >> job

    done = run(dag)["refresh"]

    assert (done.state, done.try_number) == ("failed" if asked is None else "success", 1)
    assert emulator.asked_tokens() == (asked or {})
    assert asked is None or done.result["counts"] == counts(len(asked))


@pytest.mark.parametrize("native", [False, True])
def test_literal_ids_stay_what_they_are(native: bool, emulator: AlchemyEmulator) -> None:
    with new_dag(params={"token": 9}, render_template_as_native_obj=native) as dag:
        refresh(token_ids=["007", "0x8", "{{ params.token }}"])

    assert run(dag)["refresh"].result["counts"] == counts(3)
    assert set(emulator.asked_tokens()) == {7, 8, 9}


@pytest.mark.parametrize(
    ("fixed", "mapped", "tokens"),
    [
        ({}, {"contract_address": [ADDRESS, OTHER_ADDRESS]}, [20, 30]),
        ({"contract_address": ADDRESS}, {"token_ids": [[1, 2], [3], []]}, [2, 1, 0]),
    ],
    ids=["collections", "tokens"],
)
def test_it_can_be_mapped(
    fixed: dict[str, Any], mapped: dict[str, Any], tokens: list[int], emulator: AlchemyEmulator
) -> None:
    emulator.set_collection(ADDRESS, tokens=20)
    emulator.set_collection(OTHER_ADDRESS, tokens=30)
    with new_dag() as dag:
        RefreshCollectionOperator.partial(task_id="refresh", **fixed).expand(**mapped)

    assert [one.result["counts"]["refreshed"] for one in run(dag).mapped("refresh")] == tokens


@pytest.mark.parametrize("deferrable", [False, True])
def test_stale_tokens_are_tried_again(deferrable: bool, emulator: AlchemyEmulator, short_intervals: float) -> None:
    emulator.set_collection(ADDRESS, tokens=120)
    emulator.set_tokens(ADDRESS, [5], stale_refreshes=1)
    with new_dag() as dag:
        refresh(deferrable=deferrable, attempt_interval=short_intervals)

    done = run(dag)["refresh"]

    assert (done.state, done.result["counts"]) == ("success", counts(120))
    assert emulator.asked_tokens(BATCH)[5] == 2


def test_a_retry_mends_what_it_can(emulator: AlchemyEmulator, short_intervals: float) -> None:
    emulator.set_collection(ADDRESS, tokens=120)
    emulator.set_tokens(ADDRESS, [5], stale_refreshes=2)
    with new_dag() as dag:
        refresh(token_attempts=2, attempt_interval=short_intervals, retries=1, retry_delay=timedelta(0))

    done = run(dag)["refresh"]

    assert (done.state, done.try_number, done.result["counts"]) == ("success", 2, counts(120))


def test_a_task_that_fails_leaves_its_result_for_the_next(emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, tokens=10)
    with new_dag() as dag:

        @task(trigger_rule="all_done")
        def report(failures: dict[str, Any]) -> Any:
            return failures

        report(refresh(multiple_outputs=True, token_ids=[1, 10], retries=2).output["failures"])

    done = run(dag)

    assert (done["refresh"].state, done["refresh"].try_number) == ("failed", 1)
    assert done["report"].result == {"no_such_token": {"tokens": 1, "token_ids": ["10"]}}
