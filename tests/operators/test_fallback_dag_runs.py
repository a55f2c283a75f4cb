# SPDX-License-Identifier: Apache-2.0
"""The operator with ``fallback`` in whole DAG runs: XComs, mapping, placement, retries."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.operators.gone import PRICE, REINGEST, gone_in_the_middle, reingest_calls
from tests.operators.gone import collection as collection  # noqa: PLC0414 - a fixture
from tests.operators.gone import no_pauses as no_pauses  # noqa: PLC0414 - a fixture
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, OTHER_ADDRESS, RESULT_KEYS, in_the_worker_and_deferred
from tests.tasks.placing import BOTH, newest

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database", "collection")]

ARGUMENTS: dict[str, Any] = {
    "task_id": "refresh",
    "wait_for_completion": True,
    "fallback": "tokens",
    "poll_interval": 0.1,
}


@pytest.fixture(autouse=True)
def older_airflows_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, message="Task ")
        yield


@in_the_worker_and_deferred
def test_it_succeeds_with_the_usual_xcoms(deferrable: bool, emulator: AlchemyEmulator) -> None:
    with new_dag() as dag:
        ReingestContractOperator(contract_address=ADDRESS, deferrable=deferrable, **ARGUMENTS)

    with gone_in_the_middle(emulator):
        done = run(dag)["refresh"]

    assert (done.state, done.result["state"]) == ("success", "finished")
    assert set(done.xcoms) == {"contract_address", "return_value"}
    assert (done.result["polls"], done.result["compute_units"]) == (emulator.count(None), emulator.compute_units)


@pytest.mark.parametrize("placement", [{"start_from_trigger": True}, {"end_from_trigger": True}, BOTH], ids="_".join)
def test_placed_in_the_triggerer_it_refreshes_the_tokens_in_a_worker(
    placement: dict[str, Any], emulator: AlchemyEmulator
) -> None:
    with new_dag() as dag:
        ReingestContractOperator(contract_address=ADDRESS, **ARGUMENTS, **placement)

    with gone_in_the_middle(emulator):
        done = run(dag)["refresh"]

    assert (done.state, set(done.result)) == ("success", RESULT_KEYS)
    assert done.result["compute_units"] == emulator.compute_units


@in_the_worker_and_deferred
def test_mapped_tasks_do_it_each(deferrable: bool, emulator: AlchemyEmulator) -> None:
    emulator.set_collection(OTHER_ADDRESS, tokens=30)
    emulator.configure(reingest_gone=410)
    with new_dag() as dag:
        ReingestContractOperator.partial(deferrable=deferrable, **ARGUMENTS).expand(
            contract_address=[ADDRESS, OTHER_ADDRESS]
        )

    mapped = run(dag).mapped("refresh")

    assert [one.state for one in mapped] == ["success", "success"]
    assert sum(one.result["compute_units"] for one in mapped) == emulator.compute_units


@pytest.mark.usefixtures("emulator")
def test_a_mapped_task_that_does_not_wait_fails_without_a_retry() -> None:
    with new_dag() as dag:
        ReingestContractOperator.partial(task_id="refresh", fallback="tokens", retries=2).expand(
            contract_address=[ADDRESS]
        )

    (done,) = run(dag).mapped("refresh")

    assert (done.state, done.try_number) == ("failed", 1)


def test_tokens_without_proof_for_good_are_not_tried_again(emulator: AlchemyEmulator) -> None:
    emulator.set_tokens(ADDRESS, [1], error="Contract returned a broken token uri, do not retry")
    emulator.configure(reingest_gone=410)
    with new_dag() as dag:
        ReingestContractOperator(contract_address=ADDRESS, retries=2, retry_delay=timedelta(0), **ARGUMENTS)

    done = run(dag)["refresh"]

    assert (done.state, done.try_number) == ("failed", 1)


@newest
@pytest.mark.usefixtures("no_pauses")
def test_a_retry_goes_on_and_does_not_ask_reingest_contract_again(emulator: AlchemyEmulator) -> None:
    emulator.configure(reingest_gone=410)
    # One refresh more than a try makes of it.
    emulator.set_tokens(ADDRESS, [7], stale_refreshes=3)
    with new_dag() as dag:
        ReingestContractOperator(contract_address=ADDRESS, retries=1, retry_delay=timedelta(0), **ARGUMENTS)

    done = run(dag)["refresh"]

    assert (done.state, done.try_number, reingest_calls(emulator)) == ("success", 2, 1)
    assert done.result["compute_units"] == emulator.compute_units > REINGEST + PRICE
