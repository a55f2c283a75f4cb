# SPDX-License-Identifier: Apache-2.0
"""The sensor of fresh metadata in whole DAG runs: templates, XComs of earlier tasks, mapping, states."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout, task

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.sensors.freshness import looks_of, refresh, set_fresh
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, LOWER, MODES, OTHER_ADDRESS, once

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]

START = "{{ dag_run.start_date }}"


def arguments_in(mode: str, **arguments: Any) -> dict[str, Any]:
    mode_arguments = {"mode": "reschedule" if mode == "reschedule" else "poke", "deferrable": mode == "deferred"}
    return {"contract_address": ADDRESS, "poke_interval": 0.1, "timeout": 3600, **mode_arguments, **arguments}


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_tokens_that_were_refreshed_since_the_run_began_are_proven(
    mode: str, native: bool, emulator: AlchemyEmulator
) -> None:
    emulator.set_collection(ADDRESS, tokens=10)
    with new_dag(render_template_as_native_obj=native) as dag:
        MetadataFreshSensor(task_id="fresh", fresh_since=START, **arguments_in(mode))

    with once(lambda: len(looks_of(emulator)) > 0, lambda: refresh(emulator, range(10))):
        done = run(dag)

    assert (done.state, done["fresh"].result["counts"]["fresh"]) == ("success", 10)
    assert set(done["fresh"].xcoms) == {"contract_address", "return_value"}


@pytest.mark.parametrize("native", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_the_moment_may_be_that_at_which_an_earlier_task_submitted(
    mode: str, native: bool, emulator: AlchemyEmulator
) -> None:
    emulator.set_job(ADDRESS, running_seconds=0)
    emulator.set_collection(ADDRESS, tokens=10)
    with new_dag(render_template_as_native_obj=native) as dag:
        submit: Any = ReingestContractOperator(task_id="submit", contract_address=ADDRESS, multiple_outputs=True)
        MetadataFreshSensor(task_id="fresh", fresh_since=submit.output["submitted_at"], **arguments_in(mode))

    with once(lambda: len(looks_of(emulator)) > 0, lambda: refresh(emulator, range(10))):
        done = run(dag)

    assert done["fresh"].result["fresh_since"] == done["submit"].result["submitted_at"]
    assert done["fresh"].result["counts"]["fresh"] == 10


@pytest.mark.parametrize("mode", MODES)
def test_what_was_refreshed_before_the_run_is_no_proof(mode: str, emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, tokens=10, last_updated=time.time() - 60)
    with new_dag() as dag:
        MetadataFreshSensor(task_id="fresh", fresh_since=START, retries=2, **arguments_in(mode, timeout=0.5))

    done = run(dag)

    assert (done.state, done["fresh"].state, done["fresh"].try_number) == ("failed", "failed", 1)


@pytest.mark.parametrize("native", [False, True])
def test_tokens_may_come_from_an_earlier_task(native: bool, emulator: AlchemyEmulator) -> None:
    set_fresh(emulator, tokens=100)
    with new_dag(render_template_as_native_obj=native) as dag:

        @task
        def minted() -> list[Any]:
            return [7, "8", "0x9", 7]

        listed: Any = minted()
        since = "2026-11-01T00:00:00Z"
        MetadataFreshSensor(task_id="fresh", fresh_since=since, token_ids=listed, **arguments_in("poke"))
        template = "{{ ti.xcom_pull('minted') }}"
        rendered = MetadataFreshSensor(
            task_id="rendered", fresh_since=since, token_ids=template, **arguments_in("deferred")
        )
        listed >> rendered

    done = run(dag)

    assert [done[name].result["token_ids"] for name in ("fresh", "rendered")] == [["7", "8", "9"]] * 2


def test_a_moment_that_an_earlier_task_did_not_push_fails_without_a_call(emulator: AlchemyEmulator) -> None:
    with new_dag() as dag:
        MetadataFreshSensor(
            task_id="fresh",
            fresh_since="{{ ti.xcom_pull('nobody') }}",
            retries=2,
            retry_delay=timedelta(0),
            **arguments_in("poke"),
        )

    done = run(dag)

    assert (done.state, done["fresh"].try_number, emulator.count()) == ("failed", 1, 0)


def test_soft_fail_skips_a_timeout(emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, tokens=10)
    with new_dag() as dag:
        MetadataFreshSensor(task_id="fresh", fresh_since=START, soft_fail=True, **arguments_in("deferred", timeout=0.3))

    assert run(dag)["fresh"].state == "skipped"


@pytest.mark.parametrize("hanging", [None, "getNFTsForContract", "getNFTMetadataBatch"])
def test_execution_timeout_ends_a_task_in_the_worker_also_in_the_middle_of_a_call(
    hanging: str | None, emulator: AlchemyEmulator, task_log: TaskLog
) -> None:
    emulator.set_collection(ADDRESS, tokens=10)
    if hanging is not None:
        emulator.add_fault("hang", endpoint=hanging)
    limit = timedelta(seconds=1)
    with new_dag() as dag:
        MetadataFreshSensor(task_id="fresh", fresh_since=START, execution_timeout=limit, **arguments_in("poke"))

    try:
        state, reason = run(dag)["fresh"].state, task_log()
    except AirflowTaskTimeout as error:  # before Airflow 3.1 dag.test() lets it through
        state, reason = "failed", repr(error)

    assert (state, "AirflowTaskTimeout" in reason) == ("failed", True)


@pytest.mark.parametrize("mode", MODES)
def test_mapped_tasks_each_wait_for_their_own_collection(mode: str, emulator: AlchemyEmulator) -> None:
    set_fresh(emulator)
    emulator.set_collection(OTHER_ADDRESS, tokens=5, last_updated=time.time())
    arguments = arguments_in(mode, fresh_since="2026-11-01T00:00:00Z")
    del arguments["contract_address"]
    with new_dag() as dag:
        MetadataFreshSensor.partial(task_id="fresh", **arguments).expand(contract_address=[ADDRESS, OTHER_ADDRESS])

    mapped = run(dag).mapped("fresh")

    assert [one.result["counts"]["fresh"] for one in mapped] == [10, 5]
    assert mapped[0].result["contract_address"] == LOWER
    assert mapped[0].label == ADDRESS


def test_runs_sample_other_tokens_and_a_run_says_its_seed(emulator: AlchemyEmulator) -> None:
    set_fresh(emulator, tokens=1_000)
    with new_dag() as dag:
        for name in ("one", "other"):
            MetadataFreshSensor(
                task_id=name, fresh_since="2026-11-01T00:00:00Z", sample_size=20, **arguments_in("poke")
            )

    done = run(dag)

    seeds = {done[name].result["seed"] for name in ("one", "other")}
    assert len(seeds) == 2
    assert done["one"].result["token_ids"] != done["other"].result["token_ids"]
